"""What a worker knows of the JWK Sets that clients publish at their `jwks_uri` (RFC 7591 section 2)."""

import json
import logging
import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from time import monotonic

from certbound.authority.outbound import BusyError, Flights, Outbound
from certbound.fetch.document import Fetched, FetchError
from certbound.fetch.freshness import freshness
from certbound.oauth.client_jwks import ClientKeys, read_client_jwks
from certbound.oauth.registration import RegistrationError

log = logging.getLogger(__name__)

MAX_BYTES = 256 * 1024
"""Bytes of a set."""
LEAST_FRESH, MOST_FRESH, DEFAULT_FRESH = 60, 24 * 3600, 300
"""Seconds for which a set is used before it is fetched again, as the headers of its answer say within these bounds."""
KEPT_SECONDS = 24 * 3600
"""Seconds after it was fetched for which the last good set serves at most while its source fails."""
PAUSE_SECONDS = 30
"""Seconds between two fetches from one URI, whatever came of the first."""
MAX_URIS = 10_000
MAX_KEPT_BYTES = 64 * 1024 * 1024
"""Bytes of all the sets together, as they came; those that were not used for longest go first."""


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """What is known of one URI. Times are seconds of `time.monotonic`."""

    keys: ClientKeys | None
    """None where no set may be used."""
    fetched_at: float
    """When `keys` were asked for; `-inf` if they never came."""
    fresh_until: float
    """Until when the URI is not asked without a reason."""
    failure: str | None
    """Why the last fetch brought nothing, in one line for the log; None if it brought `keys`."""


class _Source:
    def __init__(self) -> None:
        self.known = KnownKeys(None, -math.inf, -math.inf, "not fetched yet")
        self.asked_at = -math.inf
        self.size = 0


class ClientKeySets:
    """One worker's memory of the sets, bounded in number and bytes; it belongs to one event loop."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._size = 0
        self._flights: Flights[str, KnownKeys] = Flights()

    async def get(self, uri: str) -> KnownKeys:
        """Give what is known of `uri`, fetched if that is no longer fresh.

        A stale set is not served while it is fetched anew, as a key that was taken out must stop working; only if the
        fetch fails does it serve on. Takes at most the time of a fetch (`outbound.FETCH_SECONDS`), and never raises.
        """
        source = self._source(uri)
        if monotonic() < source.known.fresh_until:
            return _usable(source.known)
        return await self._flights.join(uri, lambda: self._renew(uri, source))

    async def refetch(self, uri: str, lacking: KnownKeys) -> KnownKeys:
        """Give what is known after another fetch, as `lacking` does not hold the key that a client showed.

        Whoever shows unknown keys can have a URI asked once in `PAUSE_SECONDS`, and no more often.
        """
        source = self._source(uri)
        if source.known.keys is not lacking.keys:
            return await self.get(uri)
        return await self._flights.join(uri, lambda: self._renew(uri, source))

    def current(self, uri: str) -> KnownKeys | None:
        """Give what is known of `uri` while that is fresh, without fetching."""
        source = self._sources.get(uri)
        return source.known if source is not None and monotonic() < source.known.fresh_until else None

    def _source(self, uri: str) -> _Source:
        source = self._sources.get(uri)
        if source is None:
            source = self._sources[uri] = _Source()
            self._forget()
        else:
            self._sources.move_to_end(uri)
        return source

    def _forget(self) -> None:
        """Leave out what was not used for longest, except the last one, until the rest is within bounds."""
        while len(self._sources) > MAX_URIS or (self._size > MAX_KEPT_BYTES and len(self._sources) > 1):
            self._size -= self._sources.popitem(last=False)[1].size

    async def _renew(self, uri: str, source: _Source) -> KnownKeys:
        now = monotonic()
        if now < source.asked_at + PAUSE_SECONDS:
            return _usable(source.known)
        asked_before, source.asked_at = source.asked_at, now
        try:
            keys, fresh, size = await self._outbound.bring(
                uri, _read, max_bytes=MAX_BYTES, accept="application/jwk-set+json, application/json"
            )
        except BusyError as error:
            source.asked_at = asked_before
            return _usable(self._failed(uri, source, str(error), now))
        except FetchError as error:
            source.known = self._failed(uri, source, str(error), now + PAUSE_SECONDS)
            return _usable(source.known)
        source.known = KnownKeys(keys, now, now + fresh, None)
        if self._sources.get(uri) is source:
            self._size += size - source.size
            source.size = size
            self._forget()
        log.info(
            "client_keys_fetched",
            extra={"uri": _shown(uri), "certificates": len(keys.certificates), "keys": len(keys.keys), "fresh": fresh},
        )
        return source.known

    def _failed(self, uri: str, source: _Source, reason: str, fresh_until: float) -> KnownKeys:
        known = replace(source.known, fresh_until=fresh_until, failure=reason)
        serving = _usable(known).keys is not None
        log.warning("client_keys_not_fetched", extra={"uri": _shown(uri), "reason": reason, "old_set_serves": serving})
        return known


def _usable(known: KnownKeys) -> KnownKeys:
    """Leave out a set that has served for as long as it may."""
    if known.keys is not None and monotonic() >= known.fetched_at + KEPT_SECONDS:
        return replace(known, keys=None)
    return known


def _read(answer: Fetched) -> tuple[ClientKeys, int, int]:
    """Give the keys of a set, the seconds for which they are fresh, and the bytes they came in; FetchError."""
    try:
        keys = read_client_jwks(json.loads(answer.body))
    except RegistrationError as error:
        raise FetchError(f"the set cannot be used: {error}") from None
    except (ValueError, RecursionError):
        raise FetchError("the answer is not JSON") from None
    fresh = freshness(answer.headers, least=LEAST_FRESH, most=MOST_FRESH, default=DEFAULT_FRESH)
    return keys, fresh, len(answer.body)


def _shown(uri: str) -> str:
    return uri.partition("?")[0]
