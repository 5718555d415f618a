"""Certificates into files: PEM, PKCS#12 and JKS truststores that openssl and keytool read."""

import base64
import textwrap
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from certbound.certificates import jks
from certbound.certificates.certificate import Certificate


def write_pem(certificates: Iterable[Certificate]) -> bytes:
    """Give the certificates as PEM, each under a line that names its subject (RFC 7468 section 5.2)."""
    return b"".join(_block(certificate) for certificate in certificates)


def write_pkcs12(certificates: Iterable[tuple[str, Certificate]], password: str) -> bytes:
    """Give a PKCS#12 truststore of (alias, certificate) pairs, marked as trusted for Java; at least one."""
    entries = [
        pkcs12.PKCS12Certificate(x509.load_der_x509_certificate(certificate.der), alias.encode())
        for alias, certificate in certificates
    ]
    return pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(password.encode()))


def write_jks(certificates: Iterable[tuple[str, Certificate]], password: str, *, now: int) -> bytes:
    """Give a JKS truststore of (alias, certificate) pairs dated `now` (epoch seconds). Raises JavaKeyStoreError."""
    return jks.write(((alias, certificate.der) for alias, certificate in certificates), password, now=now)


def _block(certificate: Certificate) -> bytes:
    body = "\n".join(textwrap.wrap(base64.b64encode(certificate.der).decode(), 64))
    text = f"# {certificate.subject.text}\n-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
    return text.encode()
