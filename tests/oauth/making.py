"""Certificates as strangers make them: by cryptography's builder, never by certbound."""

import base64
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certbound.certificates.certificate import Certificate, parse_certificate
from certbound.certificates.presented import PresentedChain

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ISSUER = "https://as.example.com"
CLIENT_AUTH = x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, and the certificates that lead up from it."""

    der: bytes
    key: Key = field(repr=False)
    above: tuple["Identity", ...] = ()

    @cached_property
    def certificate(self) -> Certificate:
        return parse_certificate(self.der)

    @property
    def x509(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.der)

    @property
    def pem(self) -> bytes:
        return self.x509.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def presented(self, *others: "Identity") -> PresentedChain:
        return PresentedChain(self.der, tuple(other.der for other in others))

    def write(self, folder: Path, name: str) -> tuple[str, str]:
        """Write certificate and key as PEM files, as `load_cert_chain` and curl take them."""
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        certificate.write_bytes(self.pem + b"".join(other.pem for other in self.above if not other.is_root))
        key.write_bytes(self.key_pem)
        return str(certificate), str(key)

    @property
    def is_root(self) -> bool:
        return self.x509.issuer == self.x509.subject

    def jwk(self, **members: Any) -> dict[str, Any]:
        """Give the public key as a JWK with the certificate in `x5c` (RFC 7517 section 4.7)."""
        numbers = self.key.public_key().public_numbers()
        assert isinstance(numbers, ec.EllipticCurvePublicNumbers)
        own = {"kty": "EC", "crv": "P-256", "x": _base64url(numbers.x), "y": _base64url(numbers.y)}
        return {**own, "x5c": [base64.b64encode(self.der).decode()], **members}


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def make(
    subject: str = "CN=orders",
    *,
    issuer: Identity | None = None,
    san: Sequence[x509.GeneralName] = (),
    key: Key | None = None,
    serial_number: int | None = None,
    not_before: datetime = NOW - DAY,
    not_after: datetime = NOW + DAY,
    ca: bool = False,
    path_length: int | None = None,
    purposes: Sequence[x509.ObjectIdentifier] | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    hash_algorithm: hashes.HashAlgorithm | None = None,
) -> Identity:
    """Make a certificate signed by `issuer`, or by itself; `extensions` are more of them, each critical or not."""
    private = key or new_key()
    name = x509.Name.from_rfc4514_string(subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.x509.subject if issuer else name)
        .public_key(private.public_key())
        .serial_number(serial_number or x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    if san:
        builder = builder.add_extension(x509.SubjectAlternativeName(san), critical=False)
    if purposes is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    signed = builder.sign(issuer.key if issuer else private, hash_algorithm or hashes.SHA256())  # type: ignore[arg-type]
    return Identity(signed.public_bytes(Encoding.DER), private, (issuer, *issuer.above) if issuer else ())


def authority(subject: str = "CN=Root", **how: Any) -> Identity:
    return make(subject, ca=True, **how)


def dns(name: str) -> x509.GeneralName:
    return x509.DNSName(name)


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


def email(text: str) -> x509.GeneralName:
    return x509.RFC822Name(text)


def ip(text: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(text))
