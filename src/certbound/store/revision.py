"""Has anything changed that workers keep in memory? Two numbers, of what is registered and of what was revoked."""

from sqlalchemy import bindparam, select, update

from certbound.store.engine import Connection
from certbound.store.schema import revision

_REGISTERED, _REVOKED = 1, 2
_READ = select(revision.c.value).where(revision.c.id == _REGISTERED)
_READ_BOTH = select(revision.c.value).order_by(revision.c.id)
_BUMP = update(revision).where(revision.c.id == bindparam("which")).values(value=revision.c.value + bindparam("step"))


def read(connection: Connection) -> int:
    """Read the current revision. Read it before the data: then the data is at least as new."""
    return int(connection.execute(_READ).scalar_one())


def read_both(connection: Connection) -> tuple[int, int]:
    """Read the current revision, and the number that revoking access tokens raises."""
    registered, revoked = connection.execute(_READ_BOTH).scalars()
    return int(registered), int(revoked)


def bump(connection: Connection) -> None:
    """Raise the revision and hold its row until the commit.

    As the first statement of a unit it makes administrative changes happen one after the other, on every worker.
    """
    connection.execute(_BUMP, {"which": _REGISTERED, "step": 1})


def bump_revoked(connection: Connection) -> None:
    """Raise the number of what was revoked; late in a unit, since its row is held until the commit."""
    connection.execute(_BUMP, {"which": _REVOKED, "step": 1})
