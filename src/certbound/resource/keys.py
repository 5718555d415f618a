"""The issuer's keys: found by discovery, brought in by `fetch`, kept for a stated time."""

import json
import logging
import math
import threading
from os import PathLike
from typing import TYPE_CHECKING, Final

from certbound.fetch.address import ANYWHERE
from certbound.fetch.discovery import DiscoveryError, check_issuer, metadata_urls, read_metadata
from certbound.fetch.document import FetchError, fetch
from certbound.fetch.trust import trust_roots

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


class IssuerKeys:
    """The keys of one issuer. `ca_file` (PEM) replaces the system's roots. Nothing is fetched before the first use.

    Times are seconds of a monotonic clock. Threads may share it; one of them fetches while the others wait.
    """

    def __init__(self, issuer: str, ca_file: str | PathLike[str] | None = None) -> None:
        self._issuer = check_issuer(issuer)
        self._ca_file = ca_file
        self._fetching = threading.Lock()
        self._keys: JWKSet | None = None
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

    def may_refetch(self, now: float) -> bool:
        """Say whether a token signed with an unknown key is reason enough to ask the issuer again."""
        return now >= self._asked_at + UNKNOWN_KEY_SECONDS

    def obtain(self, now: float, *, lacking: "JWKSet | None" = None) -> "JWKSet":
        """Ask the issuer if need be, and give its keys. Blocks for seconds: call it off the event loop.

        `lacking` is a set in which a token's key was not found. Raises KeysUnavailableError.
        """
        with self._fetching:
            if lacking is None or self._keys is not lacking or not self.may_refetch(now):
                held = self.ready(now)
                if held is not None:
                    return held
            self._ask(now)
            held = self.ready(now)
        if held is None:
            raise KeysUnavailableError(self._failure)
        return held

    def _ask(self, now: float) -> None:
        self._asked_at = now
        try:
            self._keys = self._fetch_keys()
        except (FetchError, DiscoveryError, KeysUnavailableError, OSError) as exc:
            self._failure = str(exc)
            self._renew_at = now + RETRY_SECONDS
            logger.warning("issuer_keys_not_fetched", extra={"issuer": self._issuer, "detail": self._failure})
        else:
            self._fetched_at = now
            self._renew_at = now + FRESH_SECONDS

    def _fetch_keys(self) -> "JWKSet":
        from certbound.jose.jwks import JWKSError, parse_jwks  # late: off the event loop, and not at an app's import

        trust = trust_roots(self._ca_file, only=True)
        answer = fetch(
            self._find_jwks_uri(trust), trust=trust, allow=ANYWHERE, accept="application/jwk-set+json, application/json"
        )
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

    def _find_jwks_uri(self, trust: "ssl.SSLContext") -> str:
        for url in metadata_urls(self._issuer):
            answer = fetch(url, trust=trust, allow=ANYWHERE)
            if answer.status == _OK:
                jwks_uri = read_metadata(answer.body, self._issuer).get("jwks_uri")
                if isinstance(jwks_uri, str):
                    return jwks_uri
                raise KeysUnavailableError("the issuer's metadata has no jwks_uri")
        raise KeysUnavailableError(f"no metadata is published for issuer {self._issuer!r}")
