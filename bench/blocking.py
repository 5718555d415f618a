"""From `certbound block` to the last answer that a thief gets: at the token endpoint, and at an API.

The real program serves with two workers; an API on certbound.resource, with its defaults, runs in a process of its
own. Somebody who has the key asks for tokens over fresh connections, and shows the newest one to the API, without
pause. The time runs from the start of the command to the last answer 200 at each, for another certificate every time.
"""

import asyncio
import contextlib
import http.client
import json
import random
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from bench.readings import Row
from certbound.certificates.files import read_certificate
from certbound.certificates.issue import LeafRequest, self_signed
from certbound.playground import api
from certbound.tls.door import Door
from certbound.tls.listener import Listener
from certbound.tls.serving import running

PROGRAM = Path(sys.executable).with_name("certbound")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAUSE_SECONDS = 0.01
QUIET_SECONDS = 3.0
"""How long nothing may have been answered 200 until it counts as over."""
HANG_SECONDS = 60.0
SETTLED = 5
"""How many times each place must have answered 200 before the key is blocked."""


def rows(*, quick: bool) -> list[Row]:
    """Measure, for the report."""
    tries = 3 if quick else 20
    with TemporaryDirectory(prefix="certbound-bench-") as folder:
        place = _prepare(Path(folder), tries)
        with _server(place), _api(place):
            taken = [_try(place, number) for number in range(tries)]
    commands, tokens, calls = zip(*taken, strict=True)
    return [
        (f"`certbound block` itself, {tries} times", _seconds(commands), ""),
        (f"from its start to the last token, {tries} tries, two workers", _seconds(tokens), "under 3 s"),
        (f"from its start to the last call that an API answers, {tries} tries", _seconds(calls), "under 3 s"),
    ]


def _seconds(taken: Sequence[float]) -> str:
    return f"at most {max(taken):.2f} s, median {statistics.median(taken):.2f} s"


@dataclass(frozen=True, slots=True)
class _Place:
    """A server's folder, in which `0.crt` and `0.key` and so on are the thief's."""

    home: Path
    port: int
    api_port: int

    @property
    def issuer(self) -> str:
        return f"https://localhost:{self.port}"

    def context(self, number: int) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.home / "server.crt"))
        context.load_cert_chain(self.home / f"{number}.crt", self.home / f"{number}.key")
        return context

    def certbound(self, *arguments: str) -> None:
        command = [str(PROGRAM), "-c", str(self.home / "certbound.toml"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"certbound {' '.join(arguments)}: {done.stderr}")


def _prepare(home: Path, tries: int) -> _Place:
    place = _Place(home, _free_port(), _free_port())
    place.certbound("init", str(home), "--bind", f"127.0.0.1:{place.port}", "--json")
    files: list[str] = []
    for number in range(tries):
        made = self_signed(LeafRequest(f"CN=bench-{number}"), now=datetime.now(UTC))
        (home / f"{number}.crt").write_bytes(made.certificate_pem)
        (home / f"{number}.key").write_bytes(made.key_pem)
        files += ["--certificate", str(home / f"{number}.crt")]
    place.certbound("client", "create", "bench", "--id", "bench", "--auth", "self_signed_tls_client_auth", *files)
    return place


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def _started(log: IO[bytes], *command: str) -> Iterator[None]:
    """Run a process that prints a line once it serves."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process:
        try:
            if process.stdout is None or not process.stdout.readline():
                raise SystemExit(f"it did not start: {' '.join(command)}")
            yield
        finally:
            process.terminate()


@contextlib.contextmanager
def _server(place: _Place) -> Iterator[None]:
    settings = str(place.home / "certbound.toml")
    command = (str(PROGRAM), "-c", settings, "serve", "--workers", "2")
    with (place.home / "server.log").open("ab") as log, _started(log, *command):
        yield


@contextlib.contextmanager
def _api(place: _Place) -> Iterator[None]:
    command = (sys.executable, "-m", "bench.blocking", str(place.home), place.issuer, str(place.api_port))
    with (place.home / "api.log").open("ab") as log, _started(log, *command):
        yield


@dataclass(slots=True)
class _Knocking:
    """Asks the same thing again and again until it is stopped, and keeps when it was last answered 200."""

    ask: Callable[[], int]
    last: float = 0.0
    answered: int = 0
    refused: int = 0
    failure: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        try:
            while not self.stop.wait(PAUSE_SECONDS):
                status = self.ask()
                if status == http.client.OK:
                    self.last = time.monotonic()
                    self.answered += 1
                elif status == http.client.UNAUTHORIZED:
                    self.refused += 1
                else:
                    self.failure = f"status {status}"
        except (OSError, http.client.HTTPException, ValueError) as failure:
            self.failure = repr(failure)


class _Thief:
    """Has a key, and uses it as fast as answers come."""

    def __init__(self, place: _Place, number: int) -> None:
        self._place = place
        self._context = place.context(number)
        self._token = ""
        self._call = http.client.HTTPSConnection("localhost", place.api_port, timeout=10, context=self._context)

    def ask_for_token(self) -> int:
        asking = http.client.HTTPSConnection("localhost", self._place.port, timeout=10, context=self._context)
        with contextlib.closing(asking):
            asking.request("POST", "/oauth2/token", "grant_type=client_credentials&client_id=bench", FORM)
            answer = asking.getresponse()
            body = json.load(answer)
        if answer.status == http.client.OK:
            self._token = body["access_token"]
        return answer.status

    def call_api(self) -> int:
        self._call.request("GET", api.PATH, headers={"Authorization": f"Bearer {self._token}"})
        answer = self._call.getresponse()
        answer.read()
        return answer.status


def _try(place: _Place, number: int) -> tuple[float, float, float]:
    """Give the seconds that the command took, and those from its start to the last token and the last call."""
    thief = _Thief(place, number)
    thief.ask_for_token()
    at_server, at_api = several = _Knocking(thief.ask_for_token), _Knocking(thief.call_api)
    threads = [threading.Thread(target=one) for one in several]
    for thread in threads:
        thread.start()
    try:
        _wait(several, lambda: all(one.answered >= SETTLED for one in several))
        key = read_certificate((place.home / f"{number}.crt").read_bytes(), "").spki_sha256.hex()
        time.sleep(random.uniform(0, 2))  # noqa: S311 - a moment that nobody's polling knows of
        start = time.monotonic()
        place.certbound("block", "--public-key", key)
        command = time.monotonic() - start
        _wait(several, lambda: all(one.refused and time.monotonic() > one.last + QUIET_SECONDS for one in several))
    finally:
        for one in several:
            one.stop.set()
        for thread in threads:
            thread.join()
    return command, at_server.last - start, at_api.last - start


def _wait(several: Sequence[_Knocking], seen: Callable[[], bool]) -> None:
    until = time.monotonic() + HANG_SECONDS
    while not seen():
        for one in several:
            if one.failure is not None:
                raise SystemExit(f"a request failed, so there is no figure: {one.failure}")
        if time.monotonic() > until:
            raise SystemExit(f"not over after {HANG_SECONDS} s")
        time.sleep(0.01)


async def _serve_api(home: Path, issuer: str, port: str) -> None:
    app = api.protected(issuer=issuer, audience=issuer, ca_file=home / "server.crt")
    certificate, key = home / "server.crt", home / "server.key"
    door = Door([Listener(name="api", bind=f"127.0.0.1:{port}", app=app, certificate=certificate, key=key)])
    async with running(door):
        print("listening", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve_api(Path(sys.argv[1]), *sys.argv[2:]))
