"""A token that somebody shows the server itself: what it is, and whether it is good at this moment."""

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from certbound.authority.blocks import obtained_by_blocked
from certbound.authority.registered import Registered
from certbound.authority.secrets import digest
from certbound.authority.tokens.context import GrantContext
from certbound.jose.jwt import JWTError, verify
from certbound.jose.keys import ALGORITHMS
from certbound.oauth.access_token import TOKEN_TYPE
from certbound.oauth.binding import CONFIRMATION_METHOD
from certbound.oauth.registration import Client
from certbound.store import clients, people, revoked, tokens
from certbound.store.engine import Connection
from certbound.store.people import Person
from certbound.store.tokens import IssuedToken, RefreshToken


@dataclass(frozen=True, slots=True)
class Standing:
    """Why a token is not good, for the log; None if it is, and then whose it is.

    `person` is whom it stands for, if it is not the client itself; `claims` are those asked for by name.
    """

    refusal: str | None
    client: Client | None = None
    person: Person | None = None
    claims: tuple[str, ...] = ()


class ShownTokens:
    """Knows tokens by the server's own keys and records; the database is asked, not what a worker remembers.

    So what is revoked, blocked or disabled counts from the moment that is committed.
    """

    def __init__(self, context: GrantContext, registered: Registered) -> None:
        self._context = context
        self._registered = registered

    def read_access_token(self, token: str) -> Mapping[str, Any] | None:
        """Give the claims of an access token of ours that has not run out; None for anything else."""
        try:
            claims = verify(token, self._registered.verification_keys, algorithms=ALGORITHMS, typ={TOKEN_TYPE}).claims
        except JWTError:
            return None
        if claims.get("iss") != self._context.policy.issuer or claims["exp"] <= self._context.clock():
            return None
        return claims

    async def find_refresh_token(self, token: str) -> RefreshToken | None:
        """Find a refresh token, whatever became of it."""
        return await self._context.store.reading(partial(tokens.load_refresh_token, token_sha256=digest(token)))

    async def access_token_standing(self, claims: Mapping[str, Any]) -> Standing:
        """Say whether an access token is good at this moment."""
        return await self._context.store.reading(partial(_access_token_standing, claims=claims))

    async def refresh_token_standing(self, token: RefreshToken) -> Standing:
        """Say whether a refresh token is good at this moment."""
        if token.revoked_at is not None or token.used_at is not None or token.expires_at <= self._context.clock():
            return Standing("revoked, used up or expired")
        return await self._context.store.reading(partial(_standing, token=token))


def _access_token_standing(connection: Connection, claims: Mapping[str, Any]) -> Standing:
    if revoked.is_revoked(connection, claims["jti"]):
        return Standing("revoked")
    issued = tokens.load_issued_token(connection, claims["jti"])
    return _standing(connection, issued if issued is not None else _as_issued(claims))


def _standing(connection: Connection, token: IssuedToken | RefreshToken) -> Standing:
    stored = clients.load(connection, token.client_id)
    if stored is None or stored.client.disabled:
        return Standing("its client is gone or disabled")
    if obtained_by_blocked(connection, token):
        return Standing("obtained with a certificate that is blocked")
    if token.sub == token.client_id:
        return Standing(None, stored.client)
    person = people.load_by_sub(connection, token.sub)
    if person is None or person.disabled:
        return Standing("its person is gone or disabled")
    return Standing(None, stored.client, person, token.claims)


def _as_issued(claims: Mapping[str, Any]) -> IssuedToken:
    """Stand in for the row of a token that was handed out less than a second ago, by what the token says itself."""
    thumbprint = claims.get("cnf", {}).get(CONFIRMATION_METHOD)
    return IssuedToken(
        jti=claims["jti"],
        client_id=claims["client_id"],
        sub=claims["sub"],
        grant_type="",
        scope=claims.get("scope", ""),
        audience=(),
        x5t_s256=thumbprint,
        address=None,
        issued_at=claims["iat"],
        expires_at=claims["exp"],
        certificate_sha256=urlsafe_b64decode(thumbprint + "=").hex() if thumbprint is not None else None,
    )
