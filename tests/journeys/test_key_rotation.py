"""Signing keys follow each other under load, and no API with its caches refuses a token that is still valid.

All times are a tenth of the real ones: how long a key is published before it signs, and how long keys are cached.
"""

import base64
import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from certbound.authority import keys as signing_keys
from certbound.authority.keys import AHEAD_SECONDS
from certbound.oauth.metadata import JWKS_PATH
from certbound.playground.api import PATH
from certbound.resource.keys import FRESH_SECONDS, UNKNOWN_KEY_SECONDS
from certbound.store.engine import Store
from certbound.web.oauth.discovery import CACHE_SECONDS

from .conftest import certbound, free_port
from .running import SECONDS, Running, ask_token, serving, wait_until

SCALE = 10
AHEAD = AHEAD_SECONDS // SCALE
PATIENT_API = f"""
import runpy, sys
from certbound.resource import keys
keys.FRESH_SECONDS, keys.UNKNOWN_KEY_SECONDS = {FRESH_SECONDS / SCALE}, {UNKNOWN_KEY_SECONDS / SCALE}
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def signed_with(token: str) -> str:
    """Give the `kid` of a token, read as any stranger would."""
    return str(json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))["kid"])


@dataclass
class Load:
    """Clients that ask for tokens without end, and APIs that are shown the newest and the oldest of them."""

    server: Running
    apis: tuple[int, ...]
    tokens: list[str] = field(default_factory=list)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    unknown: set[str] = field(default_factory=set)
    failures: list[BaseException] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """Ask for tokens over new connections, which reach both workers."""
        while not self.stop.wait(0.02):
            with contextlib.closing(self.server.connect("probe")) as connection:
                status, answer = ask_token(connection, "probe")
            assert status == 200, answer
            self.tokens.append(answer["access_token"])

    def show(self, port: int) -> None:
        """Call an API with the newest token, and with the oldest, which is good for the whole test."""
        context = self.server.context("probe")
        with contextlib.closing(
            http.client.HTTPSConnection("localhost", port, timeout=SECONDS, context=context)
        ) as api:
            while not self.stop.wait(0.005):
                for token in (self.tokens[-1], self.tokens[0]):
                    api.request("GET", PATH, headers={"Authorization": f"Bearer {token}"})
                    answer = api.getresponse()
                    answer.read()
                    self.answers[signed_with(token), answer.status] += 1

    def cache(self) -> None:
        """Keep the published keys for as long as they say, and never ask sooner: so do many who check tokens."""
        while not self.stop.is_set():
            with contextlib.closing(self.server.connect()) as connection:
                connection.request("GET", JWKS_PATH)
                answer = connection.getresponse()
                assert answer.headers["Cache-Control"] == f"public, max-age={CACHE_SECONDS}"
                known = {key["kid"] for key in json.load(answer)["keys"]}
            until = time.monotonic() + CACHE_SECONDS / SCALE
            while time.monotonic() < until and not self.stop.wait(0.02):
                self.unknown |= {signed_with(token) for token in (self.tokens[-1], self.tokens[0])} - known

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        threads = [self._thread(self.ask) for _ in range(2)]
        try:
            self.wait_until(lambda: bool(self.tokens))
            threads += [self._thread(self.cache), *(self._thread(partial(self.show, port)) for port in self.apis * 3)]
            self.wait_until(lambda: sum(self.answers.values()) > 50)
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(SECONDS)
        assert self.failures == []

    def wait_until(self, seen: Callable[[], bool]) -> None:
        wait_until(lambda: bool(self.failures) or seen())

    def count(self, kid: str, status: int) -> int:
        return self.answers[kid, status]

    def _thread(self, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except BaseException as failure:  # noqa: BLE001 - looked at by the test
                self.failures.append(failure)

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """A server with two workers, and two APIs."""
    folder = tmp_path / "server"
    config = Path(certbound("init", folder, "--bind", f"127.0.0.1:{free_port()}")["config"])
    certbound("cert", "new", "--cn", "probe", "--self-signed", "--out", folder / "probe")
    how = ("--auth", "self_signed_tls_client_auth", "--certificate", folder / "probe" / "certificate.pem")
    certbound("client", "create", "probe", "--id", "probe", *how, config=config)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(config, "--workers", "2"))
        wait_until(lambda: len(server.workers()) == 2)
        ports = (free_port(), free_port())
        for port in ports:
            stack.enter_context(api(port, server))
        yield Load(server, ports)
    assert "Traceback" not in server.log.read_text()


@contextlib.contextmanager
def api(port: int, server: Running) -> Iterator[None]:
    issuer, script = f"https://localhost:{server.port}", Path(__file__).with_name("api.py")
    command = (sys.executable, "-c", PATIENT_API, script, str(port), issuer, server.config.parent)
    with (
        server.config.with_name(f"api-{port}.log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"listening\n"
            yield
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)


def rotate(config: Path, algorithm: str, *, ahead: int = AHEAD) -> str:
    """Make a key as `certbound keys rotate` does, on the test's scale of time."""
    master_key = config.with_name("master.key").read_bytes()
    how: dict[str, Any] = {"algorithm": algorithm, "actor": "tester", "now": int(time.time()), "ahead": ahead}
    with Store(f"sqlite:///{config.with_name('certbound.db')}") as store:
        return store.write(lambda connection: signing_keys.rotate(connection, master_key, **how)).kid


@pytest.mark.threat("R12")
def test_no_valid_token_is_refused_while_keys_of_several_algorithms_follow_each_other(load: Load) -> None:
    config = load.server.config
    [first] = [key["kid"] for key in certbound("keys", "list", config=config)]
    with load.going_on():
        made = [rotate(config, algorithm) for algorithm in ("ES256", "EdDSA", "PS256")]
        assert load.count(first, 200) > 0
        load.wait_until(lambda: load.count(made[-1], 200) > 500)
        made.append(rotate(config, "ES256"))
        load.wait_until(lambda: load.count(made[-1], 200) > 500)
    print({f"{kid[:6]} {status}": count for (kid, status), count in load.answers.items()})  # noqa: T201
    assert {status for _, status in load.answers} == {200}
    assert load.unknown == set()
    assert {signed_with(token) for token in load.tokens} >= {first, made[-2], made[-1]}
    states = {key["kid"]: key["state"] for key in certbound("keys", "list", config=config)}
    assert [states[kid] for kid in (first, *made)] == ["superseded", "superseded", "signing", "signing", "signing"]


def test_keys_that_sign_at_once_are_refused_by_those_who_asked_a_moment_before(load: Load) -> None:
    """What publishing ahead is for, and that a refusal would have been seen above."""
    made = list[str]()
    with load.going_on():
        for _ in range(10):
            made.append(rotate(load.server.config, "ES256", ahead=0))
            load.wait_until(lambda: load.count(made[-1], 200) > 0)  # so that an API has asked just now
            if any(load.count(kid, 401) for kid in made):
                break
        load.wait_until(lambda: load.count(made[-1], 200) > 100)
    assert any(load.count(kid, 401) for kid in made)
    assert load.unknown
    assert {status for kid, status in load.answers if kid not in made} == {200}
