"""Why was somebody refused: each refusal under the short reference that its client was told."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, select, text

from certbound.store.engine import Connection
from certbound.store.rows import columns, parameters
from certbound.store.schema import refusal as table


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused authentication: `certificate` holds public facts, `checks` the trace; `at` is in epoch seconds.

    `client_id` is what the sender wrote. The texts must be such as PostgreSQL keeps: without NUL or lone surrogates.
    """

    reference: str
    at: int
    client_id: str
    address: str | None
    error: str
    certificate: Mapping[str, Any] | None
    checks: Sequence[Mapping[str, Any]]


# As text, since SQLAlchemy knows ON CONFLICT by dialect only.
_ADD = text(
    f"INSERT INTO refusal ({', '.join(table.c.keys())})"  # noqa: S608 - names of columns
    f" VALUES (:{', :'.join(table.c.keys())}) ON CONFLICT DO NOTHING"
).bindparams(
    bindparam("certificate", type_=table.c.certificate.type),
    bindparam("checks", type_=table.c.checks.type),
)
_COLUMNS = columns(table, Refusal)
_LOAD = select(*_COLUMNS).where(table.c.reference == bindparam("of_reference"))
_NEWEST = select(*_COLUMNS).order_by(table.c.at.desc(), table.c.reference.desc()).limit(bindparam("page_size"))
_NEWEST_OF = _NEWEST.where(table.c.client_id == bindparam("of_client"))
_OLD = (
    select(table.c.reference)
    .where(table.c.at < bindparam("moment"))
    .order_by(table.c.at, table.c.reference)
    .limit(bindparam("batch"))
)
_BEYOND = (
    select(table.c.reference)
    .order_by(table.c.at.desc(), table.c.reference.desc())
    .offset(bindparam("kept"))
    .limit(bindparam("batch"))
)
_DELETE_OLD = delete(table).where(table.c.reference.in_(_OLD))
_DELETE_BEYOND = delete(table).where(table.c.reference.in_(_BEYOND))


def add_refusals(connection: Connection, refusals: Collection[Refusal]) -> None:
    """Record a batch; one whose reference is there already is passed over, so that a batch may be given again."""
    if refusals:
        connection.execute(_ADD, [parameters(one) for one in refusals])


def load(connection: Connection, reference: str) -> Refusal | None:
    """Load a refusal by its exact reference."""
    row = connection.execute(_LOAD, {"of_reference": reference}).one_or_none()
    return None if row is None else Refusal(*row)


def newest(connection: Connection, *, client_id: str | None = None, limit: int) -> tuple[Refusal, ...]:
    """List refusals, the newest first: everybody's, or those of one client_id."""
    if client_id is None:
        rows = connection.execute(_NEWEST, {"page_size": limit})
    else:
        rows = connection.execute(_NEWEST_OF, {"of_client": client_id, "page_size": limit})
    return tuple(Refusal(*row) for row in rows)


def delete_beyond(connection: Connection, *, rows: int, before: int, limit: int) -> int:
    """Delete at most `limit` refusals older than `before` or beyond the newest `rows`; tell how many."""
    deleted = connection.execute(_DELETE_OLD, {"moment": before, "batch": limit}).rowcount
    if deleted < limit:
        deleted += connection.execute(_DELETE_BEYOND, {"kept": rows, "batch": limit - deleted}).rowcount
    return deleted
