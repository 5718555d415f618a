"""The signed list of what is blocked, for APIs that check tokens by themselves."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from certbound.authority.registered import Registered
from certbound.jose.jwt import sign
from certbound.oauth.blocking import LIST_TYPE, Blocked, blocked_claims

RENEW_SECONDS = 30
"""How often the list is signed anew although nothing changed, so that it does not run out."""
MIN_LIFETIME = 120


@dataclass(frozen=True, slots=True)
class _Signed:
    blocked: Blocked
    at: float
    jwt: str
    tag: str


class BlockedList:
    """Signs what one worker knows to be blocked; the same list for everybody, so it is signed once and kept.

    It is good for as long as access tokens are: an API that cannot have a newer one meanwhile refuses no token wrongly,
    as every token issued before the outage has run out by then. `lifetime` in seconds.
    """

    def __init__(self, registered: Registered, issuer: str, *, lifetime: int, clock: Callable[[], float]) -> None:
        self._registered = registered
        self._issuer = issuer
        self._lifetime = max(lifetime, MIN_LIFETIME)
        self._clock = clock
        self._kept: _Signed | None = None

    def signed_list(self) -> tuple[str, str]:
        """Give the list as a JWT, and a tag that changes with it.

        Raises OAuthError while the server does not know for sure what is blocked.
        """
        self._registered.require_current()
        kept, blocked = self._kept, self._registered.blocked
        now = time.monotonic()
        if kept is None or kept.blocked is not blocked or now - kept.at > RENEW_SECONDS:
            issued_at = int(self._clock())
            claims = blocked_claims(
                blocked, issuer=self._issuer, issued_at=issued_at, expires_at=issued_at + self._lifetime
            )
            jwt = sign(claims, self._registered.signing_key, typ=LIST_TYPE)
            kept = _Signed(blocked, now, jwt, hashlib.sha256(jwt.encode()).hexdigest()[:32])
            self._kept = kept
        return kept.jwt, kept.tag
