"""What a client is told of a token (RFC 7662)."""

from collections.abc import Mapping
from typing import Any

from certbound.authority.tokens.authenticating import ClientAuthenticator, ClientRequest
from certbound.authority.tokens.shown import ShownTokens, Standing
from certbound.oauth.access_token import BEARER
from certbound.oauth.binding import CONFIRMATION_METHOD
from certbound.oauth.errors import OAuthError
from certbound.oauth.introspection import INACTIVE, introspection_answer, may_introspect
from certbound.store.tokens import RefreshToken


class Introspector:
    """Answers clients that authenticate; a public client is nobody who could be told."""

    def __init__(self, authenticator: ClientAuthenticator, shown: ShownTokens, issuer: str) -> None:
        self._authenticator = authenticator
        self._shown = shown
        self._issuer = issuer

    async def answer(self, request: ClientRequest) -> Mapping[str, Any]:
        """Give the answer about the token in the request; OAuthError only for the caller's own faults."""
        caller = (await self._authenticator.authenticate(request)).registration.client
        if caller.is_public:
            raise OAuthError("invalid_client", "introspection is for clients that authenticate")
        token = request.form.required("token")
        # The hint only says where to look first (section 2.1): the two kinds cannot be taken for each other.
        claims = self._shown.read_access_token(token)
        if claims is not None:
            return await self._of_access_token(caller.client_id, claims)
        refresh_token = await self._shown.find_refresh_token(token)
        if refresh_token is not None and refresh_token.client_id == caller.client_id:
            return await self._of_refresh_token(refresh_token)
        return INACTIVE

    async def _of_access_token(self, caller: str, claims: Mapping[str, Any]) -> Mapping[str, Any]:
        if not may_introspect(caller, claims):
            return INACTIVE
        standing = await self._shown.access_token_standing(claims)
        if standing.refusal is not None:
            return INACTIVE
        return introspection_answer(claims, token_type=BEARER, username=_name(standing))

    async def _of_refresh_token(self, token: RefreshToken) -> Mapping[str, Any]:
        standing = await self._shown.refresh_token_standing(token)
        if standing.refusal is not None:
            return INACTIVE
        binding = {"cnf": {CONFIRMATION_METHOD: token.x5t_s256}} if token.x5t_s256 is not None else {}
        claims = {
            "iss": self._issuer,
            "sub": token.sub,
            "client_id": token.client_id,
            "aud": list(token.resources),
            "iat": token.issued_at,
            "exp": token.expires_at,
            "scope": token.scope,
        }
        return introspection_answer(claims | binding, token_type=None, username=_name(standing))


def _name(standing: Standing) -> str | None:
    return standing.person.username if standing.person is not None else None
