"""Real doors on loopback, each on both event loops, and foreign certificates (trustme's and openssl's)."""

import asyncio
import contextlib
import datetime
import hashlib
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from certbound.tls.address import Address
from certbound.tls.door import Door
from certbound.tls.listener import ClientCertificate, Limits, Listener
from certbound.tls.serving import running

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}
SECONDS = 5  # what no test may take; a hang, not a measure


@dataclass(frozen=True)
class Identity:
    """A certificate and key in one PEM file, its chain behind it, and what a server should see of it."""

    file: Path
    leaf: str
    intermediates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pki:
    directory: Path
    authority: trustme.CA
    server: trustme.LeafCert
    identities: dict[str, Identity]

    @property
    def certificate(self) -> Path:
        return self.directory / "server.crt"

    @property
    def key(self) -> Path:
        return self.directory / "server.key"

    @property
    def trust(self) -> Path:
        return self.directory / "ca.crt"

    def client_context(self, identity: str | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.trust))
        if identity is not None:
            context.load_cert_chain(self.identities[identity].file)
        return context


def write_identity(path: Path, *pems: bytes, key: bytes) -> Identity:
    path.write_bytes(key + b"".join(pems))
    leaf, *others = [hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest() for pem in pems]
    return Identity(path, leaf, tuple(others))


def issued(path: Path, authority: trustme.CA, *names: str, **how: Any) -> Identity:
    certificate = authority.issue_cert(*names, **how)
    chain = (pem.bytes() for pem in certificate.cert_chain_pems)
    return write_identity(path, *chain, key=certificate.private_key_pem.bytes())


def self_signed(path: Path, *options: str) -> Identity:
    key, certificate = path.with_suffix(".key"), path.with_suffix(".crt")
    written = ("-keyout", str(key), "-out", str(certificate))
    command = ["openssl", "req", "-x509", "-nodes", "-subj", "/CN=alone", *written, *options]
    subprocess.run(command, check=True, capture_output=True)
    return write_identity(path, certificate.read_bytes(), key=key.read_bytes())


def deep(path: Path, *more: bytes) -> Identity:
    """A leaf below nine authorities (the most that trustme stacks), and whatever is to follow."""
    authority = trustme.CA()
    for _ in range(9):
        authority = authority.create_child_ca()
    leaf = authority.issue_cert("deep.example")
    chain = (pem.bytes() for pem in leaf.cert_chain_pems)
    return write_identity(path, *chain, *more, key=leaf.private_key_pem.bytes())


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    directory = tmp_path_factory.mktemp("pki")
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1", "::1")
    (directory / "server.crt").write_bytes(b"".join(pem.bytes() for pem in server.cert_chain_pems))
    (directory / "server.key").write_bytes(server.private_key_pem.bytes())
    (directory / "server.key").chmod(0o600)
    (directory / "ca.crt").write_bytes(authority.cert_pem.bytes())
    clients = trustme.CA()
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    rsa = ("-newkey", "rsa:2048")
    ed25519 = ("-newkey", "ed25519")
    identities = {
        "issued": issued(directory / "issued.pem", clients, "client.example"),
        "chained": issued(directory / "chained.pem", clients.create_child_ca(), "client.example"),
        "expired": issued(directory / "expired.pem", clients, "client.example", not_after=long_ago),
        "self-signed": self_signed(directory / "self.pem", *rsa, "-days", "30"),
        "ed25519": self_signed(directory / "ed25519.pem", *ed25519, "-days", "30"),
        "ten": deep(directory / "ten.pem"),
        "eleven": deep(directory / "eleven.pem", clients.cert_pem.bytes()),
        "large": issued(directory / "large.pem", clients, *(f"name-{n}.some.host.example" for n in range(2500))),
        "huge": issued(directory / "huge.pem", clients, *(f"name-{n}.some.host.example" for n in range(9000))),
    }
    return Pki(directory, authority, server, identities)


@dataclass
class Application:
    """An ASGI application that tells what it sees, and remembers that it was called."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    disconnects: int = 0
    name: str = "first"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls.append(scope)
        path = scope["path"]
        if path == "/large":
            await self.send_large(int(scope["query_string"]), send)
            return
        if path == "/early":
            await answer(send, 413, b"{}")
            return
        if path == "/wait":
            self.entered.set()
            while not self.release.is_set():
                await asyncio.sleep(0.01)
        body, length, pieces = hashlib.sha256(), 0, 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnects += 1
                return
            body.update(message["body"])
            length, pieces, more = length + len(message["body"]), pieces + 1, message["more_body"]
        extensions = scope["extensions"]
        presented = extensions["certbound"]["presented"]
        seen = {
            "app": self.name,
            "pid": os.getpid(),
            "method": scope["method"],
            "path": path,
            "scheme": scope["scheme"],
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
            "listener": extensions["certbound"]["listener"],
            "source": extensions["certbound"]["source"],
            "leaf": presented and hashlib.sha256(presented.leaf).hexdigest(),
            "intermediates": presented and [hashlib.sha256(one).hexdigest() for one in presented.intermediates],
            "tls": extensions.get("tls"),
            "length": length,
            "pieces": pieces,
            "sha256": body.hexdigest(),
        }
        await answer(send, 200, json.dumps(seen).encode())

    async def send_large(self, size: int, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        for start in range(0, size, 100_000):
            piece = b"x" * min(100_000, size - start)
            await send({"type": "http.response.body", "body": piece, "more_body": start + len(piece) < size})


async def answer(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@dataclass
class OpenDoor:
    door: Door
    app: Application
    addresses: dict[str, Address]
    pki: Pki

    def connect(self, listener: str = "want", *, rcvbuf: int | None = None) -> socket.socket:
        """Open a TCP connection."""
        address = self.addresses[listener]
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.settimeout(SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if rcvbuf is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        connection.connect(address)
        return connection

    def tls(
        self,
        listener: str = "want",
        identity: str | None = None,
        context: ssl.SSLContext | None = None,
        *,
        rcvbuf: int | None = None,
    ) -> ssl.SSLSocket:
        """Open a TLS connection."""
        raw = self.connect(listener, rcvbuf=rcvbuf)
        try:
            context = context or self.pki.client_context(identity)
            return context.wrap_socket(raw, server_hostname="localhost")
        except BaseException:
            raw.close()
            raise

    def ask(
        self,
        listener: str = "want",
        identity: str | None = None,
        request: bytes = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        context: ssl.SSLContext | None = None,
    ) -> dict[str, Any]:
        """Send one request over a connection of its own; give the application's account of it."""
        with self.tls(listener, identity, context) as connection:
            connection.sendall(request)
            status, _, body = read_response(connection.makefile("rb"))
            assert status == 200, (status, body)
            return dict(json.loads(body))

    def still_serves(self) -> None:
        assert self.ask()["listener"] == "want"


def read_response(stream: Any) -> tuple[int, dict[str, str], bytes]:
    """Read one response; status 0 when the connection ends instead."""
    line = stream.readline()
    if not line:
        return 0, {}, b""
    headers: dict[str, str] = {}
    while (header := stream.readline().decode("latin-1").strip()) != "":
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
    else:
        body = stream.read(int(headers.get("content-length", "0")))
    return int(line.split()[1]), headers, body


def everything(connection: socket.socket) -> bytes:
    """Read until the other side closes, however it does."""
    received = b""
    while True:
        try:
            piece = connection.recv(65536)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
            return received
        if not piece:
            return received
        received += piece


@contextlib.contextmanager
def opened(door: Door, app: Application, pki: Pki, loop: str) -> Iterator[OpenDoor]:
    """Serve a door in a thread with an event loop of the given kind."""
    ready: threading.Event = threading.Event()
    found: dict[str, Address] = {}
    failures: list[BaseException] = []
    stop: list[Callable[[], object]] = []

    async def main() -> None:
        async with running(door, graceful_seconds=3) as addresses:
            found.update(addresses)
            ended = asyncio.Event()
            event_loop = asyncio.get_running_loop()
            stop.append(lambda: event_loop.call_soon_threadsafe(ended.set))
            ready.set()
            await ended.wait()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
                runner.run(main())
        except BaseException as error:  # noqa: BLE001
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(SECONDS)
    try:
        if not failures:
            yield OpenDoor(door, app, found, pki)
    finally:
        for end in stop:
            end()
        thread.join(SECONDS)
    if failures:
        raise failures[0]


def listener(pki: Pki, name: str, app: Any, *, limits: Limits | None = None, mode: str | None = None) -> Listener:
    return Listener(
        name=name,
        bind="127.0.0.1:0",
        app=app,
        client_certificate=ClientCertificate(mode or name),
        certificate=pki.certificate,
        key=pki.key,
        limits=limits or Limits(),
    )


HURRIED = Limits(handshake_seconds=0.3, header_seconds=0.3, body_seconds=0.3, keep_alive_seconds=0.3)


@pytest.fixture(scope="session", params=list(LOOPS))
def loop_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def shared_door(pki: Pki, loop_kind: str) -> Iterator[OpenDoor]:
    app = Application()
    listeners = [listener(pki, name, app) for name in ("none", "want", "require")]
    listeners.append(listener(pki, "hurried", app, limits=HURRIED, mode="want"))
    listeners.append(
        Listener(name="plain", bind="127.0.0.1:0", app=app, client_certificate=ClientCertificate.FORWARDED)
    )
    with opened(Door(listeners), app, pki, loop_kind) as door:
        yield door


@pytest.fixture
def door(shared_door: OpenDoor) -> OpenDoor:
    # The loop answers this after whatever the test before left it to do.
    with shared_door.tls("want") as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        everything(connection)
    shared_door.app.calls.clear()
    shared_door.app.release.clear()
    shared_door.app.entered.clear()
    return shared_door
