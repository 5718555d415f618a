"""Who performs the background duties, and how they went: leases, held by one process at a time, and last runs."""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select, text

from certbound.store.engine import Connection
from certbound.store.rows import columns, parameters
from certbound.store.schema import duty, lease


@dataclass(frozen=True, slots=True)
class Duty:
    """How a duty went last: `failure` says why in one line, None if it succeeded; times are epoch seconds."""

    name: str
    last_run: int
    last_success: int | None
    failure: str | None
    next_run: int


@dataclass(frozen=True, slots=True)
class Lease:
    """Who performs something until when, in epoch seconds."""

    holder: str
    expires_at: int

    def is_free(self, now: int, seconds: int) -> bool:
        """Whether anybody may take it for `seconds`: it has ended, or it was taken by a clock that went wrong."""
        return not now < self.expires_at <= now + _MAXIMUM_SKEW * seconds


#: A lease that ends later than this many times its length from now was written by a clock that was far ahead.
_MAXIMUM_SKEW = 3
# As text, since SQLAlchemy knows ON CONFLICT by dialect only.
_TAKE = text(
    "INSERT INTO lease (name, holder, expires_at) VALUES (:name, :holder, :expires_at)"
    " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at"
    " WHERE lease.holder = excluded.holder OR lease.expires_at <= :now OR lease.expires_at > :latest"
)
_LEASE = select(*columns(lease, Lease)).where(lease.c.name == bindparam("of_name"))
_RELEASE = delete(lease).where(lease.c.name == bindparam("of_name"), lease.c.holder == bindparam("of_holder"))
_RECORD = text(
    f"INSERT INTO duty ({', '.join(duty.c.keys())})"  # noqa: S608 - names of columns
    f" VALUES (:{', :'.join(duty.c.keys())}) ON CONFLICT (name) DO UPDATE SET"
    " last_run = excluded.last_run, last_success = COALESCE(excluded.last_success, duty.last_success),"
    " failure = excluded.failure, next_run = excluded.next_run"
)
_REMOVE = delete(duty).where(duty.c.name == bindparam("of_name"))
_DUTIES = select(*columns(duty, Duty)).order_by(duty.c.name)


def take_lease(connection: Connection, name: str, holder: str, now: int, seconds: int) -> bool:
    """Take or renew a lease until `now` + `seconds`; False while somebody else holds it (`Lease.is_free`)."""
    latest = now + _MAXIMUM_SKEW * seconds
    values = {"name": name, "holder": holder, "expires_at": now + seconds, "now": now, "latest": latest}
    return connection.execute(_TAKE, values).rowcount == 1


def read_lease(connection: Connection, name: str) -> Lease | None:
    """Give a lease, run out or not; None if nobody ever took it or it was given up."""
    row = connection.execute(_LEASE, {"of_name": name}).one_or_none()
    return None if row is None else Lease(*row)


def release_lease(connection: Connection, name: str, holder: str) -> bool:
    """Give up a lease before its time; False if this holder does not have it."""
    return connection.execute(_RELEASE, {"of_name": name, "of_holder": holder}).rowcount == 1


def record_duty(connection: Connection, run: Duty) -> None:
    """Record a duty's run in the place of the one before; without a `last_success` the earlier one stays."""
    connection.execute(_RECORD, parameters(run))


def remove_duty(connection: Connection, name: str) -> None:
    """Forget a duty that there is no more."""
    connection.execute(_REMOVE, {"of_name": name})


def duties(connection: Connection) -> tuple[Duty, ...]:
    """List the duties by name."""
    return tuple(Duty(*row) for row in connection.execute(_DUTIES))
