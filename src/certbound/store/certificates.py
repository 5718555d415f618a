"""Which certificates are registered for a client, and when was each seen (RFC 8705 section 2.2)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import BigInteger, and_, bindparam, case, insert, or_, select, update

from certbound.store.engine import Connection
from certbound.store.rows import columns, parameters
from certbound.store.schema import client_certificate as table


@dataclass(frozen=True, slots=True)
class RegisteredCertificate:
    """A certificate registered for a client. `sha256` is lower-case hex of the DER; times are epoch seconds."""

    client_id: str
    sha256: str
    der: bytes = field(repr=False)
    subject: str
    not_after: int
    added: int
    first_seen: int | None = None
    last_seen: int | None = None
    retired: int | None = None


_KEY = and_(table.c.client_id == bindparam("of_client"), table.c.sha256 == bindparam("of_sha256"))
_INSERT = insert(table)
_LIST = (
    select(*columns(table, RegisteredCertificate))
    .where(table.c.client_id == bindparam("of_client"))
    .order_by(table.c.added, table.c.sha256)
)
_OWNERS = select(table.c.client_id).where(table.c.sha256 == bindparam("of_sha256")).order_by(table.c.client_id)
_RETIRE = update(table).where(_KEY, table.c.retired.is_(None)).values(retired=bindparam("moment"))
_FIRST, _LAST = bindparam("first", type_=BigInteger), bindparam("last", type_=BigInteger)
_EARLIER = or_(table.c.first_seen.is_(None), table.c.first_seen > _FIRST)
_LATER = or_(table.c.last_seen.is_(None), table.c.last_seen < _LAST)
_SEEN = (
    update(table)
    .where(_KEY, or_(_EARLIER, _LATER))
    .values(
        first_seen=case((_EARLIER, _FIRST), else_=table.c.first_seen),
        last_seen=case((_LATER, _LAST), else_=table.c.last_seen),
    )
)


def add(connection: Connection, certificate: RegisteredCertificate) -> None:
    """Register a certificate; StoreConflict if the client has it already (retired or not) or does not exist."""
    connection.execute(_INSERT, parameters(certificate))


def of_client(connection: Connection, client_id: str) -> tuple[RegisteredCertificate, ...]:
    """List a client's certificates, retired ones included, oldest registration first."""
    return tuple(RegisteredCertificate(*row) for row in connection.execute(_LIST, {"of_client": client_id}))


def owners(connection: Connection, sha256: str) -> tuple[str, ...]:
    """List the client_ids for which this certificate is registered, retired or not."""
    return tuple(connection.execute(_OWNERS, {"of_sha256": sha256}).scalars())


def retire(connection: Connection, client_id: str, sha256: str, at: int) -> bool:
    """Retire a certificate; False if the client has no such certificate in use."""
    found = connection.execute(_RETIRE, {"of_client": client_id, "of_sha256": sha256, "moment": at})
    return found.rowcount == 1


def mark_seen(connection: Connection, seen: Iterable[tuple[str, str, int, int]]) -> None:
    """Record uses in one batch: client_id, sha256, first and last time; a certificate not registered changes nothing.

    The earliest first and the latest last time that were ever recorded stay.
    """
    # Sorted, so that two workers that saw the same certificates lock their rows in the same order.
    batch = [
        {"of_client": client_id, "of_sha256": sha256, "first": first, "last": last}
        for client_id, sha256, first, last in sorted(seen)
    ]
    if batch:
        connection.execute(_SEEN, batch)
