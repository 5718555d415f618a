"""Which authorities may vouch for clients: named trust stores, changed live, each change recorded with it."""

import re
from collections.abc import Mapping, Sequence

from certbound.authority.records import record
from certbound.certificates.certificate import Certificate
from certbound.store import clients as stored_clients
from certbound.store import revision
from certbound.store import trust as stored_trust
from certbound.store.engine import Connection
from certbound.store.trust import TrustCertificate

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


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
    if _NAME.fullmatch(name) is None:
        raise TrustError("a trust store's name is 1 to 64 letters, digits, dots, hyphens and underscores")
    kind: stored_trust.Kind = "intermediate" if intermediate else "anchor"
    for certificate in certificates:
        if not certificate.is_ca:
            name_of_it = certificate.subject.text or certificate.sha256.hex()
            raise TrustError(f"{name_of_it} is not a CA's certificate: it can vouch for nobody")
    revision.bump(connection)
    if name not in {store.name for store in stored_trust.stores(connection)}:
        stored_trust.create_store(connection, name, now)
    held = {certificate.id: certificate for certificate in stored_trust.certificates(connection, name)}
    added = []
    for certificate in certificates:
        known = held.get(certificate.sha256.hex())
        if known is not None and known.kind != kind:
            raise TrustError(
                f"{certificate.subject.text} is in {name} as {known.kind}: remove it first to add it as {kind}"
            )
        if known is None:
            added.append(_kept(name, kind, certificate, (aliases or {}).get(certificate.sha256), now))
            held[added[-1].id] = added[-1]
            stored_trust.add(connection, added[-1])
    detail = {"kind": kind, "certificates": [{"id": c.id, "subject": c.subject} for c in added]}
    record(connection, at=now, actor=actor, action="trust.added", target=name, detail=detail)
    return tuple(added)


def remove(connection: Connection, name: str, certificate_id: str, *, actor: str, now: int) -> None:
    """Remove a certificate from a store: from now on it vouches for nobody through it. Raises TrustError."""
    revision.bump(connection)
    if not stored_trust.remove(connection, name, certificate_id):
        raise _not_held(name, certificate_id)
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
    if name not in {store.name for store in stored_trust.stores(connection)}:
        raise TrustError(f"there is no trust store {name!r}: see `certbound trust list`")
    return stored_trust.certificates(connection, name), stored_clients.relying_on(connection, name)


def _not_held(name: str, certificate_id: str) -> TrustError:
    return TrustError(f"trust store {name!r} holds no certificate {certificate_id}: see `certbound trust show {name}`")


def _kept(
    name: str, kind: stored_trust.Kind, certificate: Certificate, alias: str | None, now: int
) -> TrustCertificate:
    return TrustCertificate(
        store=name,
        id=certificate.sha256.hex(),
        kind=kind,
        alias=alias,
        der=certificate.der,
        subject=certificate.subject.text,
        not_after=int(certificate.not_after.timestamp()),
        added=now,
    )
