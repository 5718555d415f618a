"""Certificates out of files: PEM (one or many), DER, PKCS#12, JKS, told apart by what is in them."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from certbound.certificates import der, jks, pkcs12
from certbound.certificates.certificate import Certificate, CertificateError, parse_certificate

MAXIMUM_FILE: Final = 4 * 1024 * 1024
"""Bytes of a file with certificates."""
MAXIMUM_CERTIFICATES: Final = 1000
#: A block begins and ends on a line of its own, so that nothing in a comment can be taken for one (RFC 7468).
_BLOCK: Final = re.compile(
    rb"^[ \t]*-----BEGIN ([A-Z0-9 #.]{1,60})-----(.*?)(^[ \t]*-----END \1-----|\Z)", re.DOTALL | re.MULTILINE
)
#: A request begins with version 0, where a certificate has an explicit version or a serial number (RFC 2986).
_REQUEST_VERSION: Final = b"\x02\x01\x00\x30"
_CERTIFICATE_LABELS: Final = frozenset({"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"})
_ADVICE: Final = {
    "CERTIFICATE REQUEST": "a certificate signing request: give the certificate that the CA made from it",
    "NEW CERTIFICATE REQUEST": "a certificate signing request: give the certificate that the CA made from it",
    "X509 CRL": "a revocation list, no certificate",
    "PKCS7": "a PKCS#7 bundle: convert it with openssl pkcs7 -print_certs",
    "CMS": "a PKCS#7 bundle: convert it with openssl pkcs7 -print_certs",
    "PUBLIC KEY": "a public key: give the certificate",
}


class CertificateFileError(ValueError):
    """The file holds no certificates that can be used; one line that names the file, what is wrong, what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A certificate in a file and the alias it has there (PKCS#12 and JKS); `is_chain`: it belongs to a private key."""

    certificate: Certificate
    alias: str | None = None
    is_chain: bool = False


def read_certificate(data: bytes, name: str) -> Certificate:
    """Give the first certificate of a file, which in a chain is the leaf. Raises CertificateFileError."""
    return read_certificates(data, name)[0]


def read_certificates(data: bytes, name: str, password: str | None = None) -> tuple[Certificate, ...]:
    """Give every certificate of a file in its order, at least one. Raises CertificateFileError.

    `name` is what people call the file. `password` opens PKCS#12 and proves the integrity of JKS.
    """
    return tuple(entry.certificate for entry in read_entries(data, name, password))


def read_entries(data: bytes, name: str, password: str | None = None) -> tuple[Entry, ...]:
    """Give every certificate of a file with its alias, at least one. Raises CertificateFileError."""
    try:
        entries = tuple(_read(data, password))
    except (CertificateError, _FaultError, jks.JavaKeyStoreError, pkcs12.PKCS12Error) as error:
        raise CertificateFileError(f"{name}: {error}") from error
    if not entries:
        raise CertificateFileError(f"{name}: holds no certificate")
    if len(entries) > MAXIMUM_CERTIFICATES:
        raise CertificateFileError(f"{name}: holds more than {MAXIMUM_CERTIFICATES} certificates")
    return entries


def is_protected(data: bytes) -> bool:
    """Whether a file is of a kind that has a password: PKCS#12, JKS, JCEKS."""
    return jks.is_java_key_store(data) or pkcs12.is_pkcs12(data)


class _FaultError(ValueError):
    """What is wrong, without the name of the file."""


def _read(data: bytes, password: str | None) -> Iterator[Entry]:
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise _FaultError("is empty, give a file with certificates in PEM, DER, PKCS#12 or JKS")
    if len(data) > MAXIMUM_FILE:
        raise _FaultError(f"is larger than {MAXIMUM_FILE} bytes")
    if jks.is_java_key_store(data):
        return (Entry(parse_certificate(e.certificate), e.alias, e.is_chain) for e in jks.read(data, password))
    if b"-----BEGIN" in data:
        return (Entry(certificate) for certificate in _read_pem(data))
    if pkcs12.is_pkcs12(data):
        return (Entry(parse_certificate(e.certificate), e.alias, e.is_chain) for e in pkcs12.read(data, password))
    if data[:1] == bytes([der.SEQUENCE]):
        return iter((Entry(_read_der(data)),))
    return iter((Entry(_read_bare_base64(data)),))


def _read_pem(data: bytes) -> Iterator[Certificate]:
    """Read all blocks; other blocks beside certificates, such as the key in a combined file, are passed over."""
    found, passed_over = False, ""
    for match in _BLOCK.finditer(data):
        label = match[1].decode()
        if label not in _CERTIFICATE_LABELS:
            passed_over = passed_over or label
            continue
        found = True
        if not match[3]:
            raise _FaultError("is cut off: a certificate has no -----END line")
        yield parse_certificate(_first_element(_decode_base64(match[2]), label))
    if not found:
        raise _FaultError(_describe(passed_over))


def _describe(label: str) -> str:
    if "PRIVATE KEY" in label:
        return "holds a private key and no certificate: give the certificate, and keep the key to yourself"
    advice = _ADVICE.get(label, f"a block of type {label!r}" if label else "a damaged PEM block")
    return f"holds no certificate but {advice}"


def _decode_base64(body: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _FaultError("is damaged: a certificate's base64 cannot be decoded, copy the file again") from error


def _first_element(encoded: bytes, label: str) -> bytes:
    """Drop OpenSSL's trust settings, which follow the certificate in a TRUSTED CERTIFICATE block."""
    if label != "TRUSTED CERTIFICATE":
        return encoded
    try:
        _, _, rest = der.read_element(encoded)
    except ValueError as error:
        raise _FaultError("is damaged: a certificate is cut off") from error
    return encoded[: len(encoded) - len(rest)]


def _read_der(data: bytes) -> Certificate:
    try:
        _, content, rest = der.read_element(data)
        _, first, _ = der.read_element(content)
    except ValueError as error:
        raise _FaultError("is cut off: its DER ends too early, copy the file again") from error
    if rest:
        raise _FaultError("has something after the certificate's DER: give one certificate, or several as PEM")
    if content[:1] != bytes([der.SEQUENCE]):
        raise _FaultError("is DER but no certificate; if it is a private key or PKCS#7, give the certificate")
    if first.startswith(_REQUEST_VERSION):
        raise _FaultError(f"holds no certificate but {_ADVICE['CERTIFICATE REQUEST']}")
    return parse_certificate(data)


def _read_bare_base64(data: bytes) -> Certificate:
    """Read base64 without the PEM lines, as an `x5c` member has it."""
    start = data.lstrip()[:200].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
        raise _FaultError("is a web page or XML, no certificate: download the certificate itself")
    if not start.startswith(b"mi"):
        raise _FaultError("is no certificate: give PEM, DER, PKCS#12 or JKS")
    return _read_der(_decode_base64(data))
