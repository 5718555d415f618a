"""Bytes to and from one peer under one deadline: plain, or TLS over any other stream."""

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, TypeVar

_PIECE: Final = 65_536

T = TypeVar("T")


class FetchError(Exception):
    """The document was not brought in; the text is one line: the URL without its query, if it is one, and why."""


def seconds_left(deadline: float) -> float:
    """Give the seconds to `deadline` (of `time.monotonic`); TimeoutError if there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class Stream(Protocol):
    """Both ends of a connection; either method raises TimeoutError at the deadline and OSError where it breaks."""

    def send(self, data: bytes) -> None:
        """Send all of `data`."""

    def receive(self, size: int) -> bytes:
        """Wait for at most `size` bytes; none means that the peer has ended the stream."""


class Plain:
    """A connected socket."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self._connection.settimeout(seconds_left(self._deadline))
        self._connection.sendall(data)

    def receive(self, size: int) -> bytes:
        """Wait for at most `size` bytes."""
        self._connection.settimeout(seconds_left(self._deadline))
        return self._connection.recv(size)


class Secure:
    """TLS over another stream, which may be TLS itself (a proxy's); the handshake is done when this is made.

    The stream must end with TLS's own closing alert, or it may have been cut short: SSLError.
    """

    def __init__(self, below: Stream, trust: ssl.SSLContext, host: str) -> None:
        self._below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trust.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._carry(self._tls.do_handshake)

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self._carry(lambda: self._tls.write(data))

    def receive(self, size: int) -> bytes:
        """Wait for at most `size` bytes."""
        return self._carry(lambda: self._tls.read(size))

    def _carry(self, step: Callable[[], T]) -> T:
        """Carry bytes between TLS and the stream below until `step` is done."""
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            except ssl.SSLError:
                with suppress(OSError):
                    self._flush()  # the alert that tells the peer why this ends
                raise
            else:
                self._flush()
                return done

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._below.send(self._outgoing.read())

    def _feed(self) -> None:
        received = self._below.receive(_PIECE)
        if received:
            self._incoming.write(received)
        elif self._incoming.eof:
            raise ssl.SSLEOFError("the connection was cut")
        else:
            self._incoming.write_eof()
