"""The user, for whoever holds her access token: at /oauth2/userinfo (OpenID Connect Core section 5.3)."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx2
import pytest
from tests.oauth.making import Identity

from certbound.authority import attributes, blocks, clients, people
from certbound.authority.tokens.issuing import GRANTS
from certbound.jose.jwt import sign
from certbound.oauth.access_token import TOKEN_TYPE
from certbound.store import people as stored_people
from certbound.store.engine import Connection, StoreUnavailable

from .browser import Browser, Page, sent_back
from .conftest import ISSUER, ORDERS, PASSWORD, STRANGER, Face
from .test_authorize import AUTHORIZE, asked, code_of, consent_page, redeem

USERINFO = "/oauth2/userinfo"
ADA = {"name": "Ada Lovelace", "birthdate": "1815-12-10", "email": "ada@example.com", "employee": "4711"}


@pytest.fixture
def known(app: Face) -> Face:
    """The face, where something is known of ada."""
    app.write(attributes.set_attributes, username="ada", attributes=ADA)
    return app


async def tokens(app: Face, browser: Browser, **request: Any) -> dict[str, Any]:
    browser.cookies.clear()
    answer = await browser.press(
        Page(await browser.open(AUTHORIZE, **asked(**request))), "sign_in", username="ada", password=PASSWORD
    )
    if answer.status_code == 200:  # where it was not allowed before
        answer = await browser.press(Page(answer), "allow")
    response = await redeem(app, sent_back(answer)["code"])
    assert response.status_code == 200, response.text
    return dict(response.json())


async def token(app: Face, browser: Browser, **request: Any) -> str:
    return str((await tokens(app, browser, **request))["access_token"])


async def ask(
    app: Face, bearer: str | None, shown: Identity | None = ORDERS, method: str = "GET", **how: Any
) -> httpx2.Response:
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    return await app.ask(method, USERINFO, shown, headers=headers, **how)


def claims(bearer: str) -> dict[str, Any]:
    payload = bearer.split(".")[1]
    return dict(json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def forged(app: Face, bearer: str, **changes: Any) -> str:
    """Sign, with the server's own key, a token that says something else; None leaves a claim out."""
    said = {name: value for name, value in {**claims(bearer), **changes}.items() if value is not None}
    return sign(said, app.registered.signing_key, typ=TOKEN_TYPE)


def refused(response: httpx2.Response, status: int, error: str) -> None:
    """See a refusal as RFC 6750 section 3 has it."""
    assert (response.status_code, response.json()["error"]) == (status, error), response.text
    challenge = response.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="certbound", ')
    assert f'error="{error}"' in challenge
    assert "no-store" in response.headers["cache-control"]
    assert "sub" not in response.json()


@pytest.mark.req("8705-21", "8705-22", "8705-23")
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_client_learns_who_the_user_is_and_what_the_scopes_tell(
    known: Face, browser: Browser, method: str
) -> None:
    response = await ask(known, await token(known, browser, scope="openid profile"), method=method)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert "no-store" in response.headers["cache-control"]
    ada = known.store.read(partial(stored_people.load, username="ada"))
    assert ada is not None
    assert response.json() == {"sub": ada.sub, "name": ADA["name"], "birthdate": ADA["birthdate"]}


async def test_the_user_is_called_as_in_the_id_token(known: Face, browser: Browser) -> None:
    given = await tokens(known, browser)
    response = await ask(known, given["access_token"])
    assert response.json() == {"sub": claims(given["id_token"])["sub"]}


@pytest.mark.req("8705-23", "8705-24")
@pytest.mark.threat("29")
@pytest.mark.parametrize("shown", [STRANGER, None], ids=["another certificate", "none"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_bound_token_from_another_connection_is_refused(
    known: Face, browser: Browser, shown: Identity | None, method: str
) -> None:
    refused(await ask(known, await token(known, browser), shown, method), 401, "invalid_token")


async def test_a_token_bound_in_a_way_that_is_not_known_here_is_refused(known: Face, browser: Browser) -> None:
    bearer = await token(known, browser)
    for cnf in ({}, {"jkt": "x"}, {"x5t#S256": claims(bearer)["cnf"]["x5t#S256"], "jkt": "x"}, {"x5t#S256": "x"}):
        refused(await ask(known, forged(known, bearer, cnf=cnf)), 401, "invalid_token")


async def test_only_a_client_whose_tokens_need_not_be_bound_gets_along_with_one_that_is_not(
    known: Face, browser: Browser
) -> None:
    unbound = forged(known, await token(known, browser), cnf=None)
    refused(await ask(known, unbound), 401, "invalid_token")
    changes = clients.ClientChanges(bound=False)
    known.write(clients.update, client_id="app", changes=changes, known_grants=GRANTS)
    await known.registered.refresh()
    assert (await ask(known, await token(known, browser), None)).status_code == 200


async def test_a_request_without_a_token_learns_no_more_than_that_it_needs_one(app: Face) -> None:
    for headers in ({}, {"Authorization": "Basic YTpi"}):
        response = await app.ask("GET", USERINFO, ORDERS, headers=headers)
        assert (response.status_code, response.content) == (401, b"")
        assert response.headers["www-authenticate"] == 'Bearer realm="certbound"'


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Bearer a b", 'Bearer "x"', "Bearer ü"])
async def test_a_header_that_holds_no_token_is_a_bad_request(app: Face, value: str) -> None:
    refused(await app.ask("GET", USERINFO, headers={"Authorization": value.encode()}), 400, "invalid_request")


async def test_a_token_is_taken_from_the_header_and_from_nowhere_else(known: Face, browser: Browser) -> None:
    bearer = await token(known, browser)
    assert (await ask(known, None, data={"access_token": bearer}, method="POST")).status_code == 401
    assert (await known.ask("GET", f"{USERINFO}?access_token={bearer}", ORDERS)).status_code == 401
    twice = [("Authorization", f"Bearer {bearer}")] * 2
    refused(await known.ask("GET", USERINFO, ORDERS, headers=twice), 400, "invalid_request")


async def test_a_token_without_the_scope_openid_does_not_do(known: Face, browser: Browser) -> None:
    bearer = await token(known, browser, scope="read profile", resource=ISSUER)
    response = await ask(known, bearer)
    refused(response, 403, "insufficient_scope")
    assert 'scope="openid"' in response.headers["www-authenticate"]


@pytest.mark.req("9068-05")
async def test_a_token_for_another_audience_does_not_do(known: Face, browser: Browser) -> None:
    bearer = await token(known, browser)
    assert claims(bearer)["aud"] == ["https://api.example", ISSUER]
    for audience in ("https://api.example", ["https://api.example", f"{ISSUER}/"], []):
        refused(await ask(known, forged(known, bearer, aud=audience)), 401, "invalid_token")


async def test_a_token_for_an_api_is_for_the_user_too_if_it_is_asked_with_openid(known: Face, browser: Browser) -> None:
    bearer = await token(known, browser, resource="https://orders.example")
    assert claims(bearer)["aud"] == ["https://orders.example", ISSUER]
    assert (await ask(known, bearer)).status_code == 200
    assert claims(await token(known, browser, scope="read"))["aud"] == "https://api.example"


async def test_what_is_no_access_token_of_the_server_is_refused(known: Face, browser: Browser) -> None:
    given = await tokens(known, browser, scope="openid offline_access")
    bearer = given["access_token"]
    head, body, signature = bearer.split(".")
    for shown in (
        given["id_token"],
        given["refresh_token"],
        "x",
        f"{head}.{body}.{signature[::-1]}",
        f"{head}.{body}.",
        forged(known, bearer, iss="https://other.example"),
        forged(known, bearer, exp=int(known.clock.now)),
    ):
        refused(await ask(known, shown), 401, "invalid_token")


async def test_a_token_of_a_client_itself_is_about_no_user(known: Face) -> None:
    changes = clients.ClientChanges(scopes=("openid", "read"))
    known.write(clients.update, client_id="orders", changes=changes, known_grants=GRANTS)
    await known.registered.refresh()
    bearer = (await known.token(scope="openid", resource=ISSUER)).json()["access_token"]
    refused(await ask(known, bearer), 401, "invalid_token")


def _operator(connection: Connection, **_how: Any) -> None:
    connection.exec_driver_sql("UPDATE person SET operator = true WHERE username = 'ada'")


@pytest.mark.parametrize(
    "change",
    [
        partial(people.disable, username="ada", disabled=True),
        partial(clients.set_disabled, client_id="app", disabled=True),
        partial(blocks.block, sha256=ORDERS.certificate.sha256.hex(), kind="certificate", reason="stolen"),
        _operator,
    ],
    ids=["person disabled", "client disabled", "certificate blocked", "operator"],
)
async def test_what_is_stopped_counts_at_once_and_before_any_worker_has_looked(
    known: Face, browser: Browser, change: Callable[..., Any]
) -> None:
    bearer = await token(known, browser)
    known.write(change)
    refused(await ask(known, bearer), 401, "invalid_token")


async def test_a_revoked_token_is_refused_at_once(known: Face, browser: Browser) -> None:
    bearer = await token(known, browser)
    revoked = await known.ask("POST", "/oauth2/revoke", ORDERS, data={"client_id": "app", "token": bearer})
    assert revoked.status_code == 200
    refused(await ask(known, bearer), 401, "invalid_token")


def wanted(**places: Any) -> str:
    return json.dumps(places)


async def test_claims_asked_for_by_name_are_told_where_they_were_asked_for(known: Face, browser: Browser) -> None:
    request = wanted(
        userinfo={"name": None, "employee": {"essential": True}, "email": None, "nickname": None},
        id_token={"birthdate": None, "acr": None},
    )
    given = await tokens(known, browser, claims=request)
    told = (await ask(known, given["access_token"])).json()
    # The client may not have the scope `email`, and so not what it gives.
    assert told == {"sub": claims(given["id_token"])["sub"], "name": ADA["name"], "employee": "4711"}
    assert claims(given["id_token"])["birthdate"] == ADA["birthdate"]
    assert not claims(given["access_token"]).keys() & {"name", "employee", "claims"}


async def test_claims_asked_for_by_name_are_told_after_a_refresh_too(known: Face, browser: Browser) -> None:
    request = {"scope": "openid offline_access read", "claims": wanted(userinfo={"employee": None})}
    given = await tokens(known, browser, **request)
    form = {"grant_type": "refresh_token", "client_id": "app", "refresh_token": given["refresh_token"]}
    renewed = (await known.token(ORDERS, **form)).json()
    assert (await ask(known, renewed["access_token"])).json()["employee"] == "4711"
    narrow = (await known.token(ORDERS, **form, scope="read")).json()
    assert claims(narrow["access_token"])["aud"] == "https://api.example"
    refused(await ask(known, narrow["access_token"]), 401, "invalid_token")


async def test_the_user_is_asked_for_what_no_scope_gives_and_that_is_remembered(known: Face, browser: Browser) -> None:
    await code_of(browser)
    request = asked(claims=wanted(userinfo={"employee": None, "sub": None}, id_token={"auth_time": None}))
    page = Page(await browser.open(AUTHORIZE, **request))
    assert "see what is known of you as employee" in page.text
    assert "auth_time" not in page.text
    assert "code" in sent_back(await browser.press(page, "allow"))
    assert "code" in sent_back(await browser.open(AUTHORIZE, **request))
    assert "employee" in Page(await browser.open("/oauth2/consents")).text
    more = asked(claims=wanted(id_token={"employee": None, "badge": None}))
    assert Page(await browser.open(AUTHORIZE, **more)).title.startswith("Allow app?")


async def test_what_a_scope_gives_is_not_asked_for_twice(known: Face, browser: Browser) -> None:
    page = await consent_page(browser, scope="openid profile", claims=wanted(userinfo={"name": None}))
    assert "see your name" in page.text
    assert "as name" not in page.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_refused(app: Face, method: str) -> None:
    assert (await ask(app, "x", method=method)).status_code == 405


async def test_nobody_shows_a_blocked_certificate_whatever_the_token(known: Face, browser: Browser) -> None:
    changes = clients.ClientChanges(bound=False)
    known.write(clients.update, client_id="app", changes=changes, known_grants=GRANTS)
    await known.registered.refresh()
    unbound = await token(known, browser)
    assert (await ask(known, unbound, STRANGER)).status_code == 200
    known.write(blocks.block, kind="certificate", sha256=STRANGER.certificate.sha256.hex(), reason="stolen")
    await known.registered.refresh()
    refused(await ask(known, unbound, STRANGER), 401, "invalid_token")
    assert (await ask(known, unbound, None)).status_code == 200


async def test_a_client_that_loses_a_scope_loses_its_claims_by_name(known: Face, browser: Browser) -> None:
    bearer = await token(known, browser, claims=wanted(userinfo={"name": None, "employee": None}))
    assert (await ask(known, bearer)).json().keys() == {"sub", "name", "employee"}
    changes = clients.ClientChanges(scopes=("openid", "read"))
    known.write(clients.update, client_id="app", changes=changes, known_grants=GRANTS)
    assert (await ask(known, bearer)).json().keys() == {"sub", "employee"}


async def test_a_worker_that_cannot_confirm_what_it_knows_says_nothing(
    known: Face, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    bearer = await token(known, browser)
    monkeypatch.setattr(known.registered, "_confirmed_at", float("-inf"))
    response = await ask(known, bearer)
    assert (response.status_code, response.json()["error"]) == (503, "temporarily_unavailable")
    assert response.headers["retry-after"] == "1"


async def test_without_its_records_the_server_says_nothing(
    known: Face, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(_work: object) -> None:
        raise StoreUnavailable("gone")

    bearer = await token(known, browser)
    monkeypatch.setattr(known.store, "reading", unavailable)
    assert (await ask(known, bearer)).status_code == 503
