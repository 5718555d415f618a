"""What a client is told of the user who let it ask (OpenID Connect Core section 5.3)."""

from collections.abc import Mapping
from typing import Any

from certbound.authority.registered import Registered
from certbound.authority.tokens.shown import ShownTokens
from certbound.certificates.presented import PresentedChain
from certbound.oauth.binding import binding_refusal
from certbound.oauth.errors import OAuthError
from certbound.oauth.userinfo import claims_by_name, userinfo_claims

SCOPE = "openid"


class UserInfo:
    """Answers whoever holds an access token of a user, with the scope `openid` and this issuer in its audience."""

    def __init__(self, shown: ShownTokens, registered: Registered, issuer: str) -> None:
        self._shown = shown
        self._registered = registered
        self._issuer = issuer

    async def answer(self, token: str, presented: PresentedChain | None) -> Mapping[str, Any]:
        """Give the claims about the user; `presented` is what the connection showed.

        A bound token is good with its own certificate only (RFC 8705 section 3), and one that is bound to nothing only
        where its client's tokens need not be. Raises OAuthError, and StoreUnavailable.
        """
        self._registered.require_current()
        claims = self._shown.read_access_token(token)
        if claims is None:
            raise _invalid("malformed, expired, or signed by nobody here")
        refusal = self._connection_refusal(claims, presented)
        if refusal is not None:
            raise _invalid(refusal)
        standing = await self._shown.access_token_standing(claims)
        client, person = standing.client, standing.person
        if standing.refusal is not None or client is None or person is None:
            raise _invalid(standing.refusal or "of a client and not of a user")
        if person.operator:
            raise _invalid("of an operator, who is no resource owner")
        if "cnf" not in claims and client.tls_client_certificate_bound_access_tokens:
            raise _invalid("bound to nothing, though its client's tokens are to be bound")
        scopes = claims.get("scope", "").split()
        if SCOPE not in scopes:
            raise OAuthError("insufficient_scope", f"the access token has not the scope {SCOPE}")
        names = claims_by_name(standing.claims, client.scopes)
        return userinfo_claims(person.sub, scopes, names, person.attributes)

    def _connection_refusal(self, claims: Mapping[str, Any], presented: PresentedChain | None) -> str | None:
        """Say why a token of ours is not good here and on this connection."""
        audience = claims["aud"]
        if self._issuer not in (audience if isinstance(audience, list) else [audience]):
            return "for another audience"
        if "cnf" in claims and (refusal := binding_refusal(claims, presented)) is not None:
            return refusal
        return self._registered.blocked.refusal(presented)


def _invalid(why: str) -> OAuthError:
    return OAuthError("invalid_token", "the access token is not good here", detail=why)
