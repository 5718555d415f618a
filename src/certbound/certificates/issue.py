"""A small development CA: enough to try mutual TLS with, no more.

Keys come out unencrypted and nothing is recorded or revoked: whoever needs a CA in earnest has one.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from certbound.certificates.names import Attribute, DistinguishedName, DistinguishedNameError, parse_rfc4514
from certbound.certificates.subject import SubjectMatch

_RSA_BITS: Final = {"rsa2048": 2048, "rsa3072": 3072}
_CURVES: Final = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}
KEYS: Final = (*_RSA_BITS, *_CURVES, "ed25519")
_BACKDATE: Final = timedelta(minutes=5)
"""How far in the past a certificate begins, so that clocks may differ."""
_PURPOSES: Final = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}

_PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """What was made, all PEM: the certificate, its unencrypted PKCS#8 key, and the chain above it (leaf excluded)."""

    certificate_pem: bytes
    key_pem: bytes
    chain_pem: bytes = b""


@dataclass(frozen=True, slots=True)
class LeafRequest:
    """What a leaf shall say. `subject` is RFC 4514 text; `purposes` are of `client` and `server`; `key` is of KEYS."""

    subject: str
    san_dns: Sequence[str] = ()
    san_uri: Sequence[str] = ()
    san_ip: Sequence[str] = ()
    san_email: Sequence[str] = ()
    purposes: Sequence[str] = ("client",)
    days: int = 365
    key: str = "p256"


def new_authority(subject: str, *, now: datetime, days: int = 3650, key: str = "p256") -> IssuedCertificate:
    """Make a CA that may issue leaves but no further CA (`pathLenConstraint` 0). Raises ValueError."""
    private = _new_key(key)
    name = _name(subject)
    builder = _builder(name, name, private, now, _not_after(now, days))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(ca=True), critical=True)
    return IssuedCertificate(_signed(builder, private), _key_pem(private))


def issue(request: LeafRequest, authority: IssuedCertificate, *, now: datetime) -> IssuedCertificate:
    """Make a leaf under a CA, valid no longer than the CA. Raises ValueError, whose text says what to do."""
    issuer = x509.load_pem_x509_certificate(authority.certificate_pem)
    issuer_key = serialization.load_pem_private_key(authority.key_pem, None)
    if issuer.public_key() != issuer_key.public_key() or not isinstance(issuer_key, _PrivateKey):
        raise ValueError("the CA's key does not belong to its certificate")
    if not now < issuer.not_valid_after_utc:
        raise ValueError("the CA's certificate has expired, make a new one")
    private = _new_key(request.key)
    builder = _leaf(request, private, issuer.subject, now, latest=issuer.not_valid_after_utc)
    builder = builder.add_extension(_authority_key_identifier(issuer, issuer_key), critical=False)
    chain = authority.certificate_pem + authority.chain_pem
    return IssuedCertificate(_signed(builder, issuer_key), _key_pem(private), chain)


def self_signed(request: LeafRequest, *, now: datetime) -> IssuedCertificate:
    """Make a leaf that signs itself (RFC 8705 section 2.2). Raises ValueError."""
    private = _new_key(request.key)
    builder = _leaf(request, private, _name(request.subject), now)
    return IssuedCertificate(_signed(builder, private), _key_pem(private))


def subject_of(common_name: str) -> str:
    """Give the RFC 4514 text of a subject that is a common name only. Raises DistinguishedNameError."""
    return DistinguishedName(((Attribute("2.5.4.3", common_name),),)).text


def _new_key(kind: str) -> _PrivateKey:
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind])
    if kind in _RSA_BITS:
        return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS[kind])
    raise ValueError(f"{kind!r} is none of the keys that can be made: {', '.join(KEYS)}")


def _builder(
    subject: x509.Name, issuer: x509.Name, private: _PrivateKey, now: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(private.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(private.public_key())
        .serial_number(_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(not_after)
        .add_extension(identifier, critical=False)
    )


def _leaf(
    request: LeafRequest, private: _PrivateKey, issuer: x509.Name, now: datetime, latest: datetime | None = None
) -> x509.CertificateBuilder:
    not_after = _not_after(now, request.days)
    builder = _builder(_name(request.subject), issuer, private, now, min(not_after, latest or not_after))
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    usage = _key_usage(encipherment=isinstance(private, rsa.RSAPrivateKey) and "server" in request.purposes)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(_purposes(request)), critical=False)
    alternative_names = _alternative_names(request)
    if alternative_names:
        # Critical where it is all there is to know the holder by (RFC 5280 section 4.2.1.6).
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative_names), critical=not request.subject)
    elif not request.subject:
        raise ValueError("a certificate needs a subject or an alternative name")
    return builder


def _purposes(request: LeafRequest) -> list[x509.ObjectIdentifier]:
    unknown = [purpose for purpose in request.purposes if purpose not in _PURPOSES]
    if unknown or not request.purposes:
        raise ValueError("a certificate's purposes are client, server, or both")
    return [_PURPOSES[purpose] for purpose in request.purposes]


def _alternative_names(request: LeafRequest) -> list[x509.GeneralName]:
    """Check the names as a registration would, so that what is issued can also be registered."""
    kinds: list[tuple[str, Sequence[str], Callable[[str], x509.GeneralName]]] = [
        ("dns", request.san_dns, x509.DNSName),
        ("uri", request.san_uri, x509.UniformResourceIdentifier),
        ("ip", request.san_ip, lambda value: x509.IPAddress(ip_address(value))),
        ("email", request.san_email, x509.RFC822Name),
    ]
    return [
        general_name(SubjectMatch.parse(f"tls_client_auth_san_{kind}", value).value)
        for kind, values, general_name in kinds
        for value in values
    ]


def _key_usage(*, ca: bool = False, encipherment: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key_identifier(issuer: x509.Certificate, issuer_key: _PrivateKey) -> x509.AuthorityKeyIdentifier:
    try:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _name(subject: str) -> x509.Name:
    """Turn RFC 4514 text into a Name, whose order is the reverse of the text's."""
    rdns = parse_rfc4514(subject).rdns
    return x509.Name(
        [x509.RelativeDistinguishedName([_attribute(attribute) for attribute in rdn]) for rdn in reversed(rdns)]
    )


def _attribute(attribute: Attribute) -> x509.NameAttribute[str]:
    if isinstance(attribute.value, bytes):
        raise DistinguishedNameError(f"the subject's {attribute.name} is no text")
    return x509.NameAttribute(x509.ObjectIdentifier(attribute.oid), attribute.value)


def _serial_number() -> int:
    """Give 20 octets, positive, of which 158 bits are random (RFC 5280 section 4.1.2.2)."""
    return secrets.randbits(158) | 1 << 158


def _not_after(now: datetime, days: int) -> datetime:
    if days < 1:
        raise ValueError("a certificate is valid for one day at least")
    try:
        return now + timedelta(days=days)
    except OverflowError as error:
        raise ValueError(f"{days} days from now is beyond the calendar") from error


def _signed(builder: x509.CertificateBuilder, private: _PrivateKey) -> bytes:
    algorithm = None if isinstance(private, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(private, algorithm).public_bytes(serialization.Encoding.PEM)


def _key_pem(private: _PrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
