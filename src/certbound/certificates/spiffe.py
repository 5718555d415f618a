"""Workload identities of SPIFFE: trust domains, X.509-SVIDs, and the bundles that a trust domain publishes."""

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from certbound.certificates.certificate import Certificate, CertificateError, parse_certificate
from certbound.certificates.check import Check

MAXIMUM_BUNDLE: Final = 1024 * 1024
"""Bytes of a bundle."""
MAXIMUM_KEYS: Final = 1000
MAXIMUM_ID: Final = 2048
"""Bytes of a SPIFFE ID (SPIFFE-ID section 2.3)."""
MAXIMUM_TRUST_DOMAIN: Final = 255
SCHEME: Final = "spiffe://"
_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]+")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._-]+")
_USE: Final = "x509-svid"
#: Keys of kinds we do not know are passed over (SPIFFE Trust Domain and Bundle section 4.2.1).
_KEY_TYPES: Final = ("RSA", "EC", "OKP")
_MAXIMUM_INTEGER: Final = 2**63 - 1
_LEAF_ONLY: Final = {"key_cert_sign": "keyCertSign", "crl_sign": "cRLSign"}


class SpiffeError(ValueError):
    """The text is no trust domain or SPIFFE ID, or the document no bundle; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class SpiffeBundle:
    """The CA certificates of a trust domain, and what its publisher says about refreshing them."""

    certificates: tuple[Certificate, ...]
    refresh_hint: int | None = None
    """Seconds; a hint only, the reader sets its own bounds."""
    sequence: int | None = None


def parse_trust_domain(text: str) -> str:
    """Give the name of a trust domain written as `example.org` or `spiffe://example.org`. Raises SpiffeError.

    Upper case is refused, not lowered: section 2.1 of SPIFFE-ID says that the name is lower case.
    """
    name = text.removeprefix(SCHEME)
    if not name or len(name) > MAXIMUM_TRUST_DOMAIN:
        raise SpiffeError(f"a trust domain has 1 to {MAXIMUM_TRUST_DOMAIN} characters, for instance example.org")
    if "/" in name:
        raise SpiffeError("a trust domain has no path: give only its name, for instance example.org")
    if not _TRUST_DOMAIN.fullmatch(name):
        raise SpiffeError("a trust domain holds lower case letters, digits, dots, dashes and underscores only")
    return name


def check_svid(certificate: Certificate, trust_domain: str) -> Check:
    """Check that a leaf is an X.509-SVID of this trust domain (X509-SVID sections 2, 3.1, 4 and 5.2).

    Its chain must be validated against the bundle of the same trust domain, by the caller.
    """
    found = ", ".join(uri[:200] for uri in certificate.san.uri[:2]) or "no URI"
    fault = _id_fault(certificate, trust_domain) or _leaf_fault(certificate)
    return Check(
        check="spiffe_id",
        passed=fault is None,
        expected=f"an X.509-SVID with one SPIFFE ID of the form spiffe://{trust_domain}/PATH",
        found=f"{found} ({fault})" if fault else found,
        reference="X509-SVID section 5.2",
    )


def parse_bundle(data: bytes) -> SpiffeBundle:
    """Read a bundle: a JWK Set whose keys of use `x509-svid` have a CA certificate in `x5c`. Raises SpiffeError.

    Keys of other uses and kinds, and those without `x5c`, are passed over, and so is what follows the first certificate
    of an `x5c` (X509-SVID section 6.2). The certificate is the anchor; nothing is taken from the key's other members.
    A certificate that cannot be read spoils the bundle, so that a set is never silently smaller than its publisher's.
    """
    document = _decoded(data)
    keys = document.get("keys")
    if not isinstance(keys, list) or len(keys) > MAXIMUM_KEYS:
        raise SpiffeError(f"no SPIFFE bundle: an object with a list `keys` of at most {MAXIMUM_KEYS} was expected")
    certificates = [certificate for key in keys if (certificate := _authority(key)) is not None]
    if not certificates:
        raise SpiffeError(f"the bundle holds no CA certificate: no key has the use {_USE} and an x5c")
    return SpiffeBundle(
        certificates=tuple({certificate.sha256: certificate for certificate in certificates}.values()),
        refresh_hint=_whole_number(document, "spiffe_refresh_hint"),
        sequence=_whole_number(document, "spiffe_sequence"),
    )


def _id_fault(certificate: Certificate, trust_domain: str) -> str | None:
    if len(certificate.san.uri) != 1:
        return "an X.509-SVID has exactly one URI name"
    try:
        found = trust_domain_of(certificate.san.uri[0])
    except SpiffeError as error:
        return str(error)
    return None if found == trust_domain else "another trust domain"


def trust_domain_of(spiffe_id: str) -> str:
    """Give the trust domain of a workload's SPIFFE ID, which has a path. Raises SpiffeError."""
    if not spiffe_id.startswith(SCHEME):
        raise SpiffeError(f"a SPIFFE ID begins with {SCHEME}")
    if len(spiffe_id) > MAXIMUM_ID:
        raise SpiffeError(f"a SPIFFE ID has at most {MAXIMUM_ID} bytes")
    authority, slash, path = spiffe_id.removeprefix(SCHEME).partition("/")
    trust_domain = parse_trust_domain(authority)
    if not slash or not path:
        raise SpiffeError("the SPIFFE ID of a workload has a path")
    for segment in path.split("/"):
        if not _SEGMENT.fullmatch(segment) or segment in {".", ".."}:
            raise SpiffeError(
                "the path holds something but letters, digits, dots, dashes and underscores, or is relative"
            )
    return trust_domain


def _leaf_fault(certificate: Certificate) -> str | None:
    usages = certificate.key_usage or frozenset()
    if certificate.is_ca:
        return "a certificate of a CA"
    if "digital_signature" not in usages:
        return "keyUsage without digitalSignature"
    return next((f"keyUsage with {name}" for usage, name in _LEAF_ONLY.items() if usage in usages), None)


def _decoded(data: bytes) -> Mapping[str, Any]:
    if len(data) > MAXIMUM_BUNDLE:
        raise SpiffeError(f"a bundle of more than {MAXIMUM_BUNDLE} bytes is not accepted")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SpiffeError("no SPIFFE bundle: the document is no JSON") from error
    if not isinstance(document, dict):
        raise SpiffeError("no SPIFFE bundle: the document is no JSON object")
    return document


def _authority(key: object) -> Certificate | None:
    if not isinstance(key, dict):
        raise SpiffeError("no SPIFFE bundle: a member of `keys` is no object")
    chain = key.get("x5c")
    if key.get("use") != _USE or key.get("kty") not in _KEY_TYPES or not chain:
        return None
    if not isinstance(chain, list) or not isinstance(chain[0], str):
        raise SpiffeError("the bundle has an `x5c` that is no list of certificates in base64")
    try:
        certificate = parse_certificate(b64decode(chain[0], validate=True))
    except (CertificateError, ValueError) as error:
        raise SpiffeError(f"the bundle holds a certificate that cannot be read: {error}") from error
    if not certificate.is_ca:
        raise SpiffeError(f"the bundle holds a certificate that is no CA's: {certificate.subject.text[:200]}")
    return certificate


def _whole_number(document: Mapping[str, Any], member: str) -> int | None:
    value = document.get(member)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAXIMUM_INTEGER:
        raise SpiffeError(f"the bundle's `{member}` is no whole number of at most 64 bits")
    return value
