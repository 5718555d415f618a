"""The server's signing keys: which one signs, which are still published, and how one follows another."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from certbound.authority.records import record
from certbound.jose.keys import SigningKey, generate_signing_key, load_signing_key
from certbound.jose.sealing import SealError, seal, unseal
from certbound.store import keys as stored_keys
from certbound.store import revision
from certbound.store.engine import Connection
from certbound.store.keys import StoredSigningKey


class MasterKeyError(RuntimeError):
    """The master key does not open the signing keys; nothing can be signed until the right one is back."""


class SigningKeyError(ValueError):
    """The key cannot be retired; the text says what to do."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The newest key in use signs; every key in use is published, so that tokens of the one before stay verifiable."""

    signing_key: SigningKey | None
    public_jwks: tuple[dict[str, Any], ...]


def load_ring(connection: Connection, master_key: bytes) -> KeyRing:
    """Load the keys in use and open the newest. Raises MasterKeyError."""
    in_use = [key for key in stored_keys.load_all(connection) if key.retired_at is None]
    signing = _open(in_use[-1], master_key) if in_use else None
    return KeyRing(signing, tuple(dict(key.public_jwk) for key in reversed(in_use)))


def rotate(connection: Connection, master_key: bytes, *, algorithm: str, actor: str, now: int) -> StoredSigningKey:
    """Make a new key, which signs from now on; those in use stay published until they are retired.

    Raises ValueError for an unknown algorithm.
    """
    key = generate_signing_key(algorithm)
    while key.kid.startswith("-"):  # which a command line would take for an option
        key = generate_signing_key(algorithm)
    stored = StoredSigningKey(
        kid=key.kid,
        algorithm=algorithm,
        public_jwk=key.public_jwk,
        sealed_private=seal(key.private_der, master_key, _context(key.kid)),
        created_at=_after(stored_keys.load_all(connection), now),
    )
    revision.bump(connection)
    stored_keys.add(connection, stored)
    record(connection, at=now, actor=actor, action="key.rotated", target=key.kid, detail={"algorithm": algorithm})
    return stored


def retire(connection: Connection, kid: str, *, actor: str, now: int) -> None:
    """Publish a key no more: what it signed is refused from then on. Raises SigningKeyError for the key that signs."""
    revision.bump(connection)
    in_use = [key.kid for key in stored_keys.load_all(connection) if key.retired_at is None]
    if kid not in in_use:
        raise SigningKeyError(f"there is no key {kid} in use: see `certbound keys list`")
    if kid == in_use[-1]:
        raise SigningKeyError(f"key {kid} signs: make its successor first with `certbound keys rotate`")
    stored_keys.retire(connection, kid, now)
    record(connection, at=now, actor=actor, action="key.retired", target=kid)


def _after(keys: Iterable[StoredSigningKey], now: int) -> int:
    """Give a creation time later than any before, so that of two keys made in one second the second one signs."""
    return max([now, *(key.created_at + 1 for key in keys)])


def _open(stored: StoredSigningKey, master_key: bytes) -> SigningKey:
    try:
        return load_signing_key(stored.algorithm, unseal(stored.sealed_private, master_key, _context(stored.kid)))
    except SealError as error:
        raise MasterKeyError(str(error)) from error


def _context(kid: str) -> str:
    return f"signing key {kid}"
