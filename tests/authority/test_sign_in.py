import asyncio
import time
from base64 import b32decode
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.authority.house import ISSUER, PASSWORD, House, furnish

from certbound.authority import people, second_factor, sessions, sign_in
from certbound.authority.attempts import BURST
from certbound.authority.people import TooManyChecksError
from certbound.authority.second_factor import STEP_SECONDS, one_time_password
from certbound.authority.sign_in import Attempt, PasswordProved, TooManyAttemptsError
from certbound.store import audit
from certbound.store.engine import Connection, Store
from certbound.store.people import Person

WRONG = "not the password"


def attempt(house: House, username: str = "ada", password: str = PASSWORD, code: str | None = None, **how: Any) -> Any:
    return house.sign_in.sign_in(Attempt(username, password, code, "192.0.2.7"), **how)


async def fail(house: House, times: int, username: str = "ada") -> None:
    for _ in range(times):
        assert await attempt(house, username, WRONG) is None


def person(house: House, username: str = "ada") -> Person:
    return house.store.read(partial(people.existing, username=username))


def recorded(house: House, action: str) -> int:
    rows = house.store.read(lambda connection: audit.page(connection, limit=500))
    return sum(row.action == action for row in rows)


def enrol(house: House, username: str = "ada") -> Callable[[], str]:
    """Give a person a second factor, and what shows its current one-time password."""
    work = partial(second_factor.enrol, username=username, issuer=ISSUER, master_key=house.master_key, **house.by)
    secret = b32decode(house.store.write(work).secret)
    return lambda: one_time_password(secret, house.now // STEP_SECONDS)


async def test_the_right_password_begins_a_session(house: House) -> None:
    cookie = await attempt(house)
    found = house.store.read(partial(sessions.find, cookie=cookie, now=house.now))
    assert found is not None
    assert (found.person.username, found.session.amr, found.session.auth_time) == ("ada", ("pwd",), house.now)
    assert found.session.expires_at == house.now + house.policy.session_lifetime
    assert (recorded(house, "session.begun"), sign_in.acr(found.session.amr)) == (1, None)


async def test_the_session_before_ends_where_somebody_signs_in_and_not_where_somebody_fails(house: House) -> None:
    first = await attempt(house)
    await attempt(house, password=WRONG, replaces=first)
    assert house.store.read(partial(sessions.find, cookie=first, now=house.now)) is not None
    assert await attempt(house, replaces=first)
    assert house.store.read(partial(sessions.find, cookie=first, now=house.now)) is None


@pytest.mark.parametrize("username", ["ada", "nobody", "root", "gone", "two", "ADA", "", "a\0b", "x" * 300])
async def test_everyone_else_gets_the_same_answer_whatever_is_wrong(house: House, username: str) -> None:
    for name in ("root", "gone", "two"):
        house.person(name, operator=name == "root")
    house.store.write(partial(people.disable, username="gone", disabled=True, **house.by))
    enrol(house, "two")
    assert await attempt(house, username, WRONG if username == "ada" else PASSWORD, "") is None
    assert recorded(house, "session.begun") == 0


async def test_every_refusal_costs_the_same_hashing_and_one_unit_of_work(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.person("root", operator=True)
    house.person("locked")
    await fail(house, 5, "locked")
    enrol(house)
    work: list[str] = []
    verify, writing = people._verify, Store.writing

    def hashing(found: Person | None, password: str) -> bool:
        work.append("hash")
        return verify(found, password)

    def in_a_unit(store: Store, unit: Callable[[Connection], Any]) -> Any:
        work.append("unit")
        return writing(store, unit)

    monkeypatch.setattr(people, "_verify", hashing)
    monkeypatch.setattr(Store, "writing", in_a_unit)
    for username in ("ada", "root", "locked", "nobody"):
        assert await attempt(house, username, code="") is None
        assert work == ["hash", "unit"]
        work.clear()


async def test_no_refusal_is_answered_before_its_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "REFUSAL_SECONDS", 1.0)
    for username in ("ada", "nobody"):
        started = time.monotonic()
        assert await attempt(house, username, WRONG) is None
        assert time.monotonic() - started >= 0.99


async def test_the_fifth_wrong_attempt_in_a_row_locks_and_each_one_after_it_for_twice_as_long(house: House) -> None:
    await fail(house, 4)
    assert (person(house).failures, person(house).locked_until) == (4, None)
    for seconds in (30, 60, 120, 240, 480, 900, 900):
        await fail(house, 1)
        assert person(house).locked_until == house.now + seconds
        house.now += seconds - 1
        assert await attempt(house) is None
        house.now += 1
    assert recorded(house, "user.locked") == 7
    assert await attempt(house) is not None
    assert (person(house).failures, person(house).locked_until) == (0, None)


async def test_attempts_while_locked_do_not_lock_for_longer(house: House) -> None:
    await fail(house, 5)
    until = person(house).locked_until
    await fail(house, 5)
    assert (person(house).failures, person(house).locked_until) == (5, until)
    assert recorded(house, "user.locked") == 1


async def test_the_right_password_starts_the_count_anew(house: House) -> None:
    await fail(house, 4)
    assert await attempt(house) is not None
    await fail(house, 4)
    assert await attempt(house) is not None


async def test_a_lock_is_one_persons_own(house: House) -> None:
    house.person("eve")
    await fail(house, 5)
    assert await attempt(house, "eve") is not None


@pytest.mark.parametrize("lift", ["enable", "new password"])
async def test_an_administrator_lifts_a_lock(house: House, lift: str) -> None:
    await fail(house, 5)
    change = (
        partial(people.disable, username="ada", disabled=False, **house.by)
        if lift == "enable"
        else partial(people.change_password, username="ada", password=PASSWORD, **house.by)
    )
    house.store.write(change)
    assert await attempt(house) is not None


async def test_guesses_at_once_are_no_more_than_guesses_in_a_row(shared_store: Store) -> None:
    house = await furnish(shared_store)
    outcomes = await asyncio.gather(*(attempt(house, password=WRONG) for _ in range(20)))
    assert outcomes == [None] * 20
    assert (person(house).failures, recorded(house, "user.locked")) == (5, 1)
    assert await attempt(house) is None


async def test_a_password_that_was_changed_while_it_was_checked_is_the_old_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = people.password_is_right

    async def changed_meanwhile(found: Person | None, password: str) -> bool:
        right = await check(found, password)
        change = partial(people.change_password, username="ada", password="battery staple", **house.by)
        house.store.write(change)
        return right

    monkeypatch.setattr(people, "password_is_right", changed_meanwhile)
    assert await attempt(house) is None


async def test_with_a_second_factor_the_password_alone_does_not_suffice(house: House) -> None:
    shown = enrol(house)
    for code in ("", "000000" if shown() != "000000" else "000001"):
        assert await attempt(house, code=code) is None
    cookie = await attempt(house, code=shown())
    found = house.store.read(partial(sessions.find, cookie=cookie, now=house.now))
    assert found is not None
    assert found.session.amr == ("pwd", "otp", "mfa")
    assert sign_in.acr(found.session.amr) == "https://refeds.org/profile/mfa"


async def test_the_second_factor_may_be_shown_later_by_whoever_showed_the_password(house: House) -> None:
    shown = enrol(house)
    assert await attempt(house, password=WRONG) is None
    proved = await attempt(house)
    assert isinstance(proved, PasswordProved)
    assert (person(house).failures, recorded(house, "session.begun")) == (1, 0)
    assert await house.sign_in.complete(proved, "000000" if shown() != "000000" else "000001") is None
    assert person(house).failures == 2
    before = await attempt(house, code=shown())
    house.now += STEP_SECONDS
    cookie = await house.sign_in.complete(proved, shown(), replaces=before)
    assert cookie is not None
    found = house.store.read(partial(sessions.find, cookie=cookie, now=house.now))
    assert found is not None
    assert found.session.amr == ("pwd", "otp", "mfa")
    assert house.store.read(partial(sessions.find, cookie=before, now=house.now)) is None


async def test_only_who_could_sign_in_with_it_learns_of_a_second_factor(house: House) -> None:
    for name in ("root", "gone"):
        house.person(name, operator=name == "root")
        enrol(house, name)
    house.store.write(partial(people.disable, username="gone", disabled=True, **house.by))
    enrol(house)
    assert [await attempt(house, name) for name in ("root", "gone")] == [None, None]
    assert await attempt(house, password=WRONG) is None
    await fail(house, 4)
    assert await attempt(house) is None  # locked


async def test_what_was_proved_ends_with_the_password_and_with_the_account(house: House) -> None:
    shown = enrol(house)
    proved = await attempt(house)
    assert await house.sign_in.complete(PasswordProved("ada", "0" * 64), shown()) is None
    assert await house.sign_in.complete(PasswordProved("nobody", proved.proof), shown()) is None
    changed = partial(people.change_password, username="ada", password="battery staple", **house.by)
    house.store.write(changed)
    assert await house.sign_in.complete(proved, shown()) is None
    proved = await attempt(house, password="battery staple")
    house.store.write(partial(people.disable, username="ada", disabled=True, **house.by))
    assert await house.sign_in.complete(proved, shown()) is None
    assert proved.proof not in repr(proved)


async def test_guesses_of_the_second_factor_alone_lock_and_run_out_too(house: House) -> None:
    enrol(house)
    proved = await attempt(house)
    for _ in range(BURST):
        assert await house.sign_in.complete(proved, "x", address="192.0.2.7") is None
    assert person(house).locked_until == house.now + 30
    with pytest.raises(TooManyAttemptsError):
        await house.sign_in.complete(proved, "x", address="192.0.2.7")


async def test_a_one_time_password_is_good_once_even_at_once(shared_store: Store) -> None:
    house = await furnish(shared_store)
    code = enrol(house)()
    outcomes = await asyncio.gather(*(attempt(house, code=code) for _ in range(5)))
    assert sum(outcome is not None for outcome in outcomes) == 1


async def test_a_wrong_password_does_not_use_up_the_one_time_password(house: House) -> None:
    shown = enrol(house)
    assert await attempt(house, password=WRONG, code=shown()) is None
    assert await attempt(house, code=shown()) is not None


async def test_wrong_one_time_passwords_lock_as_wrong_passwords_do(house: House) -> None:
    shown = enrol(house)
    for _ in range(5):
        assert await attempt(house, code="x") is None
    assert await attempt(house, code=shown()) is None
    house.now += 30
    assert await attempt(house, code=shown()) is not None


async def test_whoever_has_no_second_factor_may_leave_the_field_as_it_is(house: House) -> None:
    assert await attempt(house, code="123456") is not None


async def test_an_address_runs_out_of_wrong_attempts_and_not_of_right_ones(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def quickly(found: Person | None, password: str) -> bool:
        return found is not None and password == PASSWORD

    monkeypatch.setattr(people, "password_is_right", quickly)
    for _ in range(BURST + 5):
        assert await attempt(house) is not None
    for number in range(BURST):
        assert await attempt(house, f"nobody-{number}") is None
    with pytest.raises(TooManyAttemptsError):
        await attempt(house)
    elsewhere = Attempt("ada", PASSWORD, None, "192.0.2.8")
    assert await house.sign_in.sign_in(elsewhere) is not None
    assert recorded(house, "user.locked") == 0


async def test_checks_beyond_what_is_taken_on_count_for_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_found: Person | None, _password: str) -> bool:
        raise TooManyChecksError

    monkeypatch.setattr(people, "password_is_right", full)
    with pytest.raises(TooManyChecksError):
        await attempt(house, password=WRONG)
    assert person(house).failures == 0


async def test_the_password_grant_counts_as_signing_in_does(house: House) -> None:
    for _ in range(3):
        assert (await house.refusal(house.log_in("app", password=WRONG))).error == "invalid_grant"
    await fail(house, 2)
    locked = await house.refusal(house.log_in("app"))
    unknown = await house.refusal(house.log_in("app", username="nobody"))
    assert (locked.error, locked.description) == (unknown.error, unknown.description)
    assert recorded(house, "user.locked") == 1
    house.now += 30
    assert (await house.log_in("app")).access_token
    assert person(house).failures == 0


async def test_the_password_grant_is_not_for_people_with_a_second_factor(house: House) -> None:
    enrol(house)
    error = await house.refusal(house.log_in("app"))
    assert (error.error, error.description) == ("invalid_grant", "user name or password is wrong")
    assert person(house).failures == 1


async def test_a_session_that_cannot_be_kept_uses_up_no_one_time_password(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = enrol(house)

    def failing(_connection: Connection, *_: Any, **__: Any) -> str:
        raise RuntimeError("no session")

    monkeypatch.setattr(sessions, "begin", failing)
    with pytest.raises(RuntimeError, match="no session"):
        await attempt(house, code=shown())
    monkeypatch.undo()
    assert await attempt(house, code=shown()) is not None


async def test_what_was_typed_is_in_no_log_and_no_audit(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await attempt(house, "a-password-typed-as-name", "another-secret", "424242")
    await attempt(house, "ada", "another-secret", "424242")
    [first, second] = [record for record in caplog.records if record.message == "sign-in refused"]
    assert (vars(first)["reason"], vars(second)["reason"]) == ("unknown user", "wrong password")
    said = "".join(str(vars(record)) for record in caplog.records)
    assert not [typed for typed in ("a-password-typed-as-name", "another-secret", "424242") if typed in said]
    assert "another-secret" not in repr(Attempt("ada", "another-secret", "424242"))
