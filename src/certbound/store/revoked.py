"""Which access tokens are revoked before they run out (RFC 7009)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, func, select, text

from certbound.store import rows
from certbound.store.engine import Connection
from certbound.store.rows import parameters
from certbound.store.schema import issued_token
from certbound.store.schema import revoked_token as table


@dataclass(frozen=True, slots=True)
class RevokedToken:
    """An access token that is refused from `revoked_at` on; times are epoch seconds."""

    jti: str
    client_id: str
    revoked_at: int
    expires_at: int


# As text, since SQLAlchemy knows ON CONFLICT by dialect only.
_ADD = text(
    f"INSERT INTO revoked_token ({', '.join(table.c.keys())})"  # noqa: S608 - names of columns
    f" VALUES (:{', :'.join(table.c.keys())}) ON CONFLICT DO NOTHING"
)
_IS_REVOKED = select(table.c.jti).where(table.c.jti == bindparam("of_jti"))
_BY_CLIENT = func.row_number().over(partition_by=table.c.client_id, order_by=(table.c.expires_at.desc(), table.c.jti))
_LIVING = (
    select(table.c.jti)
    .where(table.c.expires_at > bindparam("moment"))
    .order_by(_BY_CLIENT, table.c.expires_at.desc())
    .limit(bindparam("most"))
)
_ISSUED = select(issued_token.c.jti, issued_token.c.client_id, issued_token.c.expires_at).where(
    issued_token.c.expires_at > bindparam("moment")
)
_OF_FAMILY = _ISSUED.where(issued_token.c.family == bindparam("of_family"))
_OF_PERSON = _ISSUED.where(
    issued_token.c.client_id == bindparam("of_client"), issued_token.c.sub == bindparam("subject")
)
_OF_CLIENT = _ISSUED.where(issued_token.c.client_id == bindparam("of_client"))
_DELETE = rows.delete_expired(table)


def add(connection: Connection, revoked: Iterable[RevokedToken]) -> None:
    """Record revocations; one that is there already stays as it is."""
    batch = [parameters(token) for token in revoked]
    if batch:
        connection.execute(_ADD, batch)


def revoke_family(connection: Connection, family: str, at: int) -> int:
    """Revoke the living access tokens of a grant, as far as the trail has them; tell how many."""
    return _revoke(connection, _OF_FAMILY, {"of_family": family, "moment": at})


def revoke_person(connection: Connection, client_id: str, sub: str, at: int) -> int:
    """Revoke the living access tokens that a client has for a person, as `revoke_family` does."""
    return _revoke(connection, _OF_PERSON, {"of_client": client_id, "subject": sub, "moment": at})


def revoke_client(connection: Connection, client_id: str, at: int) -> int:
    """Revoke the living access tokens of a client, as `revoke_family` does."""
    return _revoke(connection, _OF_CLIENT, {"of_client": client_id, "moment": at})


def is_revoked(connection: Connection, jti: str) -> bool:
    """Say whether an access token is revoked."""
    return connection.execute(_IS_REVOKED, {"of_jti": jti}).first() is not None


def living(connection: Connection, now: int, *, limit: int) -> tuple[str, ...]:
    """Name the revoked tokens that have not run out, those with the most time left first.

    Where there are more than `limit`, every client has its share: none that revokes many keeps out those of another.
    """
    return tuple(connection.execute(_LIVING, {"moment": now, "most": limit}).scalars())


def delete_expired(connection: Connection, now: int, *, limit: int) -> int:
    """Delete at most `limit` rows of tokens that have run out by themselves; tell how many."""
    return connection.execute(_DELETE, {"moment": now, "batch": limit}).rowcount


def _revoke(connection: Connection, chosen: Select[str, str, int], values: Mapping[str, Any]) -> int:
    found = connection.execute(chosen, values).all()
    add(
        connection, [RevokedToken(jti, client_id, values["moment"], expires_at) for jti, client_id, expires_at in found]
    )
    return len(found)
