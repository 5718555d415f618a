"""Who may sign in: people with a password, some of them operators of the server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, insert, or_, select, update

from certbound.store.engine import Connection
from certbound.store.rows import columns, parameters
from certbound.store.schema import person as table


@dataclass(frozen=True, slots=True)
class Person:
    """A person. `sub` is what tokens call them and never changes hands; times are epoch seconds.

    `attributes` are claims about them (OpenID Connect Core section 5.1). `sealed_totp` is the secret of their second
    factor, if they have one, and `totp_step` the last step of it that was used; `failures` counts wrong attempts in a
    row, after which nobody gets in before `locked_until`.
    """

    username: str
    sub: str
    password_hash: str = field(repr=False)
    operator: bool = False
    disabled: bool = False
    created_at: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    sealed_totp: bytes | None = field(default=None, repr=False)
    totp_step: int | None = None
    failures: int = 0
    locked_until: int | None = None


_COLUMNS = columns(table, Person)
_THIS = table.c.username == bindparam("name")
_INSERT = insert(table)
_LOAD = select(*_COLUMNS).where(_THIS)
_LOCK = _LOAD.with_for_update()
_LOAD_BY_SUB = select(*_COLUMNS).where(table.c.sub == bindparam("subject"))
_PAGE = (
    select(*_COLUMNS)
    .where(table.c.username > bindparam("after"))
    .order_by(table.c.username)
    .limit(bindparam("page_size"))
)
_PASSWORD = update(table).where(_THIS).values(password_hash=bindparam("new_hash"))
_ATTRIBUTES = update(table).where(_THIS).values(attributes=bindparam("new_attributes"))
_TOTP = update(table).where(_THIS).values(sealed_totp=bindparam("new_secret"), totp_step=None)
_USE_STEP = (
    update(table)
    .where(_THIS, or_(table.c.totp_step.is_(None), table.c.totp_step < bindparam("step")))
    .values(totp_step=bindparam("step"))
)
_ATTEMPTS = update(table).where(_THIS).values(failures=bindparam("count"), locked_until=bindparam("until"))
_DISABLE = update(table).where(_THIS).values(disabled=bindparam("state"))


def add(connection: Connection, new: Person) -> None:
    """Add a person; StoreConflict if the username or `sub` is taken."""
    connection.execute(_INSERT, parameters(new))


def load(connection: Connection, username: str) -> Person | None:
    """Load a person by the exact username."""
    row = connection.execute(_LOAD, {"name": username}).one_or_none()
    return None if row is None else Person(*row)


def lock(connection: Connection, username: str) -> Person | None:
    """Load a person and hold the row until the commit, so that attempts are counted one after the other."""
    row = connection.execute(_LOCK, {"name": username}).one_or_none()
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


def set_attributes(connection: Connection, username: str, attributes: Mapping[str, Any]) -> bool:
    """Replace the claims about a person; False if there is no such person."""
    return connection.execute(_ATTRIBUTES, {"name": username, "new_attributes": dict(attributes)}).rowcount == 1


def set_totp(connection: Connection, username: str, sealed: bytes | None) -> bool:
    """Set or remove a person's second factor; False if there is no such person."""
    return connection.execute(_TOTP, {"name": username, "new_secret": sealed}).rowcount == 1


def use_totp_step(connection: Connection, username: str, step: int) -> bool:
    """Use up a step of the second factor and all before it; True for exactly one caller (RFC 6238 section 5.2)."""
    return connection.execute(_USE_STEP, {"name": username, "step": step}).rowcount == 1


def record_attempts(connection: Connection, username: str, *, failures: int, locked_until: int | None) -> None:
    """Record how many attempts in a row were wrong, and until when nobody gets in."""
    connection.execute(_ATTEMPTS, {"name": username, "count": failures, "until": locked_until})
