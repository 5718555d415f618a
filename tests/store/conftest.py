from collections.abc import Callable, Iterator

import pytest
from tests.stores import opening

from certbound.store.engine import Store
from certbound.store.upgrading import upgrade


@pytest.fixture
def altered_postgres_url(postgres_url: str) -> str:
    """A migrated PostgreSQL database for a test that alters more than rows."""
    upgrade(postgres_url)
    return postgres_url


@pytest.fixture
def url(migrated_url: str) -> str:
    return migrated_url


@pytest.fixture
def opened(url: str) -> Iterator[Callable[[], Store]]:
    """Open further stores on the same database, as other workers would."""
    with opening(url) as another:
        yield another


@pytest.fixture
def store(opened: Callable[[], Store]) -> Store:
    return opened()
