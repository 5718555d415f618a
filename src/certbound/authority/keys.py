"""The server's signing keys: which one signs, which are published, and how one follows another."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from certbound.authority.key_states import KeyState, signs_by_default, standings
from certbound.authority.records import record
from certbound.jose.keys import SigningKey, generate_signing_key, load_signing_key
from certbound.jose.sealing import SealError, seal, unseal
from certbound.store import keys as stored_keys
from certbound.store import revision
from certbound.store.engine import Connection
from certbound.store.keys import StoredSigningKey

AHEAD_SECONDS = 120
"""How long a key is published before it signs, so that whoever checks tokens can have it.

Every worker publishes it within 2 s, caches keep the set before it for 60 s, and an API that asked just then may wait
30 s before it asks for a key that it does not know (`certbound.resource`).
"""


class MasterKeyError(RuntimeError):
    """The master key does not open the signing keys; nothing can be signed until the right one is back."""


class SigningKeyError(ValueError):
    """The key cannot be retired; the text says what to do."""


@dataclass(frozen=True, slots=True)
class ScheduledKey:
    """A key that signs from a time on, in epoch seconds, until a newer one does."""

    signs_from: int
    key: SigningKey


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys in use, newest first: of each algorithm the newest whose time has come signs, and all are published."""

    schedule: tuple[ScheduledKey, ...]
    public_jwks: tuple[dict[str, Any], ...]

    def signing_key(self, now: float, algorithm: str | None = None) -> SigningKey | None:
        """Give the key that signs at `now` by an algorithm, by None with the newest key of all.

        Where no key's time has come at all, the clock was put back: the oldest signs, as it did before.
        """
        in_service = [scheduled for scheduled in self.schedule if scheduled.signs_from <= now]
        fitting = (
            scheduled.key
            for scheduled in in_service or reversed(self.schedule)
            if algorithm in {None, scheduled.key.algorithm}
        )
        return next(fitting, None)


NO_KEYS = KeyRing((), ())


def load_ring(connection: Connection, master_key: bytes, known: KeyRing = NO_KEYS) -> KeyRing:
    """Load the keys in use, and open those that are not open in a ring from before. Raises MasterKeyError."""
    opened = {scheduled.key.kid: scheduled.key for scheduled in known.schedule}
    in_use = [key for key in reversed(stored_keys.load_all(connection)) if key.retired_at is None]
    return KeyRing(
        tuple(ScheduledKey(key.signs_from, _opened(key, master_key, opened)) for key in in_use),
        tuple(dict(key.public_jwk) for key in in_use),
    )


def rotate(
    connection: Connection, master_key: bytes, *, algorithm: str, actor: str, now: int, ahead: int = AHEAD_SECONDS
) -> StoredSigningKey:
    """Make a new key, which is published at once and signs in `ahead` seconds; the first one of all signs at once.

    What it follows stays published until its tokens have run out. Raises ValueError for an unknown algorithm.
    """
    key = generate_signing_key(algorithm)
    while key.kid.startswith("-"):  # which a command line would take for an option
        key = generate_signing_key(algorithm)
    before = stored_keys.load_all(connection)
    stored = StoredSigningKey(
        kid=key.kid,
        algorithm=algorithm,
        public_jwk=key.public_jwk,
        sealed_private=seal(key.private_der, master_key, _context(key.kid)),
        created_at=_after(before, now),
        signs_from=now + ahead if any(key.retired_at is None for key in before) else now,
    )
    revision.bump(connection)
    stored_keys.add(connection, stored)
    detail = {"algorithm": algorithm, "signs_from": stored.signs_from}
    record(connection, at=now, actor=actor, action="key.rotated", target=key.kid, detail=detail)
    return stored


def retire(
    connection: Connection,
    kid: str,
    *,
    actor: str,
    now: int,
    default_algorithm: str | None = None,
    force: bool = False,
) -> None:
    """Publish a key no more: what it signed is refused from then on.

    Raises SigningKeyError where it signed what may still be about, unless `force` says that this is meant; always for
    the key that signs by default (`default_algorithm`, that of the newest key if None).
    """
    revision.bump(connection)
    found = standings(stored_keys.load_all(connection), now)
    of_kid = next((standing for standing in found if standing.key.kid == kid), None)
    if of_kid is None or of_kid.state is KeyState.RETIRED:
        raise SigningKeyError(f"there is no key {kid} in use: see `certbound keys list`")
    if of_kid.key == signs_by_default(found, default_algorithm):
        raise SigningKeyError(f"key {kid} signs: make its successor first with `certbound keys rotate`")
    if of_kid.state is KeyState.SIGNING and not force:
        raise SigningKeyError(f"key {kid} signs by {of_kid.key.algorithm}: `--force` ends that, and refuses its tokens")
    if of_kid.kept_until is not None and now < of_kid.kept_until and not force:
        raise SigningKeyError(
            f"tokens signed with key {kid} may be about until {_text(of_kid.kept_until)}; "
            "then it is retired by itself: `--force` refuses them now"
        )
    _retire(connection, kid, actor=actor, now=now)


def retire_superseded(connection: Connection, *, actor: str, now: int) -> tuple[str, ...]:
    """Retire the keys whose tokens have all run out, and give the `kid` of each."""
    revision.bump(connection)
    due = due_for_retirement(connection, now)
    for kid in due:
        _retire(connection, kid, actor=actor, now=now)
    return due


def due_for_retirement(connection: Connection, now: int) -> tuple[str, ...]:
    """Name the superseded keys of which no token can be about any more."""
    return tuple(
        standing.key.kid
        for standing in standings(stored_keys.load_all(connection), now)
        if standing.state is KeyState.SUPERSEDED and standing.kept_until is not None and standing.kept_until <= now
    )


def _retire(connection: Connection, kid: str, *, actor: str, now: int) -> None:
    stored_keys.retire(connection, kid, now)
    record(connection, at=now, actor=actor, action="key.retired", target=kid)


def _after(keys: Iterable[StoredSigningKey], now: int) -> int:
    """Give a creation time later than any before, so that of two keys made in one second the second one signs."""
    return max([now, *(key.created_at + 1 for key in keys)])


def _opened(stored: StoredSigningKey, master_key: bytes, known: Mapping[str, SigningKey]) -> SigningKey:
    if stored.kid in known:
        return known[stored.kid]
    try:
        return load_signing_key(stored.algorithm, unseal(stored.sealed_private, master_key, _context(stored.kid)))
    except SealError as error:
        raise MasterKeyError(str(error)) from error


def _text(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _context(kid: str) -> str:
    return f"signing key {kid}"
