"""HTTP/1.1 on one connection: uvicorn's protocol with what was presented, deadlines, caps and strict framing."""

import asyncio
import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from certbound.tls.listener import Listener

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 2
"""How long an ending server waits for the first request of a connection that it had already accepted."""
_HEADER_OVERHEAD = 32
"""What a header costs beside its bytes, as in RFC 9113 section 6.5.2; it bounds their number."""


class RefusedRequestError(Exception):
    """A request that is not served; the parser reports it as its own error."""


class HTTPConnection(HttpToolsProtocol):
    """One connection's requests, whether the transport below is TLS or plain.

    `extensions` is what every request's scope shows of the connection. The listener's application is looked up for
    each request, so that a reload reaches kept connections too.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
        *,
        listener: Listener,
        extensions: dict[str, dict[str, Any]],
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        # uvicorn switches it on; bytes behind a "Connection: close" are never another request.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=False)
        self.timeout_keep_alive = listener.limits.keep_alive_seconds  # type: ignore[assignment]
        self.listener = listener
        self._extensions = extensions
        self._running: RequestResponseCycle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: tuple[HTTPStatus, str] | None = None
        self._in_head = self._in_body = False
        self._over = False  # nothing more is parsed on this connection
        self._head_bytes = 0
        self._unreported = 0  # bytes fed since the parser last told of anything that could be counted

    @property
    def peer_may_be_sending(self) -> bool:
        """Whether closing at once could destroy the answer, because bytes of the peer are on their way."""
        return self._in_head or self._in_body or self._over

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first request."""
        super().connection_made(transport)
        seconds = self.listener.limits.header_seconds
        self._start_timer(min(seconds, DRAIN_SECONDS) if self.listener.draining else seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application that is still at work."""
        self._stop_timer()
        self._unset_keepalive_if_required()
        # uvicorn tells the newest request only, which may be waiting behind this one.
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection while the peer, done with sending, waits for answers (RFC 9112 section 9.6)."""
        if not self._answering or self.cycle.more_body:
            return False
        self._over = True
        self.cycle.keep_alive = False
        # Whoever has left for good looks the same; the application gets to know after this.
        self._start_timer(self.listener.limits.body_seconds)
        return True

    def data_received(self, data: bytes) -> None:
        """Parse; refuse what is malformed, too large or ambiguous."""
        if self._over:
            return
        self._unset_keepalive_if_required()
        self._unreported += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._over = True
        except httptools.HttpParserError:
            self._refuse(*(self._refusal or (HTTPStatus.BAD_REQUEST, "Malformed HTTP request.")))
            return
        if self._unreported > self.listener.limits.header_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "Request headers too large.")
        elif self._timer is None and self._in_body:
            self._start_timer(self.listener.limits.body_seconds)
        elif self._timer is None and (self._in_head or self._unreported):
            self._start_timer(self.listener.limits.header_seconds)

    def shutdown(self) -> None:
        """End gracefully: finish what has begun; a connection that never asked may ask once, soon."""
        self.listener.draining = True
        if self._answering:
            self.cycle.keep_alive = False
        elif self._in_head or self.cycle is None:
            self._stop_timer()
            self._start_timer(min(self.listener.limits.header_seconds, DRAIN_SECONDS))
        else:
            self.transport.close()

    # What the parser reports

    def on_message_begin(self) -> None:
        """Open a scope, with what the connection showed."""
        super().on_message_begin()
        self.app = self.listener.app
        extensions: dict[Any, Any] = {name: dict(value) for name, value in self._extensions.items()}
        self.scope["extensions"] = extensions
        self._in_head = True
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Collect a piece of the request target."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; trailers come here too, and are dropped (RFC 9110 section 6.5.1)."""
        self._count(len(name) + len(value) + _HEADER_OVERHEAD)
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the application, if it is beyond doubt where this request ends."""
        self._in_head = False
        self._stop_timer()
        upgrade = self.parser.should_upgrade()
        problem = framing_problem(self.parser.get_http_version(), self.headers, upgrade=upgrade)
        if problem is not None:
            self._refusal = HTTPStatus.BAD_REQUEST, problem
            raise RefusedRequestError(problem)
        super().on_headers_complete()
        self._in_body = True
        # The parser stops at an upgrade, which we do not do: the request is served, and is the last one.
        if upgrade or self.listener.draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body on."""
        self._unreported = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of a request."""
        self._in_body = False
        self._unreported = 0
        self._stop_timer()
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # Deadlines, caps, refusals

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _count(self, size: int) -> None:
        self._unreported = 0
        self._head_bytes += size
        if self._head_bytes > self.listener.limits.header_bytes:
            self._refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "Request headers too large."
            raise RefusedRequestError

    def _start_timer(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._late, seconds)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self, seconds: float) -> None:
        self._timer = None
        if self.flow.read_paused:  # it is we who are slow
            self._start_timer(seconds)
        elif not self._over and (self._in_head or self._in_body or self._unreported):
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "Request not received in time.")
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        """Parse nothing more, answer if no other answer is on the wire, and close."""
        self._over = True
        self._stop_timer()
        logger.info("request_refused", extra={"listener": self.listener.name, "status": int(status), "reason": text})
        if self._answering:
            if not self.cycle.more_body:
                self.cycle.keep_alive = False  # the requests before this one get their answers
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            answerable = self.cycle is self._running and not self.cycle.response_started
        else:
            answerable = not self._in_body
        if answerable:
            self.transport.write(_answer(status, text))
        self.transport.close()


def framing_problem(version: str, headers: Iterable[tuple[bytes, bytes]], *, upgrade: bool) -> str | None:
    """Say why one could be in doubt where a request ends or whom it is for (RFC 9112 sections 3.2, 6), or None.

    `headers` have lower-case names. What the parser itself refuses is not looked at again.
    """
    hosts, codings, has_length = 0, [], False
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding":
            codings.append(value.strip().lower())
        elif name == b"content-length":
            has_length = value.strip() != b"0"
    if version not in {"1.0", "1.1"}:
        return "Only versions 1.0 and 1.1 of HTTP are spoken here."
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        return "Exactly one Host header is needed."
    if codings and (codings != [b"chunked"] or version == "1.0"):
        return "Only the transfer coding chunked is understood, once, in HTTP/1.1."
    if upgrade and (codings or has_length):
        return "A request to upgrade must not have a body here."
    return None


def _answer(status: HTTPStatus, text: str) -> bytes:
    body = text.encode("ascii") + b"\n"
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
    ).encode("ascii") + body


PLAIN_HTTP_ANSWER = _answer(HTTPStatus.BAD_REQUEST, "This port speaks HTTPS only: use https:// in the address.")
