"""Java key stores (JKS, JCEKS): the certificates in them, and truststores that keytool reads.

The format is Java's own (sun.security.provider.JavaKeyStore): big-endian numbers, entries, and at the end the SHA-1 of
the password in UTF-16, the words "Mighty Aphrodite" and all that came before.
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_MAGIC_JKS: Final = b"\xfe\xed\xfe\xed"
_MAGIC_JCEKS: Final = b"\xce\xce\xce\xce"
_VERSION: Final = 2
_PRIVATE_KEY: Final = 1
_TRUSTED_CERTIFICATE: Final = 2
_CERTIFICATE_TYPES: Final = frozenset({"X.509", "X509"})
_DIGEST_SIZE: Final = 20
_MAXIMUM_ENTRIES: Final = 10_000
_MAXIMUM_ALIAS: Final = 65535


class JavaKeyStoreError(ValueError):
    """The store cannot be read, or not with this password; a line that goes after the file's name."""


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate (DER) in a store; `is_chain`: it stands beside a private key instead of being trusted."""

    certificate: bytes
    alias: str
    is_chain: bool


def is_java_key_store(data: bytes) -> bool:
    """Whether the bytes begin as JKS or JCEKS do."""
    return data.startswith((_MAGIC_JKS, _MAGIC_JCEKS))


def read(data: bytes, password: str | None) -> tuple[StoredCertificate, ...]:
    """Give the certificates of a store, in its order, and of chains the leaf first.

    Without a password nothing proves that the store is as its owner left it; with one, that is checked first. Private
    keys are passed over. Raises JavaKeyStoreError.
    """
    content, digest = data[:-_DIGEST_SIZE], data[-_DIGEST_SIZE:]
    if password is not None and not hmac.compare_digest(_digest(content, password), digest):
        raise JavaKeyStoreError("is a Java key store, and the password is wrong or the file is damaged")
    try:
        return tuple(_read_entries(_Octets(content)))
    except (IndexError, UnicodeError) as error:
        raise JavaKeyStoreError("is a damaged Java key store") from error


def write(certificates: Iterable[tuple[str, bytes]], password: str, *, now: int) -> bytes:
    """Give a JKS truststore of (alias, DER) pairs; `now` is the entries' date in epoch seconds.

    Raises JavaKeyStoreError for an alias that Java could not tell from another, as it ignores case.
    """
    entries = list(certificates)
    aliases = [alias.lower() for alias, _ in entries]
    if len(set(aliases)) < len(aliases) or any(not 0 < len(alias.encode()) <= _MAXIMUM_ALIAS for alias in aliases):
        raise JavaKeyStoreError("cannot be written: every certificate needs an alias of its own, and Java ignores case")
    content = _MAGIC_JKS + _number(_VERSION) + _number(len(entries))
    for alias, (_, certificate) in zip(aliases, entries, strict=True):
        date = (now * 1000).to_bytes(8, "big")
        content += _number(_TRUSTED_CERTIFICATE) + _text(alias) + date
        content += _text("X.509") + _number(len(certificate)) + certificate
    return content + _digest(content, password)


class _Octets:
    """Bytes read from front to back; IndexError past the end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        taken = self.data[self.position : self.position + count]
        if len(taken) < count:
            raise IndexError
        self.position += count
        return taken

    def number(self, size: int = 4) -> int:
        return int.from_bytes(self.take(size), "big")

    def text(self) -> str:
        return self.take(self.number(2)).decode("utf-8", "surrogatepass")


def _read_entries(octets: _Octets) -> Iterator[StoredCertificate]:
    octets.take(len(_MAGIC_JKS))
    if octets.number() != _VERSION:
        raise JavaKeyStoreError("is a Java key store of an unknown version")
    for _ in range(min(octets.number(), _MAXIMUM_ENTRIES)):
        tag, alias, _ = octets.number(), octets.text(), octets.take(8)
        if tag == _TRUSTED_CERTIFICATE:
            yield StoredCertificate(_read_certificate(octets), alias, is_chain=False)
        elif tag == _PRIVATE_KEY:
            octets.take(octets.number())
            for _ in range(min(octets.number(), _MAXIMUM_ENTRIES)):
                yield StoredCertificate(_read_certificate(octets), alias, is_chain=True)
        else:
            raise JavaKeyStoreError(
                f"is a Java key store with a secret key ({alias[:40]!r}): take it out with keytool -delete"
            )
    if octets.position != len(octets.data):
        raise JavaKeyStoreError("is a damaged Java key store: something follows its last entry")


def _read_certificate(octets: _Octets) -> bytes:
    if octets.text() not in _CERTIFICATE_TYPES:
        raise JavaKeyStoreError("is a Java key store with certificates that are not X.509")
    return octets.take(octets.number())


def _digest(content: bytes, password: str) -> bytes:
    salted = password.encode("utf-16-be") + b"Mighty Aphrodite" + content
    return hashlib.sha1(salted, usedforsecurity=False).digest()


def _number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _text(value: str) -> bytes:
    encoded = value.encode()
    return len(encoded).to_bytes(2, "big") + encoded
