"""A bound token in the wrong hands: row 29 of the threats. Every address there is, and every method it takes."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from tests.oauth.making import Identity
from tests.rfc.conftest import SECONDS, Server, identity, serving

HOLDER, THIEF = identity("CN=holder"), identity("CN=thief")
# What a token opens, whose binding must then be held against the connection.
_BY_ACCESS_TOKEN = {"/oauth2/userinfo"}
# What opens with another credential: no access token is one, whoever holds it.
_BY_OTHER_CREDENTIALS = {
    "/oauth2/token",
    "/oauth2/par",
    "/oauth2/introspect",
    "/oauth2/revoke",
    "/oauth2/register",
    "/oauth2/register/{client_id}",
}
# What answers everybody alike, a token in the header or not.
_FOR_EVERYBODY = {"/healthz", "/readyz", "/metrics", "/oauth2/jwks", "/oauth2/blocked"}
_FOR_PEOPLE = {"/oauth2/authorize", "/oauth2/logout", "/oauth2/consents"}


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with everything switched on."""
    everything = {
        "CERTBOUND__OAUTH__DYNAMIC_REGISTRATION": "initial-access-token",
        "CERTBOUND__LISTENER__0__SERVES": '["oauth", "metrics"]',
    }
    with serving(tmp_path_factory.mktemp("open"), environ=everything) as running:
        yield running


@pytest.fixture(scope="module")
def stolen(open_server: Server) -> tuple[str, str]:
    """Give a client and its token for a user, bound to the certificate of HOLDER and good for all that one can be."""
    client_id = open_server.self_signed_client(HOLDER, grant_types=("password",), scopes=("openid", "read"))
    answer = open_server.token(client_id, HOLDER, resource=open_server.issuer, **open_server.alice)
    assert answer.bound_to == HOLDER.certificate.x5t_s256
    return client_id, answer.token


def addresses(server: Server) -> set[tuple[str, str]]:
    """Give every path with every method that it takes."""
    application: Any = server.worker.listeners[0].app
    assert isinstance(application, Starlette)
    return {
        (route.path, method)
        for route in application.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }


def send(server: Server, path: str, method: str, shown: Identity | None, token: str | None) -> tuple[int, bytes, str]:
    """Send one request over a handshake of its own, the token in its header; give status, body and challenge."""
    place = urlsplit(server.issuer)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    body = None
    if path.startswith("/oauth2/register") and method != "GET":
        body, headers["Content-Type"] = "{}", "application/json"
    elif method != "GET":
        body = urlencode({"grant_type": "client_credentials", "token": "anything"})
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    context = server.context(shown)
    connection = http.client.HTTPSConnection(place.hostname or "", place.port, context=context, timeout=SECONDS)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read(), response.headers.get("WWW-Authenticate", "")


@pytest.mark.threat("29")
def test_every_address_is_known_to_open_by_a_token_or_not_to(open_server: Server) -> None:
    """A new address must be put on one of the lists, and keep its promise."""
    paths = {path for path, _method in addresses(open_server)}
    public = {path for path in paths if path.startswith("/.well-known/") or path.endswith(".css")}
    assert paths == _BY_ACCESS_TOKEN | _BY_OTHER_CREDENTIALS | _FOR_EVERYBODY | _FOR_PEOPLE | public


@pytest.mark.req("8705-23", "8705-24")
@pytest.mark.threat("29")
@pytest.mark.parametrize("shown", [THIEF, None], ids=["another certificate", "no certificate"])
def test_what_a_bound_token_opens_is_shut_on_every_other_connection(
    open_server: Server, stolen: tuple[str, str], shown: Identity | None
) -> None:
    protected = {(path, method) for path, method in addresses(open_server) if path in _BY_ACCESS_TOKEN}
    assert protected >= {("/oauth2/userinfo", "GET"), ("/oauth2/userinfo", "POST")}
    for path, method in protected:
        status, body, challenge = send(open_server, path, method, shown, stolen[1])
        assert (status, json.loads(body)["error"]) == (401, "invalid_token"), (path, method)
        assert 'error="invalid_token"' in challenge
        assert send(open_server, path, method, HOLDER, stolen[1])[0] == 200, (path, method)


@pytest.mark.threat("29")
@pytest.mark.parametrize("shown", [HOLDER, THIEF, None], ids=["its certificate", "another certificate", "none"])
def test_no_access_token_stands_in_for_another_credential(
    open_server: Server, stolen: tuple[str, str], shown: Identity | None
) -> None:
    for path, method in addresses(open_server):
        if path in _BY_OTHER_CREDENTIALS:
            where = path.replace("{client_id}", stolen[0])
            status, body, _challenge = send(open_server, where, method, shown, stolen[1])
            assert status in {400, 401}, (path, method, body)


@pytest.mark.threat("29")
def test_a_token_in_the_header_changes_nothing_for_what_answers_everybody(
    open_server: Server, stolen: tuple[str, str]
) -> None:
    """Least of all for people: whoever has a token is not signed in."""
    client_id, token = stolen
    for path, method in addresses(open_server):
        if path not in _BY_ACCESS_TOKEN | _BY_OTHER_CREDENTIALS:
            status, body, _challenge = send(open_server, path, method, HOLDER, token)
            assert status == send(open_server, path, method, HOLDER, None)[0], (path, method)
            assert client_id.encode() not in body
