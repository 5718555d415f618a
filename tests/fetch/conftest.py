"""A TLS server on loopback that answers with whatever bytes a test wants."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
import trustme

Answer = Callable[[ssl.SSLSocket], None]


@dataclass
class Server:
    port: int
    trust: ssl.SSLContext
    answer: Answer | None = None
    requests: list[bytes] = field(default_factory=list)

    def url(self, path: str = "/jwks", host: str = "localhost") -> str:
        return f"https://{host}:{self.port}{path}"

    def says(self, raw: bytes) -> None:
        self.answer = lambda connection: connection.sendall(raw)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", "::1", "keys.example").configure_cert(context)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        running = Server(listener.getsockname()[1], trust)
        thread = threading.Thread(target=_accept, args=(listener, context, running), daemon=True)
        thread.start()
        yield running
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _accept(listener: socket.socket, context: ssl.SSLContext, running: Server) -> None:
    with suppress(OSError):
        while True:
            plain, _ = listener.accept()
            with suppress(OSError), plain:
                plain.settimeout(5)
                with context.wrap_socket(plain, server_side=True) as connection:
                    running.requests.append(_request(connection))
                    if running.answer is not None:
                        running.answer(connection)
                    with suppress(OSError, ValueError):
                        connection.unwrap()


def _request(connection: ssl.SSLSocket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            break
        received += piece
    return received
