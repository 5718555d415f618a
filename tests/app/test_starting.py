import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from certbound.app.installation import InstallationError, install
from certbound.app.replacing import Replaceable
from certbound.app.serving import check_before_start
from certbound.app.wiring import StartError, Worker, make_worker
from certbound.config.loading import load_settings
from certbound.store.engine import Store


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


def test_a_start_on_an_empty_database_is_refused(config: Path) -> None:
    rewrite(config, "certbound.db", "empty.db")
    assert "certbound db" in refusal(config)


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
    monkeypatch.setattr(Store, "close", lambda store: (closed.append(store), close(store)))
    made: list[Worker] = []

    def make() -> Worker:
        made.append(make_worker(load_settings(config, {})))
        return made[-1]

    behind = Replaceable(make)
    async with behind.alive():
        await behind.replace()
    assert set(closed) == {worker.store for worker in made}
    assert len(made) == 2
