"""Which certificates and keys are blocked, for every client and method."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import bindparam, insert, select, update

from certbound.store.engine import Connection
from certbound.store.rows import columns, parameters
from certbound.store.schema import block as table

BlockKind = Literal["certificate", "public_key"]


@dataclass(frozen=True, slots=True)
class Block:
    """A block, in force until it is lifted; rows stay. Times are epoch seconds.

    `sha256` is the lower-case hex digest of the certificate's DER or of the key's SubjectPublicKeyInfo, as `kind` says.
    """

    id: str
    kind: BlockKind
    sha256: str
    reason: str
    actor: str
    created_at: int
    lifted_at: int | None = None
    lifted_by: str | None = None


_COLUMNS = columns(table, Block)
_THIS = table.c.id == bindparam("of_id")
_IN_FORCE = table.c.lifted_at.is_(None)
_ADD = insert(table)
_LOAD = select(*_COLUMNS).where(_THIS)
_ALL = select(*_COLUMNS).order_by(table.c.created_at.desc(), table.c.id).limit(bindparam("page_size"))
_ALL_IN_FORCE = select(*_COLUMNS).where(_IN_FORCE).order_by(table.c.created_at, table.c.id)
_FIND = select(*_COLUMNS).where(
    _IN_FORCE, table.c.kind == bindparam("of_kind"), table.c.sha256 == bindparam("of_sha256")
)
_LIFT = update(table).where(_THIS, _IN_FORCE).values(lifted_at=bindparam("moment"), lifted_by=bindparam("by"))


def add(connection: Connection, new: Block) -> None:
    """Add a block; StoreConflict if the id is taken or a block of the same kind and digest is in force."""
    connection.execute(_ADD, parameters(new))


def load(connection: Connection, block_id: str) -> Block | None:
    """Load a block by its id, lifted or not."""
    row = connection.execute(_LOAD, {"of_id": block_id}).one_or_none()
    return None if row is None else Block(*row)


def all_blocks(connection: Connection, *, limit: int = 1000) -> tuple[Block, ...]:
    """List blocks, lifted ones included, the newest first."""
    return tuple(Block(*row) for row in connection.execute(_ALL, {"page_size": limit}))


def in_force(connection: Connection) -> tuple[Block, ...]:
    """List every block that is in force, the oldest first."""
    return tuple(Block(*row) for row in connection.execute(_ALL_IN_FORCE))


def find_in_force(connection: Connection, kind: BlockKind, sha256: str) -> Block | None:
    """Find the block of this certificate or key that is in force."""
    row = connection.execute(_FIND, {"of_kind": kind, "of_sha256": sha256}).one_or_none()
    return None if row is None else Block(*row)


def lift(connection: Connection, block_id: str, at: int, by: str) -> bool:
    """Lift a block; False if there is no such block in force."""
    return connection.execute(_LIFT, {"of_id": block_id, "moment": at, "by": by}).rowcount == 1
