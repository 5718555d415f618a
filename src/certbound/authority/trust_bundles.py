"""Trust stores that a SPIFFE bundle fills: its certificates are the anchors, all of them and no others."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from certbound.authority.records import record
from certbound.authority.trust import TrustError, existing_or_new, forget_crls, is_of_bundle, kept, read_trust_domain
from certbound.certificates.spiffe import SpiffeBundle
from certbound.store import revision
from certbound.store import trust as stored_trust
from certbound.store.engine import Connection
from certbound.store.trust import TrustCertificate, TrustStore

DEFAULT_REFRESH: Final = 300
"""Seconds between refreshes where a bundle names none (SPIFFE Trust Domain and Bundle section 4.1.3)."""
_MAXIMUM_REFRESH: Final = 7 * 86_400


@dataclass(frozen=True, slots=True)
class BundleChange:
    """What a bundle changed of a store's anchors."""

    added: tuple[TrustCertificate, ...] = ()
    removed: tuple[TrustCertificate, ...] = ()


def replace_bundle(
    connection: Connection, name: str, bundle: SpiffeBundle, *, trust_domain: str | None = None, actor: str, now: int
) -> BundleChange:
    """Make the certificates of a bundle the anchors of a store, which is made where it is new.

    `trust_domain` is needed unless the store has one. A bundle that says nothing new raises no revision. An anchor that
    was disabled and is still in the bundle stays disabled. Raises TrustError, and then nothing changes.
    """
    before = stored_trust.policies(connection, [name]).get(name)
    if before is not None and _says_nothing_new(connection, before, bundle, trust_domain):
        return BundleChange()
    revision.bump(connection)
    store = existing_or_new(connection, name, now)
    wanted = _with_bundle(store, bundle, trust_domain)
    change = _exchange(connection, store, bundle, now)
    stored_trust.set_policy(connection, wanted)
    detail = {
        "trust_domain": wanted.trust_domain,
        "sequence": bundle.sequence,
        "added": _named(change.added),
        "removed": _named(change.removed),
    }
    record(connection, at=now, actor=actor, action="trust.bundle_replaced", target=name, detail=detail)
    return change


def _says_nothing_new(
    connection: Connection, store: TrustStore, bundle: SpiffeBundle, trust_domain: str | None
) -> bool:
    anchors = {held.id for held in stored_trust.certificates(connection, store.name) if held.kind == "anchor"}
    same = anchors == {certificate.sha256.hex() for certificate in bundle.certificates}
    return same and _with_bundle(store, bundle, trust_domain) == store


def _with_bundle(store: TrustStore, bundle: SpiffeBundle, trust_domain: str | None) -> TrustStore:
    """Give the store as the bundle wants it. Raises TrustError."""
    wanted = read_trust_domain(trust_domain) if trust_domain is not None else store.trust_domain
    if wanted is None:
        raise TrustError(f"{store.name!r} has no trust domain yet: say with --trust-domain which one this bundle is of")
    if store.trust_domain not in {None, wanted}:
        raise TrustError(
            f"trust store {store.name!r} is of the trust domain {store.trust_domain}: give {wanted} a store of its own"
        )
    if bundle.sequence is not None and store.bundle_sequence is not None and bundle.sequence < store.bundle_sequence:
        raise TrustError(
            f"the bundle is older than the one that {store.name!r} has: its spiffe_sequence is {bundle.sequence}, "
            f"after {store.bundle_sequence}; if its publisher began anew, name its --bundle-url again"
        )
    hint = bundle.refresh_hint if bundle.refresh_hint is not None else DEFAULT_REFRESH
    return replace(
        store,
        trust_domain=wanted,
        bundle_refresh=min(hint, _MAXIMUM_REFRESH),
        bundle_sequence=bundle.sequence if bundle.sequence is not None else store.bundle_sequence,
    )


def _exchange(connection: Connection, store: TrustStore, bundle: SpiffeBundle, now: int) -> BundleChange:
    """Exchange the anchors; intermediates stay, but for those that the bundle makes anchors."""
    held = stored_trust.certificates(connection, store.name)
    anchors = {certificate.id: certificate for certificate in held if certificate.kind == "anchor"}
    if anchors and not is_of_bundle(store):
        raise TrustError(
            f"trust store {store.name!r} holds {next(iter(anchors.values())).subject}, which came in no bundle: "
            "give the bundle a store of its own"
        )
    wanted = {certificate.sha256.hex(): certificate for certificate in bundle.certificates}
    added = tuple(kept(store.name, "anchor", new, None, now) for sha256, new in wanted.items() if sha256 not in anchors)
    removed = tuple(old for old in anchors.values() if old.id not in wanted)
    becoming = {certificate.id for certificate in held if certificate.kind == "intermediate"} & wanted.keys()
    for certificate_id in (*becoming, *(old.id for old in removed)):
        stored_trust.remove(connection, store.name, certificate_id)
    for new in added:
        stored_trust.add(connection, new)
    forget_crls(connection, store.name)
    return BundleChange(added, removed)


def _named(certificates: Collection[TrustCertificate]) -> list[dict[str, str]]:
    return [{"id": certificate.id, "subject": certificate.subject} for certificate in certificates]
