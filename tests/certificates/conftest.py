"""Certificates of the tests' own making: by cryptography's builder or the openssl program, never by certbound."""

import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
_KEY = ec.generate_private_key(ec.SECP256R1())


class Make(Protocol):
    def __call__(
        self,
        *extensions: x509.ExtensionType,
        subject: x509.Name = ...,
        key: CertificateIssuerPrivateKeyTypes = ...,
        critical: Sequence[type[x509.ExtensionType]] = ...,
        not_before: datetime = ...,
        not_after: datetime = ...,
        hash_algorithm: hashes.SHA256 | None = ...,
        serial_number: int = ...,
    ) -> bytes: ...


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def make() -> Make:
    """Make the DER of a certificate that signs itself."""

    def build(
        *extensions: x509.ExtensionType,
        subject: x509.Name | None = None,
        key: CertificateIssuerPrivateKeyTypes = _KEY,
        critical: Sequence[type[x509.ExtensionType]] = (),
        not_before: datetime = NOW - timedelta(days=1),
        not_after: datetime = NOW + timedelta(days=1),
        hash_algorithm: hashes.SHA256 | None = hashes.SHA256(),  # noqa: B008 - a value
        serial_number: int = 4711,
    ) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")]) if subject is None else subject
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(serial_number).not_valid_before(not_before).not_valid_after(not_after)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=type(extension) in critical)
        return builder.sign(key, hash_algorithm).public_bytes(Encoding.DER)

    return build


class OpenSSL:
    """The openssl program, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str | Path, stdin: bytes = b"") -> bytes:
        ran = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, cwd=self.folder, check=False)
        assert ran.returncode == 0, ran.stderr.decode()
        return ran.stdout

    def self_signed(self, *options: str, key: str = "rsa:2048", name: str = "c") -> Path:
        """Make NAME.pem and NAME.key; give the first."""
        path = self.folder / f"{name}.pem"
        self("req", "-x509", "-newkey", key, "-nodes", "-keyout", f"{name}.key", "-out", path, "-utf8", *options)
        return path


@pytest.fixture
def openssl(tmp_path: Path) -> OpenSSL:
    return OpenSSL(tmp_path)


@pytest.fixture(scope="session")
def openssl_once(tmp_path_factory: pytest.TempPathFactory) -> OpenSSL:
    """The openssl program for tests that try many examples."""
    return OpenSSL(tmp_path_factory.mktemp("openssl"))
