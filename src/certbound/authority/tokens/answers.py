"""Who answers what clients post, and what they ask of people at a browser: the parts of this room, put together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from certbound.authority.own_account import OwnAccount
from certbound.authority.records import IssueTrail
from certbound.authority.refusals import Refusals
from certbound.authority.registered import Registered
from certbound.authority.sightings import Sightings
from certbound.authority.sign_in import SignIn, SignInPolicy
from certbound.authority.tokens.authenticating import ClientAuthenticator, ClientRequest
from certbound.authority.tokens.authorizing import Authorizer
from certbound.authority.tokens.context import GrantContext
from certbound.authority.tokens.introspection import Introspector
from certbound.authority.tokens.issuing import TokenIssuer
from certbound.authority.tokens.pushing import Pusher
from certbound.authority.tokens.revocation import Revoker
from certbound.authority.tokens.shown import ShownTokens
from certbound.authority.tokens.userinfo import UserInfo


@dataclass(frozen=True, slots=True)
class ClientAnswers:
    """Answers by endpoint, each with the members of a JSON object; OAuthError otherwise, StoreUnavailable for a 503."""

    issuer: TokenIssuer
    introspector: Introspector
    revoker: Revoker
    pusher: Pusher
    userinfo: UserInfo

    async def token(self, request: ClientRequest) -> Mapping[str, Any]:
        """Answer at the token endpoint (RFC 6749 section 5.1)."""
        return (await self.issuer.answer(request)).as_json()

    async def introspection(self, request: ClientRequest) -> Mapping[str, Any]:
        """Answer at the introspection endpoint (RFC 7662 section 2.2)."""
        return await self.introspector.answer(request)

    async def revocation(self, request: ClientRequest) -> Mapping[str, Any]:
        """Answer at the revocation endpoint: 200 is all there is to say (RFC 7009 section 2.2)."""
        await self.revoker.revoke(request)
        return {}

    async def pushed_request(self, request: ClientRequest) -> Mapping[str, Any]:
        """Answer at the pushed authorization request endpoint (RFC 9126 section 2.2)."""
        return await self.pusher.answer(request)


@dataclass(frozen=True, slots=True)
class PeopleAnswers:
    """Who answers people at a browser: signs them in, reads what clients ask of them, shows them what they allowed."""

    sign_in: SignIn
    account: OwnAccount
    authorizer: Authorizer


def client_answers(
    context: GrantContext, registered: Registered, trail: IssueTrail, refusals: Refusals, sightings: Sightings
) -> ClientAnswers:
    """Put together what answers for one worker."""
    authenticator = ClientAuthenticator(
        context.store,
        registered,
        refusals,
        sightings,
        clock=context.clock,
        certificate_optional=context.policy.token_endpoint_without_certificate,
    )
    shown = ShownTokens(context, registered)
    return ClientAnswers(
        TokenIssuer(context, registered, authenticator, trail),
        Introspector(authenticator, shown, context.policy.issuer),
        Revoker(context, authenticator, shown),
        Pusher(context, authenticator),
        UserInfo(shown, registered, context.policy.issuer),
    )


def people_answers(context: GrantContext, registered: Registered, master_key: bytes) -> PeopleAnswers:
    """Put together what answers for one worker; the master key opens second factors."""
    policy = SignInPolicy(master_key, context.policy.session_lifetime)
    return PeopleAnswers(
        SignIn(context.store, policy, context.clock),
        OwnAccount(context.store, registered, context.clock),
        Authorizer(context, registered),
    )
