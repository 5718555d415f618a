"""A client's `jwks_uri` misbehaves in every way there is: that client is refused in time, and nobody else notices."""

import base64
import contextlib
import http.client
import json
import logging
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from tests.fetch.peers import Server as KeyServer
from tests.fetch.peers import serving as serving_keys

from .conftest import SELF_SIGNED, Client, certbound, free_port, serving, typed

log = logging.getLogger(__name__)

PROMISED = 3.0
"""Seconds within which the request of such a client ends; a busy machine is given two more."""


@dataclass(frozen=True)
class Asking:
    """A server, and how its clients ask it for tokens."""

    port: int
    config: Path
    publisher: Client
    done: threading.Event = field(default_factory=threading.Event)

    def connect(self, client: Client) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.config.with_name("server.crt")))
        context.load_cert_chain(client.certificate, client.key)
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=30, context=context)
        connection.connect()
        return connection

    def ask(self, connection: http.client.HTTPSConnection, client_id: str) -> tuple[int, Any, float]:
        """Give status, answer and seconds."""
        form = urlencode({"grant_type": "client_credentials", "client_id": client_id})
        began = time.monotonic()
        connection.request("POST", "/oauth2/token", form, {"Content-Type": "application/x-www-form-urlencoded"})
        response = connection.getresponse()
        answer = json.load(response)
        return response.status, answer, time.monotonic() - began

    def publish_at(self, client_id: str, uri: str) -> None:
        method = ("--auth", "self_signed_tls_client_auth", "--jwks-uri", uri)
        certbound("client", "create", client_id, "--id", client_id, *method, config=self.config)

    def logged(self, *words: str) -> bool:
        """Say whether a line of the server's log has all of these."""
        lines = self.config.with_suffix(".log").read_text().splitlines()
        return any(all(word in line for word in words) for line in lines)


@pytest.fixture(scope="module")
def key_authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory, key_authority: trustme.CA) -> Iterator[Asking]:
    """A server that may fetch from 127.0.0.1 and from no other address that is not public."""
    folder = tmp_path_factory.mktemp("published")
    port = free_port()
    config = Path(certbound("init", folder / "server", "--bind", f"127.0.0.1:{port}")["config"])
    key_authority.cert_pem.write_to_path(str(folder / "roots.pem"))
    typed(SELF_SIGNED.format("publisher"), folder)
    environ = {
        "CERTBOUND__OUTBOUND__ALLOW": '["127.0.0.1/32"]',
        "CERTBOUND__OUTBOUND__CA_FILE": str(folder / "roots.pem"),
    }
    made = Asking(port, config, Client("publisher", folder))
    certificate = ("--auth", "self_signed_tls_client_auth", "--certificate", made.publisher.certificate)
    certbound("client", "create", "bystander", "--id", "bystander", *certificate, config=config)
    with serving(config, environ):
        yield made


@pytest.fixture
def keys(key_authority: trustme.CA) -> Iterator[KeyServer]:
    """Where a client publishes its keys."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    key_authority.issue_cert("localhost", "127.0.0.1", "127.0.0.2").configure_cert(context)
    with serving_keys(ssl.create_default_context(), context) as running:
        yield running


def drip(done: threading.Event) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(30):
            if done.wait(1):
                return
            connection.sendall(b"{")

    return answer


def flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(500):
        connection.sendall(b" " * 100_000)


def saying(raw: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(raw)


@contextlib.contextmanager
def bystanders(asking: Asking) -> Iterator[list[tuple[int, float]]]:
    """Let another client ask for tokens all the while; give status and seconds of each answer."""
    answers: list[tuple[int, float]] = []
    end = threading.Event()

    def run() -> None:
        with contextlib.closing(asking.connect(asking.publisher)) as connection:
            while not end.is_set():
                status, _, took = asking.ask(connection, "bystander")
                answers.append((status, took))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        end.set()
        thread.join(30)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("slow", "no complete answer within"),
        ("huge", "larger than 262144 bytes"),
        ("html", "not JSON"),
        ("redirect", "redirects"),
        ("private", "no public address"),
    ],
)
def test_a_set_that_cannot_be_had_is_its_own_clients_loss_and_no_one_elses(
    asking: Asking, keys: KeyServer, kind: str, reason: str
) -> None:
    done = threading.Event()
    keys.answer = {
        "slow": drip(done),
        "huge": flood,
        "html": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"),
        "redirect": saying(b"HTTP/1.1 302 Found\r\nLocation: https://localhost/\r\nContent-Length: 0\r\n\r\n"),
        "private": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
    }[kind]
    asking.publish_at(kind, keys.url(f"/{kind}", host="127.0.0.2" if kind == "private" else "localhost"))
    with bystanders(asking) as others, contextlib.closing(asking.connect(asking.publisher)) as connection:
        until, taken = time.monotonic() + 20, list[float]()
        while not asking.logged(f"/{kind}", reason) and time.monotonic() < until:  # a new client is soon known
            status, answer, took = asking.ask(connection, kind)
            taken.append(took)
            time.sleep(0.05)
        noticed, took = len(others), max(taken)
    done.set()
    assert (status, answer["error"]) == (401, "invalid_client")
    assert reason not in answer["error_description"]
    assert asking.logged(f"/{kind}", reason)
    assert bool(keys.requests) == (kind != "private")
    assert took < PROMISED + 2
    assert {status for status, _ in others} == {200}
    if kind == "slow":
        assert took > 1  # so it was this very answer that was waited for
        assert noticed > 3
    rest = [took for _, took in others]
    log.info("%s: %.2f s; others: median %.3f s, slowest %.3f s", kind, took, statistics.median(rest), max(rest))


def test_a_client_that_publishes_well_is_served_beside_one_that_does_not(
    asking: Asking, keys: KeyServer, key_authority: trustme.CA
) -> None:
    done = threading.Event()
    keys.answer = drip(done)
    asking.publish_at("slower", keys.url("/slower"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    key_authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving_keys(ssl.create_default_context(), context) as well:
        body = json.dumps({"keys": [as_jwk(asking.publisher.certificate)]}).encode()
        well.says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        asking.publish_at("well", well.url(host="127.0.0.1"))
        slow = threading.Thread(target=ask_until_fetched, args=(asking, "slower", keys), daemon=True)
        slow.start()
        with contextlib.closing(asking.connect(asking.publisher)) as connection:
            until = time.monotonic() + 10
            status, answer, _ = asking.ask(connection, "well")
            while status != 200 and time.monotonic() < until:
                time.sleep(0.05)
                status, answer, _ = asking.ask(connection, "well")
        done.set()
        slow.join(30)
        assert (status, answer.get("token_type")) == (200, "Bearer")
        assert len(well.requests) == 1


def as_jwk(file: Path) -> dict[str, Any]:
    """Write an RSA certificate as a JWK with `x5c` (RFC 7517 section 4.7), without a line of certbound's."""
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    numbers = key.public_numbers()
    members = {"n": numbers.n.to_bytes(key.key_size // 8, "big"), "e": numbers.e.to_bytes(3, "big")}
    own = {name: base64.urlsafe_b64encode(value).rstrip(b"=").decode() for name, value in members.items()}
    der = certificate.public_bytes(Encoding.DER)
    return {"kty": "RSA", **own, "x5c": [base64.b64encode(der).decode()]}


def ask_until_fetched(asking: Asking, client_id: str, keys: KeyServer) -> None:
    with contextlib.closing(asking.connect(asking.publisher)) as connection:
        until = time.monotonic() + 10
        while not keys.requests and time.monotonic() < until:
            asking.ask(connection, client_id)
