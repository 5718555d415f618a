"""A client asks a user through the browser: the request is read, put before her, and answered with a code or a refusal.

Nothing is kept between these steps but what the client pushed ahead and that somebody is signed in: every step reads
the request anew and holds it against what is registered then.
"""

from dataclasses import dataclass
from functools import partial

from certbound.authority import authorizations
from certbound.authority.authorizations import Allowed
from certbound.authority.registered import Registered
from certbound.authority.secrets import REQUEST_URI_PREFIX
from certbound.authority.sessions import SignedIn
from certbound.authority.sign_in import acr
from certbound.authority.tokens.context import GrantContext, Policy
from certbound.oauth import interaction
from certbound.oauth.authorization_request import (
    AuthorizationPolicy,
    AuthorizationRequest,
    check_allowed,
    parse_authorization_request,
)
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form
from certbound.oauth.id_token import UserAuthentication, read_id_token_hint
from certbound.oauth.interaction import Step
from certbound.oauth.redirect_uri import RedirectRefusedError
from certbound.oauth.registration import Client
from certbound.oauth.userinfo import claims_beside_scopes
from certbound.store.engine import StoreConflict

_UNKNOWN = "no client is registered under this client_id"
_GONE = "this request_uri is not good any more: it has expired, was answered before, or is another client's"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be put before a user; `request_uri` is where it was pushed, `hinted` whom it is about."""

    request: AuthorizationRequest
    client: Client
    request_uri: str | None = None
    hinted: str | None = None

    @property
    def claims(self) -> tuple[str, ...]:
        """The claims about the user that are asked for by name, beside what the scopes give."""
        return claims_beside_scopes(self.request.claims, self.request.scopes, self.client.scopes)


class Authorizer:
    """Answers authorization requests for one worker. Raises StoreUnavailable."""

    def __init__(self, context: GrantContext, registered: Registered) -> None:
        self._context = context
        self._registered = registered

    async def read(self, parameters: Form) -> Asked:
        """Read a request; RedirectRefusedError for a page to the user, AuthorizationRefusedError for the client.

        OAuthError where nobody can be answered at the moment.
        """
        registration = await self._registered.registration(parameters.get("client_id") or "")
        if registration is None:
            raise RedirectRefusedError("invalid_request", _UNKNOWN)
        client, policy = registration.client, authorization_policy(self._context.policy, registration.client)
        request_uri = parameters.get("request_uri")
        if request_uri is None or not request_uri.startswith(REQUEST_URI_PREFIX):
            request, request_uri = parse_authorization_request(parameters, client, policy=policy), None
        else:
            request = await self._pushed(request_uri, client)
            check_allowed(request, client, policy=policy)
        return Asked(request, client, request_uri, self._hinted(request))

    async def next_step(self, asked: Asked, signed_in: SignedIn | None, *, fresh: bool) -> Step:
        """Say what comes next before the user, as `oauth.interaction` does; `fresh`: signed in for this request."""
        user = _authentication(signed_in)
        return interaction.next_step(
            asked.request,
            user,
            hinted=asked.hinted,
            consented=user is not None and await self._has_consented(asked, user.subject),
            fresh=fresh,
            now=int(self._context.clock()),
        )

    async def allow(self, asked: Asked, signed_in: SignedIn, *, consented: bool) -> str:
        """Give the code; `consented` says whether the user was asked just now. Raises as `read` does."""
        rules = authorization_policy(self._context.policy, asked.client).profile.rules
        unit = partial(
            authorizations.issue_code,
            allowed=Allowed(asked.request, signed_in.session, asked.request_uri, consented, asked.claims),
            lifetime=min(self._context.policy.code_lifetime, rules.code_lifetime),
            now=int(self._context.clock()),
        )
        try:
            return await self._context.store.writing(unit)
        except StoreConflict as error:
            raise RedirectRefusedError("invalid_request", _UNKNOWN) from error

    async def refuse(self, asked: Asked) -> None:
        """Use up the pushed request that is answered with a refusal."""
        if asked.request_uri is not None:
            unit = partial(
                authorizations.use_pushed_request, request_uri=asked.request_uri, now=int(self._context.clock())
            )
            await self._context.store.writing(unit)

    def audience(self, asked: Asked) -> tuple[str, ...]:
        """Give the APIs that what is asked for is good for."""
        return asked.request.resources or (self._context.policy.default_audience,)

    async def _pushed(self, request_uri: str, client: Client) -> AuthorizationRequest:
        unit = partial(
            authorizations.find_pushed_request,
            request_uri=request_uri,
            client_id=client.client_id,
            now=int(self._context.clock()),
        )
        request = await self._context.store.reading(unit)
        if request is None:
            raise RedirectRefusedError("invalid_request", _GONE)
        return request

    def _hinted(self, request: AuthorizationRequest) -> str | None:
        if request.id_token_hint is None:
            return None
        issuer = self._context.policy.issuer
        try:
            return read_id_token_hint(request.id_token_hint, self._registered.verification_keys, issuer=issuer).subject
        except OAuthError as error:
            raise request.refused(error.error, error.description) from error

    async def _has_consented(self, asked: Asked, sub: str) -> bool:
        """Say whether this need not be asked again.

        Whoever listens at this machine may say it is a client that has no way to prove it (RFC 8252 section 8.6).
        """
        if asked.client.implicit_consent:
            return True
        if asked.client.is_public and asked.request.redirect_uri.startswith("http:"):
            return False
        return await self._context.store.reading(
            partial(
                authorizations.has_consented,
                sub=sub,
                client_id=asked.client.client_id,
                scopes=asked.request.scopes,
                claims=asked.claims,
            )
        )


def authorization_policy(policy: Policy, client: Client) -> AuthorizationPolicy:
    """Say what holds for a client's requests."""
    return AuthorizationPolicy(scopes=client.scopes, resources=policy.resources(client))


def _authentication(signed_in: SignedIn | None) -> UserAuthentication | None:
    if signed_in is None:
        return None
    session = signed_in.session
    return UserAuthentication(session.sub, session.auth_time, acr(session.amr), session.amr)
