"""An issuer and an API on loopback that look at the certificate of each connection."""

import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trustme

from certbound.client import ClientCertificate

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Seen:
    """One request as it came: the thumbprint is of the connection's certificate, empty without one."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    thumbprint: str

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode())


@dataclass
class Server:
    """Gives tokens bound to the connection's certificate at /token and takes them at every other path."""

    url: str
    seen: list[Seen] = field(default_factory=list)
    answers: dict[str, Callable[[Seen], Answer]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    lifetime: int | None = 300
    gate: threading.Event = field(default_factory=threading.Event)

    def at(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == path]

    def say(self, path: str, status: int, document: Any, **headers: str) -> None:
        self.answers[path] = lambda _seen: (status, headers, json.dumps(document).encode())

    def publish(self, **changed: Any) -> None:
        metadata = {"issuer": self.url, "token_endpoint": f"{self.url}/token", **changed}
        self.say("/.well-known/oauth-authorization-server", 200, metadata)

    def issue(self, seen: Seen) -> Answer:
        self.gate.wait(10)
        token = f"token-{len(self.tokens)}"
        self.tokens[token] = seen.thumbprint
        answer: dict[str, Any] = {"access_token": token, "token_type": "Bearer", "scope": "read"}
        if self.lifetime is not None:
            answer["expires_in"] = self.lifetime
        return 200, {}, json.dumps(answer).encode()

    def protect(self, seen: Seen) -> Answer:
        token = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if not token:
            return 401, {"WWW-Authenticate": 'Bearer realm="api"'}, b""
        if not seen.thumbprint or self.tokens.get(token) != seen.thumbprint:
            return 401, {"WWW-Authenticate": 'Bearer realm="api", error="invalid_token"'}, b""
        return 200, {}, b"orders"


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def renew(authority: trustme.CA, tmp_path: Path) -> Callable[[], str]:
    """Write a new certificate and key over the client's; gives the thumbprint."""

    def write() -> str:
        issued = authority.issue_cert("robot.example")
        pem = issued.cert_chain_pems[0].bytes()
        for name, data in (("client.crt", pem), ("client.key", issued.private_key_pem.bytes())):
            fresh = tmp_path / (name + ".new")
            fresh.write_bytes(data)
            fresh.replace(tmp_path / name)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest()

    return write


@pytest.fixture
def certificate(renew: Callable[[], str], tmp_path: Path) -> ClientCertificate:
    renew()
    return ClientCertificate(tmp_path / "client.crt", tmp_path / "client.key")


def serving(authority: trustme.CA) -> Iterator[Server]:
    running: list[Server] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server = running[0]
            der = self.connection.getpeercert(binary_form=True)
            thumbprint = hashlib.sha256(der).hexdigest() if der else ""
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = Seen(self.command, self.path, headers, body, thumbprint)
            server.seen.append(seen)
            answer = server.answers.get(self.path, server.issue if self.path == "/token" else server.protect)
            status, extra, content = answer(seen)
            self.send_response(status)
            for name, value in {**extra, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_args: Any) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError):
                super().handle()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        http_server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_OPTIONAL
        authority.configure_trust(context)
        authority.issue_cert("localhost").configure_cert(context)
        http_server.socket = context.wrap_socket(http_server.socket, server_side=True, do_handshake_on_connect=False)
        server = Server(f"https://localhost:{http_server.server_port}")
        server.gate.set()
        server.publish()
        running.append(server)
        thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.gate.set()
        http_server.shutdown()
        thread.join()


server = pytest.fixture(serving, name="server")
other_server = pytest.fixture(serving, name="other_server")
