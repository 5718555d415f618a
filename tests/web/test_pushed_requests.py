"""Requests that clients send ahead (RFC 9126): pushed, shown to a person, and answered once."""

import asyncio
from typing import Any

import httpx2
import pytest

from certbound.authority import clients
from certbound.oauth.registering import RegistrationRequest
from certbound.store.engine import StoreConflict

from .browser import Browser, Page, sent_back
from .conftest import CALLBACK, ISSUER, MAX_BODY, ORDERS, PASSWORD, STRANGER, Face
from .test_authorize import AUTHORIZE, asked, redeem, sign_in

PAR = "/oauth2/par"


async def push(app: Face, shown: Any = ORDERS, **changes: Any) -> httpx2.Response:
    return await app.ask("POST", PAR, shown, data=asked(**changes))


async def pushed(app: Face, **changes: Any) -> dict[str, str]:
    """Give what the browser is sent with."""
    answer = await push(app, **changes)
    assert answer.status_code == 201, answer.text
    return {"client_id": changes.get("client_id", "app"), "request_uri": answer.json()["request_uri"]}


@pytest.mark.req("9126-05", "9126-09", "F2-14")
async def test_a_pushed_request_gets_a_uri_that_nobody_guesses(app: Face) -> None:
    answers = [await push(app) for _ in range(2)]
    for answer in answers:
        assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
        assert answer.json().keys() == {"request_uri", "expires_in"}
        assert answer.json()["expires_in"] == 90
        assert len(answer.json()["request_uri"].removeprefix("urn:ietf:params:oauth:request_uri:")) == 43
    assert len({answer.json()["request_uri"] for answer in answers}) == 2


@pytest.mark.req("9126-01", "9126-04", "8705-05")
async def test_whoever_pushes_proves_itself_first(app: Face) -> None:
    for shown in (None, STRANGER):
        answer = await push(app, shown, scope="nothing")
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.req("9126-03", "9126-04", "9126-06", "9126-10")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/cb"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "certbound.admin"}, "invalid_scope"),
        ({"resource": "https://other.example"}, "invalid_target"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ],
    ids=str,
)
async def test_what_is_wrong_is_said_at_once(app: Face, changes: dict[str, Any], error: str) -> None:
    answer = await push(app, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert "location" not in answer.headers


@pytest.mark.req("9126-06")
async def test_only_a_form_of_a_bearable_size_is_taken_and_only_by_post(app: Face) -> None:
    assert (await app.ask("GET", PAR, ORDERS)).status_code == 405
    assert (await push(app, state="x" * MAX_BODY)).status_code == 413
    assert (await app.ask("POST", PAR, ORDERS, json=asked())).status_code == 400


@pytest.mark.req("9126-08", "F2-18")
async def test_a_pushed_request_may_be_looked_at_often_and_is_answered_once(app: Face, browser: Browser) -> None:
    parameters = await pushed(app, login_hint="ada")
    for _ in range(2):
        page = Page(await browser.open(AUTHORIZE, **parameters))
        assert page.form.fields["username"] == "ada"
    page = await sign_in(browser, page)
    answer = await browser.press(page, "allow")
    back = sent_back(answer)
    assert (back["state"], back["iss"]) == (asked()["state"], ISSUER)
    assert (await redeem(app, back["code"])).status_code == 200
    again = await browser.press(page, "allow")
    assert (again.status_code, "was answered before" in Page(again).alert) == (400, True)
    assert (await browser.open(AUTHORIZE, **parameters)).status_code == 400


async def test_a_refusal_answers_a_pushed_request_too(app: Face, browser: Browser) -> None:
    for button in ("cancel", "deny"):
        parameters = await pushed(app)
        page = Page(await browser.open(AUTHORIZE, **parameters))
        page = page if button == "cancel" else await sign_in(browser, page)
        assert sent_back(await browser.press(page, button))["error"] == "access_denied"
        assert (await browser.open(AUTHORIZE, **parameters)).status_code == 400


@pytest.mark.req("9126-05", "9126-08")
async def test_a_uri_is_good_for_its_client_and_for_its_time(app: Face, browser: Browser) -> None:
    parameters = await pushed(app)
    other = await browser.open(AUTHORIZE, **parameters | {"client_id": "native"})
    assert (other.status_code, "location" in other.headers) == (400, False)
    app.clock.now += 89
    assert Page(await browser.open(AUTHORIZE, **parameters)).title.startswith("Sign in")
    app.clock.now += 1
    assert (await browser.open(AUTHORIZE, **parameters)).status_code == 400


@pytest.mark.req("9126-04")
async def test_what_stands_beside_the_uri_counts_for_nothing(app: Face, browser: Browser) -> None:
    parameters = await pushed(app, scope="openid")
    beside = {"scope": "openid read write", "redirect_uri": "https://evil.example/cb", "state": "other"}
    page = await sign_in(browser, Page(await browser.open(AUTHORIZE, **parameters, **beside)))
    assert "permission" not in page.text
    answer = await browser.press(page, "allow")
    assert answer.headers["location"].startswith(CALLBACK)
    assert sent_back(answer)["state"] == asked()["state"]


async def test_a_pushed_request_is_held_against_what_is_registered_when_it_is_shown(
    app: Face, browser: Browser
) -> None:
    parameters = await pushed(app, scope="openid write")
    changes = clients.ClientChanges(scopes=("openid", "read"))
    app.write(clients.update, client_id="app", changes=changes, known_grants=("authorization_code", "refresh_token"))
    await app.registered.refresh()
    assert sent_back(await browser.open(AUTHORIZE, **parameters))["error"] == "invalid_scope"


async def test_a_client_named_by_its_header_need_not_repeat_itself(app: Face) -> None:
    request = RegistrationRequest(
        "web",
        "client_secret_basic",
        client_id="web",
        grant_types=("authorization_code",),
        scopes=("openid",),
        redirect_uris=(CALLBACK,),
    )
    secret = app.write(clients.register, request=request, known_grants=("authorization_code",)).client_secret
    await app.registered.refresh()
    data = asked(client_id=None, scope="openid")
    answer = await app.ask("POST", PAR, None, data=data, auth=("web", secret))
    assert answer.status_code == 201
    assert (await app.ask("POST", PAR, None, data=data, auth=("web", "guess"))).status_code == 401


async def test_a_person_who_is_signed_in_answers_a_pushed_request_with_one_step(app: Face, browser: Browser) -> None:
    page = await sign_in(browser, Page(await browser.open(AUTHORIZE, **await pushed(app))))
    await browser.press(page, "allow")
    answer = await browser.open(AUTHORIZE, **await pushed(app))
    assert "code" in sent_back(answer)
    assert PASSWORD not in answer.headers["location"]


async def test_of_many_answers_at_once_one_counts(app: Face, browser: Browser) -> None:
    page = await sign_in(browser, Page(await browser.open(AUTHORIZE, **await pushed(app))))
    answers = await asyncio.gather(*(browser.press(page, "allow") for _ in range(20)))
    redirects = [sent_back(answer) for answer in answers if answer.status_code == 303]
    assert sum("code" in back for back in redirects) == 1
    assert {back.get("error") for back in redirects} <= {None, "invalid_request"}
    assert {answer.status_code for answer in answers} <= {303, 400}


async def test_a_client_that_is_deleted_while_it_pushes_is_no_client(
    app: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: Any) -> None:
        raise StoreConflict("gone")

    monkeypatch.setattr(app.store, "writing", gone)
    answer = await push(app)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
