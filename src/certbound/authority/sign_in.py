"""A person proves who they are, by password and second factor; what does not suffice is one answer at one cost.

The second factor may come later, on a page of its own: only who knows the password learns that there is one.

Unknown name, wrong password, wrong one-time password, operator (who is no resource owner), disabled, locked: the one
who asks is told the same, after the same hashing and a unit of work, and not before REFUSAL_SECONDS are over. Wrong
attempts are counted by person in the store, one after the other, so that many at once are no more than their number.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from certbound.authority import people, second_factor, sessions
from certbound.authority.attempts import AddressAttempts, locked_until
from certbound.authority.records import record
from certbound.authority.secrets import digest
from certbound.store import people as stored_people
from certbound.store.engine import Connection, Store
from certbound.store.people import Person

log = logging.getLogger(__name__)

T = TypeVar("T")
PasswordCheck = Callable[["Person | None", "Attempt"], Awaitable[bool]]

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
class PasswordProved:
    """The password was right, and the second factor is still to be shown; `proof` says which password it was.

    Whoever carries this to `SignIn.complete` must keep it from being made up.
    """

    username: str
    proof: str = field(repr=False)


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

    async def sign_in(self, attempt: Attempt, *, replaces: str | None = None) -> str | PasswordProved | None:
        """Give the cookie of a new session, or None; PasswordProved where one with a second factor has not shown it.

        `replaces` is the cookie that the browser had before. Raises TooManyAttemptsError,
        `people.TooManyChecksError` and StoreUnavailable; then nothing was counted.
        """
        return await self._take(attempt, partial(_begin, policy=self._policy, replaces=replaces), _by_password)

    async def complete(
        self, proved: PasswordProved, code: str, *, address: str | None = None, replaces: str | None = None
    ) -> str | None:
        """Give the cookie to whoever shows the second factor too, or None; otherwise as `sign_in`."""
        attempt = Attempt(proved.username, "", code, address)
        unit = partial(_begin_session, policy=self._policy, replaces=replaces)
        return await self._take(attempt, unit, partial(_by_proof, proof=proved.proof))

    async def _take(self, attempt: Attempt, unit: Callable[..., T | None], check: PasswordCheck) -> T | None:
        if not self._addresses.take(attempt.address, self._clock()):
            raise TooManyAttemptsError("too many attempts from this address")
        outcome = await _prove(self._store, attempt, unit, check, now=int(self._clock()))
        if outcome is not None:
            self._addresses.give_back(attempt.address)
        return outcome


async def check_password(store: Store, attempt: Attempt, *, now: int) -> Person | None:
    """Give the person for whom the password is all there is to prove (RFC 6749 section 4.3), or None.

    Whoever has a second factor is refused, and counted, as for a wrong password. Raises as `SignIn.sign_in` does.
    """
    return await _prove(store, attempt, _settle, _by_password, now=now)


def acr(amr: tuple[str, ...]) -> str | None:
    """Give the authentication context class of a session, if it can be claimed to be of one."""
    return MULTI_FACTOR if SEVERAL in amr else None


async def _prove(
    store: Store, attempt: Attempt, unit: Callable[..., T | None], check: PasswordCheck, *, now: int
) -> T | None:
    started = time.monotonic()
    person = await store.reading(partial(stored_people.load, username=attempt.username))
    right = await check(person, attempt)
    checked = person.password_hash if person is not None and right else None
    outcome = await store.writing(partial(unit, attempt=attempt, checked=checked, now=now))
    if outcome is None:
        await asyncio.sleep(max(0.0, started + REFUSAL_SECONDS - time.monotonic()))
    return outcome


async def _by_password(person: Person | None, attempt: Attempt) -> bool:
    return await people.password_is_right(person, attempt.password)


async def _by_proof(person: Person | None, _attempt: Attempt, *, proof: str) -> bool:
    return person is not None and hmac.compare_digest(_proof(person), proof)


def _proof(person: Person) -> str:
    return digest(person.password_hash).hex()


def _begin(
    connection: Connection,
    attempt: Attempt,
    policy: SignInPolicy,
    replaces: str | None,
    *,
    checked: str | None,
    now: int,
) -> str | PasswordProved | None:
    """Begin a session, or say that the second factor is missing: then nothing is decided yet, and nothing counted."""
    if attempt.one_time_password is None:
        person = stored_people.lock(connection, attempt.username)
        if person is not None and person.sealed_totp is not None and _is_right_so_far(person, checked, now):
            return PasswordProved(person.username, _proof(person))
    return _begin_session(connection, attempt, policy, replaces, checked=checked, now=now)


def _begin_session(
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
    if person is None or _is_locked(person, now):
        refusal: str | None = "unknown user" if person is None else "locked"
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


def _is_locked(person: Person, now: int) -> bool:
    return person.locked_until is not None and now < person.locked_until


def _is_right_so_far(person: Person, checked: str | None, now: int) -> bool:
    return not _is_locked(person, now) and _refusal(person, right=checked == person.password_hash) is None


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
