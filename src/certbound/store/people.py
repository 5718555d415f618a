"""Who may sign in: people with a password, some of them operators of the server."""

from dataclasses import dataclass, field

from sqlalchemy import bindparam, insert, select, update

from certbound.store.engine import Connection
from certbound.store.rows import columns, parameters
from certbound.store.schema import person as table


@dataclass(frozen=True, slots=True)
class Person:
    """A person. `sub` is what tokens call them and never changes hands; `created_at` is in epoch seconds."""

    username: str
    sub: str
    password_hash: str = field(repr=False)
    operator: bool = False
    disabled: bool = False
    created_at: int = 0


_COLUMNS = columns(table, Person)
_THIS = table.c.username == bindparam("name")
_INSERT = insert(table)
_LOAD = select(*_COLUMNS).where(_THIS)
_LOAD_BY_SUB = select(*_COLUMNS).where(table.c.sub == bindparam("subject"))
_PAGE = (
    select(*_COLUMNS)
    .where(table.c.username > bindparam("after"))
    .order_by(table.c.username)
    .limit(bindparam("page_size"))
)
_PASSWORD = update(table).where(_THIS).values(password_hash=bindparam("new_hash"))
_DISABLE = update(table).where(_THIS).values(disabled=bindparam("state"))


def add(connection: Connection, new: Person) -> None:
    """Add a person; StoreConflict if the username or `sub` is taken."""
    connection.execute(_INSERT, parameters(new))


def load(connection: Connection, username: str) -> Person | None:
    """Load a person by the exact username."""
    row = connection.execute(_LOAD, {"name": username}).one_or_none()
    return None if row is None else Person(*row)


def load_by_sub(connection: Connection, sub: str) -> Person | None:
    """Load a person by what tokens call them."""
    row = connection.execute(_LOAD_BY_SUB, {"subject": sub}).one_or_none()
    return None if row is None else Person(*row)


def page(connection: Connection, *, after: str = "", limit: int = 50) -> tuple[Person, ...]:
    """List people by username, those after `after`."""
    return tuple(Person(*row) for row in connection.execute(_PAGE, {"after": after, "page_size": limit}))


def set_password(connection: Connection, username: str, password_hash: str) -> bool:
    """Replace a password's hash; False if there is no such person."""
    return connection.execute(_PASSWORD, {"name": username, "new_hash": password_hash}).rowcount == 1


def set_disabled(connection: Connection, username: str, *, disabled: bool) -> bool:
    """Disable or enable a person; False if there is no such person."""
    return connection.execute(_DISABLE, {"name": username, "state": disabled}).rowcount == 1
