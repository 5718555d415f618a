"""What was done, by whom: rows in one unbroken sequence, whose hashes the caller chains."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, insert, select, update

from certbound.store.engine import Connection
from certbound.store.rows import columns, parameters
from certbound.store.schema import audit, audit_head


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row of the trail. `detail` is JSON text, `previous` the hash of the row before; `at` is in epoch seconds."""

    sequence: int
    at: int
    actor: str
    action: str
    target: str
    detail: str
    previous: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The last row's sequence and hash; 0 and 32 zero bytes before the first."""

    sequence: int
    hash: bytes


_HEAD = select(audit_head.c.sequence, audit_head.c.hash).where(audit_head.c.id == 1)
_LOCKED_HEAD = _HEAD.with_for_update()
_INSERT = insert(audit)
_ADVANCE = (
    update(audit_head)
    .where(audit_head.c.id == 1)
    .values(sequence=bindparam("new_sequence"), hash=bindparam("new_hash"))
)
_PAGE = (
    select(*columns(audit, AuditRow))
    .where(audit.c.sequence > bindparam("after"))
    .order_by(audit.c.sequence)
    .limit(bindparam("page_size"))
)


def head(connection: Connection) -> AuditHead:
    """Read the head of the trail."""
    return AuditHead(*connection.execute(_HEAD).one())


def locked_head(connection: Connection) -> AuditHead:
    """Read the head and hold it until the commit: no other worker or machine appends meanwhile.

    Take it last in a unit, after every other lock, and append at once: all writers meet here.
    """
    return AuditHead(*connection.execute(_LOCKED_HEAD).one())


def append(connection: Connection, rows: Sequence[AuditRow]) -> None:
    """Append rows that follow the locked head and advance it to the last of them."""
    if rows:
        connection.execute(_INSERT, [parameters(row) for row in rows])
        connection.execute(_ADVANCE, {"new_sequence": rows[-1].sequence, "new_hash": rows[-1].hash})


def page(connection: Connection, *, after: int = 0, limit: int = 100) -> tuple[AuditRow, ...]:
    """List rows in sequence, those after sequence `after`."""
    return tuple(AuditRow(*row) for row in connection.execute(_PAGE, {"after": after, "page_size": limit}))
