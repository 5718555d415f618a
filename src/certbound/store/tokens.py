"""Which refresh tokens live, and which self-contained tokens were issued to whom."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, insert, select, text, update

from certbound.store.engine import Connection
from certbound.store.rows import columns, delete_expired, parameters
from certbound.store.schema import client as client_table
from certbound.store.schema import issued_token, refresh_token


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token, known by its digest only. `family` joins the tokens that came from one grant.

    `x5t_s256` is the certificate a public client's token is bound to (RFC 8705 section 4); times are epoch seconds.
    `certificate_sha256` and `spki_sha256` are lower-case hex digests of the certificate on the connection that obtained
    it and of that certificate's key, whether or not the token is bound; None where there was none or none was kept.
    `claims` names those that the client asked for at the UserInfo endpoint beside what the scope gives.
    """

    token_sha256: bytes = field(repr=False)
    family: str
    client_id: str
    sub: str
    scope: str
    resources: tuple[str, ...]
    x5t_s256: str | None
    issued_at: int
    expires_at: int
    used_at: int | None = None
    revoked_at: int | None = None
    certificate_sha256: str | None = None
    spki_sha256: str | None = None
    address: str | None = None
    claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """The trail of one self-contained access token: who got it, by which certificate, from where.

    `certificate_sha256`, `spki_sha256` and `claims` are as in `RefreshToken`, `x5t_s256` is what the token is bound to,
    `family` the grant it came from where that can be revoked.
    """

    jti: str
    client_id: str
    sub: str
    grant_type: str
    scope: str
    audience: tuple[str, ...]
    x5t_s256: str | None
    address: str | None
    issued_at: int
    expires_at: int
    certificate_sha256: str | None = None
    spki_sha256: str | None = None
    family: str | None = None
    claims: tuple[str, ...] = ()


_REFRESH, _ISSUED = columns(refresh_token, RefreshToken), columns(issued_token, IssuedToken)
_LIVING = refresh_token.c.revoked_at.is_(None)
_IN_FAMILY = refresh_token.c.family == bindparam("of_family")
_INSERT = insert(refresh_token)
_LOAD = select(*_REFRESH).where(refresh_token.c.token_sha256 == bindparam("digest"))
_USE = (
    update(refresh_token)
    .where(refresh_token.c.token_sha256 == bindparam("digest"), refresh_token.c.used_at.is_(None), _LIVING)
    .values(used_at=bindparam("moment"))
)
_LOCK_FAMILY = select(refresh_token.c.token_sha256).where(_IN_FAMILY).with_for_update()
_SHARE_FAMILIES = (
    select(refresh_token.c.family, refresh_token.c.revoked_at)
    .where(refresh_token.c.family.in_(bindparam("of_families", expanding=True)))
    .with_for_update(read=True)
)
_REVOKE_FAMILY = update(refresh_token).where(_IN_FAMILY, _LIVING).values(revoked_at=bindparam("moment"))
_LOCK_CLIENT = (
    select(client_table.c.client_id).where(client_table.c.client_id == bindparam("of_client")).with_for_update()
)
_REVOKE_CLIENT = (
    update(refresh_token)
    .where(refresh_token.c.client_id == bindparam("of_client"), _LIVING)
    .values(revoked_at=bindparam("moment"))
)
_OF_PERSON = refresh_token.c.client_id == bindparam("of_client"), refresh_token.c.sub == bindparam("subject")
_LOCK_PERSON = select(refresh_token.c.token_sha256).where(*_OF_PERSON).with_for_update()
_REVOKE_PERSON = update(refresh_token).where(*_OF_PERSON, _LIVING).values(revoked_at=bindparam("moment"))
# As text, since SQLAlchemy knows ON CONFLICT by dialect only, and loading PostgreSQL's costs a start 90 ms.
_INSERT_ISSUED = text(
    f"INSERT INTO issued_token ({', '.join(issued_token.c.keys())})"  # noqa: S608 - names of columns
    f" VALUES (:{', :'.join(issued_token.c.keys())}) ON CONFLICT DO NOTHING"
).bindparams(*(bindparam(name, type_=issued_token.c[name].type) for name in ("audience", "claims")))
_NEWEST_ISSUED = (
    select(*_ISSUED).order_by(issued_token.c.issued_at.desc(), issued_token.c.jti).limit(bindparam("page_size"))
)
_LOAD_ISSUED = select(*_ISSUED).where(issued_token.c.jti == bindparam("of_jti"))
_BY_CLIENT = _NEWEST_ISSUED.where(issued_token.c.client_id == bindparam("of_client"))
_NEWEST_REFRESH = (
    select(*_REFRESH)
    .order_by(refresh_token.c.issued_at.desc(), refresh_token.c.token_sha256)
    .limit(bindparam("page_size"))
)
_LIVING_UNBOUND = (
    select(issued_token.c.jti)
    .where(issued_token.c.x5t_s256.is_(None), issued_token.c.expires_at > bindparam("moment"))
    .order_by(issued_token.c.expires_at.desc(), issued_token.c.jti)
    .limit(bindparam("page_size"))
)


class _ObtainedWith:
    """The statements about tokens that a certificate, or any certificate of a key, obtained."""

    def __init__(self, column: str) -> None:
        refresh = refresh_token.c[column] == bindparam("digest")
        issued = issued_token.c[column] == bindparam("digest")
        families = select(refresh_token.c.family).where(refresh)
        living = select(refresh_token.c.token_sha256).where(refresh_token.c.family.in_(families), _LIVING)
        self.any_living = living.limit(1)
        self.revoke = (
            update(refresh_token)
            .where(refresh_token.c.token_sha256.in_(living.limit(bindparam("batch"))), _LIVING)
            .values(revoked_at=bindparam("moment"))
        )
        self.refresh_tokens = _NEWEST_REFRESH.where(refresh)
        self.issued_tokens = _NEWEST_ISSUED.where(issued)
        self.living_unbound = _LIVING_UNBOUND.where(issued)


#: Tokens per statement: as many as are revoked well within the time that PostgreSQL is given for one.
_REVOKED_AT_ONCE = 5_000
_BY_COLUMN = {name: _ObtainedWith(name) for name in ("certificate_sha256", "spki_sha256")}

_DELETE_REFRESH, _DELETE_ISSUED = delete_expired(refresh_token), delete_expired(issued_token)


def add_refresh_token(connection: Connection, token: RefreshToken) -> None:
    """Record a refresh token; StoreConflict if the client is gone."""
    connection.execute(_INSERT, parameters(token))


def load_refresh_token(connection: Connection, token_sha256: bytes) -> RefreshToken | None:
    """Load a refresh token by its digest, whatever became of it."""
    row = connection.execute(_LOAD, {"digest": token_sha256}).one_or_none()
    return None if row is None else RefreshToken(*row)


def mark_used(connection: Connection, token_sha256: bytes, at: int) -> bool:
    """Mark a refresh token as used; True for exactly one caller, False if it was used or revoked before."""
    return connection.execute(_USE, {"digest": token_sha256, "moment": at}).rowcount == 1


def revoke_family(connection: Connection, family: str, at: int) -> int:
    """Revoke every token of a family, a successor that is just being recorded included; tell how many."""
    # Locking first waits for a rotation in progress; the second statement then sees the successor it recorded.
    connection.execute(_LOCK_FAMILY, {"of_family": family}).all()
    return connection.execute(_REVOKE_FAMILY, {"of_family": family, "moment": at}).rowcount


def revoked_families(connection: Connection, families: Collection[str]) -> frozenset[str]:
    """Say which of these families have a revoked token; none of the others is revoked before the commit."""
    rows = connection.execute(_SHARE_FAMILIES, {"of_families": list(families)}).all()
    return frozenset(family for family, revoked_at in rows if revoked_at is not None)


def revoke_client(connection: Connection, client_id: str, at: int) -> int:
    """Revoke every refresh token of a client, those that are just being recorded included; tell how many."""
    # A token's foreign key holds the client's row: this lock waits for the tokens under way.
    connection.execute(_LOCK_CLIENT, {"of_client": client_id}).all()
    return connection.execute(_REVOKE_CLIENT, {"of_client": client_id, "moment": at}).rowcount


def revoke_person(connection: Connection, client_id: str, sub: str, at: int) -> int:
    """Revoke every refresh token that a client has for a person, successors under way included; tell how many."""
    values = {"of_client": client_id, "subject": sub}
    connection.execute(_LOCK_PERSON, values).all()  # as in `revoke_family`
    return connection.execute(_REVOKE_PERSON, values | {"moment": at}).rowcount


def revoke_obtained_with(
    connection: Connection, *, certificate_sha256: str | None = None, spki_sha256: str | None = None, at: int
) -> int:
    """Revoke the families of the refresh tokens that a certificate or a key obtained; tell how many tokens.

    Whole families: a successor is the same grant, whatever connection it was fetched over. Successors that are just
    being recorded are included. A grant that is just being recorded is not: whoever records one looks, in the same
    unit and after recording it, whether its certificate is blocked.
    """
    statements, values = _obtained_with(certificate_sha256, spki_sha256)
    revoked = 0
    # A token in rotation is waited for, and the next look sees the successor that was recorded meanwhile. Where none
    # lives any more, there is none that could have a successor.
    while connection.execute(statements.any_living, values).first() is not None:
        batch = values | {"moment": at, "batch": _REVOKED_AT_ONCE}
        revoked += connection.execute(statements.revoke, batch).rowcount
    return revoked


def refresh_tokens_with(
    connection: Connection, *, certificate_sha256: str | None = None, spki_sha256: str | None = None, limit: int
) -> tuple[RefreshToken, ...]:
    """List the refresh tokens that a certificate or a key obtained, whatever became of them, the newest first."""
    statements, values = _obtained_with(certificate_sha256, spki_sha256)
    rows = connection.execute(statements.refresh_tokens, values | {"page_size": limit})
    return tuple(RefreshToken(*row) for row in rows)


def issued_with(
    connection: Connection, *, certificate_sha256: str | None = None, spki_sha256: str | None = None, limit: int
) -> tuple[IssuedToken, ...]:
    """List the access tokens that a certificate or a key obtained, bound or not, the newest first."""
    statements, values = _obtained_with(certificate_sha256, spki_sha256)
    rows = connection.execute(statements.issued_tokens, values | {"page_size": limit})
    return tuple(IssuedToken(*row) for row in rows)


def living_unbound_with(
    connection: Connection,
    *,
    certificate_sha256: str | None = None,
    spki_sha256: str | None = None,
    now: int,
    limit: int,
) -> tuple[str, ...]:
    """List the `jti` of the access tokens that a certificate or a key obtained, bound to nothing and not yet expired.

    Those that expire last come first. A token is in the trail only after its batch was written.
    """
    statements, values = _obtained_with(certificate_sha256, spki_sha256)
    return tuple(connection.execute(statements.living_unbound, values | {"moment": now, "page_size": limit}).scalars())


def _obtained_with(certificate_sha256: str | None, spki_sha256: str | None) -> tuple[_ObtainedWith, dict[str, Any]]:
    if certificate_sha256 is not None and spki_sha256 is None:
        return _BY_COLUMN["certificate_sha256"], {"digest": certificate_sha256}
    if spki_sha256 is not None and certificate_sha256 is None:
        return _BY_COLUMN["spki_sha256"], {"digest": spki_sha256}
    raise ValueError("name a certificate or a key, and not both")


def add_issued_tokens(connection: Connection, tokens: Sequence[IssuedToken]) -> None:
    """Record a batch of issued tokens.

    Rows that are there already are left as they are: where a commit's outcome is unknown, the batch is given again.
    """
    if tokens:
        connection.execute(_INSERT_ISSUED, [parameters(token) for token in tokens])


def load_issued_token(connection: Connection, jti: str) -> IssuedToken | None:
    """Load the row of an access token; None if it is not in the trail, yet or any more."""
    row = connection.execute(_LOAD_ISSUED, {"of_jti": jti}).one_or_none()
    return None if row is None else IssuedToken(*row)


def issued_to_client(connection: Connection, client_id: str, *, limit: int) -> tuple[IssuedToken, ...]:
    """List the newest tokens that a client obtained."""
    rows = connection.execute(_BY_CLIENT, {"of_client": client_id, "page_size": limit})
    return tuple(IssuedToken(*row) for row in rows)


def delete_expired_refresh_tokens(connection: Connection, now: int, *, limit: int) -> int:
    """Delete at most `limit` refresh tokens that expired by `now`, used and revoked ones included; tell how many."""
    return connection.execute(_DELETE_REFRESH, {"moment": now, "batch": limit}).rowcount


def delete_expired_issued_tokens(connection: Connection, now: int, *, limit: int) -> int:
    """Delete at most `limit` rows of the trail whose token expired by `now`; tell how many."""
    return connection.execute(_DELETE_ISSUED, {"moment": now, "batch": limit}).rowcount
