"""People: resource owners who sign in, and operators who run the server. The two are never the same account."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from certbound.authority.records import record
from certbound.oauth.registering import PERSON_PREFIX
from certbound.store import people as stored_people
from certbound.store import sessions
from certbound.store.engine import Connection
from certbound.store.people import Person

MAX_USERNAME = 255
MIN_PASSWORD = 8
MAX_PASSWORD = 1024
#: Hashing takes tens of milliseconds and 64 MiB by design: a few at a time, some wait their turn, the rest come again.
_HASHING = ThreadPoolExecutor(2, "password")
MAX_CHECKS = 32
_PLACES = BoundedSemaphore(MAX_CHECKS)
_hasher = PasswordHasher()


class TooManyChecksError(RuntimeError):
    """More passwords wait to be checked than this process takes on; nothing was checked."""


class PersonError(ValueError):
    """The account cannot be made or changed; the text says what to do."""


def add(connection: Connection, *, username: str, password: str, operator: bool, actor: str, now: int) -> Person:
    """Make an account with an identifier of its own, which is never given to anybody else.

    Raises PersonError for a name or password that will not do, StoreConflict where the name is taken.
    """
    if not username or len(username) > MAX_USERNAME or not username.isprintable() or username != username.strip():
        raise PersonError(f"a user name is 1 to {MAX_USERNAME} printable characters without space at its ends")
    person = Person(
        username=username,
        sub=PERSON_PREFIX + secrets.token_hex(12),
        password_hash=hash_password(password),
        operator=operator,
        created_at=now,
    )
    stored_people.add(connection, person)
    detail = {"sub": person.sub, "operator": operator}
    record(connection, at=now, actor=actor, action="user.created", target=person.sub, detail=detail)
    return person


def change_password(connection: Connection, *, username: str, password: str, actor: str, now: int) -> None:
    """Set a new password, which ends every session and lifts a lock. Raises PersonError."""
    found = existing(connection, username)
    stored_people.set_password(connection, username, hash_password(password))
    stored_people.record_attempts(connection, username, failures=0, locked_until=None)
    sessions.end_all(connection, found.sub, now)
    record(connection, at=now, actor=actor, action="user.password_changed", target=found.sub)


def disable(connection: Connection, *, username: str, disabled: bool, actor: str, now: int) -> None:
    """Disable an account, which ends every session, or enable it again, which lifts a lock. Raises PersonError."""
    found = existing(connection, username)
    stored_people.set_disabled(connection, username, disabled=disabled)
    if disabled:
        sessions.end_all(connection, found.sub, now)
    else:
        stored_people.record_attempts(connection, username, failures=0, locked_until=None)
    action = "user.disabled" if disabled else "user.enabled"
    record(connection, at=now, actor=actor, action=action, target=found.sub)


def existing(connection: Connection, username: str) -> Person:
    """Load an account. Raises PersonError."""
    person = stored_people.load(connection, username)
    if person is None:
        raise PersonError(f"there is no user {username!r}: see `certbound user list`")
    return person


def hash_password(password: str) -> str:
    """Hash with argon2id (RFC 9106). Raises PersonError for a password that is too short or too long."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise PersonError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return _hasher.hash(password)


async def password_is_right(person: Person | None, password: str) -> bool:
    """Check a password off the event loop; for an unknown person the same work is done and the answer is no.

    Raises TooManyChecksError.
    """
    if not _PLACES.acquire(blocking=False):
        raise TooManyChecksError("too many passwords are being checked")
    try:
        return await asyncio.get_running_loop().run_in_executor(_HASHING, _verify, person, password)
    finally:
        _PLACES.release()


def _verify(person: Person | None, password: str) -> bool:
    stored = person.password_hash if person is not None else _nobodys_hash()
    try:
        return _hasher.verify(stored, password) and person is not None
    except (Argon2Error, InvalidHashError):
        return False


@cache
def _nobodys_hash() -> str:
    return _hasher.hash(secrets.token_urlsafe())
