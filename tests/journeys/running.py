"""The real program, serving: started, asked for tokens and ended by the tests."""

import contextlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from certbound.oauth.metadata import TOKEN_PATH, WELL_KNOWN

from .conftest import CERTBOUND

SECONDS = 60  # what nothing may take; a hang, not a measure

IN_FORCE_SECONDS = 2.0
"""What is promised for a change to be in force everywhere; a second more is given to a busy machine."""


@dataclass
class Running:
    """The real program, serving."""

    config: Path
    port: int
    process: "subprocess.Popen[bytes]"
    log: Path

    def context(self, identity: str | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.config.with_name("server.crt")))
        if identity is not None:
            folder = self.config.parent / identity
            context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        return context

    def connect(
        self, identity: str | None = None, context: ssl.SSLContext | None = None
    ) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(
            "localhost", self.port, timeout=SECONDS, context=context or self.context(identity)
        )
        connection.connect()
        return connection

    def grant_types(self) -> list[str]:
        with contextlib.closing(self.connect()) as connection:
            connection.request("GET", WELL_KNOWN)
            return list(json.load(connection.getresponse())["grant_types_supported"])

    def token(self, client_id: str = "probe") -> dict[str, Any]:
        with contextlib.closing(self.connect(client_id)) as connection:
            status, answer = ask_token(connection, client_id)
        assert status == 200, answer
        return answer

    def workers(self) -> set[int]:
        listed = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,ppid=,command="], check=True, capture_output=True, text=True
        )
        rows = (line.split(None, 2) for line in listed.stdout.splitlines())
        return {int(row[0]) for row in rows if int(row[1]) == self.process.pid and "spawn_main" in row[2]}

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(SECONDS)


def ask_token(connection: http.client.HTTPSConnection, client_id: str) -> tuple[int, dict[str, Any]]:
    form = urlencode({"grant_type": "client_credentials", "client_id": client_id})
    connection.request("POST", TOKEN_PATH, form, {"Content-Type": "application/x-www-form-urlencoded"})
    response = connection.getresponse()
    return response.status, json.load(response)


def wait_until(seen: Callable[[], bool], seconds: float = SECONDS) -> float:
    """Poll until it is seen; give the seconds that took."""
    start = time.monotonic()
    while not seen():
        assert time.monotonic() - start < seconds, f"not within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - start


@contextlib.contextmanager
def serving(config: Path, *options: str) -> Iterator[Running]:
    """Start the server; whatever is left of it in the end is killed."""
    log = config.with_name("log")
    command = [str(CERTBOUND), "-c", str(config), "serve", *options]
    with (
        log.open("ab") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode()
            assert line.startswith("listening on "), log.read_text()
            server = Running(config, int(line.split()[2].rpartition(":")[2]), process, log)
            wait_until(lambda: bool(server.grant_types()))
            yield server
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def only(worker: int, workers: set[int]) -> Iterator[None]:
    """Hold the other workers still, so that a new connection is this one's."""
    others = workers - {worker}
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        yield
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)
