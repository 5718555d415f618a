"""The CRLs of trust stores: which are taken, and which they take the place of.

A large CRL takes seconds to read. So it is read first, outside any transaction, by the certificates of its store, and
then added in a short one: `issuers`, `read`, `add`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from certbound.authority.records import record
from certbound.authority.trust import TrustError, existing
from certbound.certificates.certificate import Certificate, parse_certificate
from certbound.certificates.crl import CRL, CRLError, crl_der, read_crl
from certbound.store import revision
from certbound.store import revocation as stored_revocation
from certbound.store import trust as stored_trust
from certbound.store.engine import Connection
from certbound.store.revocation import StoredCRL

MAXIMUM_CRLS: Final = 100
"""CRLs of one store."""
_MAXIMUM_SCOPE: Final = 2048
_NUMBER_BITS: Final = 160
_LEEWAY: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ReadCRL:
    """A CRL that may be added: verified, in force, and as it is kept."""

    crl: CRL
    der: bytes = field(repr=False)


def issuers(connection: Connection, name: str) -> tuple[Certificate, ...]:
    """Give the CA certificates of a store, which sign its CRLs, disabled ones included. Raises TrustError."""
    existing(connection, name)
    return tuple(parse_certificate(held.der) for held in stored_trust.certificates(connection, name))


def read(data: bytes, issuers: Sequence[Certificate], *, now: int) -> ReadCRL:
    """Read a CRL, PEM or DER, that one of these issued and that is in force at `now` (epoch seconds).

    Raises CRLError. Takes seconds for a large one: call it outside a transaction and off the event loop.
    """
    der = crl_der(data)
    crl = read_crl(der, issuers)
    moment = datetime.fromtimestamp(now, UTC)
    if crl.next_update <= moment:
        raise CRLError(
            f"the CRL is stale: {crl.issuer.text} was to publish the next one by {_time(crl.next_update)}, get that one"
        )
    if crl.this_update > moment + _LEEWAY:
        raise CRLError(
            f"the CRL is of {_time(crl.this_update)}, which is to come: compare the clocks of the CA and the server"
        )
    if crl.number is not None and crl.number.bit_length() > _NUMBER_BITS:
        raise CRLError("the CRL's number has more than 20 octets (RFC 5280 section 5.2.3)")
    return ReadCRL(crl, der)


def add(
    connection: Connection, name: str, verified: ReadCRL, *, url: str | None = None, actor: str, now: int
) -> StoredCRL:
    """Add a CRL to a store in the place of the one before: same issuer, key, scope and kind. `url`: fetched from there.

    One that is held already changes nothing. One that was given, not fetched, turns revocation from `off` into `crl`.
    Raises TrustError, and then the old ones stay.
    """
    new = _stored(name, verified.crl, url, now)
    known = _held(connection, new)
    if known is not None and (url is not None or existing(connection, name).revocation != "off"):
        return known
    revision.bump(connection)
    store, known = existing(connection, name), _held(connection, new)
    if known is None:
        _replace(connection, new, verified)
    turns_on = url is None and store.revocation == "off"
    if turns_on:
        stored_trust.set_policy(connection, replace(store, revocation="crl"))
    detail = {"id": new.sha256, "issuer": new.issuer, "number": new.number, "url": url}
    detail |= {"revocation": "crl"} if turns_on else {}
    record(connection, at=now, actor=actor, action="trust.crl_added", target=name, detail=detail)
    return known or new


def remove(connection: Connection, name: str, sha256: str, *, actor: str, now: int) -> None:
    """Remove a CRL from a store. Raises TrustError."""
    revision.bump(connection)
    if not stored_revocation.remove_crl(connection, name, sha256):
        raise TrustError(f"trust store {name!r} holds no CRL {sha256}: see `certbound trust crl list {name}`")
    record(connection, at=now, actor=actor, action="trust.crl_removed", target=name, detail={"id": sha256})


def listed(connection: Connection, name: str) -> tuple[StoredCRL, ...]:
    """List the CRLs of a store. Raises TrustError."""
    existing(connection, name)
    return stored_revocation.crls(connection, name)


def _stored(name: str, crl: CRL, url: str | None, now: int) -> StoredCRL:
    return StoredCRL(
        store=name,
        sha256=crl.sha256.hex(),
        issuer=crl.issuer.text,
        signer=min(crl.signers).hex(),  # one signature is by one key
        scope=_scope(crl),
        number=str(crl.number) if crl.number is not None else None,
        is_delta=crl.delta_base is not None,
        this_update=int(crl.this_update.timestamp()),
        next_update=int(crl.next_update.timestamp()),
        added=now,
        url=url,
    )


def _scope(crl: CRL) -> str:
    points = sorted(point if isinstance(point, str) else point.text for point in crl.distribution_point or ())
    text = " ".join([crl.scope, *points])
    if len(text) > _MAXIMUM_SCOPE:
        raise TrustError("the CRL's distribution points have too long names")
    return text


def _held(connection: Connection, new: StoredCRL) -> StoredCRL | None:
    return next((crl for crl in stored_revocation.crls(connection, new.store) if crl.sha256 == new.sha256), None)


def _replace(connection: Connection, new: StoredCRL, verified: ReadCRL) -> None:
    held = stored_revocation.crls(connection, new.store)
    _check(connection, new, verified.crl, held)
    if not stored_revocation.replace_crl(connection, new, verified.der):
        raise TrustError(f"a newer CRL of {new.issuer} is there: see `certbound trust crl list {new.store}`")
    _drop_deltas(connection, new, held)


def _check(connection: Connection, new: StoredCRL, crl: CRL, held: Sequence[StoredCRL]) -> None:
    if new.signer not in {issuer.spki_sha256.hex() for issuer in issuers(connection, new.store)}:
        raise TrustError(f"{new.issuer} is no CA of the trust store {new.store!r} any more")
    same = [old for old in held if (old.signer, old.scope) == (new.signer, new.scope)]
    replaced = [old for old in same if old.is_delta == new.is_delta]
    if not replaced and len(held) >= MAXIMUM_CRLS:
        raise TrustError(f"trust store {new.store!r} holds {MAXIMUM_CRLS} CRLs already: remove those of no more use")
    number = crl.number
    for old in replaced:
        if number is not None and old.number and number < int(old.number):
            raise TrustError(
                f"the CRL has the number {number} and is older than the one that is there, number {old.number}: "
                f"get the current one of {new.issuer}"
            )
    base = crl.delta_base
    if base is not None and not any(not old.is_delta and old.number and int(old.number) >= base for old in same):
        raise TrustError(
            f"the CRL is a delta to number {base}, and no complete one of that number or later is there: add that first"
        )


def _drop_deltas(connection: Connection, new: StoredCRL, held: Sequence[StoredCRL]) -> None:
    """Drop deltas that a complete CRL has made needless."""
    for old in held:
        is_same = (old.signer, old.scope) == (new.signer, new.scope)
        if is_same and old.is_delta and not new.is_delta and new.number and int(old.number or 0) <= int(new.number):
            stored_revocation.remove_crl(connection, new.store, old.sha256)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
