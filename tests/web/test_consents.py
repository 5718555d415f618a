"""What a person allowed, and taking it back."""

from certbound.authority import clients

from .browser import Browser, Page, sent_back
from .conftest import ISSUER, PASSWORD, Face
from .test_authorize import AUTHORIZE, NATIVE, asked, code_of, redeem, sign_in

CONSENTS = "/oauth2/consents"


async def test_whoever_wants_to_see_signs_in_and_sees(browser: Browser) -> None:
    page = Page(await browser.open(CONSENTS))
    assert page.title == "Sign in - as.example"
    assert page.form.buttons == ["sign_in"]
    page = await sign_in(browser, page, password="not the password")
    assert page.response.status_code == 403
    page = await sign_in(browser, page)
    assert (page.title, "No application may do anything" in page.text) == ("What you allowed - as.example", True)


async def test_what_was_allowed_is_listed_by_the_clients_name(app: Face, browser: Browser) -> None:
    await code_of(browser, scope="openid profile read")
    page = Page(await browser.open(AUTHORIZE, **NATIVE | {"scope": "openid"}))
    await browser.press(page, "allow")
    changes = clients.ClientChanges(client_name="A <b>portal</b>")
    app.write(clients.update, client_id="app", changes=changes, known_grants=("authorization_code", "refresh_token"))
    await app.registered.refresh()
    page = Page(await browser.open(CONSENTS))
    assert [form.fields["client_id"] for form in page.forms] == ["app", "native"]
    for said in ("A <b>portal</b>", "native", "since 1 June 2026", "your name", "the permission read", "nothing else"):
        assert said in page.text
    assert "<b>" not in page.response.text


async def test_what_is_taken_back_is_gone_with_all_that_came_of_it(app: Face, browser: Browser) -> None:
    back = await code_of(browser, scope="openid offline_access read")
    tokens = (await redeem(app, back["code"])).json()
    page = Page(await browser.press(Page(await browser.open(CONSENTS)), "take_back"))
    assert "No application may do anything" in page.text
    assert sent_back(await browser.open(AUTHORIZE, **asked(prompt="none")))["error"] == "consent_required"
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    answer = await app.token(**refresh | {"client_id": "app"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_nothing_is_taken_back_by_a_form_of_another_site_or_session(app: Face, browser: Browser) -> None:
    await code_of(browser)
    page = Page(await browser.open(CONSENTS))
    genuine = page.form.fields["certbound_form"]
    page.form.fields["certbound_form"] = "forged"
    assert "read" in Page(await browser.press(page, "take_back")).text
    page.form.fields["certbound_form"] = genuine
    browser.cookies.pop("__Host-certbound-session")
    again = Page(await browser.press(page, "take_back"))
    assert again.title.startswith("Sign in")
    assert "read" in (await sign_in(browser, again)).text
    assert "read" in Page(await browser.press(page, "take_back")).text


async def test_one_sees_ones_own_only(app: Face, browser: Browser) -> None:
    await code_of(browser)
    other = Browser(app, ISSUER)
    page = await sign_in(other, Page(await other.open(CONSENTS)), "eve")
    assert "No application" in page.text
    assert PASSWORD not in page.response.text


async def test_a_client_that_is_gone_took_what_it_was_allowed_along(app: Face, browser: Browser) -> None:
    await code_of(browser)
    app.write(clients.delete, client_id="app")
    await app.registered.refresh()
    assert "No application" in Page(await browser.open(CONSENTS)).text
