"""The issuer's keys: found by discovery, brought in by `fetch`, kept for a stated time.

What else its metadata says that an API needs is kept with them.
"""

import json
import logging
import math
import threading
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

from certbound.fetch.address import ANYWHERE
from certbound.fetch.discovery import DiscoveryError, check_issuer, metadata_urls, read_metadata
from certbound.fetch.document import FetchError, fetch
from certbound.fetch.trust import trust_roots
from certbound.oauth.blocking import METADATA_MEMBER

if TYPE_CHECKING:
    import ssl

    from certbound.jose.jwks import JWKSet

logger = logging.getLogger(__name__)

FRESH_SECONDS: Final = 600
"""How long fetched keys are used before they are fetched again."""
KEPT_SECONDS: Final = 24 * 3600
"""How long they serve at most while the issuer cannot be reached."""
UNKNOWN_KEY_SECONDS: Final = 30
"""How often, at most, a token signed with an unknown key makes the keys be fetched again."""
RETRY_SECONDS: Final = 5
"""How long after a failure the issuer is left alone."""

_OK: Final = 200


class KeysUnavailableError(Exception):
    """There are no keys that may be used; the text says why in one line, for the log."""

    retry_after = RETRY_SECONDS


class IssuerKeys:
    """The keys of one issuer. `ca_file` (PEM) replaces the system's roots. Nothing is fetched before the first use.

    Times are seconds of a monotonic clock. Threads may share it; one of them fetches while the others wait.
    """

    def __init__(self, issuer: str, ca_file: str | PathLike[str] | None = None) -> None:
        self._issuer = check_issuer(issuer)
        self._ca_file = ca_file
        self._fetching = threading.Lock()
        self._keys: JWKSet | None = None
        self._blocked_endpoint: str | None = None
        self._failure = ""
        self._asked_at = self._fetched_at = self._renew_at = -math.inf

    def ready(self, now: float) -> "JWKSet | None":
        """Give the keys that may be used without asking the issuer, None if it must be asked.

        Raises KeysUnavailableError where it could not be reached a moment ago and nothing kept may be used.
        """
        if now >= self._renew_at:
            return None
        if self._keys is None or now >= self._fetched_at + KEPT_SECONDS:
            raise KeysUnavailableError(self._failure)
        return self._keys

    @property
    def blocked_endpoint(self) -> str | None:
        """Where the issuer lists what is blocked; None if it does not, or was not asked for its keys yet."""
        return self._blocked_endpoint

    def may_have_others(self, now: float, than: "JWKSet") -> bool:
        """Say whether `obtain` may give other keys `than` those in which a token's key was not found.

        They have come in the meantime, are on their way, or the issuer may be asked again.
        """
        return self._keys is not than or self._fetching.locked() or self._may_refetch(now)

    def obtain(self, now: float, *, lacking: "JWKSet | None" = None) -> "JWKSet":
        """Ask the issuer if need be, and give its keys. Blocks for seconds: call it off the event loop.

        `lacking` is a set in which a token's key was not found. Raises KeysUnavailableError.
        """
        with self._fetching:
            if lacking is None or self._keys is not lacking or not self._may_refetch(now):
                held = self.ready(now)
                if held is not None:
                    return held
            self._ask(now)
            held = self.ready(now)
        if held is None:
            raise KeysUnavailableError(self._failure)
        return held

    def _may_refetch(self, now: float) -> bool:
        return now >= self._asked_at + UNKNOWN_KEY_SECONDS

    def _ask(self, now: float) -> None:
        self._asked_at = now
        try:
            self._keys, self._blocked_endpoint = self._fetch()
        except (FetchError, DiscoveryError, KeysUnavailableError, OSError) as exc:
            self._failure = str(exc)
            self._renew_at = now + RETRY_SECONDS
            logger.warning("issuer_keys_not_fetched", extra={"issuer": self._issuer, "detail": self._failure})
        else:
            self._fetched_at = now
            self._renew_at = now + FRESH_SECONDS

    def _fetch(self) -> "tuple[JWKSet, str | None]":
        trust = trust_roots(self._ca_file, only=True)
        metadata = self._fetch_metadata(trust)
        jwks_uri, blocked_endpoint = metadata.get("jwks_uri"), metadata.get(METADATA_MEMBER)
        if not isinstance(jwks_uri, str):
            raise KeysUnavailableError("the issuer's metadata has no jwks_uri")
        if not isinstance(blocked_endpoint, str | None):
            raise KeysUnavailableError(f"{METADATA_MEMBER} in the issuer's metadata is no URL")
        return _fetch_keys(jwks_uri, trust), blocked_endpoint

    def _fetch_metadata(self, trust: "ssl.SSLContext") -> dict[str, Any]:
        for url in metadata_urls(self._issuer):
            answer = fetch(url, trust=trust, allow=ANYWHERE)
            if answer.status == _OK:
                return read_metadata(answer.body, self._issuer)
        raise KeysUnavailableError(f"no metadata is published for issuer {self._issuer!r}")


def _fetch_keys(jwks_uri: str, trust: "ssl.SSLContext") -> "JWKSet":
    from certbound.jose.jwks import JWKSError, parse_jwks  # late: off the event loop, and not at an app's import

    answer = fetch(jwks_uri, trust=trust, allow=ANYWHERE, accept="application/jwk-set+json, application/json")
    if answer.status != _OK:
        raise KeysUnavailableError(f"jwks_uri answered with status {answer.status}")
    try:
        keys = parse_jwks(json.loads(answer.body))
    except JWKSError as exc:
        raise KeysUnavailableError(f"jwks_uri: {exc}") from None
    except (ValueError, RecursionError):
        raise KeysUnavailableError("jwks_uri gave no JSON") from None
    if not keys.keys:
        raise KeysUnavailableError("jwks_uri gave no usable signature key")
    return keys
