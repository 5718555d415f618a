"""What a certificate must be to authenticate at all: validity, key, signature, version, usage.

OpenSSL accepts weak keys and any purpose where nobody asks for one, so these rules are ours (BCP 195, RFC 5280).
`chain` asks them of CA certificates, `oauth.authentication` of leaves.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal

from certbound.certificates.certificate import REMEMBERED_SIZE, Certificate
from certbound.certificates.check import Check

CLIENT_AUTH: Final = "1.3.6.1.5.5.7.3.2"
ANY_EXTENDED_KEY_USAGE: Final = "2.5.29.37.0"
MINIMUM_RSA_BITS: Final = 2048
MAXIMUM_RSA_BITS: Final = 8192
MINIMUM_RSA_EXPONENT: Final = 65537
MAXIMUM_RSA_EXPONENT_BITS: Final = 64
MAXIMUM_SERIAL_BITS: Final = 159
"""20 octets whose first bit is the sign (RFC 5280 section 4.1.2.2)."""
CURVES: Final = frozenset({"secp256r1", "secp384r1", "secp521r1"})
SIGNATURE_HASHES: Final = frozenset(
    {"sha224", "sha256", "sha384", "sha512", "sha512-256", "sha3-256", "sha3-384", "sha3-512"}
)
_VERSION: Final = 3
ExtendedKeyUsage = Literal["optional", "require"]
"""Whether a leaf may lack the extension, or must have it with clientAuth; a trust store says which."""
#: Critical extensions that OpenSSL's path validation or a check of ours deals with.
_PROCESSED_EXTENSIONS: Final = frozenset(
    {
        "2.5.29.15",  # keyUsage
        "2.5.29.17",  # subjectAltName
        "2.5.29.19",  # basicConstraints
        "2.5.29.30",  # nameConstraints
        "2.5.29.31",  # cRLDistributionPoints
        "2.5.29.32",  # certificatePolicies
        "2.5.29.33",  # policyMappings
        "2.5.29.36",  # policyConstraints
        "2.5.29.37",  # extKeyUsage
        "2.5.29.54",  # inhibitAnyPolicy
    }
)


def check_pki_leaf(
    certificate: Certificate, now: datetime, *, extended_key_usage: ExtendedKeyUsage = "optional"
) -> tuple[Check, ...]:
    """Check the leaf of a client of `tls_client_auth`; `now` is aware."""
    timeless = _leaf_once if len(certificate.der) <= REMEMBERED_SIZE else _check_pki_leaf_at_any_time
    return (check_validity(certificate, now), *timeless(certificate, extended_key_usage))


def _check_pki_leaf_at_any_time(certificate: Certificate, extended_key_usage: ExtendedKeyUsage) -> tuple[Check, ...]:
    return (
        check_key(certificate),
        check_signature_hash(certificate),
        check_form(certificate),
        *check_leaf_usage(certificate, extended_key_usage=extended_key_usage),
    )


_leaf_once: Final = lru_cache(maxsize=2048)(_check_pki_leaf_at_any_time)


def check_self_signed(certificate: Certificate, now: datetime) -> tuple[Check, ...]:
    """Check a certificate that was registered itself (`self_signed_tls_client_auth`, RFC 8705 section 2.2).

    Who it is was settled at registration and possession by TLS, so only validity and key strength count; its own
    signature, version, CA flag and usages say nothing.
    """
    return (check_validity(certificate, now), check_key(certificate))


def check_path_certificate(certificate: Certificate, *, is_anchor: bool) -> tuple[Check, ...]:
    """Check a CA certificate of a path for what OpenSSL leaves to us; dates, path lengths and names are OpenSSL's.

    An anchor is trusted for being registered, so its own signature does not count. An extended key usage of a CA
    limits what it may issue, so it must hold clientAuth or anyExtendedKeyUsage where it is present.
    """
    judge = _path_once if len(certificate.der) <= REMEMBERED_SIZE else _check_path_certificate
    return judge(certificate, is_anchor=is_anchor)


def _check_path_certificate(certificate: Certificate, *, is_anchor: bool) -> tuple[Check, ...]:
    purposes = certificate.extended_key_usage
    usage = Check(
        check="extended_key_usage",
        passed=purposes is None or CLIENT_AUTH in purposes or ANY_EXTENDED_KEY_USAGE in purposes,
        expected="clientAuth, anyExtendedKeyUsage, or no extendedKeyUsage at all",
        found=_purposes(certificate),
        reference="RFC 5280 section 4.2.1.12",
    )
    signature = () if is_anchor else (check_signature_hash(certificate),)
    return (_check_is_ca(certificate), check_key(certificate), *signature, usage)


_path_once: Final = lru_cache(maxsize=2048)(_check_path_certificate)


def _check_is_ca(certificate: Certificate) -> Check:
    usage = certificate.key_usage
    faults = [
        *([f"version {certificate.version}"] if certificate.version != _VERSION else []),
        *([] if certificate.is_ca else ["no CA"]),
        *([] if usage is None or "key_cert_sign" in usage else ["keyUsage without keyCertSign"]),
    ]
    return Check(
        check="is_a_ca",
        passed=not faults,
        expected="a version 3 certificate of a CA that may sign certificates",
        found=", ".join(faults) or "as expected",
        reference="RFC 5280 section 6.1.4",
    )


def check_validity(certificate: Certificate, now: datetime) -> Check:
    """Check that `now` (aware) is in the validity, its two ends included (RFC 5280 section 4.1.2.5)."""
    now = now.astimezone(UTC).replace(microsecond=0)
    return Check(
        check="validity",
        passed=certificate.not_before <= now <= certificate.not_after,
        expected=f"valid at {now.isoformat()}",
        found=f"valid from {certificate.not_before.isoformat()} to {certificate.not_after.isoformat()}",
        reference="RFC 5280 section 4.1.2.5",
    )


def check_key(certificate: Certificate) -> Check:
    """Check the key's kind and strength. The upper bounds keep verification cheap."""
    key = certificate.key
    return Check(
        check="key_strength",
        passed=_is_strong_rsa(certificate) or key.curve in CURVES or key.kind in {"Ed25519", "Ed448"},
        expected="RSA of 2048 to 8192 bits with exponent 65537 or above, P-256, P-384, P-521, Ed25519 or Ed448",
        found=key.text,
        reference="RFC 9325 section 4.5",
    )


def check_signature_hash(certificate: Certificate) -> Check:
    """Check that the issuer signed with a hash that resists collisions (no MD5, no SHA-1)."""
    hash_name = certificate.signature_hash
    return Check(
        check="signature_hash",
        passed=hash_name is None or hash_name in SIGNATURE_HASHES,
        expected="SHA-2, SHA-3 or EdDSA",
        found=hash_name or "EdDSA",
        reference="RFC 9325 section 4.5",
    )


def check_form(certificate: Certificate) -> Check:
    """Check what RFC 5280 asks of every certificate: version 3, a serial number of 20 octets, no unknown demands."""
    unknown = certificate.critical_extensions - _PROCESSED_EXTENSIONS
    faults = [
        *([f"version {certificate.version}"] if certificate.version != _VERSION else []),
        *(
            ["a serial number of over 20 octets"]
            if certificate.serial_number.bit_length() > MAXIMUM_SERIAL_BITS
            else []
        ),
        *(f"unknown critical extension {oid}" for oid in sorted(unknown)),
    ]
    return Check(
        check="form",
        passed=not faults,
        expected="version 3, a serial number of at most 20 octets, no unknown critical extension",
        found=", ".join(faults)[:500] or "as expected",
        reference="RFC 5280 section 4.1",
    )


def check_leaf_usage(
    certificate: Certificate, *, extended_key_usage: ExtendedKeyUsage = "optional"
) -> tuple[Check, ...]:
    """Check what the leaf may be used for.

    extendedKeyUsage holds clientAuth, or is absent where it is optional; anyExtendedKeyUsage alone is not enough, as
    RFC 5280 section 4.2.1.12 lets an application ask for its own purpose, and a client certificate is made for one.
    keyUsage is absent or holds digitalSignature, which CertificateVerify is (RFC 8446 section 4.4.2.2). A CA is no
    client.
    """
    purposes, usage = certificate.extended_key_usage, certificate.key_usage
    optional = extended_key_usage == "optional"
    return (
        Check(
            check="extended_key_usage",
            passed=optional if purposes is None else CLIENT_AUTH in purposes,
            expected="clientAuth, or no extendedKeyUsage at all" if optional else "an extendedKeyUsage with clientAuth",
            found=_purposes(certificate),
            reference="RFC 5280 section 4.2.1.12",
        ),
        Check(
            check="key_usage",
            passed=usage is None or "digital_signature" in usage,
            expected="digital_signature, or no keyUsage at all",
            found="no keyUsage" if usage is None else ", ".join(sorted(usage)) or "nothing",
            reference="RFC 5280 section 4.2.1.3",
        ),
        Check(
            check="not_a_ca",
            passed=not certificate.is_ca,
            expected="a certificate of a client",
            found="a certificate of a CA" if certificate.is_ca else "as expected",
            reference="RFC 5280 section 4.2.1.9",
        ),
    )


def _is_strong_rsa(certificate: Certificate) -> bool:
    key = certificate.key
    return (
        key.kind == "RSA"
        and MINIMUM_RSA_BITS <= key.bits <= MAXIMUM_RSA_BITS
        and key.exponent is not None
        and key.exponent % 2 == 1
        and key.exponent >= MINIMUM_RSA_EXPONENT
        and key.exponent.bit_length() <= MAXIMUM_RSA_EXPONENT_BITS
    )


_PURPOSES: Final = {
    CLIENT_AUTH: "clientAuth",
    ANY_EXTENDED_KEY_USAGE: "anyExtendedKeyUsage",
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
}


def _purposes(certificate: Certificate) -> str:
    if certificate.extended_key_usage is None:
        return "no extendedKeyUsage"
    return ", ".join(_PURPOSES.get(oid, oid) for oid in certificate.extended_key_usage)[:500]
