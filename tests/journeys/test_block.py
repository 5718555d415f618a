"""A stolen key, first minute: the thief goes on with all he has, and the operator types one line."""

import contextlib
import http.client
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from certbound.playground.api import PATH

from .conftest import certbound, free_port, typed
from .running import SECONDS, Running, ask_token, serving, wait_until

QUIET_SECONDS = 2.5
"""How long nothing may be answered 200 until it is taken for over; workers and APIs ask more often than that."""
RENEWAL = """\
openssl req -new -key key.pem -subj /O=Example/CN=renewed -addext extendedKeyUsage=clientAuth -out csr.pem
openssl x509 -req -in csr.pem -copy_extensions copy -key key.pem -days 30 -out certificate.pem"""


@dataclass
class Place:
    """A server with two workers, and an API of its own process beside it."""

    server: Running
    api_port: int
    api: "subprocess.Popen[bytes] | None" = None

    @property
    def config(self) -> Path:
        return self.server.config

    def start_api(self) -> None:
        issuer = f"https://localhost:{self.server.port}"
        command = (sys.executable, Path(__file__).with_name("api.py"), str(self.api_port), issuer, self.config.parent)
        with self.config.with_name("api.log").open("ab") as log:
            self.api = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        assert self.api.stdout is not None
        assert self.api.stdout.readline() == b"listening\n"

    def stop_api(self) -> None:
        if self.api is not None:
            self.api.terminate()
            self.api.communicate(timeout=SECONDS)


@dataclass
class Holder:
    """Somebody who has a key: an identity's folder beside the settings."""

    place: Place
    identity: str
    client_id: str
    token: str = ""

    def __post_init__(self) -> None:
        self._context = self.place.server.context(self.identity)

    def ask_for_token(self) -> int:
        with contextlib.closing(self.place.server.connect(context=self._context)) as connection:
            status, answer = ask_token(connection, self.client_id)
        if status == 200:
            self.token = answer["access_token"]
        else:
            assert answer["error"] == "invalid_client"
            assert "block" not in answer["error_description"]
        return status

    def call_api(self) -> int:
        connection = http.client.HTTPSConnection(
            "localhost", self.place.api_port, timeout=SECONDS, context=self._context
        )
        with contextlib.closing(connection):
            connection.request("GET", PATH, headers={"Authorization": f"Bearer {self.token}"})
            answer = connection.getresponse()
            answer.read()
        return answer.status


@dataclass
class Knocking:
    """Asks the same again and again until it is stopped, and keeps what was answered."""

    ask: Callable[[], int]
    statuses: set[int] = field(default_factory=set)
    last: float = 0.0
    failure: BaseException | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        try:
            while not self.stop.wait(0.02):
                status = self.ask()
                self.statuses.add(status)
                if status == 200:
                    self.last = time.monotonic()
        except BaseException as failure:  # noqa: BLE001 - looked at by the test
            self.failure = failure


@contextlib.contextmanager
def knocking(*asks: Callable[[], int]) -> Iterator[list[Knocking]]:
    several = [Knocking(ask) for ask in asks]
    threads = [threading.Thread(target=one) for one in several]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: all(one.last or one.failure for one in several))
        yield several
    finally:
        for one in several:
            one.stop.set()
        for thread in threads:
            thread.join(SECONDS)
    assert [one.failure for one in several] == [None] * len(several)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A client of each method with a key that is stolen, and one whose key is not."""
    folder = tmp_path / "server"
    config = Path(certbound("init", folder, "--bind", f"127.0.0.1:{free_port()}")["config"])
    for name in ("own", "honest"):
        certbound("cert", "new", "--cn", name, "--self-signed", "--out", folder / name)
        how = ("--auth", "self_signed_tls_client_auth", "--certificate", folder / name / "certificate.pem")
        certbound("client", "create", name, "--id", name, *how, config=config)
    certbound("cert", "new", "--cn", "orders", "--ca", folder / "ca", "--out", folder / "orders")
    certbound("trust", "add", "partners", folder / "orders" / "chain.pem", config=config)
    vouched = ("--auth", "tls_client_auth", "--trust", "partners", "--subject-dn", "CN=orders")
    certbound("client", "create", "orders", "--id", "orders", *vouched, config=config)
    with serving(config, "--workers", "2") as server:
        wait_until(lambda: len(server.workers()) == 2)
        made = Place(server, free_port())
        try:
            made.start_api()
            yield made
        finally:
            made.stop_api()
    assert "Traceback" not in server.log.read_text()


def block(place: Place, option: str, identity: str) -> Any:
    (facts, *_) = certbound("cert", "show", place.config.parent / identity / "certificate.pem")
    value = facts["x5t#S256" if option == "--thumbprint" else "public_key_sha256"]
    return certbound("block", f"{option}={value}", "--reason", "laptop stolen", config=place.config)


def answers(holder: Holder) -> tuple[set[int], set[int]]:
    """Ask both places often enough to reach both workers."""
    return {holder.ask_for_token() for _ in range(8)}, {holder.call_api() for _ in range(4)}


@pytest.mark.parametrize(
    ("option", "client_id"), [("--public-key", "own"), ("--public-key", "orders"), ("--thumbprint", "orders")]
)
def test_a_thief_gets_nothing_any_more_and_nobody_else_notices(place: Place, option: str, client_id: str) -> None:
    thief, honest = Holder(place, client_id, client_id), Holder(place, "honest", "honest")
    assert (thief.ask_for_token(), honest.ask_for_token()) == (200, 200)
    with knocking(thief.ask_for_token, thief.call_api, honest.ask_for_token, honest.call_api) as several:
        start = time.monotonic()
        made = block(place, option, client_id)
        of_thief, of_honest = several[:2], several[2:]
        wait_until(lambda: all(401 in one.statuses and time.monotonic() > one.last + QUIET_SECONDS for one in of_thief))
        took = [one.last - start for one in of_thief]
        assert [one.statuses for one in of_thief] == [{200, 401}] * 2
        assert [one.statuses for one in of_honest] == [{200}] * 2
    print(f"last token after {took[0]:.2f} s, last call after {took[1]:.2f} s")  # noqa: T201
    assert max(took) < 30, "promised within 3 on a machine that does nothing else"
    assert answers(thief) == ({401}, {401})
    shown = certbound("block", "show", made["id"], config=place.config)["obtained"]
    assert {(one["client_id"], one["address"]) for one in shown} == {(client_id, "127.0.0.1")}
    assert len(shown) >= len(made["obtained"])


def test_nothing_that_is_started_anew_forgets_the_block_and_a_new_certificate_is_no_way_around_it(
    place: Place,
) -> None:
    thief, honest = Holder(place, "own", "own"), Holder(place, "honest", "honest")
    for holder in (thief, honest):
        assert (holder.ask_for_token(), holder.call_api()) == (200, 200)
    block_id = block(place, "--public-key", "own")["id"]
    wait_until(lambda: answers(thief) == ({401}, {401}))

    renew_workers(place.server)
    assert answers(thief) == ({401}, {401})

    before = place.server.workers()
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: len(place.server.workers()) == 2 and not place.server.workers() & before)
    wait_until(lambda: _answers(honest.ask_for_token) == 200)
    assert answers(thief) == ({401}, {401})

    place.stop_api()
    place.start_api()
    assert {thief.call_api() for _ in range(4)} == {401}
    assert honest.call_api() == 200

    renewed = place.config.parent / "renewed"
    renewed.mkdir()
    (renewed / "key.pem").write_bytes((place.config.parent / "own" / "key.pem").read_bytes())
    typed(RENEWAL, renewed)
    certbound("client", "certificate", "add", "own", renewed / "certificate.pem", config=place.config)
    certbound("client", "certificate", "add", "own", _new(place, "another"), config=place.config)
    another = Holder(place, "another", "own")
    wait_until(lambda: answers(another) == ({200}, {200}))
    assert {Holder(place, "renewed", "own").ask_for_token() for _ in range(8)} == {401}

    certbound("block", "lift", block_id, config=place.config)
    wait_until(lambda: answers(thief) == ({200}, {200}))

    assert place.server.end() == 0
    place.stop_api()
    place.start_api()
    assert thief.call_api() == 503, "what is blocked is not known: nobody is let in"


def renew_workers(server: Running) -> None:
    """Send SIGHUP, again where a new worker was not ready in time, until none of the workers is the old one."""
    before, given_up = server.workers(), -1

    def renewed() -> bool:
        nonlocal given_up
        count = server.log.read_text().count("aborting the restart")
        if count > given_up:
            given_up = count
            server.process.send_signal(signal.SIGHUP)
        return len(server.workers()) == 2 and not server.workers() & before

    wait_until(renewed, 2 * SECONDS)


def _new(place: Place, name: str) -> Path:
    folder = place.config.parent / name
    certbound("cert", "new", "--cn", name, "--self-signed", "--out", folder)
    return folder / "certificate.pem"


def _answers(ask: Callable[[], int]) -> int | None:
    try:
        return ask()
    except (OSError, ssl.SSLError, http.client.HTTPException):
        return None
