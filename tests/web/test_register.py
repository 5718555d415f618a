"""What clients see of the registration endpoint."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
import pytest
from tests.authority.assembling import TRUST
from tests.oauth.making import ISSUER, NOW, make

from certbound.authority import registration_tokens
from certbound.authority.client_keys import ClientKeySets
from certbound.authority.deciding import Decider
from certbound.authority.ocsp_answers import OCSPAnswers
from certbound.authority.outbound import Outbound
from certbound.authority.registrations import RegistrationPolicy, Registrations
from certbound.authority.statement_issuers import StatementIssuers
from certbound.oauth.registration import AuthenticationMethod
from certbound.oauth.registration_metadata import Ceiling
from certbound.store.engine import Store, StoreUnavailable
from certbound.web.faces import application
from certbound.web.oauth.register import RegistrationEndpoint

PATH, MAX_BODY = "/oauth2/register", 4096
ALONE = make("CN=alone")
METADATA: dict[str, Any] = {
    "client_name": "Alone",
    "token_endpoint_auth_method": "self_signed_tls_client_auth",
    "jwks": {"keys": [ALONE.jwk()]},
    "grant_types": ["client_credentials"],
}


@dataclass
class Desk:
    store: Store
    client: httpx2.AsyncClient

    def initial(self, uses: int = 9) -> dict[str, str]:
        issue = registration_tokens.issue_initial
        how = {"scopes": ("read",), "trust": (), "uses": uses, "days": 1}
        issued = self.store.write(partial(issue, **how, actor="test", now=int(NOW.timestamp())))  # type: ignore[arg-type]
        return {"Authorization": f"Bearer {issued.value}"}

    async def register(self, headers: dict[str, str] | None = None, **members: Any) -> httpx2.Response:
        return await self.client.post(PATH, json=METADATA | members, headers=headers or self.initial())

    async def registered(self) -> tuple[str, dict[str, str]]:
        """Register a client; gives where its registration is, and the header that opens it."""
        made = (await self.register()).json()
        uri = made["registration_client_uri"].removeprefix(ISSUER)
        return uri, {"Authorization": f"Bearer {made['registration_access_token']}"}


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    with Store("sqlite://") as store:
        outbound = Outbound(TRUST)
        policy = RegistrationPolicy(
            issuer=ISSUER,
            endpoint=ISSUER + PATH,
            open_to_all=False,
            ceiling=Ceiling(),
            methods=frozenset(AuthenticationMethod),
            grants=("authorization_code", "client_credentials"),
        )
        decider = Decider(ClientKeySets(outbound), OCSPAnswers(outbound))
        statements = StatementIssuers((), outbound, server=ISSUER)
        registrations = Registrations(store, policy, statements, decider, clock=NOW.timestamp)
        inner = application(RegistrationEndpoint(registrations, max_body=MAX_BODY).routes(PATH))

        async def behind_the_door(scope: Any, receive: Any, send: Any) -> None:
            scope["extensions"] = {"certbound": {"version": 1, "presented": None}}
            await inner(scope, receive, send)

        transport = httpx2.ASGITransport(behind_the_door, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=ISSUER) as client:
            yield Desk(store, client)
        outbound.close()


def is_kept_by_nobody(answer: httpx2.Response) -> bool:
    return answer.headers["cache-control"] == "no-store"


@pytest.mark.req("7591-06", "7591-07", "7592-04")
async def test_a_client_is_made_and_its_answer_kept_by_nobody(desk: Desk) -> None:
    answer = await desk.register(scope="read")
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert is_kept_by_nobody(answer)
    assert answer.json()["scope"] == "read"
    assert answer.json()["registration_client_uri"] == f"{ISSUER}{PATH}/{answer.json()['client_id']}"


@pytest.mark.req("7592-01", "7592-02", "7592-03", "7592-05")
async def test_a_registration_is_read_replaced_and_deleted(desk: Desk) -> None:
    uri, headers = await desk.registered()
    read = await desk.client.get(uri, headers=headers)
    assert (read.status_code, is_kept_by_nobody(read)) == (200, True)
    document = METADATA | {"client_id": read.json()["client_id"], "client_name": "Renamed"}
    replaced = await desk.client.put(uri, json=document, headers=headers)
    assert (replaced.status_code, is_kept_by_nobody(replaced)) == (200, True)
    assert replaced.json() == read.json() | {"client_name": "Renamed"}
    deleted = await desk.client.delete(uri, headers=headers)
    assert (deleted.status_code, deleted.content, is_kept_by_nobody(deleted)) == (204, b"", True)
    for method in ("GET", "PUT", "DELETE"):
        gone = await desk.client.request(method, uri, headers=headers, json=document)
        assert (gone.status_code, gone.json()["error"]) == (401, "invalid_token")


@pytest.mark.req("7592-03")
async def test_another_method_is_refused(desk: Desk) -> None:
    uri, headers = await desk.registered()
    for method, where in (("GET", PATH), ("PUT", PATH), ("POST", uri), ("PATCH", uri)):
        answer = await desk.client.request(method, where, headers=headers)
        assert answer.status_code == 405
        assert answer.headers["allow"]


@pytest.mark.req("7592-01", "7591-06")
async def test_who_shows_no_token_is_told_the_scheme_and_who_shows_a_wrong_one_that_it_is(desk: Desk) -> None:
    uri, _ = await desk.registered()
    for method, where in (("POST", PATH), ("GET", uri), ("PUT", uri), ("DELETE", uri)):
        none = await desk.client.request(method, where, json=METADATA)
        assert none.status_code == 401
        assert none.headers["www-authenticate"] == 'Bearer realm="certbound"'
        for given in ("Bearer x", "Basic eDp5", "bearer", "Bearer a b", f"Bearer {'a' * 600}"):
            wrong = await desk.client.request(method, where, json=METADATA, headers={"Authorization": given})
            assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_token")
            assert wrong.headers["www-authenticate"].startswith('Bearer realm="certbound", error="invalid_token"')
            assert is_kept_by_nobody(wrong)


@pytest.mark.req("7592-01")
async def test_a_token_counts_in_one_header_and_nowhere_else(desk: Desk) -> None:
    token = desk.initial()["Authorization"].removeprefix("Bearer ")
    in_query = await desk.client.post(f"{PATH}?access_token={token}", json=METADATA)
    in_body = await desk.client.post(PATH, json=METADATA | {"access_token": token})
    assert (in_query.status_code, in_body.status_code) == (401, 401)
    twice = [("Authorization", f"Bearer {token}")] * 2
    answer = await desk.client.post(PATH, json=METADATA, headers=twice)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert (await desk.register({"Authorization": f"bearer  {token}"})).status_code == 201


@pytest.mark.req("7592-06")
async def test_a_token_opens_the_registration_of_its_own_client_only(desk: Desk) -> None:
    uri, _ = await desk.registered()
    _, others = await desk.registered()
    for method in ("GET", "PUT", "DELETE"):
        answer = await desk.client.request(method, uri, headers=others, json=METADATA)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


@pytest.mark.req("7591-08")
async def test_refusals_speak_the_words_of_the_rfc(desk: Desk) -> None:
    headers = desk.initial()
    answers = {
        "invalid_redirect_uri": await desk.register(headers, redirect_uris=["javascript:alert(1)"]),
        "invalid_client_metadata": await desk.register(headers, jwks={"keys": []}),
        "invalid_software_statement": await desk.register(headers, software_statement="x"),
        "unapproved_software_statement": await desk.register(
            headers, software_statement="eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EuZXhhbXBsZSJ9.AA"
        ),
    }
    for error, answer in answers.items():
        assert (answer.status_code, answer.json()["error"]) == (400, error)
        assert answer.json()["error_description"]
        assert is_kept_by_nobody(answer)


@pytest.mark.threat("51", "54", "55")
@pytest.mark.req("7591-01")
@pytest.mark.parametrize("scheme", ["javascript", "data", "vbscript", "file", "blob", "ftp", "about", "http", "myapp"])
async def test_nobody_is_ever_sent_to_where_a_browser_would_run_or_read_something(desk: Desk, scheme: str) -> None:
    headers = desk.initial()
    for written in {scheme, scheme.upper(), scheme.title(), scheme[0] + scheme[1:].upper()}:
        for rest in ("alert(1)", "//app.example/cb", "//localhost.evil.example/", "//localhost@evil.example", "///etc"):
            answer = await desk.register(headers, redirect_uris=[f"{written}:{rest}"])
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri"), (written, rest)


@pytest.mark.threat("54")
@pytest.mark.req("7591-01")
@pytest.mark.parametrize(
    "uri",
    [
        "https://a@b@app.example/cb",
        "https://app.example@evil.example/cb",
        "https://app.example\\@evil.example/cb",
        "https://app.example/cb#x",
        "https:///cb",
        "https://",
        "//app.example/cb",
        "/cb",
        "*",
        "",
        "http://localhost.evil.example/cb",
        "http://localhost@evil.example/cb",
        "http://localhostevil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://2130706433/cb",
        "https://app.example/\u2025/",
        "https://app.example/cb\r\nX: y",
        " https://app.example/cb",
        "https://app.example:99999/cb",
    ],
)
async def test_a_redirect_uri_that_two_readers_could_read_in_two_ways_is_refused(desk: Desk, uri: str) -> None:
    answer = await desk.register(redirect_uris=["https://app.example/cb", uri])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")


async def test_the_callback_of_the_original_walk_through_is_registered(desk: Desk) -> None:
    uris = ["http://localhost:8080/playground2/oauth2client", "http://127.0.0.1/cb", "http://[::1]:1/cb"]
    answer = await desk.register(redirect_uris=uris, grant_types=["authorization_code"])
    assert answer.json()["redirect_uris"] == uris
    assert answer.json()["response_types"] == ["code"]


async def test_a_body_is_json_and_bounded(desk: Desk) -> None:
    headers = desk.initial() | {"Content-Type": "application/json"}
    for body in (b"", b"{", b"[]", b"null", b'{"a":1,"a":2}', b"[" * 2000):
        answer = await desk.client.post(PATH, content=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    long = json.dumps(METADATA | {"x": "y" * MAX_BODY}).encode()
    answer = await desk.client.post(PATH, content=long, headers=headers)
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    form = headers | {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await desk.client.post(PATH, content=b"client_name=x", headers=form)).status_code == 400


async def test_without_its_records_the_server_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = desk.initial()

    async def down(*_: Any) -> None:
        await asyncio.sleep(0)
        raise StoreUnavailable("the database is away")

    monkeypatch.setattr(Store, "reading", down)
    answer = await desk.register(headers)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"]


async def test_a_hostile_client_id_in_the_address_is_nobodys(desk: Desk) -> None:
    _, headers = await desk.registered()
    for path in ("x", "..%2f..", "%00", "a" * 3000, "%E2%98%83", "'%20or%201=1"):
        answer = await desk.client.get(f"{PATH}/{path}", headers=headers)
        assert answer.status_code in {401, 404}, path
