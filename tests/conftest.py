from collections.abc import Iterator

import pytest

from .postgres import Databases, NoPostgresError, databases


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
