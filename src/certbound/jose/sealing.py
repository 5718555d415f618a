"""Secrets at rest: sealed under the master key, opened only in the context they were sealed for."""

from os import urandom

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MASTER_KEY_LENGTH = 32
"""Bytes of a master key."""
_NONCE_LENGTH = 12


class SealError(ValueError):
    """The sealed bytes cannot be opened with this master key."""


def generate_master_key() -> bytes:
    """Make a master key of MASTER_KEY_LENGTH random bytes."""
    return urandom(MASTER_KEY_LENGTH)


def seal(secret: bytes, master_key: bytes, context: str) -> bytes:
    """Encrypt with AES-256-GCM; `context` is authenticated, so that sealed values cannot be swapped."""
    nonce = urandom(_NONCE_LENGTH)
    return nonce + AESGCM(master_key).encrypt(nonce, secret, context.encode())


def unseal(sealed: bytes, master_key: bytes, context: str) -> bytes:
    """Give back what `seal` took; SealError if the master key or the context is another one, or a bit was changed."""
    try:
        return AESGCM(master_key).decrypt(sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:], context.encode())
    except (InvalidTag, ValueError) as error:
        raise SealError(f"{context} cannot be opened: the master key is not the one it was sealed with") from error
