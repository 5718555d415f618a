import ssl
from collections.abc import Iterator

import pytest
import trustme
from tests.fetch.peers import Proxy, Server, proxying, serving


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", "::1", "keys.example").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def server(trust: ssl.SSLContext, server_context: ssl.SSLContext) -> Iterator[Server]:
    with serving(trust, server_context) as running:
        yield running


@pytest.fixture
def plain_server(trust: ssl.SSLContext) -> Iterator[Server]:
    with serving(trust, None) as running:
        yield running


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with proxying() as running:
        yield running


@pytest.fixture
def secure_proxy(server_context: ssl.SSLContext) -> Iterator[Proxy]:
    with proxying(server_context) as running:
        yield running
