import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest
from psycopg import sql

from certbound.store.schema import GENESIS, audit_head, metadata, revision
from certbound.store.upgrading import upgrade

from .postgres import Databases, NoPostgresError, databases

# How fast a machine is decides nothing, and a run is repeatable.
hypothesis.settings.register_profile("certbound", deadline=None, derandomize=True)
hypothesis.settings.load_profile("certbound")

_NOTHING_SKIPS = "CERTBOUND_TEST_NOTHING_SKIPS"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in which a test was skipped where nothing may be, as in CI."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get(_NOTHING_SKIPS) and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line(f"{_NOTHING_SKIPS} is set, and tests were skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def postgres_databases() -> Iterator[Databases]:
    """One server for this process of the test run."""
    try:
        with databases() as found:
            yield found
    except NoPostgresError as error:
        pytest.skip(str(error))


@pytest.fixture
def postgres_url(postgres_databases: Databases) -> Iterator[str]:
    """An empty database of the test's own."""
    url = postgres_databases.create()
    yield url
    postgres_databases.drop(url)


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


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """A migrated database on each engine in turn."""
    name = "sqlite_url" if request.param == "sqlite" else "migrated_postgres_url"
    found = request.getfixturevalue(name)
    assert isinstance(found, str)
    return found
