"""Which certificates did their issuers revoke: the CRLs of trust stores, and the URLs they are fetched from."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, delete, insert, or_, select

from certbound.store.engine import Connection
from certbound.store.rows import columns, parameters
from certbound.store.schema import trust_crl as crl
from certbound.store.schema import trust_crl_source as source


@dataclass(frozen=True, slots=True)
class StoredCRL:
    """A CRL of a trust store, without its content, which may be large (`load_der`).

    `sha256` is lower-case hex of the DER, `signer` that of the SPKI that signed it, `scope` says which of the issuer's
    certificates it speaks of, `number` is the CRL number (RFC 5280 section 5.2.3) in decimal, `url` where it was
    fetched from, None if it was given; times are epoch seconds.
    """

    store: str
    sha256: str
    issuer: str
    signer: str
    scope: str
    number: str | None
    is_delta: bool
    this_update: int
    next_update: int
    added: int
    url: str | None = None


@dataclass(frozen=True, slots=True)
class CRLSource:
    """A URL that a trust store's CRLs are fetched from."""

    store: str
    url: str


_COLUMNS = columns(crl, StoredCRL)
_THIS = and_(crl.c.store == bindparam("of_store"), crl.c.sha256 == bindparam("of_sha256"))
_ADD = insert(crl)
_REMOVE = delete(crl).where(_THIS)
_SAME_PLACE = and_(
    crl.c.store == bindparam("of_store"),
    crl.c.issuer == bindparam("of_issuer"),
    crl.c.signer == bindparam("of_signer"),
    crl.c.scope == bindparam("of_scope"),
    crl.c.is_delta == bindparam("of_delta"),
)
_NEWER = select(crl.c.sha256).where(_SAME_PLACE, crl.c.this_update > bindparam("moment")).limit(1)
_REPLACED = delete(crl).where(or_(_SAME_PLACE, _THIS))
_LIST = select(*_COLUMNS).order_by(crl.c.store, crl.c.issuer, crl.c.is_delta, crl.c.this_update, crl.c.sha256)
_OF_STORES = _LIST.where(crl.c.store.in_(bindparam("names", expanding=True)))
_DER = select(crl.c.der).where(_THIS)
_ADD_SOURCE = insert(source)
_REMOVE_SOURCE = delete(source).where(source.c.store == bindparam("of_store"), source.c.url == bindparam("of_url"))
_SOURCES = select(*columns(source, CRLSource)).order_by(source.c.store, source.c.url)
_SOURCES_OF = _SOURCES.where(source.c.store == bindparam("of_store"))


def add_crl(connection: Connection, new: StoredCRL, der: bytes) -> None:
    """Add a CRL beside those that are there; StoreConflict if the store holds it already or does not exist."""
    connection.execute(_ADD, parameters(new) | {"der": der})


def replace_crl(connection: Connection, new: StoredCRL, der: bytes) -> bool:
    """Put a CRL in the place of those of the same store, issuer, signer, scope and kind (delta or not).

    False, and nothing changed, if one of them is newer. StoreConflict if the store does not exist.
    """
    place = {
        "of_store": new.store,
        "of_issuer": new.issuer,
        "of_signer": new.signer,
        "of_scope": new.scope,
        "of_delta": new.is_delta,
    }
    if connection.execute(_NEWER, place | {"moment": new.this_update}).first() is not None:
        return False
    connection.execute(_REPLACED, place | {"of_sha256": new.sha256})
    add_crl(connection, new, der)
    return True


def remove_crl(connection: Connection, store: str, sha256: str) -> bool:
    """Remove a CRL; False if the store does not hold it."""
    return connection.execute(_REMOVE, {"of_store": store, "of_sha256": sha256}).rowcount == 1


def crls(connection: Connection, store: str | None = None) -> tuple[StoredCRL, ...]:
    """List the CRLs of a store, or of all, by store, issuer and age."""
    rows = connection.execute(_LIST) if store is None else connection.execute(_OF_STORES, {"names": [store]})
    return tuple(StoredCRL(*row) for row in rows)


def crls_of(connection: Connection, names: Collection[str]) -> dict[str, tuple[StoredCRL, ...]]:
    """List the CRLs of several stores in one statement; every name has an entry."""
    found: dict[str, tuple[StoredCRL, ...]] = dict.fromkeys(names, ())
    for row in connection.execute(_OF_STORES, {"names": sorted(names)}):
        held = StoredCRL(*row)
        found[held.store] += (held,)
    return found


def load_der(connection: Connection, store: str, sha256: str) -> bytes | None:
    """Load the content of a CRL; None if the store does not hold it."""
    return connection.execute(_DER, {"of_store": store, "of_sha256": sha256}).scalar_one_or_none()


def sources(connection: Connection, store: str | None = None) -> tuple[CRLSource, ...]:
    """List the URLs of a store, or of all, by store and URL."""
    rows = connection.execute(_SOURCES) if store is None else connection.execute(_SOURCES_OF, {"of_store": store})
    return tuple(CRLSource(*row) for row in rows)


def add_source(connection: Connection, new: CRLSource) -> None:
    """Add a URL; StoreConflict if the store has it already or does not exist."""
    connection.execute(_ADD_SOURCE, parameters(new))


def remove_source(connection: Connection, store: str, url: str) -> bool:
    """Remove a URL, not what was fetched from it; False if the store does not have it."""
    return connection.execute(_REMOVE_SOURCE, {"of_store": store, "of_url": url}).rowcount == 1
