import asyncio
import json
import ssl
import time
from collections.abc import Iterator

import pytest
from tests.fetch.peers import Server
from tests.oauth.making import ISSUER
from tests.oauth.signing import KEYS, public_jwk, signed

from certbound.authority import statement_issuers
from certbound.authority.outbound import Outbound
from certbound.authority.statement_issuers import KEPT_SECONDS, PAUSE_SECONDS, StatementIssuers
from certbound.oauth.errors import OAuthError
from certbound.oauth.software_statement import StatementIssuer

DIRECTORY = "https://directory.example"
OLD, NEW = KEYS["ES256"], KEYS["ES384"]


class Clock:
    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.passed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(statement_issuers, "monotonic", clock)
    return clock


@pytest.fixture
def issuers(trust: ssl.SSLContext, server: Server, clock: Clock) -> Iterator[StatementIssuers]:
    outbound = Outbound(trust)
    yield StatementIssuers((StatementIssuer(DIRECTORY, jwks_uri=server.url()),), outbound, server=ISSUER)
    outbound.close()


def publish(server: Server, *keys: object) -> None:
    body = json.dumps({"keys": [public_jwk(key, kid=str(id(key))) for key in keys]}).encode()  # type: ignore[arg-type]
    server.says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def statement(algorithm: str = "ES256") -> str:
    header = {"alg": algorithm, "kid": str(id(KEYS[algorithm]))}
    return signed(header, {"iss": DIRECTORY, "client_name": "Stated"})


async def refusal(issuers: StatementIssuers, text: str) -> str:
    with pytest.raises(OAuthError) as refused:
        await issuers.read(text, 1)
    return refused.value.error


@pytest.mark.req("7591-05")
async def test_the_keys_are_fetched_once_and_kept(issuers: StatementIssuers, server: Server) -> None:
    publish(server, OLD)
    read = await asyncio.gather(*(issuers.read(statement(), 1) for _ in range(5)))
    assert {claims["client_name"] for _, claims in read} == {"Stated"}
    assert len(server.requests) == 1


async def test_an_unknown_key_has_them_fetched_again_and_not_more_often_than_is_decent(
    issuers: StatementIssuers, server: Server, clock: Clock
) -> None:
    publish(server, OLD)
    assert await issuers.read(statement(), 1)
    publish(server, OLD, NEW)
    assert await refusal(issuers, statement("ES384")) == "invalid_software_statement"
    assert len(server.requests) == 1
    clock.passed = PAUSE_SECONDS
    assert await issuers.read(statement("ES384"), 1)
    assert len(server.requests) == 2


async def test_while_they_cannot_be_fetched_the_last_ones_serve_for_a_day(
    issuers: StatementIssuers, server: Server, clock: Clock
) -> None:
    publish(server, OLD)
    assert await issuers.read(statement(), 1)
    server.says(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
    clock.passed = KEPT_SECONDS - 60
    assert await issuers.read(statement(), 1)
    clock.passed = KEPT_SECONDS + 1
    assert await refusal(issuers, statement()) == "temporarily_unavailable"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"keys": 1}', b"<html>"])
async def test_what_is_no_set_of_keys_proves_nothing(issuers: StatementIssuers, server: Server, body: bytes) -> None:
    server.says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    assert await refusal(issuers, statement()) == "temporarily_unavailable"
    assert await refusal(issuers, statement()) == "temporarily_unavailable"
    assert len(server.requests) == 1


@pytest.mark.threat("52")
@pytest.mark.req("7591-05")
async def test_nobody_is_asked_for_the_keys_of_an_issuer_that_is_not_named_here(
    issuers: StatementIssuers, server: Server
) -> None:
    text = signed({"alg": "ES256"}, {"iss": server.url(), "jwks_uri": server.url()})
    assert await refusal(issuers, text) == "unapproved_software_statement"
    assert server.requests == []
