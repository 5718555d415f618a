"""What an access token says (RFC 9068), and the answer it is handed out in (RFC 6749 section 5.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from certbound.oauth.id_token import UserAuthentication

BEARER = "Bearer"
"""The `token_type`, bound or not (RFC 8705 section 3)."""
TOKEN_TYPE = "at+jwt"
"""The `typ` header (RFC 9068 section 2.1)."""
LONGEST_LIFETIME = 86_400
"""Seconds that no signed token outlives, whatever the settings say: so long the key of the last one is published."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What an ID token beside the access token says: who authenticated, the request's `nonce`, and further claims."""

    user: UserAuthentication
    nonce: str | None = field(default=None, repr=False)
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a grant allowed: who, through which client, what and where.

    `refreshable` asks for a refresh token beside the access token; it joins the `family` of the one it replaces, whose
    SHA-256 is `redeems` where that one is used up by this answer. `code` is the SHA-256 of the authorization code that
    is. A refresh token is good for all of `resources`, where they are more than the `audience` of this answer. `claims`
    are those about the subject that were asked for by name, for the UserInfo endpoint.
    """

    client_id: str
    subject: str
    grant_type: str
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    refreshable: bool = False
    family: str | None = None
    redeems: bytes | None = None
    code: bytes | None = field(default=None, repr=False)
    resources: tuple[str, ...] = ()
    identity: Identity | None = None
    claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """A successful answer of the token endpoint; the tokens in it are secrets."""

    access_token: str = field(repr=False)
    expires_in: int
    """Seconds."""
    scopes: tuple[str, ...]
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Give the members of RFC 6749 section 5.1 and OpenID Connect Core section 3.1.3.3.

        Bound or not, the type is Bearer (RFC 8705 section 3).
        """
        members: dict[str, Any] = {
            "access_token": self.access_token,
            "token_type": BEARER,
            "expires_in": self.expires_in,
        }
        if self.scopes:
            members["scope"] = " ".join(self.scopes)
        if self.refresh_token is not None:
            members["refresh_token"] = self.refresh_token
        if self.id_token is not None:
            members["id_token"] = self.id_token
        return members


def access_token_claims(
    authorization: Authorization,
    confirmation: dict[str, str] | None,
    *,
    issuer: str,
    jti: str,
    issued_at: int,
    lifetime: int,
) -> dict[str, Any]:
    """Build the claims (RFC 9068 section 2.2); times and `lifetime` in seconds, `jti` unique by the caller's word.

    `confirmation` is the `cnf` claim that binds the token to a certificate, None for an unbound token.
    """
    audience = authorization.audience
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": authorization.subject,
        "aud": audience[0] if len(audience) == 1 else list(audience),
        "client_id": authorization.client_id,
        "iat": issued_at,
        "exp": issued_at + lifetime,
        "jti": jti,
    }
    if authorization.scopes:
        claims["scope"] = " ".join(authorization.scopes)
    if confirmation is not None:
        claims["cnf"] = confirmation
    return claims
