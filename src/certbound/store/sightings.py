"""Which certificates do clients really use, and since when: learned from their handshakes, PKI clients included."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Integer, and_, bindparam, delete, exists, func, or_, select, text, tuple_, update

from certbound.store import certificates
from certbound.store.engine import Connection
from certbound.store.rows import columns, parameters
from certbound.store.schema import client
from certbound.store.schema import client_certificate as registered
from certbound.store.schema import sighting as table


@dataclass(frozen=True, slots=True)
class Sighting:
    """A certificate that a client authenticated with. Digests are lower-case hex; times are epoch seconds.

    `warned` is for whoever warns that it runs out; a sighting that is recorded again leaves it as it is.
    """

    client_id: str
    sha256: str
    subject: str
    spki_sha256: str
    not_before: int
    not_after: int
    first_seen: int
    last_seen: int
    warned: int | None = None


_COLUMNS = columns(table, Sighting)
_KEY = and_(table.c.client_id == bindparam("of_client"), table.c.sha256 == bindparam("of_sha256"))
# Held until the commit, so that none of them is deleted between this look and the rows that refer to it.
_CLIENTS = (
    select(client.c.client_id)
    .where(client.c.client_id.in_(bindparam("client_ids", expanding=True)))
    .order_by(client.c.client_id)
    .with_for_update(read=True, key_share=True)
)
# As text, since SQLAlchemy knows ON CONFLICT by dialect only. LEAST and MIN have no name that both engines know.
_RECORD = text(
    f"INSERT INTO sighting ({', '.join(table.c.keys())})"  # noqa: S608 - names of columns
    f" VALUES (:{', :'.join(table.c.keys())}) ON CONFLICT (client_id, sha256) DO UPDATE SET"
    " first_seen = CASE WHEN excluded.first_seen < sighting.first_seen"
    " THEN excluded.first_seen ELSE sighting.first_seen END,"
    " last_seen = CASE WHEN excluded.last_seen > sighting.last_seen"
    " THEN excluded.last_seen ELSE sighting.last_seen END"
    " WHERE excluded.first_seen < sighting.first_seen OR excluded.last_seen > sighting.last_seen"
)
_OF_CLIENT = (
    select(*_COLUMNS)
    .where(table.c.client_id == bindparam("of_client"))
    .order_by(table.c.last_seen.desc(), table.c.first_seen.desc(), table.c.sha256)
    .limit(bindparam("page_size"))
)
_RETIRED = exists().where(
    registered.c.client_id == table.c.client_id,
    registered.c.sha256 == table.c.sha256,
    registered.c.retired.is_not(None),
)
_RANKED = (
    select(
        *_COLUMNS,
        func.row_number()
        .over(
            partition_by=table.c.client_id,
            order_by=(table.c.last_seen.desc(), table.c.first_seen.desc(), table.c.sha256),
        )
        .label("age"),
    )
    .where(table.c.client_id.in_(bindparam("client_ids", expanding=True)), ~_RETIRED)
    .subquery()
)
_LATEST = select(*(_RANKED.c[column.name] for column in _COLUMNS)).where(_RANKED.c.age == 1)
_OTHER = table.alias("other")
_NEWEST_FIRST_SEEN = (
    select(func.max(_OTHER.c.first_seen)).where(_OTHER.c.client_id == table.c.client_id).scalar_subquery()
)
_LIFETIME = table.c.not_after - table.c.not_before
_RUNS_OUT = and_(
    table.c.not_after > bindparam("after"),
    table.c.not_after <= bindparam("before"),
    or_(bindparam("short_lived") < _LIFETIME, 3 * (table.c.not_after - bindparam("after")) <= _LIFETIME),
    or_(table.c.warned.is_(None), table.c.warned > bindparam("step", type_=Integer)),
    table.c.last_seen >= _NEWEST_FIRST_SEEN,
    ~_RETIRED,
    exists().where(client.c.client_id == table.c.client_id, client.c.disabled.is_(False)),
)
_EXPIRING = (
    select(*_COLUMNS)
    .where(_RUNS_OUT)
    .order_by(table.c.not_after, table.c.client_id, table.c.sha256)
    .limit(bindparam("page_size"))
)
_COUNT_EXPIRING = select(func.count()).select_from(table).where(_RUNS_OUT)
_WARNED = update(table).where(_KEY).values(warned=bindparam("step"))
_OLD = (
    select(table.c.client_id, table.c.sha256).where(table.c.last_seen < bindparam("moment")).limit(bindparam("batch"))
)
_DELETE = delete(table).where(tuple_(table.c.client_id, table.c.sha256).in_(_OLD))


def record_seen(connection: Connection, sightings: Collection[Sighting]) -> None:
    """Record uses in one batch, in the registered certificates too; those of a client that is gone are passed over.

    `first_seen` goes to the earliest and `last_seen` to the latest that was ever recorded.
    """
    if not sightings:
        return
    there = set(connection.execute(_CLIENTS, {"client_ids": sorted({one.client_id for one in sightings})}).scalars())
    # Sorted, so that two workers that saw the same certificates lock their rows in the same order.
    batch = sorted((one for one in sightings if one.client_id in there), key=lambda one: (one.client_id, one.sha256))
    if batch:
        connection.execute(_RECORD, [parameters(one) for one in batch])
        certificates.mark_seen(connection, ((s.client_id, s.sha256, s.first_seen, s.last_seen) for s in batch))


def of_client(connection: Connection, client_id: str, *, limit: int = 100) -> tuple[Sighting, ...]:
    """List the certificates that a client used, the one it used last first."""
    return tuple(Sighting(*row) for row in connection.execute(_OF_CLIENT, {"of_client": client_id, "page_size": limit}))


def latest_by_client(connection: Connection, client_ids: Collection[str]) -> dict[str, Sighting]:
    """Give the certificate that each client used last, retired ones aside; one that was never seen has no entry."""
    rows = connection.execute(_LATEST, {"client_ids": sorted(client_ids)})
    return {row.client_id: Sighting(*row) for row in rows}


def expiring(
    connection: Connection, before: int, after: int, *, short_lived: int = 0, step: int = 0, limit: int = 10_000
) -> tuple[Sighting, ...]:
    """List certificates that run out later than `after` and not later than `before`, the first to run out first.

    One that its client has left behind is not among them: another was seen for the first time after its last use, or
    it was retired; nor is one of a disabled client. One that lives at most `short_lived` seconds is there in the last
    third of its life only. Those that were warned of by this `step` or a smaller one are left out.
    """
    asked = {"before": before, "after": after, "short_lived": short_lived, "step": step, "page_size": limit}
    return tuple(Sighting(*row) for row in connection.execute(_EXPIRING, asked))


def count_expiring(connection: Connection, before: int, after: int, *, short_lived: int) -> int:
    """Count what `expiring` lists, warned of or not."""
    asked = {"before": before, "after": after, "short_lived": short_lived, "step": 0}
    return int(connection.execute(_COUNT_EXPIRING, asked).scalar_one())


def set_warned(connection: Connection, client_id: str, sha256: str, warned: int | None) -> bool:
    """Note what was warned of; False if there is no such sighting."""
    found = connection.execute(_WARNED, {"of_client": client_id, "of_sha256": sha256, "step": warned})
    return found.rowcount == 1


def delete_before(connection: Connection, moment: int, limit: int) -> int:
    """Delete at most `limit` certificates last seen before this time; tell how many."""
    return connection.execute(_DELETE, {"moment": moment, "batch": limit}).rowcount
