import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certbound.client.exchange import Answer, Ask, Token, TokenError, TokenExchange

ISSUER = "https://as.example/tenant"
INSERTED = "https://as.example/.well-known/oauth-authorization-server/tenant"
APPENDED = "https://as.example/tenant/.well-known/openid-configuration"
METADATA = {"issuer": ISSUER, "token_endpoint": "https://as.example/token"}
GOOD = {"access_token": "abc", "token_type": "bearer", "expires_in": 100}


def run(exchange: TokenExchange, *answers: tuple[int, Any], now: float = 1000.0) -> tuple[list[Ask], Token]:
    """Play the answers; a document stands for its JSON."""
    steps, asked = exchange.steps(now), []
    try:
        asked.append(next(steps))
        for status, document in answers:
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            asked.append(steps.send(Answer(status, body)))
    except StopIteration as end:
        return asked, end.value
    raise AssertionError(f"more was asked: {asked[-1]}")


def failure(*answers: tuple[int, Any]) -> TokenError:
    with pytest.raises(TokenError) as caught:
        run(TokenExchange(ISSUER, "robot"), *answers)
    assert "\n" not in str(caught.value)
    return caught.value


def test_discovery_then_the_token() -> None:
    exchange = TokenExchange(ISSUER, "robot", scope="a b", resource=["https://x", "https://y"])
    asked, token = run(exchange, (200, METADATA), (200, GOOD))
    assert [ask.url for ask in asked] == [INSERTED, "https://as.example/token"]
    assert parse_qs((asked[1].form or b"").decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["robot"],
        "scope": ["a b"],
        "resource": ["https://x", "https://y"],
    }
    assert (token.access_token, token.expires_at, token.renew_at, token.scope) == ("abc", 1100, 1090, "a b")


def test_a_known_endpoint_is_not_looked_up_again_until_it_fails() -> None:
    exchange = TokenExchange(ISSUER, "robot")
    run(exchange, (200, METADATA), (200, GOOD))
    asked, _ = run(exchange, (200, GOOD))
    assert [ask.url for ask in asked] == ["https://as.example/token"]
    with pytest.raises(TokenError):
        run(exchange, (404, b""))
    asked, _ = run(exchange, (200, METADATA), (200, GOOD))
    assert asked[0].url == INSERTED


def test_openid_metadata_serves_where_there_is_no_other() -> None:
    asked, _ = run(TokenExchange(ISSUER, "robot"), (404, b""), (200, METADATA), (200, GOOD))
    assert [ask.url for ask in asked] == [INSERTED, APPENDED, "https://as.example/token"]


@pytest.mark.req("8705-34")
@pytest.mark.parametrize(
    ("aliases", "endpoint"),
    [
        ({"token_endpoint": "https://mtls.as.example/token"}, "https://mtls.as.example/token"),
        ({"revocation_endpoint": "https://mtls.as.example/revoke"}, "https://as.example/token"),
        ({}, "https://as.example/token"),
        (None, "https://as.example/token"),
        ("https://mtls.as.example", "https://as.example/token"),
    ],
)
def test_the_endpoint_for_certificates_is_preferred(aliases: object, endpoint: str) -> None:
    asked, _ = run(TokenExchange(ISSUER, "robot"), (200, {**METADATA, "mtls_endpoint_aliases": aliases}), (200, GOOD))
    assert asked[-1].url == endpoint


@pytest.mark.req("8705-35")
def test_aliases_of_other_things_are_ignored() -> None:
    aliases = {"issuer": "https://evil.example", "authorization_endpoint": "https://evil.example", "jwks_uri": 1}
    asked, _ = run(TokenExchange(ISSUER, "robot"), (200, {**METADATA, "mtls_endpoint_aliases": aliases}), (200, GOOD))
    assert asked[-1].url == "https://as.example/token"


@pytest.mark.req("8414-08")
@pytest.mark.parametrize(
    "metadata",
    [
        {**METADATA, "issuer": "https://as.example"},
        {**METADATA, "issuer": ISSUER + "/"},
        {"token_endpoint": "https://as.example/token"},
        {"issuer": ISSUER},
        {**METADATA, "token_endpoint": "http://as.example/token"},
        {**METADATA, "token_endpoint": ["https://as.example/token"]},
        {**METADATA, "mtls_endpoint_aliases": {"token_endpoint": "http://as.example/token"}},
        {**METADATA, "mtls_endpoint_aliases": {"token_endpoint": 1}},
        [],
        b"<html>",
    ],
    ids=str,
)
def test_metadata_that_cannot_be_believed_ends_it(metadata: Any) -> None:
    assert INSERTED in str(failure((200, metadata)))


def test_no_metadata_at_all() -> None:
    error = failure((404, b""), (503, b""))
    assert "no metadata is published" in str(error)
    assert error.status == 503


def test_the_servers_words_are_passed_on() -> None:
    error = failure((200, METADATA), (401, {"error": "invalid_client", "error_description": "no\nsuch client"}))
    assert (error.error, error.error_description, error.status) == ("invalid_client", "no such client", 401)
    assert str(error) == "invalid_client: no such client"


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (302, b""),
        (500, b"<html>"),
        (400, []),
        (400, {"error": 1}),
        (200, {}),
        (200, []),
        (200, b"\xff"),
        (200, {**GOOD, "access_token": 1}),
        (200, {**GOOD, "access_token": ""}),
        (200, {**GOOD, "access_token": "a\r\nX: y"}),
        (200, {**GOOD, "token_type": "DPoP"}),
        (200, {**GOOD, "token_type": None}),
        (201, GOOD),
    ],
    ids=str,
)
def test_an_answer_that_is_no_token_is_none(status: int, document: Any) -> None:
    assert failure((200, METADATA), (status, document)).status == status


@pytest.mark.parametrize("lifetime", [None, "100", -1, True, 1e300, float("nan")])
def test_a_lifetime_that_is_not_stated_is_short(lifetime: object) -> None:
    _, token = run(TokenExchange(ISSUER, "robot"), (200, METADATA), (200, {**GOOD, "expires_in": lifetime}))
    assert token.expires_at == 1060


def test_a_long_lifetime_ends_thirty_seconds_early() -> None:
    _, token = run(TokenExchange(ISSUER, "robot"), (200, METADATA), (200, {**GOOD, "expires_in": 3600}))
    assert token.renew_at == 1000 + 3600 - 30


@given(
    st.integers(100, 599),
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["access_token", "token_type", "expires_in", "error", "error_description", "scope"]),
                inner,
            )
        ),
    ),
)
def test_no_answer_brings_anything_but_a_token_or_a_token_error(status: int, document: Any) -> None:
    try:
        _, token = run(TokenExchange(ISSUER, "robot"), (200, METADATA), (status, document))
    except TokenError:
        return
    assert token.access_token.isascii()
