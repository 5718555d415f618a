"""Certificate revocation lists as values: read and verified once, asked often (RFC 5280 section 5)."""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import ExtensionOID

from certbound.certificates import der, distribution, names, revoked
from certbound.certificates.certificate import Certificate, CertificateError, parse_certificate
from certbound.certificates.names import DistinguishedName
from certbound.certificates.policy import SIGNATURE_HASHES, check_key
from certbound.certificates.revoked import Revoked, RevokedSerials
from certbound.certificates.signatures import ACCEPTED, is_signed_by

MAXIMUM_CRL: Final = 50 * 1024 * 1024
"""Bytes of a CRL as it is given, PEM or DER."""
Scope = Literal["all", "users", "cas"]
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----([^-]*)(-----END \1-----)?")
_LABEL: Final = b"X509 CRL"
_INTEGER: Final = 0x02
_TIMES: Final = frozenset({0x17, 0x18})
_PROCESSED: Final = frozenset(
    {
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.DELTA_CRL_INDICATOR,
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
    }
)


class CRLError(ValueError):
    """The bytes are no CRL that may be used; the message is one line that says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class CRL:
    """A verified CRL; whether it is in force is asked when it is used."""

    sha256: bytes = field(repr=False)
    """Of the DER, raw octets."""
    issuer: DistinguishedName
    signers: frozenset[bytes] = field(repr=False)
    """`spki_sha256` of the CA certificates whose key made the signature."""
    number: int | None = field(compare=False)
    delta_base: int | None = field(compare=False)
    """The number of the CRL this one is the difference to; None for a complete CRL (RFC 5280 section 5.2.4)."""
    this_update: datetime = field(compare=False)
    """Aware, UTC; so is `next_update`."""
    next_update: datetime = field(compare=False)
    scope: Scope = field(compare=False)
    """Which certificates it speaks of: all, those of users, those of CAs."""
    distribution_point: frozenset[distribution.PointName] | None = field(compare=False)
    """The names of the distribution point it is for; None for all of the issuer's (RFC 5280 section 5.2.5)."""
    revoked: RevokedSerials = field(compare=False, repr=False)

    @property
    def entries(self) -> int:
        """How many entries it has."""
        return self.revoked.entries

    def find(self, serial: int) -> Revoked | None:
        """Say whether the certificate with this serial number is listed; `removeFromCRL` counts as listed here."""
        return self.revoked.find(serial)

    def covers(self, certificate: Certificate) -> bool:
        """Whether scope and distribution point fit the certificate (RFC 5280 section 6.3.3 step b)."""
        if self.scope != "all" and (self.scope == "cas") != certificate.is_ca:
            return False
        points = self.distribution_point
        return points is None or not points.isdisjoint({*certificate.crl_points, certificate.issuer})


def read_crl(data: bytes, issuers: Sequence[Certificate]) -> CRL:
    """Read a CRL, PEM or DER, that one of the CA certificates `issuers` signed. Raises CRLError.

    The signature must be by a certificate whose subject is the CRL's issuer, whose key and hash are accepted, and whose
    keyUsage holds cRLSign where it is present (RFC 5280 section 6.3.3 steps f and g). Refused by name: unknown critical
    extensions, indirect CRLs, CRLs for some reasons or for attribute certificates only, and CRLs without nextUpdate.
    nextUpdate is not held against a clock here.

    A CRL of 50 MiB with a million entries takes 3 to 6 seconds of CPU and 250 MB to read, and 22 MB afterwards.
    """
    encoded = crl_der(data)
    try:
        return _read(encoded, issuers)
    except CRLError:
        raise
    except revoked.EntryError as error:
        raise CRLError(str(error)) from error
    except Exception as error:  # cryptography raises many kinds, and late: whatever it is, the bytes are refused
        raise CRLError(_what_it_is(encoded) or f"the CRL cannot be read, get it anew: {_one_line(error)}") from error


def crl_der(data: bytes) -> bytes:
    """Give a CRL's DER, taken out of PEM where it is that; nothing of it is read yet. Raises CRLError."""
    if len(data) > MAXIMUM_CRL:
        raise CRLError(f"a CRL of more than {MAXIMUM_CRL} bytes is not accepted")
    start = data[:200].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        raise CRLError("the file is empty, give a CRL in PEM or DER")
    if start.startswith(b"<"):
        raise CRLError("the file is a web page or XML and no CRL: download the CRL itself")
    if data[:1] == bytes([der.SEQUENCE]) or b"-----BEGIN" not in data:
        return data
    blocks = list(_BLOCK.finditer(data))
    found = [block for block in blocks if block[1] == _LABEL]
    if not found:
        label = blocks[0][1].decode() if blocks else "damaged"
        raise CRLError(f"the file holds no CRL but a block of type {label!r}, give a CRL in PEM or DER")
    if len(found) > 1:
        raise CRLError(f"the file holds {len(found)} CRLs, give them one by one")
    if not found[0][3]:
        raise CRLError("the CRL is cut off: it has no -----END line, copy the file again")
    try:
        return base64.b64decode(b"".join(found[0][2].split()), validate=True)
    except ValueError as error:
        raise CRLError("the CRL is damaged: its base64 cannot be decoded, copy the file again") from error


def _what_it_is(encoded: bytes) -> str | None:
    """Name what people give by mistake."""
    try:
        parse_certificate(encoded)
    except CertificateError:
        return None if encoded[:1] == bytes([der.SEQUENCE]) else "the file is no CRL, give a CRL in PEM or DER"
    return "the file is a certificate and no CRL, give the CRL that its issuer publishes"


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is read beside cryptography: a name of any string type, the signed bytes, and where the entries lie."""

    issuer: DistinguishedName
    signed: memoryview
    start: int
    end: int


def _read(encoded: bytes, issuers: Sequence[Certificate]) -> CRL:
    crl = x509.load_der_x509_crl(encoded)
    frame = _read_frame(encoded)
    extensions = {extension.oid: extension.value for extension in crl.extensions}
    unknown = {extension.oid for extension in crl.extensions if extension.critical} - _PROCESSED
    if unknown:
        oids = ", ".join(sorted(oid.dotted_string for oid in unknown))[:200]
        raise CRLError(f"the CRL has an unknown critical extension: {oids}")
    if crl.next_update_utc is None:
        raise CRLError(
            "the CRL does not say when the next one comes (nextUpdate), so that nobody knows how long it holds"
        )
    scope, points = _read_scope(extensions.get(ExtensionOID.ISSUING_DISTRIBUTION_POINT), frame.issuer)
    number = extensions.get(ExtensionOID.CRL_NUMBER)
    delta = extensions.get(ExtensionOID.DELTA_CRL_INDICATOR)
    return CRL(
        sha256=hashlib.sha256(encoded).digest(),
        issuer=frame.issuer,
        signers=_signers(crl, frame, issuers),
        number=number.crl_number if isinstance(number, x509.CRLNumber) else None,
        delta_base=delta.crl_number if isinstance(delta, x509.DeltaCRLIndicator) else None,
        this_update=crl.last_update_utc,
        next_update=crl.next_update_utc,
        scope=scope,
        distribution_point=points,
        revoked=revoked.read_revoked(encoded, frame.start, frame.end),
    )


def _read_frame(encoded: bytes) -> _Frame:
    """Read CertificateList and TBSCertList (RFC 5280 section 5.1); nothing of the large list is copied."""
    _, outer, _ = der.read_element(memoryview(encoded))
    _, content, after = der.read_element(outer)
    end = len(encoded) - len(after)
    tag, _, rest = der.read_element(content)
    if tag == _INTEGER:
        _, _, rest = der.read_element(rest)
    _, _, after_issuer = der.read_element(rest)
    issuer = names.from_der(bytes(rest[: len(rest) - len(after_issuer)]))
    _, _, rest = der.read_element(after_issuer)
    if rest and rest[0] in _TIMES:
        _, _, rest = der.read_element(rest)
    if not rest or rest[0] != der.SEQUENCE:
        return _Frame(issuer, outer[: len(outer) - len(after)], 0, 0)
    _, entries, rest = der.read_element(rest)
    end -= len(rest)
    return _Frame(issuer, outer[: len(outer) - len(after)], end - len(entries), end)


def _read_scope(
    extension: x509.ExtensionType | None, issuer: DistinguishedName
) -> tuple[Scope, frozenset[distribution.PointName] | None]:
    """Read issuingDistributionPoint (RFC 5280 section 5.2.5)."""
    if not isinstance(extension, x509.IssuingDistributionPoint):
        return "all", None
    for fault, what in (
        (extension.indirect_crl, "an indirect one"),
        (extension.only_some_reasons is not None, "one for some reasons only (onlySomeReasons)"),
        (extension.only_contains_attribute_certs, "one for attribute certificates only"),
    ):
        if fault:
            raise CRLError(f"the CRL is {what}, which is not supported: give a complete CRL of the issuer")
    points = None
    if extension.full_name is not None or extension.relative_name is not None:
        points = frozenset(distribution.read_point_names(extension.full_name, extension.relative_name, issuer))
    users, authorities = extension.only_contains_user_certs, extension.only_contains_ca_certs
    return "users" if users else "cas" if authorities else "all", points


def _signers(crl: x509.CertificateRevocationList, frame: _Frame, issuers: Sequence[Certificate]) -> frozenset[bytes]:
    named = [issuer for issuer in issuers if issuer.subject == frame.issuer]
    if not named:
        raise CRLError(
            f"the CRL belongs to another issuer: {frame.issuer.text or '(no name)'}; add that CA's certificate first"
        )
    may_sign = [issuer for issuer in named if issuer.key_usage is None or "crl_sign" in issuer.key_usage]
    if not may_sign:
        raise CRLError(f"{frame.issuer.text} may not sign CRLs: its certificate's keyUsage has no cRLSign")
    strong = [issuer for issuer in may_sign if check_key(issuer).passed]
    if not strong:
        raise CRLError(f"the key of {frame.issuer.text} is not accepted: {check_key(may_sign[0]).found}")
    hash_name = _hash_name(crl)
    if crl.signature_algorithm_oid not in ACCEPTED or (hash_name and hash_name not in SIGNATURE_HASHES):
        oid = crl.signature_algorithm_oid.dotted_string
        raise CRLError(f"the CRL is signed with {hash_name or oid}, ask the CA to sign with SHA-2 or better")
    signed, pss = bytes(frame.signed), crl.signature_algorithm_parameters
    signers = frozenset(
        issuer.spki_sha256
        for issuer in {issuer.spki_sha256: issuer for issuer in strong}.values()
        if is_signed_by(
            issuer.spki,
            crl.signature,
            signed,
            algorithm=crl.signature_algorithm_oid,
            hash_algorithm=crl.signature_hash_algorithm,
            pss=pss if isinstance(pss, padding.PSS) else None,
        )
    )
    if not signers:
        raise CRLError(f"the CRL's signature is not by {frame.issuer.text}: it was changed, or another key made it")
    return signers


def _hash_name(crl: x509.CertificateRevocationList) -> str | None:
    """Give the signature's hash; None where the algorithm fixes it or nobody knows it."""
    try:
        algorithm = crl.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    return algorithm.name if algorithm else None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
