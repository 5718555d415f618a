"""Which certificates are trust anchors, and which only complete chains: named trust stores."""

from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import Literal

from sqlalchemy import and_, bindparam, delete, func, insert, select, update

from certbound.certificates.policy import ExtendedKeyUsage
from certbound.certificates.revocation import OnUnavailable
from certbound.store.engine import Connection
from certbound.store.rows import columns, parameters
from certbound.store.schema import trust_certificate as certificate
from certbound.store.schema import trust_store as store

Kind = Literal["anchor", "intermediate"]


@dataclass(frozen=True, slots=True)
class TrustStore:
    """A named trust store, how many certificates it holds, disabled ones included, and its policy.

    `grace_seconds` and `bundle_refresh` are seconds.
    """

    name: str
    created_at: int
    anchors: int
    intermediates: int
    revocation: str = "off"
    on_unavailable: OnUnavailable = "refuse"
    grace_seconds: int = 0
    extended_key_usage: ExtendedKeyUsage = "optional"
    trust_domain: str | None = None
    bundle_url: str | None = None
    bundle_refresh: int | None = None
    ocsp_url: str | None = None
    bundle_sequence: int | None = None


@dataclass(frozen=True, slots=True)
class TrustCertificate:
    """A certificate of a trust store. `id` is the lower-case hex SHA-256 of the DER; times are epoch seconds."""

    store: str
    id: str
    kind: Kind
    alias: str | None
    der: bytes = field(repr=False)
    subject: str
    not_after: int
    added: int
    disabled: bool = False


_COLUMNS = columns(certificate, TrustCertificate)
_THIS = and_(certificate.c.store == bindparam("of_store"), certificate.c.id == bindparam("of_id"))
_CREATE = insert(store)
_DELETE = delete(store).where(store.c.name == bindparam("of_store"))
_POLICY = [store.c[member.name] for member in fields(TrustStore)[4:]]  # what follows the numbers of certificates
_STORES = (
    select(
        store.c.name,
        store.c.created_at,
        func.count(certificate.c.id).filter(certificate.c.kind == "anchor"),
        func.count(certificate.c.id).filter(certificate.c.kind == "intermediate"),
        *_POLICY,
    )
    .select_from(store.outerjoin(certificate))
    .group_by(*store.c)
    .order_by(store.c.name)
)
_POLICIES = _STORES.where(store.c.name.in_(bindparam("names", expanding=True)))
_SET_POLICY = (
    update(store)
    .where(store.c.name == bindparam("of_store"))
    .values({column.name: bindparam(f"new_{column.name}") for column in _POLICY})
)
_ADD = insert(certificate)
_REMOVE = delete(certificate).where(_THIS)
_DISABLE = update(certificate).where(_THIS).values(disabled=bindparam("state"))
_LIST = (
    select(*_COLUMNS)
    .where(certificate.c.store == bindparam("of_store"))
    .order_by(certificate.c.added, certificate.c.id)
)
_ENABLED = (
    select(store.c.name, *_COLUMNS)
    .select_from(
        store.outerjoin(certificate, and_(certificate.c.store == store.c.name, certificate.c.disabled.is_(False)))
    )
    .where(store.c.name.in_(bindparam("names", expanding=True)))
    .order_by(store.c.name, certificate.c.added, certificate.c.id)
)
_DISABLED = (
    select(certificate.c.store, certificate.c.der)
    .where(certificate.c.store.in_(bindparam("names", expanding=True)), certificate.c.disabled.is_(True))
    .order_by(certificate.c.store, certificate.c.added, certificate.c.id)
)


def create_store(connection: Connection, name: str, created_at: int) -> None:
    """Create an empty trust store; StoreConflict if the name is taken."""
    connection.execute(_CREATE, {"name": name, "created_at": created_at})


def delete_store(connection: Connection, name: str) -> bool:
    """Delete a trust store and what it holds; False if there is none, StoreConflict while a client relies on it."""
    return connection.execute(_DELETE, {"of_store": name}).rowcount == 1


def stores(connection: Connection) -> tuple[TrustStore, ...]:
    """List the trust stores by name."""
    return tuple(TrustStore(*row) for row in connection.execute(_STORES))


def policies(connection: Connection, names: Collection[str]) -> dict[str, TrustStore]:
    """Give several trust stores by name; one that does not exist has no entry."""
    rows = connection.execute(_POLICIES, {"names": sorted(names)})
    return {row[0]: TrustStore(*row) for row in rows}


def set_policy(connection: Connection, changed: TrustStore) -> bool:
    """Put this policy in the place of the store's own; False if there is no such store."""
    values = {f"new_{column.name}": getattr(changed, column.name) for column in _POLICY}
    return connection.execute(_SET_POLICY, values | {"of_store": changed.name}).rowcount == 1


def add(connection: Connection, new: TrustCertificate) -> None:
    """Add a certificate; StoreConflict if the store holds it already (as whichever kind) or does not exist."""
    connection.execute(_ADD, parameters(new))


def remove(connection: Connection, name: str, certificate_id: str) -> bool:
    """Remove a certificate; False if the store does not hold it."""
    return connection.execute(_REMOVE, {"of_store": name, "of_id": certificate_id}).rowcount == 1


def set_disabled(connection: Connection, name: str, certificate_id: str, *, disabled: bool) -> bool:
    """Disable or enable a certificate; False if the store does not hold it."""
    found = connection.execute(_DISABLE, {"of_store": name, "of_id": certificate_id, "state": disabled})
    return found.rowcount == 1


def certificates(connection: Connection, name: str) -> tuple[TrustCertificate, ...]:
    """List what a store holds, disabled ones included, oldest first."""
    return tuple(TrustCertificate(*row) for row in connection.execute(_LIST, {"of_store": name}))


def load_enabled(connection: Connection, names: Collection[str]) -> dict[str, tuple[TrustCertificate, ...]]:
    """Load the enabled certificates of several stores in one statement.

    A store that does not exist has no entry, one without enabled certificates an empty one.
    """
    found: dict[str, tuple[TrustCertificate, ...]] = {}
    for name, *values in connection.execute(_ENABLED, {"names": sorted(names)}):
        held = () if values[0] is None else (TrustCertificate(*values),)
        found[name] = found.get(name, ()) + held
    return found


def load_disabled(connection: Connection, names: Collection[str]) -> dict[str, tuple[bytes, ...]]:
    """Give the disabled certificates of several stores, in DER; a store without any has no entry."""
    found: dict[str, tuple[bytes, ...]] = {}
    for name, der in connection.execute(_DISABLED, {"names": sorted(names)}):
        found[name] = (*found.get(name, ()), der)
    return found
