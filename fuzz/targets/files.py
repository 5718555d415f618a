"""Files with certificates: PEM, DER, PKCS#12, JKS and JCEKS."""

import base64
from collections.abc import Iterator
from random import Random

from certbound.certificates import jks
from certbound.certificates.files import CertificateFileError, read_entries
from fuzz import mutation, seeds
from fuzz.target import Target, expect

_PASSWORD = "changeit"


def _read(data: bytes) -> None:
    for password in (None, _PASSWORD):
        try:
            entries = read_entries(data, "file", password)
        except CertificateFileError as error:
            expect("\n" not in str(error), "more than one line")
        else:
            expect(bool(entries), "neither certificates nor a refusal")


def _jks(data: bytes) -> None:
    for password in (None, _PASSWORD):
        try:
            jks.read(data, password)
        except jks.JavaKeyStoreError as error:
            expect("\n" not in str(error), "more than one line")


def _stores() -> Iterator[bytes]:
    """Give a truststore, one with a private key's chain, and a JCEKS."""
    held = [("ca", seeds.root()), ("Mid ö", seeds.intermediate())]
    store = jks.write(held, _PASSWORD, now=1)
    yield store
    yield b"\xce" * 4 + store[4:]
    chain = b"".join(b"\0\x05X.509" + len(der).to_bytes(4, "big") + der for der in (seeds.leaf(), seeds.root()))
    entry = b"\0\0\0\x01\0\x02me" + bytes(8) + b"\0\0\0\x04skey" + b"\0\0\0\x02" + chain
    yield b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x01" + entry + bytes(20)
    yield jks.write([], _PASSWORD, now=1)


def _files() -> Iterator[bytes]:
    yield from _stores()
    yield from seeds.vectors("pkcs12/*.p12", "x509/*.pem", "x509/*.der", "x509/custom/*", "pkcs7/*", "x509/requests/*")
    yield seeds.pem(seeds.leaf()) + seeds.pem(seeds.intermediate())
    yield base64.b64encode(seeds.leaf())
    yield seeds.pem(seeds.leaf()).replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE")
    yield b"<!DOCTYPE html><html>"


def _change(data: bytes, choice: Random) -> bytes:
    if data[:1] == b"\x30":
        return mutation.der(data, choice)
    return mutation.pem(data, choice)


_WORDS = (b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n", b"\xfe\xed\xfe\xed", b"\0\x05X.509", b"MII")
TARGETS = (
    Target("files.read_entries", _read, (), _files, _change, _WORDS),
    Target("jks.read", _jks, (), _stores, words=_WORDS),
)
