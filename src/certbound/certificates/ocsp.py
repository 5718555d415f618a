"""OCSP: the question about one certificate, and the answer read and verified (RFC 6960)."""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import CRLEntryExtensionOID, ExtendedKeyUsageOID, OCSPExtensionOID

from certbound.certificates import der, names
from certbound.certificates.certificate import Certificate, CertificateError, parse_certificate
from certbound.certificates.policy import check_form, check_key, check_signature_hash, check_validity
from certbound.certificates.signatures import ACCEPTED, is_signed_by

MAXIMUM_ANSWER: Final = 65_536
"""Bytes of an answer."""
MAXIMUM_RESPONDERS: Final = 10
"""Certificates in an answer that are looked at."""
LEEWAY: Final = timedelta(minutes=5)
"""How far another clock may be ahead of ours."""
AGE_WITHOUT_NEXT_UPDATE: Final = timedelta(minutes=5)
"""How long an answer without nextUpdate holds, as its responder always knows something newer (section 4.2.2.1)."""
NO_REASON: Final = "no reason given"
_STATUS: Final[dict[ocsp.OCSPCertStatus, Literal["good", "revoked", "unknown"]]] = {
    ocsp.OCSPCertStatus.GOOD: "good",
    ocsp.OCSPCertStatus.REVOKED: "revoked",
    ocsp.OCSPCertStatus.UNKNOWN: "unknown",
}
_SINGLE_RESPONSE_EXTENSIONS: Final = frozenset({CRLEntryExtensionOID.CRL_REASON, CRLEntryExtensionOID.INVALIDITY_DATE})


class OCSPError(ValueError):
    """The bytes are no answer that may be used; the message is one line for people."""


@dataclass(frozen=True, slots=True)
class OCSPAnswer:
    """What the responder says; the times are aware and UTC."""

    status: Literal["good", "revoked", "unknown"]
    this_update: datetime
    next_update: datetime | None
    revoked_at: datetime | None = None
    reason: str | None = None

    @property
    def ends(self) -> datetime:
        """Until when it holds, grace aside."""
        return self.next_update or self.this_update + AGE_WITHOUT_NEXT_UPDATE


def build_request(certificate: Certificate, issuer: Certificate, *, nonce: bytes | None) -> bytes:
    """Write the question in DER (section 4.1); `nonce` has 1 to 32 octets (RFC 9654 section 2.1).

    Names are hashed with SHA-1, the one hash that every responder knows (RFC 5019 section 2.1.1). It only points at
    the certificate; the answer is protected by its signature.
    """
    builder = _question(certificate, issuer, hashes.SHA1())  # noqa: S303 - as said above
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def read_response(
    data: bytes,
    certificate: Certificate,
    issuer: Certificate,
    *,
    nonce: bytes | None,
    now: datetime,
    grace: timedelta = timedelta(0),
) -> OCSPAnswer:
    """Read the answer about `certificate` that `issuer` or a responder of its choice signed. Raises OCSPError.

    A delegated responder's certificate is in the answer, is issued by `issuer` itself, has OCSPSigning, is valid at
    `now` (aware) and obeys the key policy (section 4.2.2.2); whether it is revoked in its turn is not asked. Where both
    sides have a nonce they must be the same (RFC 9654 section 2.1). thisUpdate may be 5 minutes ahead, and nextUpdate
    `grace` ago.
    """
    if len(data) > MAXIMUM_ANSWER:
        raise OCSPError(f"an OCSP answer of more than {MAXIMUM_ANSWER} bytes is not accepted")
    try:
        return _read(data, certificate, issuer, nonce=nonce, now=now, grace=grace)
    except OCSPError:
        raise
    except Exception as error:  # cryptography raises many kinds, and late: whatever it is, the bytes are refused
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise OCSPError(f"the OCSP answer cannot be read: {text}") from error


def _read(
    data: bytes, certificate: Certificate, issuer: Certificate, *, nonce: bytes | None, now: datetime, grace: timedelta
) -> OCSPAnswer:
    response = ocsp.load_der_ocsp_response(data)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        status = response.response_status.name.lower().replace("_", " ")
        raise OCSPError(f"the OCSP responder gave no answer but: {status}")
    _check_signature(response, issuer, now)
    answers = list(response.responses)
    if len(answers) != 1:
        raise OCSPError(f"the OCSP answer is about {len(answers)} certificates, and one was asked for")
    _check_subject(answers[0], certificate, issuer)
    _check_extensions(response, nonce)
    answer = _answer(answers[0])
    if answer.this_update > now + LEEWAY:
        raise OCSPError(f"the OCSP answer is of the future: {answer.this_update.isoformat()}")
    if answer.ends + grace < now:
        raise OCSPError(f"the OCSP answer ended at {answer.ends.isoformat()}")
    return answer


def _answer(single: ocsp.OCSPSingleResponse) -> OCSPAnswer:
    reason = single.revocation_reason
    return OCSPAnswer(
        status=_STATUS[single.certificate_status],
        this_update=single.this_update_utc,
        next_update=single.next_update_utc,
        revoked_at=single.revocation_time_utc,
        reason=str(reason.value) if reason else None,
    )


def _question(
    certificate: Certificate, issuer: Certificate, algorithm: hashes.HashAlgorithm
) -> ocsp.OCSPRequestBuilder:
    subject, signer = (x509.load_der_x509_certificate(each.der) for each in (certificate, issuer))
    return ocsp.OCSPRequestBuilder().add_certificate(subject, signer, algorithm)


def _check_subject(single: ocsp.OCSPSingleResponse, certificate: Certificate, issuer: Certificate) -> None:
    """Compare the CertID with the one we would send with the responder's hash (section 4.1.1)."""
    asked = _question(certificate, issuer, single.hash_algorithm).build()
    if (single.serial_number, single.issuer_name_hash, single.issuer_key_hash) != (
        asked.serial_number,
        asked.issuer_name_hash,
        asked.issuer_key_hash,
    ):
        raise OCSPError(
            f"the OCSP answer is about another certificate, with the serial number {single.serial_number:x}"
        )


def _check_extensions(response: ocsp.OCSPResponse, nonce: bytes | None) -> None:
    known = _SINGLE_RESPONSE_EXTENSIONS | {OCSPExtensionOID.NONCE}
    for extension in (*response.extensions, *response.single_extensions):
        if extension.critical and extension.oid not in known:
            raise OCSPError(f"the OCSP answer has the unknown critical extension {extension.oid.dotted_string}")
    theirs = [extension.value for extension in response.extensions if isinstance(extension.value, x509.OCSPNonce)]
    if nonce is not None and theirs and not hmac.compare_digest(theirs[0].nonce, nonce):
        raise OCSPError(
            "the OCSP answer has another nonce than the question: it answers somebody else's, or an old one"
        )


def _check_signature(response: ocsp.OCSPResponse, issuer: Certificate, now: datetime) -> None:
    if response.signature_algorithm_oid not in ACCEPTED:
        oid = response.signature_algorithm_oid.dotted_string
        raise OCSPError(f"the OCSP answer is signed with an algorithm that is not accepted: {oid}")
    signers = (signer for signer in _responders(response, issuer) if _is_by(response, signer))
    signer = next(signers, None)
    if signer is None:
        raise OCSPError("the OCSP answer's signature is neither the issuer's nor that of a responder it brings along")
    if signer.spki_sha256 != issuer.spki_sha256 and (fault := _delegation_fault(signer, issuer, now)):
        raise OCSPError(f"the OCSP responder {signer.subject.text or '(no name)'} {fault}")


def _responders(response: ocsp.OCSPResponse, issuer: Certificate) -> Iterator[Certificate]:
    """Give the issuer and the certificates of the answer, as far as ResponderID means them (section 4.2.1)."""
    name, key_hash = response.responder_name, response.responder_key_hash
    subject = names.from_der(name.public_bytes()) if name is not None else None
    yield issuer
    for brought in response.certificates[:MAXIMUM_RESPONDERS]:
        try:
            certificate = parse_certificate(brought.public_bytes(Encoding.DER))
        except CertificateError:
            continue
        if certificate.subject == subject or _key_hash(certificate) == key_hash:
            yield certificate


def _key_hash(certificate: Certificate) -> bytes:
    """Hash the public key's bits without tag, length and unused bits, as ResponderID's byKey does."""
    (_, _), (_, bits) = der.read_all(der.read_only(certificate.spki, der.SEQUENCE))
    return hashlib.sha1(bits[1:], usedforsecurity=False).digest()


def _is_by(response: ocsp.OCSPResponse, signer: Certificate) -> bool:
    return is_signed_by(
        signer.spki,
        response.signature,
        response.tbs_response_bytes,
        algorithm=response.signature_algorithm_oid,
        hash_algorithm=response.signature_hash_algorithm,
    )


def _delegation_fault(responder: Certificate, issuer: Certificate, now: datetime) -> str | None:
    """Say why the issuer does not speak through this responder, if so (section 4.2.2.2)."""
    if responder.issuer != issuer.subject or not _is_issued_by(responder, issuer):
        return f"is not one of the issuer's: its certificate is by {responder.issuer.text or '(no name)'}"
    if ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string not in (responder.extended_key_usage or ()):
        return "may not answer for the issuer: its certificate has no OCSPSigning in extendedKeyUsage"
    if responder.key_usage is not None and "digital_signature" not in responder.key_usage:
        return "may not sign: its certificate's keyUsage has no digitalSignature"
    if not (validity := check_validity(responder, now)).passed:
        return f"is not valid now: its certificate is {validity.found}"
    checks = (check_key(responder), check_signature_hash(responder), check_form(responder))
    return next(
        (f"has a certificate that is not accepted: {check.found}" for check in checks if not check.passed), None
    )


def _is_issued_by(responder: Certificate, issuer: Certificate) -> bool:
    certificate = x509.load_der_x509_certificate(responder.der)
    return is_signed_by(
        issuer.spki,
        certificate.signature,
        certificate.tbs_certificate_bytes,
        algorithm=certificate.signature_algorithm_oid,
        hash_algorithm=certificate.signature_hash_algorithm,
    )
