"""A client says that it needs a token no more (RFC 7009)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from certbound.authority.records import record, revoke_grant
from certbound.authority.tokens.authenticating import ClientAuthenticator, ClientRequest
from certbound.authority.tokens.context import GrantContext
from certbound.authority.tokens.shown import ShownTokens
from certbound.oauth.errors import OAuthError
from certbound.store import revision, revoked
from certbound.store.engine import Connection
from certbound.store.revoked import RevokedToken
from certbound.store.tokens import RefreshToken


class Revoker:
    """Revokes what a client was issued; done means committed."""

    def __init__(self, context: GrantContext, authenticator: ClientAuthenticator, shown: ShownTokens) -> None:
        self._context = context
        self._authenticator = authenticator
        self._shown = shown

    async def revoke(self, request: ClientRequest) -> None:
        """Revoke the token in the request. Raises OAuthError, and StoreUnavailable: then nothing is revoked.

        A token that is none, or none any more, is no error (section 2.2). With a refresh token goes all that came from
        its grant (section 2.1).
        """
        client_id = (await self._authenticator.authenticate(request)).registration.client.client_id
        token, now = request.form.required("token"), int(self._context.clock())
        claims = self._shown.read_access_token(token)
        refresh_token = await self._shown.find_refresh_token(token) if claims is None else None
        owner = claims["client_id"] if claims is not None else refresh_token.client_id if refresh_token else client_id
        if owner != client_id:
            raise OAuthError("invalid_grant", "the token was issued to another client")
        if claims is not None:
            await self._context.store.writing(partial(_revoke_access_token, claims=claims, now=now))
        elif refresh_token is not None:
            await self._context.store.writing(partial(_revoke_refresh_token, token=refresh_token, now=now))


def _revoke_access_token(connection: Connection, claims: Mapping[str, Any], now: int) -> None:
    revoked.add(connection, [RevokedToken(claims["jti"], claims["client_id"], now, claims["exp"])])
    _record(connection, claims["client_id"], {"jti": claims["jti"]}, now)
    revision.bump_revoked(connection)


def _revoke_refresh_token(connection: Connection, token: RefreshToken, now: int) -> None:
    revoke_grant(connection, token.family, at=now)
    _record(connection, token.client_id, {"grant": token.family}, now)


def _record(connection: Connection, client_id: str, detail: Mapping[str, Any], now: int) -> None:
    record(connection, at=now, actor=f"client:{client_id}", action="token.revoked", target=client_id, detail=detail)
