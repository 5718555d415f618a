"""Signing out because a client says so (OpenID Connect RP-Initiated Logout 1.0), or because a person wants to."""

from typing import Any

import pytest

from certbound.authority import clients

from .browser import Browser, Page, sent_back
from .conftest import ISSUER, PASSWORD, Face
from .test_authorize import AUTHORIZE, asked, code_of, redeem, sign_in

LOGOUT = "/oauth2/logout"
BYE = "https://app.example/bye"


async def signed_in(app: Face, browser: Browser) -> str:
    """Sign ada in, and give the ID token that the client has of her."""
    token: str = (await redeem(app, (await code_of(browser))["code"])).json()["id_token"]
    return token


async def is_signed_in(browser: Browser) -> bool:
    return "code" in sent_back(await browser.open(AUTHORIZE, **asked(prompt="none")))


async def test_a_client_that_shows_whom_it_means_signs_her_out_at_once(app: Face, browser: Browser) -> None:
    hint = await signed_in(app, browser)
    cookie = browser.cookies["__Host-certbound-session"]
    answer = await browser.open(LOGOUT, id_token_hint=hint, post_logout_redirect_uri=BYE, state="a b")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{BYE}?state=a%20b")
    assert "__Host-certbound-session" not in browser.cookies
    browser.cookies["__Host-certbound-session"] = cookie
    assert not await is_signed_in(browser)


async def test_without_a_place_to_go_there_is_a_page(app: Face, browser: Browser) -> None:
    hint = await signed_in(app, browser)
    page = Page(await browser.open(LOGOUT, id_token_hint=hint))
    assert (page.response.status_code, page.title) == (200, "Signed out - as.example")
    assert not await is_signed_in(browser)


async def test_an_id_token_that_has_expired_still_says_whom_it_means(app: Face, browser: Browser) -> None:
    hint = await signed_in(app, browser)
    app.clock.now += 3600
    assert Page(await browser.open(LOGOUT, id_token_hint=hint)).title.startswith("Signed out")


@pytest.mark.parametrize("parameters", [{}, {"client_id": "app", "post_logout_redirect_uri": BYE}], ids=str)
async def test_without_a_hint_the_person_is_asked(app: Face, browser: Browser, parameters: dict[str, str]) -> None:
    await signed_in(app, browser)
    page = Page(await browser.open(LOGOUT, **parameters))
    assert page.title.startswith("Sign out?")
    assert "signed in as ada" in page.text
    assert await is_signed_in(browser)
    await browser.open(LOGOUT, **parameters)
    answer = await browser.press(page, "sign_out")
    if parameters:
        assert (answer.status_code, answer.headers["location"]) == (303, BYE)
    else:
        assert Page(answer).title.startswith("Signed out")
    assert not await is_signed_in(browser)


async def test_a_hint_about_somebody_else_signs_nobody_out_unasked(app: Face, browser: Browser) -> None:
    hint = await signed_in(app, browser)
    other = Browser(app, ISSUER)
    page = await sign_in(other, Page(await other.open(AUTHORIZE, **asked())), "eve")
    await other.press(page, "allow")
    assert Page(await other.open(LOGOUT, id_token_hint=hint)).title.startswith("Sign out?")
    assert await is_signed_in(other)


async def test_no_other_site_signs_anybody_out_by_a_form(app: Face, browser: Browser) -> None:
    await signed_in(app, browser)
    page = Page(await browser.open(LOGOUT))
    page.form.fields["certbound_form"] = "forged"
    assert Page(await browser.press(page, "sign_out")).title.startswith("Sign out?")
    assert await is_signed_in(browser)


async def test_whoever_is_not_signed_in_is_signed_out(browser: Browser) -> None:
    assert Page(await browser.open(LOGOUT)).title.startswith("Signed out")
    answer = await browser.open(LOGOUT, client_id="app", post_logout_redirect_uri=BYE)
    assert answer.headers["location"] == BYE


@pytest.mark.parametrize(
    "wrong",
    [
        {"post_logout_redirect_uri": "https://evil.example/"},
        {"post_logout_redirect_uri": f"{BYE}/"},
        {"post_logout_redirect_uri": f"{BYE}?x=1"},
        {"client_id": "nobody"},
        {"client_id": "native"},
        {"client_id": None},
        {"id_token_hint": "x.y.z"},
        {"id_token_hint": "native"},
    ],
    ids=str,
)
async def test_nobody_is_sent_where_no_client_registered_to_be_called_back(
    app: Face, browser: Browser, wrong: dict[str, Any]
) -> None:
    hint = await signed_in(app, browser)
    given = {"client_id": "app", "post_logout_redirect_uri": BYE} | wrong
    if given.get("id_token_hint") == "native":
        given |= {"client_id": "native", "id_token_hint": hint}
    given = {name: value for name, value in given.items() if value is not None}
    answer = await browser.open(LOGOUT, **given)
    assert (answer.status_code, "location" in answer.headers) == (400, False)
    assert Page(answer).title.startswith("This does not work")
    assert await is_signed_in(browser)


async def test_a_disabled_client_sends_nobody_anywhere(app: Face, browser: Browser) -> None:
    app.write(clients.set_disabled, client_id="app", disabled=True)
    await app.registered.refresh()
    assert (await browser.open(LOGOUT, client_id="app", post_logout_redirect_uri=BYE)).status_code == 400


async def test_a_request_by_post_goes_on_as_a_get(app: Face, browser: Browser) -> None:
    hint = await signed_in(app, browser)
    answer = await app.ask("POST", LOGOUT, data={"id_token_hint": hint, "post_logout_redirect_uri": BYE})
    assert (answer.status_code, answer.headers["location"].startswith(f"{LOGOUT}?id_token_hint=")) == (303, True)
    assert (await browser.open(answer.headers["location"])).headers["location"] == BYE
    assert PASSWORD not in answer.headers["location"]
