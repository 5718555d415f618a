"""Which tokens allow registering: a new client, a number of times, or the one client that has it (RFC 7591, 7592)."""

from dataclasses import dataclass, field

from sqlalchemy import bindparam, delete, insert, or_, select, update

from certbound.store import rows
from certbound.store.engine import Connection
from certbound.store.rows import columns, parameters
from certbound.store.schema import registration_token as table


@dataclass(frozen=True, slots=True)
class RegistrationToken:
    """A token, known by its digest only. Times are epoch seconds.

    An initial access token has no `client_id`, and `uses_left`; that of a client has the software `statement` it was
    registered with, if there was one, and which `software` that is. `scopes` and `trust` are the most that can be
    registered by it.
    """

    token_sha256: bytes = field(repr=False)
    id: str
    created_at: int
    client_id: str | None = None
    scopes: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    uses_left: int | None = None
    statement: str | None = None
    software: str | None = None
    expires_at: int | None = None


_COLUMNS = columns(table, RegistrationToken)
_INITIAL = table.c.client_id.is_(None)
_LIVES = or_(table.c.expires_at.is_(None), table.c.expires_at > bindparam("moment"))
_INSERT = insert(table)
_LOAD = select(*_COLUMNS).where(table.c.token_sha256 == bindparam("digest"), _LIVES)
_USE = (
    update(table)
    .where(table.c.token_sha256 == bindparam("digest"), _INITIAL, table.c.uses_left > 0, _LIVES)
    .values(uses_left=table.c.uses_left - 1)
)
_STATE = (
    update(table)
    .where(table.c.token_sha256 == bindparam("digest"))
    .values(statement=bindparam("new_statement"), software=bindparam("new_software"))
)
_OF_SOFTWARE = select(table.c.id).where(
    table.c.software == bindparam("of_software"), table.c.token_sha256 != bindparam("digest")
)
_LIST = select(*_COLUMNS).where(_INITIAL).order_by(table.c.created_at, table.c.id)
_REMOVE = delete(table).where(table.c.id == bindparam("of_id"), _INITIAL)
_DELETE = rows.delete_expired(table)


def add(connection: Connection, new: RegistrationToken) -> None:
    """Record a token; StoreConflict if its client does not exist."""
    connection.execute(_INSERT, parameters(new))


def load(connection: Connection, token_sha256: bytes, now: int) -> RegistrationToken | None:
    """Load a token that has not run out by now, used up or not."""
    row = connection.execute(_LOAD, {"digest": token_sha256, "moment": now}).one_or_none()
    return None if row is None else RegistrationToken(*row)


def use(connection: Connection, token_sha256: bytes, now: int) -> bool:
    """Use an initial access token once; False where it is used up, has run out, or is none."""
    return connection.execute(_USE, {"digest": token_sha256, "moment": now}).rowcount == 1


def keep_statement(connection: Connection, token_sha256: bytes, statement: str | None, software: str | None) -> None:
    """Put the statement that a client's registration now rests on in the place of the old one."""
    connection.execute(_STATE, {"digest": token_sha256, "new_statement": statement, "new_software": software})


def others_have_software(connection: Connection, token_sha256: bytes, software: str) -> bool:
    """Say whether a client registered itself as this software, but for the one that has this token."""
    return connection.execute(_OF_SOFTWARE, {"of_software": software, "digest": token_sha256}).first() is not None


def initial(connection: Connection) -> tuple[RegistrationToken, ...]:
    """List the initial access tokens, the oldest first."""
    return tuple(RegistrationToken(*row) for row in connection.execute(_LIST))


def remove_initial(connection: Connection, token_id: str) -> bool:
    """Delete an initial access token; False if there is no such one."""
    return connection.execute(_REMOVE, {"of_id": token_id}).rowcount == 1


def delete_expired(connection: Connection, now: int, *, limit: int) -> int:
    """Delete at most `limit` tokens that have run out; tell how many."""
    return connection.execute(_DELETE, {"moment": now, "batch": limit}).rowcount
