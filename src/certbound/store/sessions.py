"""Who is signed in, and what did they agree to."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select, text, update

from certbound.store import rows
from certbound.store.engine import Connection
from certbound.store.rows import columns, parameters
from certbound.store.schema import consent, session


@dataclass(frozen=True, slots=True)
class Session:
    """A browser in which a person is signed in. `id_sha256` is lower-case hex of the cookie's value."""

    id_sha256: str
    sub: str
    auth_time: int
    amr: tuple[str, ...]
    expires_at: int
    ended_at: int | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person allowed a client, until it is taken back; `claims` are those that it asked for by name."""

    sub: str
    client_id: str
    scopes: tuple[str, ...]
    given_at: int
    claims: tuple[str, ...] = ()


_THIS = session.c.id_sha256 == bindparam("of_id")
_ADD = insert(session)
_LOAD = select(*columns(session, Session)).where(_THIS)
_OF_PERSON = (
    select(*columns(session, Session))
    .where(session.c.sub == bindparam("subject"), session.c.ended_at.is_(None))
    .order_by(session.c.auth_time.desc())
    .limit(bindparam("page_size"))
)
_END = update(session).where(_THIS, session.c.ended_at.is_(None)).values(ended_at=bindparam("moment"))
_END_ALL = (
    update(session)
    .where(session.c.sub == bindparam("subject"), session.c.ended_at.is_(None))
    .values(ended_at=bindparam("moment"))
)
_DELETE = rows.delete_expired(session)
# As text, since SQLAlchemy knows ON CONFLICT by dialect only.
_GIVE = text(
    "INSERT INTO consent (sub, client_id, scopes, given_at, claims)"
    " VALUES (:sub, :client_id, :scopes, :given_at, :claims) ON CONFLICT (sub, client_id)"
    " DO UPDATE SET scopes = excluded.scopes, given_at = excluded.given_at, claims = excluded.claims"
).bindparams(*(bindparam(name, type_=consent.c.scopes.type) for name in ("scopes", "claims")))
_CONSENT = consent.c.sub == bindparam("subject"), consent.c.client_id == bindparam("of_client")
_LOAD_CONSENT = select(*columns(consent, Consent)).where(*_CONSENT)
_CONSENTS = (
    select(*columns(consent, Consent)).where(consent.c.sub == bindparam("subject")).order_by(consent.c.client_id)
)
_TAKE_BACK = delete(consent).where(*_CONSENT)


def add(connection: Connection, new: Session) -> None:
    """Record a sign-in; StoreConflict if the person is gone."""
    connection.execute(_ADD, parameters(new))


def load(connection: Connection, id_sha256: str) -> Session | None:
    """Load a session, whatever became of it."""
    row = connection.execute(_LOAD, {"of_id": id_sha256}).one_or_none()
    return None if row is None else Session(*row)


def of_person(connection: Connection, sub: str, *, limit: int) -> tuple[Session, ...]:
    """List a person's sessions that have not ended, the newest first."""
    return tuple(Session(*row) for row in connection.execute(_OF_PERSON, {"subject": sub, "page_size": limit}))


def end(connection: Connection, id_sha256: str, at: int) -> bool:
    """End a session; False if it has ended."""
    return connection.execute(_END, {"of_id": id_sha256, "moment": at}).rowcount == 1


def end_all(connection: Connection, sub: str, at: int) -> int:
    """End every session of a person; tell how many."""
    return connection.execute(_END_ALL, {"subject": sub, "moment": at}).rowcount


def delete_expired(connection: Connection, now: int, *, limit: int) -> int:
    """Delete at most `limit` sessions that expired by `now`; tell how many."""
    return connection.execute(_DELETE, {"moment": now, "batch": limit}).rowcount


def give_consent(connection: Connection, given: Consent) -> None:
    """Record a consent in the place of the one before; StoreConflict if the person or the client is gone."""
    connection.execute(_GIVE, parameters(given))


def load_consent(connection: Connection, sub: str, client_id: str) -> Consent | None:
    """Load what a person allowed a client."""
    row = connection.execute(_LOAD_CONSENT, {"subject": sub, "of_client": client_id}).one_or_none()
    return None if row is None else Consent(*row)


def consents(connection: Connection, sub: str) -> Sequence[Consent]:
    """List what a person allowed, by client."""
    return [Consent(*row) for row in connection.execute(_CONSENTS, {"subject": sub})]


def take_back_consent(connection: Connection, sub: str, client_id: str) -> bool:
    """Take a consent back; False if there is none."""
    return connection.execute(_TAKE_BACK, {"subject": sub, "of_client": client_id}).rowcount == 1
