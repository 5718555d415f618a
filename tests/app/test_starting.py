import asyncio
import errno
import logging
import os
import sqlite3
import time
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from tests.oauth.making import make

from certbound.app.installation import InstallationError, install
from certbound.app.logs import configure_logging
from certbound.app.replacing import Replaceable
from certbound.app.serving import check_before_start
from certbound.app.wiring import StartError, Worker, make_worker
from certbound.authority import keys, trust, trust_policies
from certbound.authority.trust_policies import PolicyChanges
from certbound.certificates.files import read_certificate
from certbound.config.loading import load_settings
from certbound.config.settings import LogSettings
from certbound.fetch.document import Fetched, FetchError
from certbound.fetch.trust import trust_roots
from certbound.store.engine import Store
from certbound.tls.context import DoorError


@pytest.fixture
def config(tmp_path: Path) -> Path:
    made = install(tmp_path, issuer="https://localhost:9443", bind="127.0.0.1:0", actor="tester", now=datetime.now(UTC))
    return made.config


def rewrite(config: Path, old: str, new: str) -> None:
    config.write_text(config.read_text().replace(old, new))


def refusal(config: Path) -> str:
    with pytest.raises(StartError) as refused:
        check_before_start(load_settings(config, {}), "certbound")
    return str(refused.value)


def test_a_new_installation_starts_and_is_never_overwritten(config: Path) -> None:
    check_before_start(load_settings(config, {}), "certbound")
    with pytest.raises(InstallationError, match="nothing is overwritten"):
        install(config.parent, issuer="https://x", bind="127.0.0.1:0", actor="tester", now=datetime.now(UTC))


def test_a_start_without_the_right_master_key_is_refused(config: Path) -> None:
    master_key = config.parent / "master.key"
    master_key.write_bytes(bytes(32))
    assert str(master_key) in refusal(config)
    master_key.write_bytes(b"short")
    assert "5 bytes where 32 were expected" in refusal(config)
    master_key.unlink()
    assert "put back the file made by `certbound init`" in refusal(config)


def test_a_start_without_a_signing_key_is_refused(config: Path) -> None:
    with sqlite3.connect(config.parent / "certbound.db") as connection:
        connection.execute("DELETE FROM signing_key")
    connection.close()
    assert "certbound keys rotate" in refusal(config)


def test_a_start_is_refused_where_no_key_signs_by_the_algorithm_that_is_set(config: Path) -> None:
    rewrite(config, "[oauth]", '[oauth]\nsigning_algorithm = "RS256"')
    assert "there is no signing key: run" in refusal(config)


async def test_tokens_are_signed_by_the_algorithm_that_is_set(config: Path) -> None:
    made: dict[str, str] = {}
    settings = load_settings(config, {})
    master_key = (config.parent / "master.key").read_bytes()
    with Store(settings.store.url) as store:
        by: dict[str, Any] = {"algorithm": "EdDSA", "actor": "tester", "now": int(time.time()), "ahead": 0}
        store.write(partial(keys.rotate, master_key=master_key, **by))
    for algorithm in ("ES256", "EdDSA"):
        rewrite(config, "[oauth]", f'[oauth]\nsigning_algorithm = "{algorithm}"')
        worker = make_worker(load_settings(config, {}))
        async with worker.alive():
            made[algorithm] = worker.registered.signing_key.algorithm
        rewrite(config, f'[oauth]\nsigning_algorithm = "{algorithm}"', "[oauth]")
    assert made == {"ES256": "ES256", "EdDSA": "EdDSA"}


def test_a_start_on_an_empty_database_is_refused(config: Path) -> None:
    rewrite(config, "certbound.db", "empty.db")
    assert "certbound db" in refusal(config)


@pytest.mark.parametrize(("version", "said"), [("0000", "certbound db upgrade"), ("9999", "newer")])
def test_a_start_on_the_database_of_another_version_is_refused(config: Path, version: str, said: str) -> None:
    with sqlite3.connect(config.parent / "certbound.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    connection.close()
    assert said in refusal(config)


@pytest.mark.parametrize("missing", ["server.crt", "server.key"])
def test_a_start_without_a_listeners_file_is_refused(config: Path, missing: str) -> None:
    (config.parent / missing).unlink()
    with pytest.raises(DoorError, match=f'listener "main": .*{missing}'):
        check_before_start(load_settings(config, {}), "certbound")


def test_a_start_with_another_listeners_key_is_refused(config: Path) -> None:
    (config.parent / "server.key").write_bytes(make("CN=another").key_pem)
    with pytest.raises(DoorError, match='listener "main"'):
        check_before_start(load_settings(config, {}), "certbound")


def test_a_second_installation_after_one_that_failed_finds_the_folder_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    how: dict[str, Any] = {"issuer": "https://localhost", "bind": "127.0.0.1:0", "actor": "tester"}
    monkeypatch.setattr("certbound.app.installation.upgrade", full)
    with pytest.raises(InstallationError, match="No space left"):
        install(tmp_path, now=datetime.now(UTC), **how)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    made = install(tmp_path, now=datetime.now(UTC), **how)
    assert made.admin_password not in repr(made)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert {name for name, mode in modes.items() if mode & 0o077} == {"certbound.toml", "server.crt"}


def test_a_certificate_is_made_for_the_issuers_host_and_the_address_bound(tmp_path: Path) -> None:
    how: dict[str, Any] = {"actor": "tester", "now": datetime.now(UTC)}
    made = install(tmp_path, issuer="https://as.example.com:9443/tenant", bind="[::1]:9443", **how)
    san = read_certificate(made.server_certificate.read_bytes(), "server.crt").san
    assert set(san.dns) == {"localhost", "as.example.com"}
    assert {bytes(address) for address in san.ip} == {ip_address(text).packed for text in ("127.0.0.1", "::1")}


def test_a_log_line_of_each_format_has_its_details(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        for form, expected in (("json", '"client_id": "orders"'), ("console", "client_id")):
            configure_logging(LogSettings.model_validate({"format": form, "level": "warning"}))
            logging.getLogger("certbound.test").info("not written")
            logging.getLogger("certbound.test").warning("refused", extra={"client_id": "orders"})
            written = capsys.readouterr().err
            assert expected in written
            assert "not written" not in written
            assert len(written.splitlines()) == 1
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


async def test_good_settings_replace_the_worker_behind_the_same_listeners(config: Path) -> None:
    behind = Replaceable(lambda: make_worker(load_settings(config, {})))
    (listener,) = behind.listeners
    before = listener.app
    async with behind.alive():
        rewrite(config, '"want"', '"require"')
        await behind.replace()
        assert behind.listeners == (listener,)
        assert listener.app is not before
        assert listener.client_certificate == "require"


async def test_bad_settings_leave_everything_as_it_was(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    behind = Replaceable(lambda: make_worker(load_settings(config, {})))
    (listener,) = behind.listeners
    before = (listener.app, listener.client_certificate)
    async with behind.alive():
        for good, bad in (("issuer = ", "isuer = "), ("master.key", "gone.key")):
            rewrite(config, good, bad)
            await behind.replace()
            rewrite(config, bad, good)
            assert (listener.app, listener.client_certificate) == before
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["settings kept"] * 2


async def test_the_wrong_master_key_replaces_nothing(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    behind = Replaceable(lambda: make_worker(load_settings(config, {})))
    (listener,) = behind.listeners
    before = listener.app
    async with behind.alive():
        (config.parent / "master.key").write_bytes(bytes(32))
        await behind.replace()
        assert listener.app is before
    assert "settings kept" in caplog.messages


async def test_a_server_that_ends_right_after_a_reload_ends_what_was_replaced_too(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Store] = []
    close = Store.close

    def closing(store: Store) -> None:
        closed.append(store)
        close(store)

    monkeypatch.setattr(Store, "close", closing)
    made: list[Worker] = []

    def make_one() -> Worker:
        made.append(make_worker(load_settings(config, {})))
        return made[-1]

    behind = Replaceable(make_one)
    async with behind.alive():
        await behind.replace()
    assert set(closed) == {worker.store for worker in made}
    assert len(made) == 2


async def test_background_duties_go_to_the_worker_with_the_new_settings(config: Path) -> None:
    made: list[Worker] = []

    def make_one() -> Worker:
        made.append(make_worker(load_settings(config, {})))
        return made[-1]

    behind = Replaceable(make_one)
    async with behind.alive():
        for _ in range(2):
            await behind.replace()
        assert [worker.retiring.is_set() for worker in made] == [True, True, False]
    assert made[-1].retiring.is_set()


async def test_background_duties_fetch_as_outbound_says(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[dict[str, Any]] = []

    def fetching(url: str, **how: Any) -> Fetched:
        fetched.append({"url": url, **how})
        raise FetchError("not today")

    monkeypatch.setattr("certbound.app.wiring.fetch", fetching)
    outbound = '[outbound]\nallow = ["10.0.0.0/8"]\nproxy = "http://proxy.example:3128"\nca_file = "server.crt"\n'
    rewrite(config, "[oauth]", f"{outbound}[oauth]")
    worker = make_worker(load_settings(config, {}))
    authority = make("CN=CA", ca=True).certificate
    by: dict[str, Any] = {"actor": "tester", "now": 1}
    url = "http://ca.example/ca.crl"
    with worker.store as store:
        store.write(partial(trust.add, name="own", certificates=[authority], intermediate=False, **by))
        store.write(partial(trust_policies.update, name="own", changes=PolicyChanges(crl_urls=(url,)), **by))
        await asyncio.gather(*await worker.upkeep.tick())
    [how] = fetched
    assert (how["url"], how["allow"], how["proxy"]) == (url, ("10.0.0.0/8",), "http://proxy.example:3128")
    assert how["trust"].cert_store_stats()["x509"] == trust_roots().cert_store_stats()["x509"] + 1
