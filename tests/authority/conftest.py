import shutil
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import trustme
from tests.authority.house import House, furnish
from tests.fetch.peers import Server, serving

from certbound.authority import sign_in
from certbound.store.engine import Store
from certbound.store.upgrading import upgrade


@pytest.fixture(autouse=True)
def refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse attempts to sign in as soon as that is decided; one test looks at the time it takes otherwise."""
    monkeypatch.setattr(sign_in, "REFUSAL_SECONDS", 0)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store("sqlite://") as opened:
        yield opened


@pytest_asyncio.fixture
async def house(store: Store) -> AsyncIterator[House]:
    yield await furnish(store)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("authority") / "migrated.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_url(request: pytest.FixtureRequest, migrated_file: Path, tmp_path: Path) -> str:
    """A migrated database of the test's own, on each engine in turn."""
    if request.param == "sqlite":
        shutil.copyfile(migrated_file, tmp_path / "store.db")
        return f"sqlite:///{tmp_path / 'store.db'}"
    url: str = request.getfixturevalue("postgres_url")
    upgrade(url)
    return url


@pytest.fixture
def shared_store(shared_url: str) -> Iterator[Store]:
    """A store that more than one connection works on."""
    with Store(shared_url, patience=20) as opened:
        yield opened


@pytest.fixture
def other_store(shared_url: str) -> Iterator[Store]:
    """The same database, as another worker has it open."""
    with Store(shared_url, patience=20) as opened:
        yield opened


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", "keys.example").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def server(trust: ssl.SSLContext, server_context: ssl.SSLContext) -> Iterator[Server]:
    """An https server on loopback that says what a test wants."""
    with serving(trust, server_context) as running:
        yield running
