"""Authorities of the tests' own making, by cryptography's builder: certbound's issuing never vouches for itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from certbound.certificates.certificate import Certificate, parse_certificate

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Holder:
    """A certificate and its key."""

    certificate: Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.certificate.der


@dataclass
class Authorities:
    """Makes certificates of any shape."""

    serial: int = 1000

    def issue(
        self,
        name: str,
        issuer: Holder | None = None,
        *extensions: x509.ExtensionType,
        ca: bool = False,
        path_length: int | None = None,
        key: Any = None,
        critical: Sequence[type[x509.ExtensionType]] = (x509.BasicConstraints,),
        not_before: datetime = NOW - DAY,
        not_after: datetime = NOW + DAY,
        identifiers: bool = True,
    ) -> Holder:
        """Issue CN=`name`; without an issuer it signs itself."""
        self.serial += 1
        key = key or ec.generate_private_key(ec.SECP256R1())
        signer = issuer.key if issuer else key
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)] if name else [])
        issuer_name = x509.load_der_x509_certificate(issuer.der).subject if issuer else subject
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer_name).public_key(key.public_key())
        builder = builder.serial_number(self.serial).not_valid_before(not_before).not_valid_after(not_after)
        constraints = x509.BasicConstraints(ca=ca, path_length=path_length)
        wanted = [*extensions, constraints]
        if identifiers:
            wanted.append(x509.SubjectKeyIdentifier.from_public_key(key.public_key()))
            wanted.append(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()))
        for extension in wanted:
            builder = builder.add_extension(extension, critical=type(extension) in critical)
        encoded = builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)
        return Holder(parse_certificate(encoded), key)

    def ca(self, name: str, issuer: Holder | None = None, *extensions: x509.ExtensionType, **options: Any) -> Holder:
        """Issue a CA."""
        return self.issue(name, issuer, *extensions, ca=True, **options)


@pytest.fixture(scope="session")
def authorities() -> Authorities:
    return Authorities()


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def root(authorities: Authorities) -> Holder:
    return authorities.ca("Root")


@pytest.fixture(scope="session")
def intermediate(authorities: Authorities, root: Holder) -> Holder:
    return authorities.ca("Intermediate", root)


@pytest.fixture(scope="session")
def leaf(authorities: Authorities, intermediate: Holder) -> Holder:
    return authorities.issue("api", intermediate)
