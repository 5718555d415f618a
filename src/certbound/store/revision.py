"""Has anything changed that workers keep in memory? One number that every administrative change raises."""

from sqlalchemy import bindparam, select, update

from certbound.store.engine import Connection
from certbound.store.schema import revision

_READ = select(revision.c.value).where(revision.c.id == 1)
_BUMP = update(revision).where(revision.c.id == 1).values(value=revision.c.value + bindparam("step"))


def read(connection: Connection) -> int:
    """Read the current revision. Read it before the data: then the data is at least as new."""
    return int(connection.execute(_READ).scalar_one())


def bump(connection: Connection) -> None:
    """Raise the revision and hold its row until the commit.

    As the first statement of a unit it makes administrative changes happen one after the other, on every worker.
    """
    connection.execute(_BUMP, {"step": 1})
