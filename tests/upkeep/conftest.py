import shutil
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
import trustme
from psycopg import sql
from tests.fetch.peers import Server, serving
from tests.postgres import Databases
from tests.upkeep.duties import Clock

from certbound.fetch.document import fetch
from certbound.store.engine import Store
from certbound.store.schema import GENESIS, audit_head, metadata, revision
from certbound.store.upgrading import upgrade
from certbound.upkeep.running import Fetch


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("upkeep") / "migrated.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_database(postgres_databases: Databases) -> Iterator[str]:
    url = postgres_databases.create()
    upgrade(url)
    yield url
    postgres_databases.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, migrated_file: Path, tmp_path: Path) -> str:
    """A migrated database on each engine in turn."""
    if request.param == "sqlite":
        shutil.copyfile(migrated_file, tmp_path / "store.db")
        return f"sqlite:///{tmp_path / 'store.db'}"
    found = str(request.getfixturevalue("migrated_database"))
    with psycopg.connect(found) as connection:
        for table in reversed(metadata.sorted_tables):
            if table not in {revision, audit_head}:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))
        connection.execute("UPDATE revision SET value = 0")
        connection.execute("UPDATE audit_head SET sequence = 0, hash = %s", [GENESIS])
    return found


@pytest.fixture
def opened(url: str) -> Iterator[Callable[[], Store]]:
    """Open further stores on the same database, as other workers would."""
    stores: list[Store] = []

    def another() -> Store:
        stores.append(Store(url, patience=20))
        return stores[-1]

    yield another
    for store in stores:
        store.close()


@pytest.fixture
def shared_store(opened: Callable[[], Store]) -> Store:
    """A store on each engine, which other workers may open too."""
    return opened()


@pytest.fixture
def store() -> Iterator[Store]:
    """A store in memory."""
    with Store("sqlite://") as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who vouches for the server that bundles come from."""
    return trustme.CA()


@pytest.fixture
def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def secure_server(authority: trustme.CA, trust: ssl.SSLContext) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with serving(trust, context) as running:
        yield running


@pytest.fixture
def plain_server(trust: ssl.SSLContext) -> Iterator[Server]:
    with serving(trust, None) as running:
        yield running


@pytest.fixture
def fetching(trust: ssl.SSLContext) -> Fetch:
    """The outbound door, as `[outbound] allow` opens it to loopback."""
    return partial(fetch, trust=trust, allow=("127.0.0.0/8", "::1/128"))
