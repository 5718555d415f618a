"""Connections with a client certificate, made anew when the certificate's files change."""

import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from os import PathLike
from ssl import SSLContext
from typing import Any, Generic, TypeVar

from certbound.client.certificate import ClientCertificate, FilesVersion
from certbound.client.library import http

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Pool(Generic[T]):
    """A pool of connections with one state of the certificate, and how many responses still come over it."""

    transport: T
    version: FilesVersion
    users: int = 0


class _Pools(Generic[T]):
    """The pool in use, and those whose certificate was replaced, until their last response has come."""

    def __init__(
        self, certificate: ClientCertificate, verify: str | PathLike[str] | None, make: Callable[[SSLContext], T]
    ) -> None:
        self._certificate = certificate
        self._verify = verify
        self._make = make
        self._lock = threading.Lock()
        self._retired: list[_Pool[T]] = []
        # The version is read before the files: a change in between is seen as a change at the next request.
        version = certificate.version()
        self._current = _Pool(make(certificate.context(verify)), version)
        self._tried = version

    def version(self) -> FilesVersion:
        """Give the state of the certificate that the next request will be made with."""
        with self._lock:
            self._renew()
            return self._current.version

    def enter(self) -> _Pool[T]:
        """Give the pool for a request, which `leave` gives back."""
        with self._lock:
            self._renew()
            self._current.users += 1
            return self._current

    def leave(self, pool: _Pool[T]) -> list[T]:
        """End a request's use of its pool; gives the transports that nobody needs any more, to be closed."""
        with self._lock:
            pool.users -= 1
            done = [retired for retired in self._retired if retired.users == 0]
            self._retired = [retired for retired in self._retired if retired.users]
        return [pool.transport for pool in done]

    def end(self) -> list[T]:
        """Give all transports, to be closed."""
        return [pool.transport for pool in (self._current, *self._retired)]

    def _renew(self) -> None:
        try:
            version = self._certificate.version()
        except OSError:
            version = ()
        if version in {self._current.version, self._tried}:
            return
        self._tried = version
        try:
            renewed = _Pool(self._make(self._certificate.context(self._verify)), version)
        except (OSError, ValueError) as exc:
            # Certificate and key are seldom replaced in one instant; until they fit, the old ones serve.
            logger.warning("client_certificate_not_renewed", extra={"detail": str(exc)})
            return
        self._retired.append(self._current)
        self._current = renewed


class CertificateTransport(http.BaseTransport):
    """An httpx2 transport that shows the certificate as it is on disk now. `options` go to HTTPTransport."""

    def __init__(self, certificate: ClientCertificate, verify: str | PathLike[str] | None, **options: Any) -> None:
        self._pools = _Pools(certificate, verify, lambda context: http.HTTPTransport(verify=context, **options))

    def version(self) -> FilesVersion:
        """Give the state of the certificate that the next request will be made with."""
        return self._pools.version()

    def handle_request(self, request: http.Request) -> http.Response:
        """Send a request over the current certificate's connections."""
        pool = self._pools.enter()
        try:
            response = pool.transport.handle_request(request)
        except BaseException:
            self._leave(pool)
            raise
        stream = _Stream(response.stream, lambda: self._leave(pool))
        return http.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )

    def close(self) -> None:
        """Close all connections."""
        for transport in self._pools.end():
            transport.close()

    def _leave(self, pool: _Pool[http.HTTPTransport]) -> None:
        for transport in self._pools.leave(pool):
            transport.close()


class AsyncCertificateTransport(http.AsyncBaseTransport):
    """The same for asyncio."""

    def __init__(self, certificate: ClientCertificate, verify: str | PathLike[str] | None, **options: Any) -> None:
        self._pools = _Pools(certificate, verify, lambda context: http.AsyncHTTPTransport(verify=context, **options))

    def version(self) -> FilesVersion:
        """Give the state of the certificate that the next request will be made with."""
        return self._pools.version()

    async def handle_async_request(self, request: http.Request) -> http.Response:
        """Send a request over the current certificate's connections."""
        pool = self._pools.enter()
        try:
            response = await pool.transport.handle_async_request(request)
        except BaseException:
            await self._leave(pool)
            raise
        stream = _AsyncStream(response.stream, lambda: self._leave(pool))
        return http.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )

    async def aclose(self) -> None:
        """Close all connections."""
        for transport in self._pools.end():
            await transport.aclose()

    async def _leave(self, pool: _Pool[http.AsyncHTTPTransport]) -> None:
        for transport in self._pools.leave(pool):
            await transport.aclose()


class _Stream(http.SyncByteStream):
    """A response's body that says when it has been taken."""

    def __init__(self, stream: Any, leave: Callable[[], None]) -> None:
        self._stream = stream
        self._leave: Callable[[], None] | None = leave

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            try:
                self._stream.close()
            finally:
                leave()


class _AsyncStream(http.AsyncByteStream):
    def __init__(self, stream: Any, leave: Callable[[], Awaitable[None]]) -> None:
        self._stream = stream
        self._leave: Callable[[], Awaitable[None]] | None = leave

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield piece

    async def aclose(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            try:
                await self._stream.aclose()
            finally:
                await leave()
