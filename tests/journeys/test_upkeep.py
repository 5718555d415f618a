"""What the server does by itself while it runs: it fetches, it tells how that goes, and it ends when it is told to."""

import contextlib
import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.certificates.openssl_ca import OpenSSLCA
from tests.fetch.peers import listening, read_head
from tests.oauth.making import authority, uri

from certbound.upkeep.crls import FETCH_SECONDS
from certbound.upkeep.running import TICK_SECONDS

from .conftest import certbound, free_port
from .running import Running, serving, wait_until


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A server that may fetch from loopback, and tells its metrics on a listener of their own."""
    made = certbound("init", tmp_path / "server", "--bind", f"127.0.0.1:{free_port()}")
    config = Path(made["config"])
    config.write_text(
        f"""{config.read_text()}
[limits]
shutdown_seconds = 5
[outbound]
allow = ["127.0.0.0/8", "::1/128"]
ca_file = "server.crt"
[[listener]]
name = "metrics"
bind = "127.0.0.1:{free_port()}"
tls_certificate = "server.crt"
tls_key = "server.key"
client_certificate = "none"
serves = ["metrics"]
"""
    )
    return config


@contextlib.contextmanager
def answering(answer: Callable[[str], bytes | None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve documents by their path; where there is none, take the request and say nothing."""
    over = threading.Event()

    def attend(plain: socket.socket) -> None:
        connection = context.wrap_socket(plain, server_side=True) if context else plain
        with connection:
            body = answer(read_head(connection).split()[1].decode())
            if body is None:
                over.wait(60)
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with listening(attend, patience=600) as port:
        try:
            yield port
        finally:
            over.set()


def metrics(server: Running) -> str:
    """Scrape the listener for metrics, which nobody shows a certificate."""
    port = int(re.findall(r":([0-9]+)\"", server.config.read_text())[-1])
    connection = http.client.HTTPSConnection("localhost", port, timeout=60, context=server.context())
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read().decode()


def failures(server: Running) -> dict[str, str | None]:
    """Give what `certbound status` tells of each duty."""
    return {duty["duty"]: duty["failure"] for duty in certbound("status", config=server.config)["duties"]}


def test_what_a_running_server_is_told_to_fetch_is_there_within_seconds(config: Path, tmp_path: Path) -> None:
    ca, spire = OpenSSLCA(tmp_path / "ca"), authority("CN=mesh", san=[uri("spiffe://example.org")])
    asked_at: dict[str, float] = {}
    crl = ca.crl()
    bundle = json.dumps({"keys": [spire.jwk(use="x509-svid")]}).encode()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(config.with_name("server.crt"), config.with_name("server.key"))

    def answer(path: str) -> bytes:
        asked_at.setdefault(path, time.monotonic())
        return {"/ca.crl": crl, "/bundle": bundle}.get(path, b"<html>")

    with serving(config) as server, answering(answer) as plain, answering(answer, tls) as secure:
        certbound("trust", "add", "partners", ca.folder / "ca.pem", config=config)
        crls = [f"http://localhost:{plain}/{name}" for name in ("ca.crl", "moved.crl")]
        options = [part for url in crls for part in ("--crl-url", url)]
        certbound("trust", "update", "partners", "--revocation", "crl", *options, config=config)
        told = {"crl": time.monotonic()}
        source = ("--bundle-url", f"https://localhost:{secure}/bundle", "--trust-domain", "example.org")
        certbound("trust", "update", "mesh", *source, config=config)
        told["bundle"] = time.monotonic()
        wait_until(lambda: {"/ca.crl", "/moved.crl", "/bundle"} <= asked_at.keys())
        for path, kind in {"/ca.crl": "crl", "/bundle": "bundle"}.items():
            took = asked_at[path] - told[kind]
            print(f"{path}: asked for {took:.2f} s after the command had ended")  # noqa: T201
            assert took < TICK_SECONDS + 5, "the rest is given to a busy machine"
        wait_until(lambda: metrics(server).count("certbound_duty_failing{") == 6)
        assert failures(server) == {
            "expiry warnings": None,
            "removal of old records": None,
            "retirement of signing keys": None,
            f"crl partners {crls[0]}": None,
            f"crl partners {crls[1]}": "the file is a web page or XML and no CRL: download the CRL itself",
            f"bundle mesh https://localhost:{secure}/bundle": None,
        }
        assert [crl["url"] for crl in certbound("trust", "crl", "list", "partners", config=config)] == crls[:1]
        [anchor] = certbound("trust", "show", "mesh", config=config)["certificates"]
        assert anchor["subject"] == "CN=mesh"
        text = metrics(server)
        assert f'certbound_duty_failing{{duty="crl partners {crls[1]}"}} 1.0' in text
        assert (
            'certbound_crl_next_update_timestamp_seconds{issuer="CN=CA",kind="complete",trust_store="partners"}' in text
        )
        assert server.end() == 0
    log = server.log.read_text()
    assert "duty failed" in log
    assert "Traceback" not in log


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_source_that_does_not_answer_holds_up_no_shutdown(config: Path, tmp_path: Path, workers: str) -> None:
    ca, asked = OpenSSLCA(tmp_path / "ca"), threading.Event()

    def answer(_path: str) -> None:
        asked.set()

    certbound("trust", "add", "partners", ca.folder / "ca.pem", config=config)
    with answering(answer) as port:
        source = ("--crl-url", f"http://localhost:{port}/ca.crl")
        certbound("trust", "update", "partners", *source, config=config)
        with serving(config, "--workers", workers) as server:
            assert asked.wait(60)
            start = time.monotonic()
            assert server.end() == 0
            took = time.monotonic() - start
            print(f"ended after {took:.2f} s, of 5 that are given to requests")  # noqa: T201
            assert took < FETCH_SECONDS / 2
    assert "Traceback" not in server.log.read_text()
