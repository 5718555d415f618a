"""Who is signed in in a browser: a row behind a cookie, known here by the digest of its value only."""

from dataclasses import dataclass

from certbound.authority.records import record
from certbound.authority.secrets import digest, new_session
from certbound.store import people as stored_people
from certbound.store import sessions as stored_sessions
from certbound.store.engine import Connection
from certbound.store.people import Person
from certbound.store.sessions import Session


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that is good at this moment, and the person in it."""

    session: Session
    person: Person


def begin(
    connection: Connection,
    person: Person,
    *,
    amr: tuple[str, ...],
    lifetime: int,
    now: int,
    address: str | None = None,
    replaces: str | None = None,
) -> str:
    """Sign a person in and give the cookie's value, a secret; always a new one (session fixation).

    `amr` is how the person proved itself (RFC 8176), `lifetime` in seconds, `replaces` the cookie of a session that
    this browser had before: it ends.
    """
    if replaces is not None:
        end(connection, replaces, now=now)
    cookie = new_session()
    session = Session(_id(cookie), person.sub, auth_time=now, amr=amr, expires_at=now + lifetime)
    stored_sessions.add(connection, session)
    detail = {"amr": list(amr), "address": address}
    record(connection, at=now, actor=f"user:{person.sub}", action="session.begun", target=person.sub, detail=detail)
    return cookie


def find(connection: Connection, cookie: str, *, now: int) -> SignedIn | None:
    """Give the session behind a cookie; None where it has ended or expired, or the person may not sign in any more."""
    return current(connection, _id(cookie), now=now)


def current(connection: Connection, id_sha256: str, *, now: int) -> SignedIn | None:
    """Give a session by what it is known by here, as `find` does."""
    session = stored_sessions.load(connection, id_sha256)
    if session is None or session.ended_at is not None or session.expires_at <= now:
        return None
    person = stored_people.load_by_sub(connection, session.sub)
    if person is None or person.disabled or person.operator:
        return None
    return SignedIn(session, person)


def end(connection: Connection, cookie: str, *, now: int) -> bool:
    """End the session behind a cookie; False if there is none that has not ended."""
    session = stored_sessions.load(connection, _id(cookie))
    if session is None or not stored_sessions.end(connection, session.id_sha256, now):
        return False
    record(connection, at=now, actor=f"user:{session.sub}", action="session.ended", target=session.sub)
    return True


def _id(cookie: str) -> str:
    return digest(cookie).hex()
