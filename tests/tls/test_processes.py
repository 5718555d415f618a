"""The server as a process: signals, workers, graceful ends, and starts that fail."""

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conftest import Pki, read_response

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
PATIENCE = 30  # seconds, for what starts processes on a busy machine


@dataclass
class Server:
    process: "subprocess.Popen[str]"
    port: int
    notes: Path
    context: ssl.SSLContext

    def connect_plain(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def handshake(self, raw: socket.socket) -> ssl.SSLSocket:
        return self.context.wrap_socket(raw, server_hostname="localhost")

    @contextlib.contextmanager
    def connect(self) -> Iterator[ssl.SSLSocket]:
        with self.connect_plain() as raw, self.handshake(raw) as connection:
            yield connection

    def ask(self) -> dict[str, Any]:
        with self.connect() as connection:
            connection.sendall(GET)
            status, _, body = read_response(connection.makefile("rb"))
            assert status == 200
            return dict(json.loads(body))

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def started(pki: Pki, directory: Path, workers: int, **environment: str) -> Iterator[Server]:
    known = {"CERTIFICATE": str(pki.certificate), "KEY": str(pki.key), "NOTES": str(directory)}
    process = subprocess.Popen(
        [sys.executable, "served.py", str(workers)],
        cwd=Path(__file__).parent,
        env=os.environ | known | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield Server(process, port, directory, pki.client_context("issued"))
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_sighup_reloads_the_application_and_the_certificate(pki: Pki, tmp_path: Path) -> None:
    certificate = tmp_path / "server.crt"
    shutil.copy(pki.certificate, certificate)
    with started(pki, tmp_path, 1, CERTIFICATE=str(certificate)) as server:
        before = server.ask()
        certificate.write_text("rubbish")  # is not served, and does no harm
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.ask()["reloads"] == 1)
        assert server.ask()["pid"] == before["pid"]
        assert server.end() == 0


def test_sigterm_lets_everybody_finish_what_they_began(pki: Pki, tmp_path: Path) -> None:
    with started(pki, tmp_path, 1) as server:
        with (
            server.connect_plain() as raw,
            server.connect() as fresh,
            server.connect() as idle,
            server.connect() as busy,
        ):
            idle.sendall(GET)
            pid = json.loads(read_response(idle.makefile("rb"))[2])["pid"]
            busy.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_until((server.notes / "busy").exists)
            server.process.send_signal(signal.SIGTERM)
            assert idle.recv(1) == b""
            # Those who had come in but not asked yet may still do so, once.
            with server.handshake(raw) as late:
                for connection in (late, fresh):
                    connection.sendall(GET)
                    status, headers, _ = read_response(connection.makefile("rb"))
                    assert (status, headers["connection"]) == (200, "close")
            assert read_response(busy.makefile("rb"))[0] == 200
            assert busy.recv(1) == b""
        assert server.process.wait(PATIENCE) == 0
        assert (server.notes / "ended").read_text() == str(pid)


def test_silent_connections_do_not_hold_the_end_up(pki: Pki, tmp_path: Path) -> None:
    with started(pki, tmp_path, 1) as server, server.connect_plain() as raw, server.connect() as silent:
        server.process.send_signal(signal.SIGTERM)
        assert silent.recv(1) == b""
        with contextlib.suppress(ConnectionResetError):
            assert raw.recv(1) == b""
        assert server.process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("fail", "text"), [("factory", "the settings are wrong"), ("lifespan", "the store is not there")]
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_start_that_fails_ends_the_server_and_says_why(
    pki: Pki, tmp_path: Path, fail: str, text: str, workers: int
) -> None:
    with started(pki, tmp_path, workers, FAIL=fail) as server:
        _, log = server.process.communicate(timeout=PATIENCE)
        assert server.process.returncode == 1
        assert f"refused: {text if workers == 1 else 'a worker could not start'}" in log
        assert "Traceback" not in log


def test_a_rolling_restart_of_workers_under_load_fails_no_request(pki: Pki, tmp_path: Path) -> None:
    with started(pki, tmp_path, 2) as server:
        first = {server.ask()["pid"] for _ in range(20)}
        seen: list[int] = []
        failures: list[BaseException] = []
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                try:
                    seen.append(server.ask()["pid"])
                except BaseException as error:  # noqa: BLE001
                    failures.append(error)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(set(seen[-50:]) - first) == 2 and not first & set(seen[-50:]))
        finally:
            stop.set()
            for thread in threads:
                thread.join(PATIENCE)
        assert failures == []
        assert server.end() == 0
