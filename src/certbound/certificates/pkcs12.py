"""PKCS#12 stores: the certificates in them, read with bounded work (RFC 7292)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from certbound.certificates import der

MAXIMUM_ITERATIONS: Final = 1_000_000
"""Rounds by which a key is derived from the password; more would be work that whoever made the file asks for."""
_INTEGER: Final = 0x02
_OCTET_STRING: Final = 0x04
_CONSTRUCTED: Final = 0x20
_MAXIMUM_DEPTH: Final = 16


class PKCS12Error(ValueError):
    """The store cannot be read, or not with this password; a line that goes after the file's name."""


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate (DER) in a store and its friendly name; `is_chain`: the store holds a private key."""

    certificate: bytes
    alias: str | None
    is_chain: bool


def is_pkcs12(data: bytes) -> bool:
    """Tell a PFX by its version, INTEGER 3, where a certificate has a SEQUENCE (RFC 7292 section 4)."""
    try:
        tag, content, _ = der.read_element(data)
    except ValueError:
        return False
    return tag == der.SEQUENCE and content.startswith(b"\x02\x01\x03")


def read(data: bytes, password: str | None) -> tuple[StoredCertificate, ...]:
    """Give the certificates of a store, the private key's own first. Raises PKCS12Error."""
    if any(count > MAXIMUM_ITERATIONS for count in _iterations(data, 0)):
        raise PKCS12Error(
            f"is a PKCS#12 file that wants more than {MAXIMUM_ITERATIONS} iterations of its password: write it again"
        )
    try:
        return tuple(_read(data, password))
    except ValueError as error:
        advice = (
            "needs its password" if password is None else "cannot be opened: the password is wrong or it is damaged"
        )
        raise PKCS12Error(f"is a PKCS#12 file that {advice}") from error
    except Exception as error:  # cryptography raises many kinds, and late: whatever it is, the file is refused
        raise PKCS12Error("is a PKCS#12 file with something in it that cannot be read") from error


def _read(data: bytes, password: str | None) -> Iterator[StoredCertificate]:
    store = pkcs12.load_pkcs12(data, password.encode() if password is not None else None)
    own = [store.cert] if store.cert else []
    for entry in [*own, *store.additional_certs]:
        alias = entry.friendly_name.decode(errors="replace") if entry.friendly_name else None
        yield StoredCertificate(entry.certificate.public_bytes(Encoding.DER), alias, is_chain=store.key is not None)


def _iterations(data: bytes, depth: int) -> Iterator[int]:
    """Find the iteration counts that can be seen: each is an INTEGER after the salt, wherever a PFX has one."""
    try:
        elements = der.read_all(data)
    except ValueError:
        return
    for (before, _), (tag, content) in pairwise([(0, b""), *elements]):
        if before == _OCTET_STRING and tag == _INTEGER:
            yield int.from_bytes(content, "big")
        elif depth < _MAXIMUM_DEPTH and (tag & _CONSTRUCTED or tag == _OCTET_STRING):
            yield from _iterations(content, depth + 1)
