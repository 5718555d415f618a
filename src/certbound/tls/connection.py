"""TLS on one accepted connection: between the socket and HTTP, in both directions and with bounds."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, cast

from OpenSSL import SSL, crypto
from uvicorn.config import Config
from uvicorn.server import ServerState

from certbound.certificates.presented import PresentedChain
from certbound.tls.address import Address, listener_at
from certbound.tls.context import NoApplicationProtocolError, reason
from certbound.tls.door import Door
from certbound.tls.http import DRAIN_SECONDS, PLAIN_HTTP_ANSWER, HTTPConnection
from certbound.tls.listener import Listener

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

logger = logging.getLogger(__name__)

CHAIN_CERTIFICATES = 10
"""The most certificates that a peer may present, its own included."""
CERTIFICATE_BYTES = 65536
"""The largest certificate of a peer, in DER. (OpenSSL refuses more than 100 KiB of them all in the handshake.)"""
LINGER_SECONDS = 2
"""How long a closed connection still swallows what the peer was sending, so that it gets to see our last words."""
STALL_SECONDS = 30
"""How long a peer may take none of the bytes that wait for it."""

_HANDSHAKE_RECORD = 0x16
_RECORD_BYTES = 16384
_PIECE_BYTES = 65536
_UNVALIDATED = "not validated: accepted at the handshake, decided per client"


class _Phase(Enum):
    HANDSHAKE = auto()
    OPEN = auto()
    CLOSING = auto()
    CLOSED = auto()


class Connection(asyncio.Protocol, asyncio.Transport):
    """What uvicorn makes for an accepted connection: a protocol to the socket below, a transport to HTTP above.

    Nothing is handed up before the handshake is complete (CVE-2023-40217), and nothing is decrypted that the
    application has not asked for. `addresses` tells which listener a connection came in by.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        addresses: Mapping[Address, str],
    ) -> None:
        super().__init__()
        self._config, self._server_state, self._app_state = config, server_state, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._addresses = addresses
        self._raw = cast("asyncio.Transport", None)
        self._listener = cast("Listener", None)
        self._tls = cast("SSL.Connection", None)
        self._http: HTTPConnection | None = None
        self._phase = _Phase.HANDSHAKE
        self._timer: asyncio.TimerHandle | None = None
        self._greeted = False  # the first byte was one of TLS
        self._unsent = bytearray()  # plaintext on its way out
        self._paused = False  # HTTP takes no more for now
        self._socket_ended = False  # the peer closed its side of the socket
        self._input_ended = False  # and HTTP was told

    # The socket's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find the listener; start the handshake and its deadline, or go straight to HTTP on a plain one."""
        self._raw = cast("asyncio.Transport", transport)
        name = listener_at(self._addresses, transport.get_extra_info("sockname"))
        listener = _door(self._config).listeners.get(name or "")
        if listener is None:
            logger.error("connection_without_listener")
            self.abort()
            return
        self._listener = listener
        if listener.context is None:
            http = self._make_http({"certbound": self._shown(None, source="none")})
            self._raw.set_protocol(http)
            http.connection_made(self._raw)
            return
        self._tls = SSL.Connection(listener.context, None)
        self._tls.set_accept_state()
        # Until HTTP takes over, a graceful end of the server must know of this one.
        self._server_state.connections.add(cast("HttpToolsProtocol", self))
        self._timer = self._loop.call_later(listener.limits.handshake_seconds, self._handshake_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell HTTP; let go of everything."""
        self._phase = _Phase.CLOSED
        self._stop_timer()
        self._server_state.connections.discard(cast("HttpToolsProtocol", self))
        http, self._http = self._http, None
        if http is not None:
            http.connection_lost(exc)
        self._tls = cast("SSL.Connection", None)

    def data_received(self, data: bytes) -> None:
        """Take bytes off the wire: a part of the handshake, records for HTTP, or what a closed peer still sends."""
        if self._phase is _Phase.OPEN:
            if not self._input_ended:
                self._tls.bio_write(data)
                self._deliver()
        elif self._phase is _Phase.HANDSHAKE:
            if not self._greeted and data[0] != _HANDSHAKE_RECORD:
                self._refuse_plain(data)
                return
            self._greeted = True
            self._tls.bio_write(data)
            self._shake_hands()

    def eof_received(self) -> bool:
        """Note that the peer sends no more; an answer may still be on its way to it."""
        self._socket_ended = True
        if self._phase is not _Phase.OPEN:
            return False
        self._deliver()
        return True

    def pause_writing(self) -> None:
        """Hold HTTP back, for as long as the peer takes anything at all."""
        if self._http is not None and self._phase is _Phase.OPEN:
            self._http.pause_writing()
            self._watch_output(STALL_SECONDS)

    def resume_writing(self) -> None:
        """Let HTTP write again."""
        if self._http is not None and self._phase is _Phase.OPEN:
            self._stop_timer()
            self._http.resume_writing()

    def shutdown(self) -> None:
        """End gracefully, asked by uvicorn: a handshake under way may finish and ask one thing, soon."""
        self._listener.draining = True
        self._stop_timer()
        if self._phase is _Phase.HANDSHAKE:
            seconds = min(self._listener.limits.handshake_seconds, DRAIN_SECONDS)
            self._timer = self._loop.call_later(seconds, self._handshake_late)
        else:
            self._raw.abort()

    # The handshake

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return
        except (SSL.Error, NoApplicationProtocolError) as error:
            self._flush()  # the alert
            self._refuse("handshake_failed", reason(error))
            return
        self._stop_timer()
        self._flush()
        try:
            presented = self._presented()
        except ValueError as error:
            self._phase = _Phase.OPEN
            self._log_refusal("certificates_refused", str(error))
            self.close()
            return
        self._server_state.connections.discard(cast("HttpToolsProtocol", self))
        self._phase = _Phase.OPEN
        self._http = self._make_http(
            {"certbound": self._shown(presented, source="tls"), "tls": self._asgi_tls(presented)}
        )
        self._http.connection_made(self)
        self._deliver()

    def _presented(self) -> PresentedChain | None:
        """Take what the peer presented; raises ValueError when it is more than anybody has use for."""
        own = self._tls.get_peer_certificate()
        if own is None:
            return None
        sent_along = self._tls.get_peer_cert_chain() or []
        if len(sent_along) >= CHAIN_CERTIFICATES:
            raise ValueError(f"more than {CHAIN_CERTIFICATES} certificates")
        leaf, *others = (crypto.dump_certificate(crypto.FILETYPE_ASN1, one) for one in (own, *sent_along))
        if max(len(leaf), *map(len, others), 0) > CERTIFICATE_BYTES:
            raise ValueError(f"a certificate of more than {CERTIFICATE_BYTES} bytes")
        return PresentedChain(leaf, tuple(other for other in others if other != leaf))

    def _handshake_late(self) -> None:
        self._log_refusal("handshake_failed", "not complete in time")
        self._raw.abort()

    def _refuse_plain(self, data: bytes) -> None:
        """Close on what is not TLS, with a hint where it looks like HTTP. None of it is ever handed up."""
        if data[:1].isalpha():
            self._raw.write(PLAIN_HTTP_ANSWER)
            self._refuse("handshake_failed", "plain HTTP")
        else:
            self._log_refusal("handshake_failed", "not TLS")
            self._raw.abort()

    def _refuse(self, event: str, why: str) -> None:
        self._log_refusal(event, why)
        self._close_socket(linger=True)

    def _log_refusal(self, event: str, why: str) -> None:
        peer = self._raw.get_extra_info("peername")
        logger.info(event, extra={"listener": self._listener.name, "peer": peer, "reason": why})

    # What HTTP and its applications are shown

    def _make_http(self, extensions: dict[str, dict[str, Any]]) -> HTTPConnection:
        return HTTPConnection(
            self._config,
            self._server_state,
            self._app_state,
            self._loop,
            listener=self._listener,
            extensions=extensions,
        )

    def _shown(self, presented: PresentedChain | None, *, source: str) -> dict[str, Any]:
        return {"version": 1, "presented": presented, "listener": self._listener.name, "source": source}

    def _asgi_tls(self, presented: PresentedChain | None) -> dict[str, Any]:
        """Fill the ASGI TLS extension, in which `client_cert_error` None would say that somebody validated."""
        chain = () if presented is None else (presented.leaf, *presented.intermediates)
        return {
            "server_cert": None,
            "client_cert_chain": [ssl.DER_cert_to_PEM_cert(one) for one in chain],
            "client_cert_name": None,
            "client_cert_error": None if presented is None else _UNVALIDATED,
            "tls_version": self._tls.get_protocol_version(),
            "cipher_suite": None,
        }

    # HTTP's side: an asyncio.Transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Give asyncio's names: `sslcontext` (true, so the scheme is https), `cipher`, and what the socket tells."""
        if name == "sslcontext":
            return self._listener.context
        if name == "cipher" and self._tls is not None:
            return self._tls.get_cipher_name(), self._tls.get_cipher_version(), self._tls.get_cipher_bits()
        return self._raw.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Whether the connection is closed or about to be."""
        return self._phase in {_Phase.CLOSING, _Phase.CLOSED}

    def pause_reading(self) -> None:
        """Decrypt nothing more for now."""
        self._paused = True
        if self._phase is _Phase.OPEN and not self._socket_ended:
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Decrypt what has arrived, then read on; soon, as callers are often in the middle of something."""
        self._paused = False
        self._loop.call_soon(self._resume)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send, with what is written right after it in the same records; dropped once closing."""
        if self._phase is not _Phase.OPEN:
            return
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent += data
        if len(self._unsent) > _PIECE_BYTES:
            self._send()

    def close(self) -> None:
        """Say goodbye (close_notify) after what was written, and close; the peer need not answer."""
        self._send()
        if self._phase is not _Phase.OPEN:
            return
        with contextlib.suppress(SSL.Error):
            self._tls.shutdown()
        self._flush()
        self._close_socket(linger=self._http is None or self._http.peer_may_be_sending)

    def abort(self) -> None:
        """Close at once."""
        self._phase = _Phase.CLOSING
        self._raw.abort()

    # Between the two

    def _deliver(self) -> None:
        """Decrypt and hand up, one record at a time, for as long as HTTP takes it."""
        while self._phase is _Phase.OPEN and not self._paused and self._http is not None:
            try:
                data = self._tls.recv(_RECORD_BYTES)
            except SSL.WantReadError:
                if self._socket_ended:
                    self._end_input()
                break
            except SSL.ZeroReturnError:
                self._end_input()
                break
            except SSL.Error as error:
                self._flush()  # the alert
                self._refuse("connection_failed", reason(error))
                return
            self._http.data_received(data)
        if self._phase is _Phase.OPEN:
            self._flush()  # what TLS itself has to say, such as the answer to a key update

    def _resume(self) -> None:
        if self._phase is not _Phase.OPEN or self._paused:
            return
        self._deliver()
        if self._phase is _Phase.OPEN and not self._paused and not self._socket_ended:
            self._raw.resume_reading()

    def _end_input(self) -> None:
        if not self._input_ended and self._http is not None:
            self._input_ended = True
            if not self._http.eof_received():
                self.close()

    def _send(self) -> None:
        if not self._unsent or self._phase is not _Phase.OPEN:
            return
        unsent, self._unsent = memoryview(self._unsent), bytearray()
        try:
            for start in range(0, len(unsent), _PIECE_BYTES):
                self._tls.sendall(unsent[start : start + _PIECE_BYTES])
                self._flush()
        except SSL.Error as error:
            self._log_refusal("connection_failed", reason(error))
            self.abort()

    def _flush(self) -> None:
        with contextlib.suppress(SSL.WantReadError):
            while True:
                ciphertext = self._tls.bio_read(_PIECE_BYTES)
                self._raw.write(ciphertext)
                if len(ciphertext) < _PIECE_BYTES:
                    return

    def _close_socket(self, *, linger: bool) -> None:
        """Close after what was written; with `linger` swallow what the peer sends, lest a reset destroy our words."""
        self._phase = _Phase.CLOSING
        self._stop_timer()
        if linger and not self._socket_ended and self._raw.can_write_eof():
            self._raw.write_eof()
            self._raw.resume_reading()
        else:
            self._raw.close()
        self._watch_output(LINGER_SECONDS)

    def _watch_output(self, seconds: float, waiting: int | None = None) -> None:
        """Abort when the peer took nothing of what waits for it for so many seconds."""
        now = self._raw.get_write_buffer_size()
        if waiting is None or 0 < now < waiting:
            self._timer = self._loop.call_later(seconds, self._watch_output, seconds, now)
        else:
            self._raw.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _door(config: Config) -> Door:
    app: Any = config.loaded_app
    # At its most talkative, uvicorn wraps the application.
    return cast("Door", app if isinstance(app, Door) else app.app)
