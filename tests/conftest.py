import os
from collections.abc import Iterator

import hypothesis
import pytest

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
