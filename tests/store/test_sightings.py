import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from certbound.store import certificates, clients, sightings
from certbound.store.engine import Connection, Store
from certbound.store.sightings import Sighting

from .values import certificate, client, sighting


@pytest.fixture
def with_clients(store: Store) -> Store:
    def work(connection: Connection) -> None:
        for name in ("orders", "billing", "idle"):
            clients.add(connection, client(name))

    store.write(work)
    return store


def record(store: Store, *seen: Sighting) -> None:
    store.write(lambda connection: sightings.record_seen(connection, seen))


def of(store: Store, client_id: str = "orders") -> tuple[Sighting, ...]:
    return store.read(lambda connection: sightings.of_client(connection, client_id))


def expiring(store: Store, after: int, before: int) -> list[str]:
    found = store.read(lambda connection: sightings.expiring(connection, before, after))
    return [one.sha256 for one in found]


def test_every_field_comes_back_as_it_was(with_clients: Store) -> None:
    record(with_clients, sighting(last_seen=300, warned=7))
    record(with_clients)
    assert of(with_clients) == (sighting(last_seen=300, warned=7),)


def test_the_first_and_the_last_time_stay_in_whatever_order_they_come(with_clients: Store) -> None:
    with_clients.write(lambda connection: certificates.add(connection, certificate(sha256="cc" * 32)))
    record(with_clients, sighting(first_seen=20, last_seen=30), sighting(first_seen=15, last_seen=15))
    with_clients.write(lambda connection: sightings.set_warned(connection, "orders", "cc" * 32, 7))
    for first, last in ((25, 25), (10, 28), (30, 40), (40, 40)):
        record(with_clients, sighting(first_seen=first, last_seen=last))
    assert of(with_clients) == (sighting(first_seen=10, last_seen=40, warned=7),)
    [registered] = with_clients.read(lambda connection: certificates.of_client(connection, "orders"))
    assert (registered.first_seen, registered.last_seen) == (10, 40)


def test_a_client_that_is_gone_does_not_fail_the_batch(with_clients: Store) -> None:
    record(with_clients, sighting("nobody"), sighting("orders"), sighting("zero"))
    record(with_clients, sighting("nobody"))
    assert of(with_clients) == (sighting("orders"),)
    assert of(with_clients, "nobody") == ()


def test_a_client_that_is_being_deleted_does_not_fail_the_batch(
    with_clients: Store, opened: Callable[[], Store]
) -> None:
    deleted, recording = threading.Event(), threading.Event()

    def delete(connection: Connection) -> None:
        clients.remove(connection, "billing")
        deleted.set()
        recording.wait(5)
        threading.Event().wait(0.1)  # long enough for the batch to arrive at the lock; sooner or later is as well

    def record_now(connection: Connection) -> None:
        recording.set()
        sightings.record_seen(connection, [sighting("billing"), sighting("orders")])

    other = opened()
    with ThreadPoolExecutor(2) as pool:
        deletion = pool.submit(with_clients.write, delete)
        assert deleted.wait(5)
        recorded = pool.submit(other.write, record_now)
        if with_clients._engine.name == "sqlite":
            recording.set()
        deletion.result(10)
        recorded.result(10)
    assert of(with_clients) == (sighting("orders"),)


def test_two_workers_that_saw_the_same_do_not_lock_each_other_out(
    with_clients: Store, opened: Callable[[], Store]
) -> None:
    workers = (with_clients, opened())
    digests = [f"{number:02d}" for number in range(40)]

    def work(number: int) -> None:
        order = digests if number % 2 else digests[::-1]
        record(workers[number % 2], *(sighting(sha256=one, first_seen=number, last_seen=number) for one in order))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))
    assert {(one.first_seen, one.last_seen) for one in of(with_clients)} == {(0, 23)}


def test_the_certificate_used_last_is_given_for_each_client(with_clients: Store) -> None:
    record(
        with_clients,
        sighting(sha256="01", last_seen=200),
        sighting(sha256="02", last_seen=300),
        sighting(sha256="03", last_seen=250),
        sighting("billing", "04", first_seen=100, last_seen=300),
        sighting("billing", "05", first_seen=101, last_seen=300),
    )
    names = ("orders", "billing", "idle", "nobody")
    found = with_clients.read(lambda connection: sightings.latest_by_client(connection, names))
    assert {name: one.sha256 for name, one in found.items()} == {"orders": "02", "billing": "05"}
    assert found["orders"] == sighting(sha256="02", last_seen=300)
    assert with_clients.read(lambda connection: sightings.latest_by_client(connection, ())) == {}
    assert [one.sha256 for one in of(with_clients)] == ["02", "03", "01"]


def test_certificates_that_run_out_are_listed_unless_their_client_has_moved_on(with_clients: Store) -> None:
    record(
        with_clients,
        sighting(sha256="left", not_after=1000, first_seen=100, last_seen=200),
        sighting(sha256="next", not_after=2000, first_seen=201, last_seen=300),
        sighting("billing", "old", not_after=1001, first_seen=100, last_seen=300),
        sighting("billing", "both", not_after=1002, first_seen=200, last_seen=300),
    )
    assert expiring(with_clients, 0, 5000) == ["old", "both", "next"]
    assert expiring(with_clients, 1001, 2000) == ["both", "next"]
    assert expiring(with_clients, 1000, 1001) == ["old"]
    assert expiring(with_clients, 2000, 5000) == []


def retire(store: Store, sha256: str) -> None:
    store.write(lambda connection: certificates.add(connection, certificate(sha256=sha256)))
    store.write(lambda connection: certificates.retire(connection, "orders", sha256, 400))


def test_a_retired_certificate_is_in_use_no_more(with_clients: Store) -> None:
    record(
        with_clients,
        sighting(sha256="kept", not_after=1000, last_seen=200),
        sighting(sha256="retired", not_after=1000, last_seen=300),
    )
    retire(with_clients, "retired")
    assert expiring(with_clients, 0, 5000) == ["kept"]
    in_use = with_clients.read(lambda connection: sightings.latest_by_client(connection, ["orders"]))
    assert in_use["orders"].sha256 == "kept"
    retire(with_clients, "kept")
    assert expiring(with_clients, 0, 5000) == []
    assert with_clients.read(lambda connection: sightings.latest_by_client(connection, ["orders"])) == {}


def test_a_disabled_client_has_nothing_that_runs_out(with_clients: Store) -> None:
    record(with_clients, sighting(not_after=1000), sighting("billing", not_after=1000))
    with_clients.write(lambda connection: clients.set_disabled(connection, "billing", disabled=True, at=400))
    assert expiring(with_clients, 0, 5000) == ["cc" * 32]


def test_of_the_short_lived_those_in_the_last_third_of_their_life_are_listed(with_clients: Store) -> None:
    record(
        with_clients,
        sighting(sha256="long", not_before=0, not_after=901),
        sighting("billing", "short", not_before=0, not_after=900),
    )

    def listed(after: int, short_lived: int = 900) -> list[str]:
        def work(connection: Connection) -> tuple[Sighting, ...]:
            found = sightings.expiring(connection, 5000, after, short_lived=short_lived)
            assert sightings.count_expiring(connection, 5000, after, short_lived=short_lived) == len(found)
            return found

        return [one.sha256 for one in with_clients.read(work)]

    assert listed(599) == ["long"]
    assert listed(600) == ["short", "long"]
    assert listed(0, short_lived=899) == ["short", "long"]
    assert listed(900) == ["long"]


def test_what_was_warned_of_by_a_step_is_left_out_up_to_the_next(with_clients: Store) -> None:
    record(with_clients, sighting(not_after=1000), sighting("billing", not_after=1001))
    with_clients.write(lambda connection: sightings.set_warned(connection, "billing", "cc" * 32, 14))

    def listed(step: int, limit: int = 10) -> list[str]:
        found = with_clients.read(lambda connection: sightings.expiring(connection, 5000, 0, step=step, limit=limit))
        return [one.client_id for one in found]

    assert [listed(step) for step in (30, 14, 7)] == [["orders"], ["orders"], ["orders", "billing"]]
    assert listed(7, limit=1) == ["orders"]


def test_a_warning_is_noted(with_clients: Store) -> None:
    record(with_clients, sighting())
    assert with_clients.write(lambda connection: sightings.set_warned(connection, "orders", "cc" * 32, 14))
    assert of(with_clients) == (replace(sighting(), warned=14),)
    assert with_clients.write(lambda connection: sightings.set_warned(connection, "orders", "cc" * 32, None))
    assert of(with_clients) == (sighting(),)
    assert not with_clients.write(lambda connection: sightings.set_warned(connection, "billing", "cc" * 32, 14))


def test_what_was_not_seen_for_long_goes_in_bounded_batches(with_clients: Store) -> None:
    record(with_clients, *(sighting(sha256=f"{n}", first_seen=n, last_seen=n) for n in range(1, 7)))
    record(with_clients, sighting("billing", "1", first_seen=1, last_seen=9))

    def delete(connection: Connection) -> int:
        return sightings.delete_before(connection, 5, 3)

    assert [with_clients.write(delete) for _ in range(3)] == [3, 1, 0]
    assert [one.sha256 for one in of(with_clients)] == ["6", "5"]
    assert len(of(with_clients, "billing")) == 1


def test_a_deleted_client_takes_its_sightings_along(with_clients: Store) -> None:
    record(with_clients, sighting(), sighting("billing"))
    with_clients.write(lambda connection: clients.remove(connection, "orders"))
    assert of(with_clients) == ()
    assert len(of(with_clients, "billing")) == 1
