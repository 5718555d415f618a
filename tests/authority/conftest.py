from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from tests.authority.house import House, furnish
from tests.fetch.conftest import authority, server, server_context, trust

from certbound.authority import sign_in
from certbound.store.engine import Store

__all__ = ["authority", "server", "server_context", "trust"]


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


@pytest.fixture
def shared_url(migrated_url: str) -> str:
    return migrated_url


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
