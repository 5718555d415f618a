"""A client sends an authorization request ahead and gets a URI to send the browser with (RFC 9126)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from certbound.authority import authorizations
from certbound.authority.tokens.authenticating import ClientAuthenticator, ClientRequest
from certbound.authority.tokens.authorizing import authorization_policy
from certbound.authority.tokens.context import GrantContext
from certbound.oauth.authorization_request import parse_authorization_request
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form
from certbound.store.engine import StoreConflict


class Pusher:
    """Answers at the pushed authorization request endpoint."""

    def __init__(self, context: GrantContext, authenticator: ClientAuthenticator) -> None:
        self._context = context
        self._authenticator = authenticator

    async def answer(self, request: ClientRequest) -> Mapping[str, Any]:
        """Authenticate, then hold the request against the registration (section 2.1); OAuthError otherwise."""
        authenticated = await self._authenticator.authenticate(request)
        client = authenticated.registration.client
        policy = authorization_policy(self._context.policy, client)
        # The header may have named the client in its place.
        parameters = Form({"client_id": (client.client_id,), **request.form.values})
        pushed = parse_authorization_request(parameters, client, policy=policy, pushed=True)
        lifetime = min(self._context.policy.pushed_request_lifetime, policy.profile.rules.request_uri_lifetime)
        unit = partial(authorizations.push_request, request=pushed, lifetime=lifetime, now=int(self._context.clock()))
        try:
            request_uri = await self._context.store.writing(unit)
        except StoreConflict as error:
            raise OAuthError("invalid_client", "client authentication failed", detail="deleted meanwhile") from error
        return {"request_uri": request_uri, "expires_in": lifetime}
