"""What the issuer blocked: its signed list, brought in as requests come and kept until it expires."""

import logging
import math
import threading
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Final

from certbound.fetch.address import ANYWHERE
from certbound.fetch.document import FetchError, fetch
from certbound.fetch.trust import trust_roots
from certbound.oauth.blocking import LIST_TYPE, Blocked, BlockedListError, read_blocked
from certbound.resource.keys import IssuerKeys, KeysUnavailableError
from certbound.resource.verifier import ALGORITHMS

if TYPE_CHECKING:
    import ssl

    from certbound.jose.jwks import JWKSet
    from certbound.jose.jwt import VerifiedJWT

logger = logging.getLogger(__name__)

STALE_SECONDS: Final = 0.75
"""A list older than this is fetched anew, while it still serves."""
OLD_SECONDS: Final = 1.5
"""A request that finds a list older than this waits for the new one."""
RETRY_SECONDS: Final = 1
"""How long after an attempt that failed the next one is made; meanwhile nobody waits."""
TIMEOUT_SECONDS: Final = 2
"""How long the issuer has to answer, and a request waits at most."""

_ROOTS_SECONDS: Final = 30
_MAX_BYTES: Final = 8 * 1024 * 1024
_OK: Final = 200


class BlockedUnavailableError(Exception):
    """It is not known what is blocked; the text says why in one line, for the log."""

    retry_after = RETRY_SECONDS


@dataclass(frozen=True, slots=True)
class _SignedList:
    """A list whose signature held by these keys; times in seconds since the epoch."""

    body: bytes = field(repr=False)
    keys: "JWKSet"
    blocked: Blocked
    issued_at: int
    expires_at: int


class IssuerBlocked:
    """What one issuer blocked. `ca_file` (PEM) replaces the system's roots. Nothing is fetched before the first use.

    `now` is in seconds of a monotonic clock, `clock` in seconds since the epoch. Threads may share it.
    """

    def __init__(self, issuer: str, keys: IssuerKeys, ca_file: str | PathLike[str] | None = None) -> None:
        self._issuer = issuer
        self._keys = keys
        self._ca_file = ca_file
        self._trust: ssl.SSLContext | None = None
        self._refreshing = threading.Lock()
        self._held: _SignedList | None = None
        self._failure = ""
        self._asked_at = self._fetched_at = self._trust_read_at = -math.inf

    def is_due(self, now: float) -> bool:
        """Say whether the list should be fetched, for this request or for those that follow."""
        return now >= self._asked_at + (RETRY_SECONDS if self._failure else STALE_SECONDS)

    def is_old(self, now: float, clock: int) -> bool:
        """Say whether a request should wait where the list is being fetched.

        It does not where the last attempt failed and there is a list: the issuer's troubles do not become the API's.
        """
        if self._held is None or clock >= self._held.expires_at:
            return True
        return not self._failure and now >= self._fetched_at + OLD_SECONDS

    def current(self, clock: int) -> Blocked:
        """Give what is blocked by the last good list. Raises BlockedUnavailableError without one that is in force.

        When a list expires, so has every access token that was issued before it; of those issued since nobody knows
        whether they are blocked.
        """
        held = self._held
        if held is None or clock >= held.expires_at:
            raise BlockedUnavailableError(self._failure or "the list of what is blocked has expired")
        return held.blocked

    def refresh(self, endpoint: str, now: float, clock: int, keys: "JWKSet") -> None:
        """Fetch the list if that is due. Blocks for seconds: call it off the event loop.

        A failure goes to the log and leaves the list as it was; `current` says whether that is good enough.
        """
        with self._refreshing:
            if not self.is_due(now):
                return
            self._asked_at = now
            try:
                self._held = self._fetch(endpoint, now, clock, keys)
            except (FetchError, KeysUnavailableError, OSError, ValueError) as exc:
                self._note(str(exc) or type(exc).__name__)
            else:
                self._fetched_at = now
                self._failure = ""

    def _note(self, failure: str) -> None:
        if failure != self._failure:
            logger.warning("blocked_list_not_fetched", extra={"issuer": self._issuer, "detail": failure})
        self._failure = failure

    def _fetch(self, endpoint: str, now: float, clock: int, keys: "JWKSet") -> _SignedList:
        answer = fetch(
            endpoint,
            trust=self._roots(now),
            allow=ANYWHERE,
            timeout=TIMEOUT_SECONDS,
            max_bytes=_MAX_BYTES,
            accept="application/jwt",
        )
        if answer.status != _OK:
            raise BlockedListError(f"the endpoint answered with status {answer.status}")
        held = self._held
        if held is not None and answer.body == held.body and keys is held.keys and clock < held.expires_at:
            return held
        return self._read(answer.body, now, clock, keys)

    def _roots(self, now: float) -> "ssl.SSLContext":
        """Give the roots as they were read once, and now and then anew while they may be what a failure is about."""
        if self._trust is None or (self._failure and now >= self._trust_read_at + _ROOTS_SECONDS):
            self._trust = trust_roots(self._ca_file, only=True)
            self._trust_read_at = now
        return self._trust

    def _read(self, body: bytes, now: float, clock: int, keys: "JWKSet") -> _SignedList:
        try:
            token = body.decode("ascii")
        except UnicodeDecodeError:
            raise BlockedListError("the answer is no signed list") from None
        verified, keys = self._verify(token, now, keys)
        blocked = read_blocked(verified.claims, issuer=self._issuer, now=clock)
        signed = _SignedList(body, keys, blocked, verified.claims["iat"], verified.claims["exp"])
        held = self._held
        if held is not None and signed.issued_at < held.issued_at and clock < held.expires_at:
            return held  # of another process of the issuer, which signed it earlier: what is known is newer
        return signed

    def _verify(self, token: str, now: float, keys: "JWKSet") -> "tuple[VerifiedJWT, JWKSet]":
        from certbound.jose.jwt import JWTError  # late: whoever has keys has loaded it

        try:
            return _verify(token, keys), keys
        except JWTError as exc:
            if not exc.unknown_key or not self._keys.may_have_others(now, than=keys):
                raise
        keys = self._keys.obtain(now, lacking=keys)
        return _verify(token, keys), keys


def _verify(token: str, keys: "JWKSet") -> "VerifiedJWT":
    from certbound.jose import jwt

    return jwt.verify(token, keys, algorithms=ALGORITHMS, typ={LIST_TYPE}, max_length=_MAX_BYTES)
