"""The whole way as an operator and a client go it: the real program on a real port, certificates made by openssl."""

import base64
import contextlib
import json
import os
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

import pytest

SECONDS = 60  # what nothing may take; a hang, not a measure
CERTBOUND = Path(sys.executable).with_name("certbound")
USER, PASSWORD = "ada", "correct horse battery staple"
SELF_SIGNED = (
    "openssl req -newkey rsa:2048 -x509 -nodes -subj /CN={} -days 30 -keyout key.pem -out client-certificate.pem"
)
AUTHORITY = """\
openssl req -newkey rsa:2048 -x509 -nodes -subj /O=Example/CN=CA -days 30 -keyout ca.key -out ca.pem
openssl req -newkey rsa:2048 -nodes -subj /O=Example/CN={} -addext extendedKeyUsage=clientAuth \\
-keyout key.pem -out csr.pem
openssl x509 -req -in csr.pem -copy_extensions copy -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \\
-out client-certificate.pem"""


def typed(lines: str, folder: Path, *, stdin: bytes = b"") -> bytes:
    """Type lines in a folder, one after the other; give what the last one printed."""
    out = b""
    for line in lines.replace("\\\n", "").splitlines():
        done = subprocess.run(
            shlex.split(line), cwd=folder, input=stdin, capture_output=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, (line, done.stderr.decode())
        out = done.stdout
    return out


def certbound(*arguments: object, config: Path | None = None, stdin: str = "") -> Any:
    """Run the program; give the JSON that it prints."""
    settings = ("-c", str(config)) if config else ()
    command = [str(CERTBOUND), *settings, *map(str, arguments), "--json"]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def thumbprint(certificate: Path) -> str:
    """Give the SHA-256 of the DER in base64url, by openssl."""
    der = typed("openssl x509 -outform DER", certificate.parent, stdin=certificate.read_bytes())
    digest = typed("openssl dgst -sha256 -binary", certificate.parent, stdin=der)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def confirmation(token: str) -> Any:
    """Give `cnf` of a token, read as any stranger would."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["cnf"]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as it came over the wire."""

    status: int
    headers: Message
    body: bytes

    @classmethod
    def read(cls, wire: bytes) -> "Answer":
        head, _, body = wire.partition(b"\r\n\r\n")
        status_line, _, fields = head.partition(b"\r\n")
        assert status_line.startswith(b"HTTP/1.1 "), wire
        return cls(int(status_line.split()[1]), BytesHeaderParser().parsebytes(fields), body)

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.body)

    def is_refusal(self, status: int, error: str) -> bool:
        """Say whether it is what RFC 6749 section 5.2 wants, and tells nothing else."""
        assert set(self.json) == {"error", "error_description"}
        assert self.headers["Cache-Control"] == "no-store"
        assert b"Traceback" not in self.body
        return (self.status, self.json["error"]) == (status, error)


@dataclass(frozen=True)
class Client:
    """A client, and the folder where its certificate is."""

    client_id: str
    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "client-certificate.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"


@dataclass(frozen=True)
class Server:
    """A server that is up."""

    port: int
    config: Path
    admin_password: str

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/oauth2/token"

    @property
    def ca_file(self) -> Path:
        return self.config.with_name("server.crt")

    def self_signed(self, client_id: str, folder: Path, *options: str) -> Client:
        """Make a certificate with openssl, and a client that has it registered."""
        typed(SELF_SIGNED.format(client_id), folder)
        client = Client(client_id, folder)
        self._create(client, "self_signed_tls_client_auth", "--certificate", str(client.certificate), *options)
        return client

    def with_authority(self, client_id: str, folder: Path, *options: str) -> Client:
        """Make an authority and a certificate with openssl, and a client that this authority vouches for."""
        typed(AUTHORITY.format(client_id), folder)
        certbound("trust", "add", client_id, folder / "ca.pem", config=self.config)
        subject = ("--trust", client_id, "--subject-dn", f"CN={client_id},O=Example")
        client = Client(client_id, folder)
        self._create(client, "tls_client_auth", *subject, *options)
        return client

    def _create(self, client: Client, method: str, *options: str) -> None:
        name = client.client_id
        certbound("client", "create", name, "--id", name, "--auth", method, *options, config=self.config)


@contextlib.contextmanager
def serving(config: Path, environ: Mapping[str, str]) -> Iterator[None]:
    """Serve until the end, and hold the server's log to having no traceback in it."""
    command = [str(CERTBOUND), "-c", str(config), "serve"]
    log = config.with_suffix(".log")
    with (
        log.open("wb") as err,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, env={**os.environ, **environ}) as server,
    ):
        watchdog = threading.Timer(SECONDS, server.kill)  # for the start only: a session may be long
        watchdog.start()
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            watchdog.cancel()
            assert line.startswith(b"listening on "), log.read_text()
            yield
        finally:
            watchdog.cancel()
            watchdog.join()
            server.terminate()
            code = server.wait(SECONDS)
    assert code == 0
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one user, on which the password grant is on."""
    port = free_port()
    made = certbound("init", tmp_path_factory.mktemp("journeys") / "server", "--bind", f"127.0.0.1:{port}")
    config = Path(made["config"])
    certbound("user", "create", USER, "--password-stdin", config=config, stdin=PASSWORD)
    with serving(config, {"CERTBOUND__OAUTH__PASSWORD_GRANT": "true"}):
        yield Server(port, config, made["admin_password"])


@pytest.fixture(scope="session")
def clients(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Client]:
    """A client of each of the two methods, which may use a user's password too."""
    grants = ("--grant", "password", "--grant", "client_credentials")
    return {
        "tls_client_auth": server.with_authority("orders", tmp_path_factory.mktemp("pki"), *grants),
        "self_signed_tls_client_auth": server.self_signed("probe", tmp_path_factory.mktemp("self"), *grants),
    }


@pytest.fixture(params=["tls_client_auth", "self_signed_tls_client_auth"])
def client(request: pytest.FixtureRequest, clients: dict[str, Client]) -> Client:
    return clients[request.param]
