import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from tests.postgres import Databases

from certbound.store.engine import Store
from certbound.store.schema import GENESIS, audit_head, metadata, revision
from certbound.store.upgrading import upgrade


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "migrated.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_database(postgres_databases: Databases) -> Iterator[str]:
    url = postgres_databases.create()
    upgrade(url)
    yield url
    postgres_databases.drop(url)


@pytest.fixture
def sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    """A migrated SQLite database of the test's own."""
    shutil.copyfile(migrated_file, tmp_path / "store.db")
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def migrated_postgres_url(migrated_database: str) -> str:
    """A migrated PostgreSQL database, emptied: making one anew would take half a second."""
    with psycopg.connect(migrated_database) as connection:
        for table in reversed(metadata.sorted_tables):
            if table not in {revision, audit_head}:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))
        connection.execute("UPDATE revision SET value = 0")
        connection.execute("UPDATE audit_head SET sequence = 0, hash = %s", [GENESIS])
    return migrated_database


@pytest.fixture
def altered_postgres_url(postgres_url: str) -> str:
    """A migrated PostgreSQL database for a test that alters more than rows."""
    upgrade(postgres_url)
    return postgres_url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """A migrated database on each engine in turn."""
    name = "sqlite_url" if request.param == "sqlite" else "migrated_postgres_url"
    found = request.getfixturevalue(name)
    assert isinstance(found, str)
    return found


@pytest.fixture
def opened(url: str) -> Iterator[Callable[[], Store]]:
    """Open further stores on the same database, as other workers would."""
    stores: list[Store] = []

    def another() -> Store:
        stores.append(Store(url))
        return stores[-1]

    yield another
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[[], Store]) -> Store:
    return opened()
