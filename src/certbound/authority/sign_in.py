"""A person proves who they are, by password and second factor; what does not suffice is one answer at one cost.

Unknown name, wrong password, wrong one-time password, operator (who is no resource owner), disabled, locked: the one
who asks is told the same, after the same hashing and a unit of work, and not before REFUSAL_SECONDS are over. Wrong
attempts are counted by person in the store, one after the other, so that many at once are no more than their number.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from certbound.authority import people, second_factor, sessions
from certbound.authority.attempts import AddressAttempts, locked_until
from certbound.authority.records import record
from certbound.store import people as stored_people
from certbound.store.engine import Connection, Store
from certbound.store.people import Person

log = logging.getLogger(__name__)

T = TypeVar("T")

REFUSAL_SECONDS = 0.3
"""Longer than the work for any refusal takes on a machine that is not overloaded."""
PASSWORD, ONE_TIME_PASSWORD, SEVERAL = "pwd", "otp", "mfa"
"""What `amr` says of it (RFC 8176 section 2)."""
MULTI_FACTOR = "https://refeds.org/profile/mfa"
"""The only `acr`: a password and something that the person has. A password alone is claimed to be nothing."""


class TooManyAttemptsError(RuntimeError):
    """The address has made too many wrong attempts; nothing was checked."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody says they are, and what they show for it."""

    username: str
    password: str = field(repr=False)
    one_time_password: str | None = field(default=None, repr=False)
    address: str | None = None


@dataclass(frozen=True, slots=True)
class SignInPolicy:
    """How people sign in: the key that opens their second factors, and how long a session lasts, in seconds."""

    master_key: bytes = field(repr=False)
    session_lifetime: int


class SignIn:
    """Signs people in for one worker; `clock` gives epoch seconds."""

    def __init__(self, store: Store, policy: SignInPolicy, clock: Callable[[], float]) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        self._addresses = AddressAttempts()

    async def sign_in(self, attempt: Attempt, *, replaces: str | None = None) -> str | None:
        """Give the cookie of a new session, or None. `replaces` is the cookie that the browser had before.

        Raises TooManyAttemptsError, `people.TooManyChecksError` and StoreUnavailable; then nothing was counted.
        """
        if not self._addresses.take(attempt.address, self._clock()):
            raise TooManyAttemptsError("too many attempts from this address")
        unit = partial(_begin, policy=self._policy, replaces=replaces)
        cookie = await _prove(self._store, attempt, unit, now=int(self._clock()))
        if cookie is not None:
            self._addresses.give_back(attempt.address)
        return cookie


async def check_password(store: Store, attempt: Attempt, *, now: int) -> Person | None:
    """Give the person for whom the password is all there is to prove (RFC 6749 section 4.3), or None.

    Whoever has a second factor is refused, and counted, as for a wrong password. Raises as `SignIn.sign_in` does.
    """
    return await _prove(store, attempt, _settle, now=now)


def acr(amr: tuple[str, ...]) -> str | None:
    """Give the authentication context class of a session, if it can be claimed to be of one."""
    return MULTI_FACTOR if SEVERAL in amr else None


async def _prove(store: Store, attempt: Attempt, unit: Callable[..., T | None], *, now: int) -> T | None:
    started = time.monotonic()
    person = await store.reading(partial(stored_people.load, username=attempt.username))
    right = await people.password_is_right(person, attempt.password)
    checked = person.password_hash if person is not None and right else None
    outcome = await store.writing(partial(unit, attempt=attempt, checked=checked, now=now))
    if outcome is None:
        await asyncio.sleep(max(0.0, started + REFUSAL_SECONDS - time.monotonic()))
    return outcome


def _begin(
    connection: Connection,
    attempt: Attempt,
    policy: SignInPolicy,
    replaces: str | None,
    *,
    checked: str | None,
    now: int,
) -> str | None:
    person = _settle(connection, attempt, checked=checked, now=now, master_key=policy.master_key)
    if person is None:
        return None
    return sessions.begin(
        connection,
        person,
        amr=(PASSWORD,) if person.sealed_totp is None else (PASSWORD, ONE_TIME_PASSWORD, SEVERAL),
        lifetime=policy.session_lifetime,
        now=now,
        address=attempt.address,
        replaces=replaces,
    )


def _settle(
    connection: Connection, attempt: Attempt, *, checked: str | None, now: int, master_key: bytes | None = None
) -> Person | None:
    """Decide by what is so now, and count: the row is held, so what was guessed meanwhile has been counted before.

    `checked` is the hash that the password was found to be right for.
    """
    person = stored_people.lock(connection, attempt.username)
    locked = person is not None and person.locked_until is not None and now < person.locked_until
    if person is None or locked:
        refusal: str | None = "locked" if locked else "unknown user"
    else:
        refusal = _refusal(person, right=checked == person.password_hash)
        refusal = refusal or _second_refusal(connection, person, attempt, master_key, now)
        _count(connection, person, now, right=refusal is None)
    if refusal is None:
        return person
    # Not the name: people type passwords where names belong.
    extra = {"reason": refusal, "sub": person.sub if person is not None else None, "address": attempt.address}
    log.info("sign-in refused", extra=extra)
    return None


def _refusal(person: Person, *, right: bool) -> str | None:
    """Say for the log why this person is not let in."""
    if not right:
        return "wrong password"
    if person.operator:
        return "an operator is no resource owner"
    return "disabled" if person.disabled else None


def _second_refusal(
    connection: Connection, person: Person, attempt: Attempt, master_key: bytes | None, now: int
) -> str | None:
    """Use up the one-time password, or say for the log why it does not suffice."""
    if person.sealed_totp is None:
        return None
    if master_key is None:
        return "has a second factor, which cannot be asked for here"
    code = attempt.one_time_password or ""
    used = second_factor.use(connection, person, code, master_key=master_key, now=now)
    return None if used else "wrong or used one-time password"


def _count(connection: Connection, person: Person, now: int, *, right: bool) -> None:
    if right:
        if person.failures:
            stored_people.record_attempts(connection, person.username, failures=0, locked_until=None)
        return
    failures = person.failures + 1
    until = locked_until(failures, now)
    stored_people.record_attempts(connection, person.username, failures=failures, locked_until=until)
    if until is not None:
        detail = {"failures": failures, "until": until}
        record(connection, at=now, actor="certbound", action="user.locked", target=person.sub, detail=detail)
