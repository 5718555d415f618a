import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.authority.house import House, furnish

from certbound.store.engine import Store
from certbound.store.upgrading import upgrade


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
def shared_store(request: pytest.FixtureRequest, migrated_file: Path, tmp_path: Path) -> Iterator[Store]:
    """A store that more than one connection works on."""
    if request.param == "sqlite":
        shutil.copyfile(migrated_file, tmp_path / "store.db")
        url = f"sqlite:///{tmp_path / 'store.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
        upgrade(url)
    with Store(url, patience=20) as opened:
        yield opened
