"""Which keys sign, or once signed: the private part sealed by the caller, the public part as a JWK (RFC 7517)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from certbound.store.engine import Connection
from certbound.store.rows import columns, parameters
from certbound.store.schema import signing_key as table


@dataclass(frozen=True, slots=True)
class StoredSigningKey:
    """A signing key. Rows are never deleted, so that a `kid` is never used again; times are epoch seconds.

    It is published from `created_at` on, by which keys are ordered, and signs from `signs_from` on.
    """

    kid: str
    algorithm: str
    public_jwk: Mapping[str, Any]
    sealed_private: bytes = field(repr=False)
    created_at: int
    signs_from: int
    retired_at: int | None = None


_INSERT = insert(table)
_ALL = select(*columns(table, StoredSigningKey)).order_by(table.c.created_at, table.c.kid)
_RETIRE = (
    update(table)
    .where(table.c.kid == bindparam("of_kid"), table.c.retired_at.is_(None))
    .values(retired_at=bindparam("moment"))
)


def add(connection: Connection, key: StoredSigningKey) -> None:
    """Add a key; StoreConflict if its `kid` was ever used."""
    connection.execute(_INSERT, parameters(key))


def load_all(connection: Connection) -> tuple[StoredSigningKey, ...]:
    """Load every key, retired ones included, oldest first."""
    return tuple(StoredSigningKey(*row) for row in connection.execute(_ALL))


def retire(connection: Connection, kid: str, at: int) -> bool:
    """Retire a key; False if there is no such key in use."""
    return connection.execute(_RETIRE, {"of_kid": kid, "moment": at}).rowcount == 1
