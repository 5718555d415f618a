"""Certificates are renewed without an outage: those registered with an overlap, others with nothing to do."""

import contextlib
import http.client
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.certificates.openssl_ca import OpenSSLCA

from certbound.store import duties
from certbound.store.engine import Store

from .conftest import SELF_SIGNED, certbound, free_port, typed
from .running import IN_FORCE_SECONDS, Running, ask_token, only, serving, wait_until


@dataclass
class Workers:
    """Two workers, and for each certificate a connection to each of them."""

    server: Running
    stack: contextlib.ExitStack
    kept: dict[Path, list[http.client.HTTPSConnection]] = field(default_factory=dict)

    def connect(self, certificate: Path, key: Path) -> None:
        context = ssl.create_default_context(cafile=str(self.server.config.with_name("server.crt")))
        context.load_cert_chain(certificate, key)
        self.kept[certificate] = []
        for worker in (workers := self.server.workers()):
            with only(worker, workers):
                connection = self.server.connect(context=context)
                self.kept[certificate].append(self.stack.enter_context(contextlib.closing(connection)))
                ask_token(connection, "orders")  # its handshake is done while the other one sleeps

    def statuses(self, certificate: Path) -> set[int]:
        """Ask each worker for a token with a certificate."""
        return {ask_token(connection, "orders")[0] for connection in self.kept[certificate]}

    def in_force(self, *seen: Callable[[], bool]) -> None:
        """Wait until the change that was just made is in force in both workers, not longer than was promised."""
        took = wait_until(lambda: all(one() for one in seen), IN_FORCE_SECONDS + 1)
        print(f"in force in both workers after {took:.2f} s")  # noqa: T201


@pytest.fixture
def config(tmp_path: Path) -> Path:
    made = certbound("init", tmp_path / "server", "--bind", f"127.0.0.1:{free_port()}")
    return Path(made["config"])


@pytest.fixture
def start() -> Iterator[Callable[[Path], Workers]]:
    """Start two workers once a test has registered what it wants."""
    with contextlib.ExitStack() as stack:

        def begin(config: Path) -> Workers:
            server = stack.enter_context(serving(config, "--workers", "2"))
            wait_until(lambda: len(server.workers()) == 2)
            return Workers(server, stack)

        yield begin


def self_signed(folder: Path) -> tuple[Path, Path]:
    folder.mkdir()
    typed(SELF_SIGNED.format("orders"), folder)
    return folder / "client-certificate.pem", folder / "key.pem"


def test_registered_certificates_overlap_until_the_old_one_is_retired(
    config: Path, start: Callable[[Path], Workers], tmp_path: Path
) -> None:
    (old, old_key), (new, new_key) = (self_signed(tmp_path / name) for name in ("old", "new"))
    how = ("--auth", "self_signed_tls_client_auth", "--certificate", old)
    certbound("client", "create", "Orders", "--id", "orders", *how, config=config)
    workers = start(config)
    workers.connect(old, old_key)
    workers.connect(new, new_key)
    assert (workers.statuses(old), workers.statuses(new)) == ({200}, {401})

    certbound("client", "certificate", "add", "orders", new, config=config)
    workers.in_force(lambda: workers.statuses(new) == {200})
    assert workers.statuses(old) == {200}

    wait_until(lambda: all(one["last_seen"] for one in listed(config)))
    certbound("client", "certificate", "retire", "orders", old, config=config)
    workers.in_force(lambda: workers.statuses(old) == {401})
    assert workers.statuses(new) == {200}
    first, second = listed(config)
    assert [first["retired"] is not None, second["retired"]] == [True, None]
    assert all(one["added"] <= one["first_seen"] <= one["last_seen"] for one in (first, second))
    [client] = certbound("client", "list", config=config)
    assert client["certbound_certificate_in_use"]["sha256"] == second["sha256"]


def test_a_certificate_that_its_ca_renews_needs_nothing_and_its_end_is_known(
    config: Path, start: Callable[[Path], Workers], tmp_path: Path
) -> None:
    ca = OpenSSLCA(tmp_path / "ca")
    old = ca.issue("orders", "leaf", "-days", "5", file=tmp_path / "old")
    new = ca.issue("orders", "leaf", "-days", "90", file=tmp_path / "new")
    certbound("trust", "add", "partners", ca.folder / "ca.pem", config=config)
    how = ("--auth", "tls_client_auth", "--trust", "partners", "--subject-dn", "CN=orders")
    certbound("client", "create", "Orders", "--id", "orders", *how, config=config)
    workers = start(config)
    workers.connect(tmp_path / "old.pem", tmp_path / "old.key")
    assert workers.statuses(tmp_path / "old.pem") == {200}
    wait_until(lambda: in_use(config) == (old.sha256.hex(), True))
    look_for_expiry_now(config)
    wait_until(lambda: "client certificate runs out" in workers.server.log.read_text())

    workers.connect(tmp_path / "new.pem", tmp_path / "new.key")
    for name in ("old", "new"):
        assert workers.statuses(tmp_path / f"{name}.pem") == {200}
    wait_until(lambda: len(listed(config)) == 2)
    wait_until(lambda: in_use(config) == (new.sha256.hex(), False))
    assert {one["sha256"] for one in listed(config)} == {old.sha256.hex(), new.sha256.hex()}
    assert all(one["added"] is None and one["first_seen"] for one in listed(config))
    assert workers.server.log.read_text().count("client certificate runs out") == 1


def look_for_expiry_now(config: Path) -> None:
    """Let the minute be over after which it is looked again."""
    with Store(f"sqlite:///{config.with_name('certbound.db')}") as store:
        store.write(partial(duties.remove_duty, name="expiry warnings"))


def listed(config: Path) -> list[dict[str, Any]]:
    return list(certbound("client", "certificate", "list", "orders", config=config))


def in_use(config: Path) -> tuple[str, bool] | None:
    [client] = certbound("client", "list", config=config)
    found = client.get("certbound_certificate_in_use")
    return found and (found["sha256"], found["warning"])
