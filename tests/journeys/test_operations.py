"""Running the server: reloading, replacing workers, stopping, being killed, and not starting with what is wrong."""

import base64
import contextlib
import http.client
import itertools
import json
import secrets
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from certbound.authority.records import chain_hash
from certbound.store import audit
from certbound.store.engine import Store
from certbound.store.tokens import issued_to_client

from .conftest import CERTBOUND, certbound, free_port
from .running import IN_FORCE_SECONDS, SECONDS, Running, ask_token, only, serving, wait_until


@dataclass
class Fetching:
    """A client that fetches tokens over fresh connections until it is stopped or, where it may, the server is gone."""

    server: Running
    until_gone: bool = False
    tokens: list[str] = field(default_factory=list)
    failures: list[object] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        context = self.server.context("probe")
        while not self.stop.is_set():
            try:
                with contextlib.closing(self.server.connect(context=context)) as connection:
                    status, answer = ask_token(connection, "probe")
            except (OSError, http.client.HTTPException) as error:
                if self.until_gone:
                    return
                self.failures.append(error)
                continue
            if status == 200:
                self.tokens.append(answer["access_token"])
            else:
                self.failures.append((status, answer))


@contextlib.contextmanager
def fetching(server: Running, clients: int, *, until_gone: bool = False) -> Iterator[list[Fetching]]:
    several = [Fetching(server, until_gone) for _ in range(clients)]
    threads = [threading.Thread(target=one) for one in several]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: all(one.tokens for one in several))
        yield several
    finally:
        for one in several:
            one.stop.set()
        for thread in threads:
            thread.join(SECONDS)


def jti(token: str) -> str:
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])


def recorded(config: Path) -> list[str]:
    with Store(f"sqlite:///{config.with_name('certbound.db')}") as store:
        rows = store.read(lambda connection: issued_to_client(connection, "probe", limit=100_000))
    return [row.jti for row in rows]


def trail(config: Path) -> list[audit.AuditRow]:
    """Read the whole audit trail, and hold it to be unbroken."""
    with Store(f"sqlite:///{config.with_name('certbound.db')}") as store:
        rows = list(store.read(lambda connection: audit.page(connection, limit=100_000)))
        head = store.read(audit.head)
    before = audit.AuditHead(0, bytes(32))
    for row in rows:
        assert (row.sequence, row.previous) == (before.sequence + 1, before.hash)
        content = {"at": row.at, "actor": row.actor, "action": row.action, "target": row.target, "detail": row.detail}
        assert row.hash == chain_hash(row.previous, sequence=row.sequence, **content)  # type: ignore[arg-type]
        before = audit.AuditHead(row.sequence, row.hash)
    assert head == before
    return rows


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with a client of each method, whose certificates lie in folders of their names."""
    folder = tmp_path_factory.mktemp("operations") / "server"
    config = Path(certbound("init", folder)["config"])
    for name in ("probe", "second"):
        certbound("cert", "new", "--cn", name, "--self-signed", "--out", folder / name)
    certbound("cert", "new", "--cn", "orders", "--ca", folder / "ca", "--out", folder / "orders")
    own = ("--auth", "self_signed_tls_client_auth", "--certificate", folder / "probe" / "certificate.pem")
    certbound("client", "create", "probe", "--id", "probe", *own, config=config)
    certbound("trust", "add", "partners", folder / "orders" / "chain.pem", config=config)
    vouched = ("--auth", "tls_client_auth", "--trust", "partners", "--subject-dn", "CN=orders")
    certbound("client", "create", "orders", "--id", "orders", *vouched, config=config)
    return folder


@pytest.fixture
def config(made: Path, tmp_path: Path) -> Path:
    """The settings of an installation of the test's own, on a free port."""
    shutil.copytree(made, tmp_path / "server")
    config = tmp_path / "server" / "certbound.toml"
    config.write_text(config.read_text().replace("9443", str(free_port())))
    return config


def switch_password_grant_on(config: Path) -> None:
    text = config.read_text()
    config.write_text(text.replace("password_grant = false", "password_grant = true"))
    assert config.read_text() != text


def test_sighup_reloads_the_settings_and_bad_ones_change_nothing(config: Path) -> None:
    with serving(config) as server:
        assert "password" not in server.grant_types()
        switch_password_grant_on(config)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "password" in server.grant_types())
        good = config.read_text()
        for bad in ("pasword_grant = 1\n" + good, good.replace("[oauth]", "[oauth"), "", good + "\n[limits]\nx = 1\n"):
            before = server.log.read_text().count("settings kept")
            config.write_text(bad)
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda known=before: server.log.read_text().count("settings kept") > known)  # type: ignore[misc]
            assert "password" in server.grant_types()
            assert server.token()["token_type"] == "Bearer"
        assert server.end() == 0
    assert "Traceback" not in server.log.read_text()


def test_workers_are_replaced_by_sighup_and_no_token_request_fails(config: Path) -> None:
    with serving(config, "--workers", "2") as server:
        wait_until(lambda: len(server.workers()) == 2)
        first = server.workers()
        with fetching(server, 3) as clients:
            switch_password_grant_on(config)
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(server.workers()) == 2 and not server.workers() & first)
            fetched = [len(one.tokens) for one in clients]
            wait_until(lambda: all(len(one.tokens) > n + 5 for one, n in zip(clients, fetched, strict=True)))
        assert [one.failures for one in clients] == [[], [], []]
        assert "password" in server.grant_types()
        assert server.end() == 0
    tokens = [token for one in clients for token in one.tokens]
    assert sorted(recorded(config)) == sorted(map(jti, tokens))
    trail(config)
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_ends_in_time_and_every_token_handed_out_is_in_the_trail(config: Path, workers: str) -> None:
    with serving(config, "--workers", workers) as server:
        with fetching(server, 4, until_gone=True) as clients:
            start = time.monotonic()
            assert server.end() == 0
            assert time.monotonic() - start < 30, "the default of limits.shutdown_seconds"
        assert [one.failures for one in clients] == [[], [], [], []]
    tokens = [token for one in clients for token in one.tokens]
    assert sorted(recorded(config)) == sorted(map(jti, tokens))
    counted = sum(json.loads(row.detail)["count"] for row in trail(config) if row.action == "tokens.issued")
    assert counted == len(tokens)
    assert "Traceback" not in server.log.read_text()


def test_a_change_by_the_command_line_is_in_force_in_every_worker_within_two_seconds(config: Path) -> None:
    folder = config.parent
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(config, "--workers", "2"))
        wait_until(lambda: len(server.workers()) == 2)
        kept: dict[str, list[http.client.HTTPSConnection]] = {"probe": [], "second": [], "orders": []}
        for worker, (identity, connections) in itertools.product(workers := server.workers(), kept.items()):
            with only(worker, workers):
                connections.append(stack.enter_context(contextlib.closing(server.connect(identity))))
                client_id = "orders" if identity == "orders" else "probe"
                status, _ = ask_token(connections[-1], client_id)
                assert status == (401 if identity == "second" else 200)

        def statuses(identity: str, client_id: str) -> set[int]:
            return {ask_token(connection, client_id)[0] for connection in kept[identity]}

        anchor = certbound("trust", "show", "partners", config=config)["certificates"][0]["id"]
        for identity, client_id, status, change in (
            ("second", "probe", 200, ("client", "certificate", "add", "probe", folder / "second" / "certificate.pem")),
            ("orders", "orders", 401, ("trust", "remove", "partners", anchor)),
            ("probe", "probe", 401, ("client", "disable", "probe")),
        ):
            certbound(*change, config=config)
            took = wait_until(
                lambda i=identity, c=client_id, s=status: statuses(i, c) == {s},  # type: ignore[misc]
                IN_FORCE_SECONDS + 1,
            )
            print(f"{' '.join(map(str, change[:2]))}: in force in both workers after {took:.2f} s")  # noqa: T201
        assert server.end() == 0


def test_a_killed_server_starts_again_with_all_that_was_acknowledged(config: Path) -> None:
    names = []
    with serving(config) as server, fetching(server, 3, until_gone=True) as clients:
        for number in range(3):
            names.append(f"extra-{number}")
            how = ("--auth", "client_secret_basic")
            certbound("client", "create", names[-1], "--id", names[-1], *how, config=config)
        there = recorded(config)
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
    tokens = {jti(token) for one in clients for token in one.tokens}
    with serving(config) as server:
        assert {one["client_id"] for one in certbound("client", "list", config=config)} >= {*names, "probe", "orders"}
        assert server.token()["token_type"] == "Bearer"
        assert server.end() == 0
    rows, found = trail(config), recorded(config)
    assert set(there) <= set(found)
    assert {row.target for row in rows if row.action.startswith("client")} >= set(names)
    assert sum(json.loads(row.detail)["count"] for row in rows if row.action == "tokens.issued") == len(found)
    print(f"{len(tokens - set(found))} of {len(tokens)} tokens have no row")  # noqa: T201


def wrong_master_key(config: Path) -> None:
    config.with_name("master.key").write_bytes(secrets.token_bytes(32))


def short_master_key(config: Path) -> None:
    config.with_name("master.key").write_bytes(b"short")


def missing_master_key(config: Path) -> None:
    config.with_name("master.key").unlink()


def unknown_setting(config: Path) -> None:
    config.write_text(config.read_text().replace("password_grant", "pasword_grant"))


def no_tables(config: Path) -> None:
    config.with_name("certbound.db").unlink()
    with contextlib.closing(sqlite3.connect(config.with_name("certbound.db"))) as empty:
        empty.execute("CREATE TABLE something_else (id INTEGER)")


def another_server_key(config: Path) -> None:
    shutil.copy(config.parent / "probe" / "key.pem", config.with_name("server.key"))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (missing_master_key, "master.key: No such file or directory: put back the file made by `certbound init`"),
        (short_master_key, "master.key is no master key: it has 5 bytes where 32 were expected"),
        (wrong_master_key, "master.key)"),
        (unknown_setting, "certbound.toml: unknown setting 'oauth.pasword_grant': did you mean 'password_grant'?"),
        (no_tables, "the database has no tables yet: run `certbound -c "),
        (another_server_key, "server.key: this key does not belong to the certificate in "),
    ],
)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_keeps_the_server_from_starting_is_said_in_one_line(
    config: Path, damage: Callable[[Path], None], told: str, workers: str
) -> None:
    damage(config)
    command = [str(CERTBOUND), "-c", str(config), "serve", "--workers", workers]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == 1
    assert told in ended.stderr
    assert ended.stderr.startswith("certbound: ")
    assert ended.stderr.count("\n") == 1, ended.stderr
