"""Servers and proxies on loopback that say whatever bytes a test wants."""

import re
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Answer = Callable[[socket.socket], None]


@dataclass
class Server:
    port: int
    trust: ssl.SSLContext
    scheme: str = "https"
    answer: Answer | None = None
    requests: list[bytes] = field(default_factory=list)

    def url(self, path: str = "/jwks", host: str = "localhost") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def says(self, raw: bytes) -> None:
        self.answer = lambda connection: connection.sendall(raw)


@contextmanager
def serving(trust: ssl.SSLContext, context: ssl.SSLContext | None) -> Iterator[Server]:
    """Run a server, https with a `context`, http without; each connection has a thread of its own."""

    def attend(plain: socket.socket) -> None:
        if context is None:
            _attend(plain, running)
            plain.shutdown(socket.SHUT_WR)
            return
        with context.wrap_socket(plain, server_side=True) as connection:
            _attend(connection, running)
            with suppress(OSError, ValueError):
                connection.unwrap()

    with listening(attend) as port:
        running = Server(port, trust, "http" if context is None else "https")
        yield running


def _attend(connection: socket.socket, running: Server) -> None:
    request = read_head(connection)
    length = re.search(rb"Content-Length: ([0-9]+)", request)
    wanted = request.index(b"\r\n\r\n") + 4 + (int(length[1]) if length else 0)
    while len(request) < wanted:
        request += connection.recv(65536)
    running.requests.append(request)
    if running.answer is not None:
        running.answer(connection)


@dataclass
class Proxy:
    """A CONNECT and absolute-form proxy that leads every name to loopback."""

    url: str
    heads: list[bytes] = field(default_factory=list)
    refuses: bytes | None = None


@contextmanager
def proxying(context: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Run a proxy, one that speaks TLS itself with a `context`."""

    def attend(plain: socket.socket) -> None:
        if context is None:
            _pass_on(plain, running)
            return
        with context.wrap_socket(plain, server_side=True) as connection:
            _pass_on(connection, running)

    with listening(attend) as port:
        running = Proxy(f"{'http' if context is None else 'https'}://localhost:{port}")
        yield running


def _pass_on(connection: socket.socket, running: Proxy) -> None:
    head = read_head(connection)
    running.heads.append(head)
    if running.refuses is not None:
        connection.sendall(running.refuses)
        return
    method, target, _ = head.split(b" ", 2)
    port = re.search(rb":([0-9]+)(/|$)", target)
    assert port is not None
    with socket.create_connection(("127.0.0.1", int(port[1])), timeout=5) as onward:
        if method == b"CONNECT":
            connection.sendall(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        else:
            onward.sendall(head)
        with suppress(OSError):
            _pump(connection, onward)


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Carry what comes from either to the other until one of them ends; in one thread, as TLS sockets want it."""
    while True:
        waiting = [end for end in (one, other) if isinstance(end, ssl.SSLSocket) and end.pending()]
        for source in waiting or select.select([one, other], [], [], 30)[0]:
            piece = source.recv(65536)
            if not piece:
                return
            (other if source is one else one).sendall(piece)


def read_head(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError
        received += piece
    return received


@contextmanager
def listening(attend: Callable[[socket.socket], None], *, patience: float = 600) -> Iterator[int]:
    """Give the port on loopback whose connections are attended, `patience` seconds apart at most; leave nothing."""
    threads: list[threading.Thread] = []

    def run(plain: socket.socket) -> None:
        with suppress(OSError), plain:
            plain.settimeout(5)
            attend(plain)

    def accept() -> None:
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                threads.append(threading.Thread(target=run, args=(plain,), daemon=True))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(patience)
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for thread in (accepting, *threads):
                thread.join(5)
