import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from tests.postgres import Databases, NoPostgresError, Server, name_of

from certbound.store import people, revision
from certbound.store.engine import Connection, Store, StoreUnavailable
from certbound.store.upgrading import check, upgrade

from .values import person


@contextmanager
def unavailable(within: float = 2.0) -> Iterator[None]:
    """Expect StoreUnavailable, in so many seconds."""
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable):
        yield
    assert time.monotonic() - begun < within


def test_a_missing_file_is_unavailable_and_stays_missing(tmp_path: Path) -> None:
    with Store(f"sqlite:///{tmp_path / 'none.db'}") as store, unavailable():
        store.read(revision.read)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "page.db").write_text("<!doctype html>" * 1000)
    with Store(f"sqlite:///{tmp_path / 'page.db'}") as store, unavailable():
        store.read(revision.read)


async def test_a_lock_held_too_long_is_unavailable_and_passes(sqlite_url: str) -> None:
    holder = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    with Store(sqlite_url, busy_seconds=0.1) as store:
        holder.execute("BEGIN IMMEDIATE")
        with unavailable():
            store.write(revision.bump)
        with unavailable():
            await store.writing(revision.bump)
        assert store.read(revision.read) == 0
        holder.execute("ROLLBACK")
        store.write(revision.bump)
        assert store.read(revision.read) == 1
    holder.close()


async def test_a_lock_held_longer_than_the_callers_patience_is_unavailable(sqlite_url: str) -> None:
    holder = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    with Store(sqlite_url, busy_seconds=2, patience=0.2) as store:
        holder.execute("BEGIN IMMEDIATE")
        with unavailable():
            await store.writing(revision.bump)
        holder.execute("ROLLBACK")
    holder.close()
    with Store(sqlite_url) as store:
        assert store.read(revision.read) == 0


def test_a_full_disk_is_unavailable_loses_nothing_and_passes(sqlite_url: str) -> None:
    def limit(connection: Connection, pages: int) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    acknowledged = []
    with Store(sqlite_url) as store:
        store.read(lambda connection: limit(connection, 1))
        with unavailable(10):
            for number in range(1000):
                store.write(partial(people.add, new=person(f"{number:04d}", password_hash="x" * 2000)))
                acknowledged.append(f"{number:04d}")
        store.read(lambda connection: limit(connection, 2**30))
        assert acknowledged
        found = store.read(lambda connection: people.page(connection, limit=2000))
        assert [one.username for one in found] == acknowledged
        store.write(lambda connection: people.add(connection, person("more")))


def test_a_read_only_sqlite_database_is_unavailable_for_writing(sqlite_url: str) -> None:
    with Store(sqlite_url) as store:
        store.read(lambda connection: connection.exec_driver_sql("PRAGMA query_only = ON"))
        with unavailable():
            store.write(revision.bump)
        assert store.read(revision.read) == 0


def test_a_read_only_postgresql_database_is_unavailable_for_writing(
    altered_postgres_url: str, postgres_databases: Databases
) -> None:
    name = name_of(altered_postgres_url)
    postgres_databases.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with Store(altered_postgres_url) as store:
        with unavailable():
            store.write(revision.bump)
        assert store.read(revision.read) == 0


def test_a_statement_that_takes_too_long_is_unavailable(migrated_postgres_url: str) -> None:
    with Store(migrated_postgres_url, statement_seconds=0.1) as store, unavailable():
        store.read(lambda connection: connection.execute(text("SELECT pg_sleep(10)")))


def test_a_wrong_statement_is_a_fault_of_ours_and_no_unavailability(store: Store) -> None:
    with pytest.raises(SQLAlchemyError, match="no_such_table"):
        store.read(lambda connection: connection.execute(text("SELECT * FROM no_such_table")))


def test_connections_cut_while_idle_go_unnoticed(migrated_postgres_url: str, postgres_databases: Databases) -> None:
    with Store(migrated_postgres_url) as store:
        for unit in (store.read, store.write):
            unit(revision.read)
            postgres_databases.cut_connections(migrated_postgres_url)
            assert unit(revision.read) == 0


async def test_a_server_that_accepts_and_says_nothing_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        with Store(f"postgresql://nobody@127.0.0.1:{port}/none") as store, unavailable():
            await store.reading(revision.read)


async def test_a_server_that_stops_is_unavailable_until_it_is_back() -> None:
    try:
        server = Server()
    except NoPostgresError as error:
        pytest.skip(str(error))
    try:
        server.start()
        url = Databases(server.url).create()
        upgrade(url)
        with Store(url) as store:
            store.write(revision.bump)
            assert await store.reading(revision.read) == 1
            server.stop()
            for unit in (store.read, store.write):
                with unavailable():
                    unit(revision.bump)
            for hop in (store.reading, store.writing):
                with unavailable():
                    await hop(revision.bump)
            with unavailable():
                check(url)
            server.start()
            assert await store.reading(revision.read) == 1
            await store.writing(revision.bump)
            assert store.read(revision.read) == 2
    finally:
        server.remove()
