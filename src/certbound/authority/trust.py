"""Which authorities may vouch for clients: named trust stores, changed live, each change recorded with it."""

import re
from collections.abc import Mapping, Sequence

from certbound.authority.records import record
from certbound.certificates.certificate import Certificate, parse_certificate
from certbound.certificates.spiffe import SpiffeError, parse_trust_domain
from certbound.store import clients as stored_clients
from certbound.store import revision
from certbound.store import revocation as stored_revocation
from certbound.store import trust as stored_trust
from certbound.store.engine import Connection
from certbound.store.trust import TrustCertificate, TrustStore

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAXIMUM_ALIAS = 256


class TrustError(ValueError):
    """The change cannot be made; the text says what to do."""


def add(
    connection: Connection,
    name: str,
    certificates: Sequence[Certificate],
    *,
    intermediate: bool,
    aliases: Mapping[bytes, str] | None = None,
    actor: str,
    now: int,
) -> tuple[TrustCertificate, ...]:
    """Add certificates to a store, made where it is new: as anchors, or as intermediates, which end no path.

    `aliases` are the names that certificates had in their file, by SHA-256. A certificate that the store holds already
    is passed over. Raises TrustError, and then nothing is added.
    """
    kind: stored_trust.Kind = "intermediate" if intermediate else "anchor"
    for certificate in certificates:
        if not certificate.is_ca:
            name_of_it = certificate.subject.text or certificate.sha256.hex()
            raise TrustError(f"{name_of_it} is not a CA's certificate: it can vouch for nobody")
    revision.bump(connection)
    store = existing_or_new(connection, name, now)
    if is_of_bundle(store) and not intermediate:
        raise TrustError(
            f"the anchors of {name!r} are those of the SPIFFE bundle of {store.trust_domain}, no others: "
            "give this one a trust store of its own, which a client may name beside it"
        )
    held = {certificate.id: certificate for certificate in stored_trust.certificates(connection, name)}
    added = []
    for certificate in certificates:
        known = held.get(certificate.sha256.hex())
        if known is not None and known.kind != kind:
            raise TrustError(
                f"{certificate.subject.text} is in {name} as {known.kind}: remove it first to add it as {kind}"
            )
        if known is None:
            added.append(kept(name, kind, certificate, (aliases or {}).get(certificate.sha256), now))
            held[added[-1].id] = added[-1]
            stored_trust.add(connection, added[-1])
    detail = {"kind": kind, "certificates": [{"id": c.id, "subject": c.subject} for c in added]}
    record(connection, at=now, actor=actor, action="trust.added", target=name, detail=detail)
    return tuple(added)


def remove(connection: Connection, name: str, certificate_id: str, *, actor: str, now: int) -> None:
    """Remove a certificate from a store: from now on it vouches for nobody through it. Raises TrustError."""
    revision.bump(connection)
    held = {certificate.id: certificate for certificate in stored_trust.certificates(connection, name)}
    if certificate_id in held and held[certificate_id].kind == "anchor" and is_of_bundle(existing(connection, name)):
        raise TrustError(
            f"the next refresh of the bundle of {name!r} would bring it back: "
            f"`certbound trust disable {name} {certificate_id}` keeps it out"
        )
    if not stored_trust.remove(connection, name, certificate_id):
        raise _not_held(name, certificate_id)
    forget_crls(connection, name)
    record(connection, at=now, actor=actor, action="trust.removed", target=name, detail={"id": certificate_id})


def set_disabled(
    connection: Connection, name: str, certificate_id: str, *, disabled: bool, actor: str, now: int
) -> None:
    """Let a certificate of a store vouch for nobody while it stays there, or let it vouch again. Raises TrustError."""
    revision.bump(connection)
    if not stored_trust.set_disabled(connection, name, certificate_id, disabled=disabled):
        raise _not_held(name, certificate_id)
    action = "trust.disabled" if disabled else "trust.enabled"
    record(connection, at=now, actor=actor, action=action, target=name, detail={"id": certificate_id})


def show(connection: Connection, name: str) -> tuple[tuple[TrustCertificate, ...], tuple[str, ...]]:
    """Give what a store holds and which clients rely on it. Raises TrustError."""
    existing(connection, name)
    return stored_trust.certificates(connection, name), stored_clients.relying_on(connection, name)


def existing(connection: Connection, name: str) -> TrustStore:
    """Load a store that must be there. Raises TrustError."""
    found = stored_trust.policies(connection, [name]).get(name)
    if found is None:
        raise TrustError(f"there is no trust store {name!r}: see `certbound trust list`")
    return found


def existing_or_new(connection: Connection, name: str, now: int) -> TrustStore:
    """Load a store, made where it is new. Raises TrustError for what is no name of one."""
    if _NAME.fullmatch(name) is None:
        raise TrustError("a trust store's name is 1 to 64 letters, digits, dots, hyphens and underscores")
    if not stored_trust.policies(connection, [name]):
        stored_trust.create_store(connection, name, now)
    return existing(connection, name)


def forget_crls(connection: Connection, name: str) -> None:
    """Remove the CRLs that no certificate of the store has signed: nothing that a client shows is below them."""
    keys = {parse_certificate(held.der).spki_sha256.hex() for held in stored_trust.certificates(connection, name)}
    for crl in stored_revocation.crls(connection, name):
        if crl.signer not in keys:
            stored_revocation.remove_crl(connection, name, crl.sha256)


def is_of_bundle(store: TrustStore) -> bool:
    """Whether a store's anchors are those of a SPIFFE bundle: one that it got, or one that will be fetched."""
    return store.bundle_url is not None or store.bundle_refresh is not None


def read_trust_domain(text: str) -> str:
    """Read the name of a SPIFFE trust domain. Raises TrustError."""
    try:
        return parse_trust_domain(text)
    except SpiffeError as error:
        raise TrustError(f"--trust-domain: {error}") from None


def kept(name: str, kind: stored_trust.Kind, certificate: Certificate, alias: str | None, now: int) -> TrustCertificate:
    """Give a certificate as a store keeps it, without an alias that people could not type."""
    plain = alias is not None and alias.isprintable() and len(alias) <= _MAXIMUM_ALIAS
    return TrustCertificate(
        store=name,
        id=certificate.sha256.hex(),
        kind=kind,
        alias=alias if plain else None,
        der=certificate.der,
        subject=certificate.subject.text,
        not_after=int(certificate.not_after.timestamp()),
        added=now,
    )


def _not_held(name: str, certificate_id: str) -> TrustError:
    return TrustError(f"trust store {name!r} holds no certificate {certificate_id}: see `certbound trust show {name}`")
