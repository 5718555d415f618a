"""What mutations begin with: NIST's certificates, those of cryptography's own tests, and a small PKI made here."""

import base64
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import cryptography_vectors
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

NOW: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
KEY: Final = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
"""The one private key of everything made here, so that what is changed can be signed again."""
NONCE: Final = b"n" * 16
_VECTORS: Final = Path(cryptography_vectors.__file__).parent
_PKITS: Final = _VECTORS / "x509" / "PKITS_data"
_NAME: Final = "2.5.4.6=SE,2.5.4.10=Acme\\, Inc.,2.5.4.3=api+0.9.2342.19200300.100.1.1=42"


def vectors(*patterns: str) -> Iterator[bytes]:
    """Give the files of cryptography_vectors that are small enough to be of use."""
    for pattern in patterns:
        for path in sorted(_VECTORS.glob(pattern)):
            if path.is_file() and path.stat().st_size <= 16_384:  # noqa: PLR2004 - about what a target takes
                yield path.read_bytes()


@cache
def certificates() -> tuple[bytes, ...]:
    """Give the DER of every certificate there is."""
    pems = [data for data in vectors("x509/*.pem", "x509/custom/*.pem") if b"BEGIN CERTIFICATE-" in data]
    blocks = [base64.b64decode(b"".join(pem.split(b"-----")[2].split()[-200:])) for pem in pems if pem.count(b":") == 0]
    return (leaf(), intermediate(), root(), *vectors("x509/*.der", "x509/custom/*.der"), *blocks, *_pkits())


def _pkits() -> Iterator[bytes]:
    return (path.read_bytes() for path in sorted((_PKITS / "certs").glob("*.crt")))


def chains() -> Iterator[bytes]:
    """Give chains, leaf first, one DER after the other."""
    yield leaf() + intermediate() + root()
    yield leaf() + intermediate()
    for path in sorted((_PKITS / "certs").glob("Valid*EE.crt"))[::4]:
        end = path.read_bytes()
        with suppress(ValueError):
            issuer = x509.load_der_x509_certificate(end).issuer
            yield end + _authorities().get(issuer, b"")


@cache
def _authorities() -> dict[x509.Name, bytes]:
    """Give NIST's CA certificates by subject."""
    found = {}
    for path in sorted((_PKITS / "certs").glob("*CACert.crt")):
        with suppress(ValueError):
            found[x509.load_der_x509_certificate(path.read_bytes()).subject] = path.read_bytes()
    return found


def crls() -> Iterator[bytes]:
    """Give NIST's CRLs, those of cryptography's tests, and one of ours with everything in it."""
    yield crl(x509.CRLNumber(7))
    point = [x509.UniformResourceIdentifier("http://crl.example.com/")]
    only = (False, False, None, False, False)
    yield crl(x509.CRLNumber(7), x509.DeltaCRLIndicator(5), x509.IssuingDistributionPoint(point, None, *only))
    yield from vectors("x509/custom/crl_*", "x509/PKITS_data/crls/*.crl")


def crl(*extensions: x509.ExtensionType) -> bytes:
    """Make a CRL of the root."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(x509.Name.from_rfc4514_string("CN=Root"))
    builder = builder.last_update(NOW - timedelta(days=1)).next_update(NOW + timedelta(days=1))
    for number, reason in enumerate(x509.ReasonFlags, 4711):
        entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(NOW)
        if reason is not x509.ReasonFlags.unspecified:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    for extension in extensions:
        builder = builder.add_extension(extension, critical=not isinstance(extension, x509.CRLNumber))
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def ocsp_answers() -> Iterator[bytes]:
    """Give answers about our leaf, with and without a nonce, and those of cryptography's tests."""
    about, issuer = (x509.load_der_x509_certificate(der) for der in (leaf(), intermediate()))
    good, revoked = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED
    for status, at, reason in ((good, None, None), (revoked, NOW, x509.ReasonFlags.key_compromise)):
        builder = ocsp.OCSPResponseBuilder().add_response(
            about, issuer, hashes.SHA256(), status, NOW, NOW + timedelta(days=1), at, reason
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer).certificates([issuer])
        for made in (builder, builder.add_extension(x509.OCSPNonce(NONCE), critical=False)):
            yield made.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)
    yield from vectors("x509/ocsp/resp-*.der")


@cache
def root() -> bytes:
    """Make a root."""
    return _certificate("Root", "Root", x509.BasicConstraints(ca=True, path_length=None))


@cache
def intermediate() -> bytes:
    """Make a CA below the root, with name constraints."""
    constraints = x509.NameConstraints([x509.DNSName("example.com"), x509.DNSName("acme.test")], None)
    return _certificate("Mid", "Root", x509.BasicConstraints(ca=True, path_length=0), constraints)


@cache
def leaf() -> bytes:
    """Make a client's certificate below that, with alternative names of every type we match."""
    names = [
        x509.DNSName("api.example.com"),
        x509.UniformResourceIdentifier("spiffe://acme.test/api"),
        x509.RFC822Name("api@example.com"),
        x509.IPAddress(ip_address("192.0.2.1")),
        x509.IPAddress(ip_address("2001:db8::1")),
        x509.DirectoryName(x509.Name([])),
    ]
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return _certificate("api", "Mid", x509.SubjectAlternativeName(names), usage, purposes, _access())


def _access() -> x509.AuthorityInformationAccess:
    place = x509.UniformResourceIdentifier("http://ocsp.example.com/")
    return x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)])


def _certificate(subject: str, issuer: str, *extensions: x509.ExtensionType) -> bytes:
    name = x509.Name.from_rfc4514_string(_NAME if subject == "api" else f"CN={subject}")
    builder = x509.CertificateBuilder().subject_name(name).public_key(KEY.public_key())
    builder = builder.issuer_name(x509.Name.from_rfc4514_string(f"CN={issuer}")).serial_number(4711)
    builder = builder.not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=1))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def pem(der: bytes) -> bytes:
    """Give a certificate as PEM."""
    return ssl.DER_cert_to_PEM_cert(der).encode()
