"""What may vouch for a client: one named trust store, as it stands now (RFC 8705 section 7.4)."""

from dataclasses import dataclass, field

from certbound.certificates.certificate import Certificate
from certbound.certificates.crl import CRL
from certbound.certificates.policy import ExtendedKeyUsage
from certbound.certificates.revocation import RevocationPolicy


@dataclass(frozen=True, slots=True)
class TrustStore:
    """Anchors, pinned as certificates, and the rules under which a path to one of them counts.

    `intermediates` (DER) complete paths and never end them. With a `trust_domain` only that domain's X.509-SVIDs are
    accepted through the store. `ocsp_url` stands in for the responder that certificates name. Certificates of
    `disabled_keys` (SHA-256 of SubjectPublicKeyInfo) are part of no path, whichever of them a peer presents.
    """

    name: str
    anchors: tuple[Certificate, ...] = ()
    intermediates: tuple[bytes, ...] = ()
    disabled_keys: frozenset[bytes] = frozenset()
    revocation: RevocationPolicy = field(default_factory=RevocationPolicy)
    crls: tuple[CRL, ...] = ()
    extended_key_usage: ExtendedKeyUsage = "optional"
    trust_domain: str | None = None
    ocsp_url: str | None = None
