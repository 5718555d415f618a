"""Which authorization codes are about, and which requests were pushed before them (RFC 6749, RFC 9126)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table, Update, bindparam, insert, select, update

from certbound.store.engine import Connection
from certbound.store.rows import columns, delete_expired, parameters
from certbound.store.schema import authorization_code, pushed_request


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """A code, known by its digest only, with the request it answers; `family` is the grant that its tokens join.

    `session` is the sign-in it came from, `amr` how the person proved itself there; times are epoch seconds.
    """

    code_sha256: bytes = field(repr=False)
    client_id: str
    sub: str
    session: str | None
    request: Mapping[str, Any]
    auth_time: int
    amr: tuple[str, ...]
    family: str
    issued_at: int
    expires_at: int
    used_at: int | None = None


@dataclass(frozen=True, slots=True)
class PushedRequest:
    """The parameters of an authorization request that a client sent ahead, known by its URI's digest only."""

    uri_sha256: bytes = field(repr=False)
    client_id: str
    parameters: Mapping[str, Any]
    expires_at: int
    used_at: int | None = None


def _use(table: Table) -> Update:
    (key,) = table.primary_key
    return (
        update(table).where(key == bindparam("digest"), table.c.used_at.is_(None)).values(used_at=bindparam("moment"))
    )


_ADD_CODE, _ADD_REQUEST = insert(authorization_code), insert(pushed_request)
_LOAD_CODE = select(*columns(authorization_code, AuthorizationCode)).where(
    authorization_code.c.code_sha256 == bindparam("digest")
)
_LOAD_REQUEST = select(*columns(pushed_request, PushedRequest)).where(
    pushed_request.c.uri_sha256 == bindparam("digest")
)
_USE_CODES = (
    update(authorization_code)
    .where(
        authorization_code.c.client_id == bindparam("of_client"),
        authorization_code.c.sub == bindparam("subject"),
        authorization_code.c.used_at.is_(None),
    )
    .values(used_at=bindparam("moment"))
)
_USE_CODE, _USE_REQUEST = _use(authorization_code), _use(pushed_request)
_DELETE_CODES, _DELETE_REQUESTS = delete_expired(authorization_code), delete_expired(pushed_request)


def add_code(connection: Connection, code: AuthorizationCode) -> None:
    """Record a code; StoreConflict if the client is gone."""
    connection.execute(_ADD_CODE, parameters(code))


def load_code(connection: Connection, code_sha256: bytes) -> AuthorizationCode | None:
    """Load a code by its digest, whatever became of it."""
    row = connection.execute(_LOAD_CODE, {"digest": code_sha256}).one_or_none()
    return None if row is None else AuthorizationCode(*row)


def use_code(connection: Connection, code_sha256: bytes, at: int) -> bool:
    """Use a code up; True for exactly one caller."""
    return connection.execute(_USE_CODE, {"digest": code_sha256, "moment": at}).rowcount == 1


def use_codes_of(connection: Connection, client_id: str, sub: str, at: int) -> int:
    """Use up every code that a client could still redeem for a person; tell how many."""
    return connection.execute(_USE_CODES, {"of_client": client_id, "subject": sub, "moment": at}).rowcount


def add_pushed_request(connection: Connection, request: PushedRequest) -> None:
    """Record a pushed request; StoreConflict if the client is gone."""
    connection.execute(_ADD_REQUEST, parameters(request))


def load_pushed_request(connection: Connection, uri_sha256: bytes) -> PushedRequest | None:
    """Load a pushed request by its URI's digest, whatever became of it."""
    row = connection.execute(_LOAD_REQUEST, {"digest": uri_sha256}).one_or_none()
    return None if row is None else PushedRequest(*row)


def use_pushed_request(connection: Connection, uri_sha256: bytes, at: int) -> bool:
    """Use a pushed request up; True for exactly one caller."""
    return connection.execute(_USE_REQUEST, {"digest": uri_sha256, "moment": at}).rowcount == 1


def delete_expired_codes(connection: Connection, now: int, *, limit: int) -> int:
    """Delete at most `limit` codes that expired by `now`, used ones included; tell how many."""
    return connection.execute(_DELETE_CODES, {"moment": now, "batch": limit}).rowcount


def delete_expired_pushed_requests(connection: Connection, now: int, *, limit: int) -> int:
    """Delete at most `limit` pushed requests that expired by `now`; tell how many."""
    return connection.execute(_DELETE_REQUESTS, {"moment": now, "batch": limit}).rowcount
