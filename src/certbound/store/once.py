"""Which identifiers are used up: each is good once, for whoever comes first, on every worker (RFC 7523, RFC 9449)."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import bindparam, delete, select, text, tuple_

from certbound.store.engine import Connection
from certbound.store.schema import used_identifier as table

# As text, since SQLAlchemy knows ON CONFLICT by dialect only.
_USE = text(
    "INSERT INTO used_identifier (kind, sha256, expires_at) VALUES (:kind, :sha256, :expires_at) ON CONFLICT DO NOTHING"
)
_EXPIRED = select(table.c.kind, table.c.sha256).where(table.c.expires_at <= bindparam("moment"))
_DELETE = delete(table).where(tuple_(table.c.kind, table.c.sha256).in_(_EXPIRED.limit(bindparam("batch"))))


def use(connection: Connection, kind: str, parts: Sequence[str], *, expires_at: int) -> bool:
    """Use up an identifier, made of `parts`, until it would be refused anyway; True for exactly one caller."""
    joined = b"".join(hashlib.sha256(part.encode()).digest() for part in parts)
    values = {"kind": kind, "sha256": hashlib.sha256(joined).digest(), "expires_at": expires_at}
    return connection.execute(_USE, values).rowcount == 1


def delete_expired(connection: Connection, now: int, *, limit: int) -> int:
    """Delete at most `limit` identifiers that are refused for their age by now; tell how many."""
    return connection.execute(_DELETE, {"moment": now, "batch": limit}).rowcount
