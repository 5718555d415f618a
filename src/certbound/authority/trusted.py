"""What the trust stores vouch for, as it stands now: read together, with revocation lists kept parsed."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence

from certbound.certificates.certificate import Certificate, parse_certificate
from certbound.certificates.crl import CRL, CRLError, read_crl
from certbound.certificates.revocation import Revocation, RevocationPolicy
from certbound.oauth.trust import TrustStore
from certbound.store import revocation as stored_revocation
from certbound.store import trust as stored_trust
from certbound.store.engine import Connection
from certbound.store.revocation import StoredCRL
from certbound.store.trust import TrustCertificate

log = logging.getLogger(__name__)

MAX_CRLS = 64
"""Lists that stay parsed from one revision to the next; a list takes memory in proportion to its entries."""
_Key = tuple[str, frozenset[bytes]]
"""The list's SHA-256, and those of the certificates that may have signed it."""
_crls: OrderedDict[_Key, CRL] = OrderedDict()
_lock = threading.Lock()
_reading = threading.Lock()
"""Held while a list is read: whoever needs the same one waits for it, instead of reading it too."""


def load_trust(connection: Connection, names: Collection[str]) -> tuple[TrustStore, ...]:
    """Load trust stores, in the order of `names`; one that does not exist is passed over."""
    policies = stored_trust.policies(connection, names)
    held = stored_trust.load_enabled(connection, names)
    disabled = stored_trust.load_disabled(connection, names)
    lists = stored_revocation.crls_of(connection, [name for name, of in policies.items() if "crl" in of.revocation])
    return tuple(
        _view(connection, policies[name], held.get(name, ()), disabled.get(name, ()), lists.get(name, ()))
        for name in names
        if name in policies
    )


def _view(
    connection: Connection,
    policy: stored_trust.TrustStore,
    held: Sequence[TrustCertificate],
    disabled: Collection[bytes],
    lists: Sequence[StoredCRL],
) -> TrustStore:
    authorities = tuple(parse_certificate(certificate.der) for certificate in held)
    off = frozenset(parse_certificate(der).spki_sha256 for der in disabled)
    crls = (_crl(connection, stored, authorities) for stored in lists)
    return TrustStore(
        name=policy.name,
        anchors=tuple(a for a, certificate in zip(authorities, held, strict=True) if certificate.kind == "anchor"),
        intermediates=tuple(certificate.der for certificate in held if certificate.kind == "intermediate"),
        disabled_keys=off - {authority.spki_sha256 for authority in authorities},
        revocation=RevocationPolicy(Revocation(policy.revocation), policy.on_unavailable, policy.grace_seconds),
        crls=tuple(crl for crl in crls if crl is not None),
        extended_key_usage=policy.extended_key_usage,
        trust_domain=policy.trust_domain,
        ocsp_url=policy.ocsp_url,
    )


def _crl(connection: Connection, stored: StoredCRL, authorities: Sequence[Certificate]) -> CRL | None:
    """Give a stored list, verified against the store's authorities as they are now; None if none of them signed it."""
    key = (stored.sha256, frozenset(authority.sha256 for authority in authorities))
    if (known := _recall(key)) is not None:
        return known
    with _reading:
        crl = _recall(key) or _read(connection, stored, authorities)
        if crl is not None:
            _remember(key, crl)
    return crl


def _read(connection: Connection, stored: StoredCRL, authorities: Sequence[Certificate]) -> CRL | None:
    der = stored_revocation.load_der(connection, stored.store, stored.sha256)
    if der is None:
        return None
    try:
        return read_crl(der, authorities)
    except CRLError as error:
        log.error("revocation list not used", extra={"trust_store": stored.store, "reason": str(error)})
        return None


def _recall(key: _Key) -> CRL | None:
    with _lock:
        if key in _crls:
            _crls.move_to_end(key)
        return _crls.get(key)


def _remember(key: _Key, crl: CRL) -> None:
    with _lock:
        _crls[key] = crl
        if len(_crls) > MAX_CRLS:
            _crls.popitem(last=False)
