"""How a worker fetches while it serves: on threads of its own, a few for each host, once for all who wait."""

import asyncio
import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from certbound.fetch.document import Fetched, FetchError, fetch

T = TypeVar("T")
K = TypeVar("K")

THREADS = 16
"""Fetches at one time."""
HOST_THREADS = 8
"""Fetches at one time from one host, so that one that does not answer leaves threads to the others."""
FETCH_SECONDS = 2.5
"""Whole time of a fetch, so that the request that needs it is answered within 3 seconds."""
WAIT_SECONDS = 1.0
"""How much of that time a fetch waits for a thread."""

_OK = 200


class BusyError(FetchError):
    """Nothing was asked of anybody, as every thread that may be used is waiting for an answer."""


class Outbound:
    """Fetches under the operator's settings: `trust` roots, networks to `allow`, an egress `proxy` (`fetch.document`).

    It belongs to one event loop; its threads are no one else's, so that slow sources hold up neither the database nor
    each other.
    """

    def __init__(self, trust: ssl.SSLContext, *, allow: Sequence[str] = (), proxy: str | None = None) -> None:
        self._fetch = partial(fetch, trust=trust, allow=tuple(allow), proxy=proxy)
        self._threads = ThreadPoolExecutor(THREADS, "outbound")
        self._free = asyncio.Semaphore(THREADS)
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def bring(self, url: str, read: Callable[[Fetched], T], **options: Any) -> T:
        """Fetch `url` with the options of `fetch`, and read a successful answer on the same thread.

        Takes at most `FETCH_SECONDS` and the time to read. Raises FetchError, BusyError at once where no thread is
        free in time, and what `read` raises.
        """
        deadline = time.monotonic() + FETCH_SECONDS
        share = self._shares.setdefault(_host(url), asyncio.Semaphore(HOST_THREADS))
        try:
            async with asyncio.timeout(WAIT_SECONDS) as waiting, share, self._free:
                waiting.reschedule(None)
                return await asyncio.get_running_loop().run_in_executor(
                    self._threads, lambda: read(self._ask(url, deadline, options))
                )
        except TimeoutError:
            raise BusyError(f"{url.partition('?')[0]}: too many fetches are under way") from None

    def close(self) -> None:
        """Begin no further fetch; those under way end within their time."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, url: str, deadline: float, options: dict[str, Any]) -> Fetched:
        answer = self._fetch(url, timeout=max(0.0, deadline - time.monotonic()), **options)
        if answer.status != _OK:
            raise FetchError(f"{url.partition('?')[0]}: the server answers with status {answer.status}")
        return answer


class Flights(Generic[K, T]):
    """What is under way, each once: whoever needs it too waits for the same outcome."""

    def __init__(self) -> None:
        self._under_way: dict[K, asyncio.Task[T]] = {}

    async def join(self, key: K, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait for what is under way for `key`, begun now if nothing is; it goes on if the caller gives up."""
        flight = self._under_way.get(key)
        if flight is None:
            flight = self._under_way[key] = asyncio.create_task(begin())
            flight.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(flight)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
