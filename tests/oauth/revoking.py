"""Revocation lists as strangers make them: by cryptography's builder, never by certbound."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from tests.oauth.making import DAY, NOW, Identity

from certbound.certificates.crl import CRL, read_crl


def crl_der(
    issuer: Identity,
    *revoked: Identity,
    begins: datetime = NOW - DAY / 2,
    ends: datetime = NOW + DAY / 2,
    number: int = 1,
) -> bytes:
    """Make a CRL of `issuer` that lists `revoked`."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.x509.subject)
        .last_update(begins)
        .next_update(ends)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for identity in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(identity.x509.serial_number)
        reason = x509.CRLReason(x509.ReasonFlags.key_compromise)
        entry = entry.revocation_date(begins - timedelta(hours=1)).add_extension(reason, critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def crl(issuer: Identity, *revoked: Identity, **how: datetime) -> CRL:
    """Make it and read it."""
    return read_crl(crl_der(issuer, *revoked, **how), [issuer.certificate])  # type: ignore[arg-type]
