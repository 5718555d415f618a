"""Tokens by which clients register themselves (RFC 7591 section 3) and change their registration (RFC 7592 section 3).

Each is 256 random bits, kept as a digest; what it is good for is kept with it.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from certbound.authority.records import record
from certbound.authority.secrets import digest
from certbound.oauth.registration import ADMINISTRATIVE_SCOPES
from certbound.oauth.registration_metadata import Ceiling
from certbound.oauth.scope import is_scope_token
from certbound.store import registration_tokens as stored
from certbound.store import trust as stored_trust
from certbound.store.engine import Connection
from certbound.store.registration_tokens import RegistrationToken

MAX_USES = 1_000_000
DAY = 86_400


class InitialTokenError(ValueError):
    """The initial access token cannot be made or revoked; the text says what to do."""


@dataclass(frozen=True, slots=True)
class IssuedInitialToken:
    """An initial access token just made: its value is shown this once."""

    value: str = field(repr=False)
    token: RegistrationToken


def new_access_token() -> str:
    """Make the token that a client changes its registration by; scanners for secrets know the prefix."""
    return "cba_" + secrets.token_urlsafe(32)


def issue_initial(
    connection: Connection,
    *,
    scopes: Sequence[str],
    trust: Sequence[str],
    uses: int,
    days: int,
    actor: str,
    now: int,
) -> IssuedInitialToken:
    """Make an initial access token, good for `uses` clients within `days`. Raises InitialTokenError.

    Clients registered by it may have `scopes`, none of which is an administrative one, and be vouched for by `trust`.
    """
    if not 0 < uses <= MAX_USES or days <= 0:
        raise InitialTokenError(f"a token is good for 1 to {MAX_USES} clients, and for a day at least")
    for scope in scopes:
        if scope in ADMINISTRATIVE_SCOPES or not is_scope_token(scope):
            raise InitialTokenError(
                f"the scope {scope!r} cannot be registered: clients get administrative ones by hand"
            )
    held = {store.name for store in stored_trust.stores(connection)}
    for name in trust:
        if name not in held:
            raise InitialTokenError(f"there is no trust store {name!r}: make it with `certbound trust add`")
    value = "cbi_" + secrets.token_urlsafe(32)
    token = RegistrationToken(
        token_sha256=digest(value),
        id=secrets.token_hex(6),
        created_at=now,
        scopes=tuple(dict.fromkeys(scopes)),
        trust=tuple(dict.fromkeys(trust)),
        uses_left=uses,
        expires_at=now + days * DAY,
    )
    stored.add(connection, token)
    detail = {"scopes": token.scopes, "trust": token.trust, "uses": uses, "expires_at": token.expires_at}
    record(connection, at=now, actor=actor, action="initial_token.created", target=token.id, detail=detail)
    return IssuedInitialToken(value, token)


def revoke_initial(connection: Connection, token_id: str, *, actor: str, now: int) -> None:
    """Let nobody register by an initial access token any more; who has, stays. Raises InitialTokenError."""
    if not stored.remove_initial(connection, token_id):
        raise InitialTokenError(
            f"there is no initial access token {token_id!r}: see `certbound client initial-token list`"
        )
    record(connection, at=now, actor=actor, action="initial_token.revoked", target=token_id)


@dataclass(frozen=True, slots=True)
class Granted:
    """What a client has registered itself under: the ceiling, and the statement that its software came with."""

    client_id: str
    ceiling: Ceiling
    statement: str | None
    software: str | None


def add_access_token(connection: Connection, value: str, granted: Granted, now: int) -> None:
    """Record the token of a client that has just registered itself: it lasts as long as the client."""
    token = RegistrationToken(
        token_sha256=digest(value),
        id=secrets.token_hex(6),
        created_at=now,
        client_id=granted.client_id,
        scopes=granted.ceiling.scopes,
        trust=granted.ceiling.trust,
        statement=granted.statement,
        software=granted.software,
    )
    stored.add(connection, token)
