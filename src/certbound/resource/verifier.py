"""Is this token good, here, now, on this connection? Decided without I/O (RFC 9068 section 4, RFC 8705 section 3)."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from certbound.certificates.presented import PresentedChain
from certbound.oauth.binding import CONFIRMATION_METHOD, binding_refusal
from certbound.oauth.blocking import NOTHING_BLOCKED, Blocked

if TYPE_CHECKING:
    from certbound.jose.jwks import JWKSet

ALGORITHMS: Final = ("ES256", "RS256", "PS256", "ES384", "EdDSA")
_TYPES: Final = frozenset({"at+jwt"})


class TokenRefused(Exception):  # noqa: N818  an answer to a caller, not a failure
    """The request is refused (RFC 6750 section 3.1).

    `error` is the RFC's code, or None where the request showed no token at all; `description` is for the caller
    (ASCII without quote and backslash); `status` is the HTTP status; `scope` what would have been needed.
    `unknown_key` says that the issuer's keys may have changed since they were fetched.
    """

    def __init__(
        self, error: str | None, description: str, status: int = 401, *, scope: str = "", unknown_key: bool = False
    ) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status
        self.scope = scope
        self.unknown_key = unknown_key


@dataclass(frozen=True, slots=True)
class BoundToken:
    """What a verified token says: who calls, on whose behalf, with which scopes.

    `x5t_s256` is the thumbprint of the certificate the token is bound to (base64url of SHA-256), which is the one of
    this connection; None only where unbound tokens were allowed. `expires_at` is in seconds since the epoch.
    """

    client_id: str | None
    subject: str
    scope: frozenset[str]
    x5t_s256: str | None
    expires_at: int
    claims: Mapping[str, Any] = field(repr=False)


class Verifier:
    """The rules of one API: whose tokens it takes, and for which audience.

    `issuer` and `audience` are compared code point by code point. `leeway` is in seconds. With `require_binding=False`
    a token without `cnf` passes; one that has it is checked all the same.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        algorithms: Collection[str] = ALGORITHMS,
        *,
        leeway: int = 5,
        require_binding: bool = True,
    ) -> None:
        if unknown := set(algorithms) - set(ALGORITHMS):
            raise ValueError(
                f"algorithms: {', '.join(sorted(unknown))} not offered, choose from {', '.join(ALGORITHMS)}"
            )
        if not issuer or not audience or not algorithms:
            raise ValueError("issuer, audience and algorithms must not be empty")
        self._issuer = issuer
        self._audience = audience
        self._algorithms = frozenset(algorithms)
        self._leeway = leeway
        self._require_binding = require_binding

    def verify(
        self,
        token: str,
        presented: PresentedChain | None,
        now: int,
        keys: "JWKSet",
        *,
        blocked: Blocked = NOTHING_BLOCKED,
    ) -> BoundToken:
        """Check a JWT access token against the connection's certificate; `now` in seconds since the epoch.

        `blocked` is what the issuer blocked.
        Raises TokenRefused with `invalid_token` for whatever fails (RFC 9068 section 4).
        """
        from certbound.jose import jwt  # late: whoever has keys has loaded it, and an app's import stays quick

        try:
            verified = jwt.verify(token, keys, algorithms=self._algorithms, typ=_TYPES)
        except jwt.JWTError as exc:
            raise TokenRefused("invalid_token", str(exc), unknown_key=exc.unknown_key) from None
        claims = verified.claims
        expires_at = self._check_times(claims, now)
        self._check_parties(claims)
        bound = self._check_binding(claims, presented)
        check_blocked(claims, presented, blocked)
        scope, client_id = claims.get("scope", ""), claims.get("client_id")
        if not isinstance(scope, str) or not isinstance(client_id, str | None):
            raise TokenRefused("invalid_token", "scope or client_id of the token is no string")
        return BoundToken(
            client_id=client_id,
            subject=claims["sub"],
            scope=frozenset(scope.split()),
            x5t_s256=bound,
            expires_at=expires_at,
            claims=claims,
        )

    def _check_times(self, claims: Mapping[str, Any], now: int) -> int:
        expires_at = _seconds(claims, "exp")
        if expires_at is None:
            raise TokenRefused("invalid_token", "the token has no expiry")
        if now >= expires_at + self._leeway:
            raise TokenRefused("invalid_token", "the token has expired")
        for claim in ("nbf", "iat"):
            begins = _seconds(claims, claim)
            if begins is not None and begins > now + self._leeway:
                raise TokenRefused("invalid_token", f"the token is not valid yet ({claim})")
        return int(expires_at)

    def _check_parties(self, claims: Mapping[str, Any]) -> None:
        if claims.get("iss") != self._issuer:
            raise TokenRefused("invalid_token", "the token is of another issuer")
        audience = claims.get("aud")
        if audience != self._audience and not (isinstance(audience, list) and self._audience in audience):
            raise TokenRefused("invalid_token", "the token is for another audience")
        if not isinstance(claims.get("sub"), str):
            raise TokenRefused("invalid_token", "the token names no subject")

    def _check_binding(self, claims: Mapping[str, Any], presented: PresentedChain | None) -> str | None:
        if not self._require_binding and "cnf" not in claims:
            return None
        if (refusal := binding_refusal(claims, presented)) is not None:
            raise TokenRefused("invalid_token", refusal)
        return str(claims["cnf"][CONFIRMATION_METHOD])


def check_blocked(claims: Mapping[str, Any], presented: PresentedChain | None, blocked: Blocked) -> None:
    """Raise TokenRefused if the issuer blocked the connection's certificate, its key, or the verified token itself.

    The certificate that the token is bound to is the connection's: that was checked.
    """
    refusal, jti = blocked.refusal(presented), claims.get("jti")
    if refusal is None and isinstance(jti, str) and jti in blocked.tokens:
        refusal = "the token is blocked"
    if refusal is not None:
        raise TokenRefused("invalid_token", refusal)


def _seconds(claims: Mapping[str, Any], claim: str) -> float | None:
    """Read a NumericDate (RFC 7519 section 2), None if it is absent; JSON as Python reads it knows NaN and Infinity."""
    value = claims.get(claim)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise TokenRefused("invalid_token", f"the time {claim} of the token is no number")
    return value
