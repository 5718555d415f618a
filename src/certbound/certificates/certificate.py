"""One X.509 certificate as a value: read once, completely, from untrusted DER."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import SignatureAlgorithmOID

from certbound.certificates import der, distribution, names
from certbound.certificates.names import DistinguishedName

MAXIMUM_SIZE: Final = 65536
"""Bytes of a certificate's DER."""
MAXIMUM_ALTERNATIVE_NAMES: Final = 1000
REMEMBERED_SIZE: Final = 4096
"""Larger ones are read and judged anew each time: strangers present what they like, and memory is bounded in bytes."""
_INTEGER: Final = 0x02
_VERSION: Final = 0xA0
_EC_PUBLIC_KEY: Final = bytes.fromhex("2a8648ce3d0201")
_NEGATIVE: Final = 0x80
_WITHOUT_HASH: Final = frozenset({SignatureAlgorithmOID.ED25519, SignatureAlgorithmOID.ED448})
_KEY_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)

_T = TypeVar("_T", bound=x509.ExtensionType)


class CertificateError(ValueError):
    """The bytes are no certificate that may be looked at; the message is one line for people."""


@dataclass(frozen=True, slots=True)
class SubjectAltNames:
    """The subject alternative names by type (RFC 5280 section 4.2.1.6): texts as they are, IP addresses packed."""

    dns: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()
    email: tuple[str, ...] = ()
    ip: tuple[bytes, ...] = ()
    """4 octets for IPv4, 16 for IPv6."""
    other: int = 0
    """How many names of other types there are; nothing ever matches them."""


@dataclass(frozen=True, slots=True)
class PublicKeyFacts:
    """What the key policy looks at: `kind` is RSA, EC, Ed25519, Ed448, DSA or `other`."""

    kind: str
    bits: int
    curve: str | None = None
    """The named curve, as cryptography spells it: `secp256r1`."""
    exponent: int | None = None
    """RSA's public exponent."""

    @property
    def text(self) -> str:
        """The key in a few words, for people."""
        if self.kind == "RSA":
            return f"RSA {self.bits} bits, exponent {self.exponent}"
        return f"{self.kind} {self.curve}" if self.curve else self.kind


@dataclass(frozen=True, slots=True)
class Certificate:
    """The facts of one certificate; equal to another if the DER is the same. Hashes are raw octets."""

    der: bytes = field(repr=False)
    sha256: bytes = field(compare=False, repr=False)
    sha1: bytes = field(compare=False, repr=False)
    spki: bytes = field(compare=False, repr=False)
    """The SubjectPublicKeyInfo in DER, encoded anew, so that a key has one form whatever its certificate did."""
    spki_sha256: bytes = field(compare=False, repr=False)
    version: int = field(compare=False)
    """1 or 3, as people count."""
    serial_number: int = field(compare=False)
    subject: DistinguishedName = field(compare=False)
    issuer: DistinguishedName = field(compare=False)
    san: SubjectAltNames = field(compare=False)
    not_before: datetime = field(compare=False)
    """Aware, UTC, whole seconds; so is `not_after`. Both seconds belong to the validity (RFC 5280 section 4.1.2.5)."""
    not_after: datetime = field(compare=False)
    key: PublicKeyFacts = field(compare=False)
    signature_hash: str | None = field(compare=False)
    """`sha256`, `sha1`, ...; None if the algorithm fixes it (Ed25519, Ed448), `unknown` if we do not know it."""
    extended_key_usage: tuple[str, ...] | None = field(compare=False)
    """Dotted OIDs; None without the extension."""
    key_usage: frozenset[str] | None = field(compare=False)
    """Names such as `digital_signature` and `key_cert_sign`; None without the extension."""
    is_ca: bool = field(compare=False)
    """Whether basicConstraints say CA:TRUE."""
    path_length: int | None = field(compare=False)
    critical_extensions: frozenset[str] = field(compare=False)
    """Dotted OIDs of the extensions marked critical."""
    subject_key_identifier: bytes | None = field(compare=False, repr=False)
    authority_key_identifier: bytes | None = field(compare=False, repr=False)
    ocsp_urls: tuple[str, ...] = field(compare=False, repr=False)
    """Where the issuer's OCSP responder is (authorityInfoAccess); to be called only for a trusted path."""
    crl_points: frozenset[distribution.PointName] = field(compare=False, repr=False)
    """Names of the distribution points, to tell which CRL covers it; never to be fetched."""

    @property
    def x5t_s256(self) -> str:
        """The thumbprint `x5t#S256`: base64url of the DER's SHA-256, no padding (RFC 8705 section 3.1)."""
        return base64.urlsafe_b64encode(self.sha256).rstrip(b"=").decode()

    @property
    def is_self_issued(self) -> bool:
        """Whether subject and issuer are the same name (RFC 5280 section 3.2)."""
        return self.subject == self.issuer


def parse_certificate(encoded: bytes) -> Certificate:
    """Read one certificate. Raises CertificateError, and nothing else, on whatever is wrong with the bytes.

    Wrong are also: trailing bytes, more than 64 KiB, more than 1,000 alternative names, a serial number below 1, an
    extension twice, names with characters nobody can see, a public key that no library can load.
    """
    if len(encoded) > MAXIMUM_SIZE:
        raise CertificateError(f"a certificate of {len(encoded)} bytes is not accepted, the limit is {MAXIMUM_SIZE}")
    return _parse_once(encoded) if len(encoded) <= REMEMBERED_SIZE else _parse(encoded)


def _parse(encoded: bytes) -> Certificate:
    try:
        return _read(encoded)
    except CertificateError:
        raise
    except names.DistinguishedNameError as error:
        raise CertificateError(str(error)) from error
    except x509.DuplicateExtension as error:
        raise CertificateError(f"the certificate has extension {error.oid.dotted_string} twice") from error
    except Exception as error:  # cryptography raises many kinds, and late: whatever it is, the bytes are refused
        raise CertificateError(f"the certificate cannot be read: {_one_line(error)}") from error


_parse_once: Final = lru_cache(maxsize=2048)(_parse)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is read before cryptography sees the bytes, as it only warns of bad serial numbers."""

    version: int
    serial_number: int
    issuer: bytes
    subject: bytes


def _read(encoded: bytes) -> Certificate:
    frame = _read_frame(encoded)
    certificate = x509.load_der_x509_certificate(encoded)
    extensions = {type(extension.value): extension.value for extension in certificate.extensions}
    key = certificate.public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    constraints = _extension(extensions, x509.BasicConstraints)
    usage = _extension(extensions, x509.KeyUsage)
    purposes = _extension(extensions, x509.ExtendedKeyUsage)
    subject_key = _extension(extensions, x509.SubjectKeyIdentifier)
    authority_key = _extension(extensions, x509.AuthorityKeyIdentifier)
    issuer = names.from_der(frame.issuer)
    return Certificate(
        der=encoded,
        sha256=hashlib.sha256(encoded).digest(),
        sha1=hashlib.sha1(encoded, usedforsecurity=False).digest(),
        spki=spki,
        spki_sha256=hashlib.sha256(spki).digest(),
        version=frame.version,
        serial_number=frame.serial_number,
        subject=names.from_der(frame.subject),
        issuer=issuer,
        san=_read_alternative_names(_extension(extensions, x509.SubjectAlternativeName)),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        key=_read_key(key),
        signature_hash=_read_signature_hash(certificate),
        extended_key_usage=tuple(oid.dotted_string for oid in purposes) if purposes is not None else None,
        key_usage=frozenset(name for name in _KEY_USAGES if getattr(usage, name)) if usage else None,
        is_ca=constraints is not None and constraints.ca,
        path_length=constraints.path_length if constraints else None,
        critical_extensions=frozenset(e.oid.dotted_string for e in certificate.extensions if e.critical),
        subject_key_identifier=subject_key.digest if subject_key else None,
        authority_key_identifier=authority_key.key_identifier if authority_key else None,
        ocsp_urls=distribution.read_ocsp_urls(_extension(extensions, x509.AuthorityInformationAccess)),
        crl_points=distribution.read_points(_extension(extensions, x509.CRLDistributionPoints), issuer),
    )


def _read_frame(encoded: bytes) -> _Frame:
    """Read the first members of TBSCertificate (RFC 5280 section 4.1)."""
    certificate = der.read_only(encoded, der.SEQUENCE)
    tag, content, _ = der.read_element(certificate)
    version, rest = 1, content
    if content[:1] == bytes([_VERSION]):
        _, explicit, rest = der.read_element(content)
        version = int.from_bytes(der.read_only(explicit, _INTEGER), "big") + 1
    serial_tag, serial, rest = der.read_element(rest)
    if tag != der.SEQUENCE or serial_tag != _INTEGER:
        raise CertificateError("the certificate cannot be read: no serial number where one belongs")
    if not serial or serial[0] & _NEGATIVE or not any(serial):
        raise CertificateError("the serial number is not positive (RFC 5280 section 4.1.2.2)")
    _, _, rest = der.read_element(rest)
    _, _, after_issuer = der.read_element(rest)
    _, _, after_validity = der.read_element(after_issuer)
    _, _, after_subject = der.read_element(after_validity)
    _refuse_explicit_curve(after_subject)
    return _Frame(
        version=version,
        serial_number=int.from_bytes(serial, "big"),
        issuer=rest[: len(rest) - len(after_issuer)],
        subject=after_validity[: len(after_validity) - len(after_subject)],
    )


def _refuse_explicit_curve(encoded: bytes) -> None:
    """Look at a SubjectPublicKeyInfo before any library computes with a curve a stranger made up (CVE-2022-0778)."""
    _, key, _ = der.read_element(encoded)
    _, algorithm, _ = der.read_element(key)
    _, oid, parameters = der.read_element(algorithm)
    if oid == _EC_PUBLIC_KEY and parameters[:1] != bytes([der.OBJECT_IDENTIFIER]):
        raise CertificateError("the public key's curve is written out instead of named (RFC 5480 section 2.1.1)")


def _extension(extensions: Mapping[type[x509.ExtensionType], x509.ExtensionType], kind: type[_T]) -> _T | None:
    value = extensions.get(kind)
    return value if isinstance(value, kind) else None


def _read_alternative_names(extension: x509.SubjectAlternativeName | None) -> SubjectAltNames:
    if extension is None:
        return SubjectAltNames()
    general_names = list(extension)
    if len(general_names) > MAXIMUM_ALTERNATIVE_NAMES:
        raise CertificateError(f"more than {MAXIMUM_ALTERNATIVE_NAMES} subject alternative names are not accepted")
    texts: dict[type[x509.GeneralName], list[str]] = {
        x509.DNSName: [],
        x509.UniformResourceIdentifier: [],
        x509.RFC822Name: [],
    }
    addresses = []
    for name in general_names:
        if isinstance(name, x509.DNSName | x509.UniformResourceIdentifier | x509.RFC822Name):
            texts[type(name)].append(_visible_ascii(name.value))
        elif isinstance(name, x509.IPAddress):
            addresses.append(_packed(name))
    dns, uri, email = map(tuple, texts.values())
    other = len(general_names) - len(dns) - len(uri) - len(email) - len(addresses)
    return SubjectAltNames(dns, uri, email, tuple(addresses), other)


def _visible_ascii(text: str) -> str:
    """Refuse NUL and other controls in an IA5String name: some reader would take it for a shorter one."""
    if not (text.isascii() and text.isprintable()):
        raise CertificateError("a subject alternative name holds characters that may not be in it")
    return text


def _packed(name: x509.IPAddress) -> bytes:
    if not isinstance(name.value, IPv4Address | IPv6Address):
        raise CertificateError("a subject alternative name of type iPAddress is no address")
    return name.value.packed


def _read_key(key: object) -> PublicKeyFacts:
    match key:
        case rsa.RSAPublicKey():
            return PublicKeyFacts("RSA", key.key_size, exponent=key.public_numbers().e)
        case ec.EllipticCurvePublicKey():
            return PublicKeyFacts("EC", key.key_size, curve=key.curve.name)
        case ed25519.Ed25519PublicKey():
            return PublicKeyFacts("Ed25519", 256)
        case ed448.Ed448PublicKey():
            return PublicKeyFacts("Ed448", 456)
        case dsa.DSAPublicKey():
            return PublicKeyFacts("DSA", key.key_size)
    return PublicKeyFacts("other", 0)


def _read_signature_hash(certificate: x509.Certificate) -> str | None:
    if certificate.signature_algorithm_oid in _WITHOUT_HASH:
        return None
    try:
        algorithm = certificate.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        return "unknown"
    return algorithm.name if algorithm else "unknown"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
