import ssl
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import trustme
from tests.fetch.conftest import authority, plain_server, server, trust
from tests.stores import opening
from tests.upkeep.duties import Clock

from certbound.fetch.document import fetch
from certbound.store.engine import Store
from certbound.upkeep.running import Fetch

__all__ = ["authority", "plain_server", "server", "trust"]


@pytest.fixture(scope="session")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """A server that proves one of the names it has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def opened(migrated_url: str) -> Iterator[Callable[[], Store]]:
    """Open further stores on the same database, as other workers would."""
    with opening(migrated_url, patience=20) as another:
        yield another


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


@pytest.fixture
def fetching(trust: ssl.SSLContext) -> Fetch:
    """The outbound door, as `[outbound] allow` opens it to loopback."""
    return partial(fetch, trust=trust, allow=("127.0.0.0/8", "::1/128"))
