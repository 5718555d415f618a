import pytest

from certbound.authority import attempts
from certbound.authority.attempts import BURST, SECONDS_EACH, AddressAttempts, locked_until


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, None), (4, None), (5, 30), (6, 60), (7, 120), (8, 240), (9, 480), (10, 900), (11, 900), (10**6, 900)],
)
def test_every_failure_from_the_fifth_on_doubles_the_lock_up_to_a_quarter_of_an_hour(
    failures: int, seconds: int | None
) -> None:
    assert locked_until(failures, 1000) == (None if seconds is None else 1000 + seconds)


def taken(counted: AddressAttempts, address: str | None, times: int, now: float = 0) -> list[bool]:
    return [counted.take(address, now) for _ in range(times)]


def test_an_address_runs_out_of_attempts_and_gets_one_back_at_a_time() -> None:
    counted = AddressAttempts()
    assert taken(counted, "192.0.2.1", BURST + 2) == [True] * BURST + [False] * 2
    assert taken(counted, "192.0.2.1", 2, SECONDS_EACH) == [True, False]
    assert taken(counted, "192.0.2.1", BURST + 1, SECONDS_EACH * 1000) == [True] * BURST + [False]
    assert taken(counted, "192.0.2.2", 1) == [True]


def test_an_attempt_that_was_right_costs_nothing() -> None:
    counted = AddressAttempts()
    for _ in range(BURST * 3):
        assert counted.take("192.0.2.1", 0)
        counted.give_back("192.0.2.1")
    counted.give_back("192.0.2.9")
    assert taken(counted, "192.0.2.1", BURST + 1) == [True] * BURST + [False]


def test_what_one_subscriber_has_of_ipv6_counts_as_one_address() -> None:
    counted = AddressAttempts()
    for number in range(BURST):
        assert counted.take(f"2001:db8:0:1::{number:x}", 0)
    assert not counted.take("2001:db8:0:1:ffff::1", 0)
    assert not counted.take("2001:db8:0:1:ffff::1%eth0", 0)
    assert counted.take("2001:db8:0:2::1", 0)


def test_an_ipv4_address_written_as_ipv6_is_the_same_and_not_one_of_all() -> None:
    counted = AddressAttempts()
    taken(counted, "192.0.2.1", BURST)
    assert not counted.take("::ffff:192.0.2.1", 0)
    assert counted.take("::ffff:192.0.2.2", 0)


def test_a_local_socket_has_no_address_and_what_is_none_is_counted_as_it_is() -> None:
    counted = AddressAttempts()
    assert all(taken(counted, None, BURST * 2))
    counted.give_back(None)
    assert taken(counted, "testclient", BURST + 1)[-1] is False


def test_the_memory_is_bounded_and_forgets_what_was_seen_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MAX_ADDRESSES", 3)
    counted = AddressAttempts()
    taken(counted, "192.0.2.1", BURST)
    taken(counted, "192.0.2.2", BURST)
    assert not counted.take("192.0.2.1", 0)
    for address in ("192.0.2.3", "192.0.2.4"):
        counted.take(address, 0)
    assert len(counted._spent) == 3
    assert not counted.take("192.0.2.1", 0)
    assert counted.take("192.0.2.2", 0)
