"""A client asks a person: from the first page to the answer, and every way in which it ends otherwise."""

import re
from base64 import b32decode
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response

from certbound.authority import clients, people, second_factor
from certbound.authority.people import TooManyChecksError
from certbound.authority.second_factor import STEP_SECONDS, one_time_password
from certbound.authority.tokens.issuing import GRANTS
from certbound.store.engine import StoreConflict, StoreUnavailable
from certbound.web.signin.endpoint import BrowserEndpoint
from certbound.web.signin.pages import Pages

from .browser import Browser, Page, sent_back
from .conftest import CALLBACK, CHALLENGE, ISSUER, LOCAL_CALLBACK, MASTER_KEY, ORDERS, PASSWORD, VERIFIER, Face

AUTHORIZE = "/oauth2/authorize"
ASKED = {
    "client_id": "app",
    "response_type": "code",
    "redirect_uri": CALLBACK,
    "scope": "openid read",
    "state": "af0 ifjs&ldkj",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
NATIVE = ASKED | {"client_id": "native", "redirect_uri": LOCAL_CALLBACK}


def asked(**changes: Any) -> dict[str, Any]:
    """Give the parameters of a request; None leaves one out."""
    return {name: value for name, value in {**ASKED, **changes}.items() if value is not None}


async def sign_in(browser: Browser, page: Page, username: str = "ada", password: str = PASSWORD) -> Page:
    return Page(await browser.press(page, "sign_in", username=username, password=password))


async def consent_page(browser: Browser, **changes: Any) -> Page:
    """Give the page that asks ada, who has just signed in."""
    return await sign_in(browser, Page(await browser.open(AUTHORIZE, **asked(**changes))))


async def code_of(browser: Browser, **changes: Any) -> dict[str, str]:
    return sent_back(await browser.press(await consent_page(browser, **changes), "allow"))


async def redeem(app: Face, code: str, **form: Any) -> httpx2.Response:
    given = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return await app.token(ORDERS, **given | {"client_id": "app"} | form)


@pytest.mark.req("9700-03", "9207-01", "F2-15", "F2-17")
async def test_a_person_signs_in_agrees_and_the_client_redeems_what_it_got(app: Face, browser: Browser) -> None:
    first = await browser.open(AUTHORIZE, **asked())
    page = Page(first)
    assert (first.status_code, page.title) == (200, "Sign in - as.example")
    assert "to go on to app" in page.text
    page = await sign_in(browser, page)
    assert page.title == "Allow app? - as.example"
    assert "signed in as ada" in page.text
    answer = await browser.press(page, "allow")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{CALLBACK}&code=")
    back = sent_back(answer)
    assert back == {"tenant": "1", "code": back["code"], "state": ASKED["state"], "iss": ISSUER}
    tokens = (await redeem(app, back["code"])).json()
    assert (tokens["scope"], set(tokens) >= {"access_token", "id_token"}) == ("openid read", True)


async def test_what_was_allowed_is_not_asked_again_until_more_is_asked_for(browser: Browser) -> None:
    await code_of(browser)
    assert "code" in sent_back(await browser.open(AUTHORIZE, **asked(scope="openid")))
    page = Page(await browser.open(AUTHORIZE, **asked(scope="openid read write")))
    assert page.title.startswith("Allow app?")
    assert "code" in sent_back(await browser.press(page, "allow"))
    assert "code" in sent_back(await browser.open(AUTHORIZE, **asked()))


async def test_a_client_that_an_administrator_agreed_for_is_not_asked_about(app: Face, browser: Browser) -> None:
    app.write(
        clients.update,
        client_id="app",
        changes=clients.ClientChanges(implicit_consent=True),
        known_grants=GRANTS,
    )
    await app.registered.refresh()
    page = Page(await browser.open(AUTHORIZE, **asked()))
    assert "code" in sent_back(await browser.press(page, "sign_in", username="ada", password=PASSWORD))


async def test_a_client_that_cannot_prove_itself_on_this_machine_is_asked_about_every_time(browser: Browser) -> None:
    for _ in range(2):
        page = Page(await browser.open(AUTHORIZE, **NATIVE))
        page = page if page.title.startswith("Allow") else await sign_in(browser, page)
        assert "code" in sent_back(await browser.press(page, "allow"))
    assert sent_back(await browser.open(AUTHORIZE, **NATIVE, prompt="none"))["error"] == "consent_required"


@pytest.mark.req("9700-01")
async def test_the_port_of_a_native_application_may_be_any(browser: Browser) -> None:
    page = Page(await browser.open(AUTHORIZE, **NATIVE | {"redirect_uri": "http://127.0.0.1:51004/cb"}))
    answer = await browser.press(await sign_in(browser, page), "allow")
    assert answer.headers["location"].startswith("http://127.0.0.1:51004/cb?code=")


async def test_whoever_does_not_agree_sends_the_client_away(browser: Browser) -> None:
    back = sent_back(await browser.press(await consent_page(browser), "deny"))
    assert (back["error"], back["state"], back["iss"]) == ("access_denied", ASKED["state"], ISSUER)
    page = await consent_page(Browser(browser.site, ISSUER))
    assert page.title.startswith("Allow app?")


@pytest.mark.parametrize("with_second_factor", [False, True])
async def test_whoever_cancels_signing_in_sends_the_client_away(
    app: Face, browser: Browser, with_second_factor: bool
) -> None:
    page = Page(await browser.open(AUTHORIZE, **asked()))
    if with_second_factor:
        enrol(app)
        page = await sign_in(browser, page)
        assert page.title.startswith("One-time code")
    assert sent_back(await browser.press(page, "cancel"))["error"] == "access_denied"


async def test_another_account_may_be_used_instead(browser: Browser) -> None:
    page = await consent_page(browser)
    before = browser.cookies["__Host-certbound-session"]
    page = Page(await browser.press(page, "switch"))
    assert page.title.startswith("Sign in")
    assert "__Host-certbound-session" not in browser.cookies
    page = await sign_in(browser, page, "eve")
    assert "signed in as eve" in page.text
    browser.cookies["__Host-certbound-session"] = before
    assert Page(await browser.open(AUTHORIZE, **asked())).title.startswith("Sign in")


def enrol(app: Face) -> bytes:
    how = {"username": "ada", "issuer": ISSUER, "master_key": MASTER_KEY}
    return b32decode(app.write(second_factor.enrol, **how).secret)


async def test_the_second_factor_is_asked_for_on_a_page_of_its_own(app: Face, browser: Browser) -> None:
    secret = enrol(app)
    page = Page(await browser.open(AUTHORIZE, **asked()))
    page = await sign_in(browser, page, password="not the password")
    assert (page.response.status_code, page.title) == (403, "Error: Sign in - as.example")
    page = await sign_in(browser, page)
    assert page.title == "One-time code - as.example"
    assert "__Host-certbound-session" not in browser.cookies
    page = Page(await browser.press(page, "second_factor", one_time_password="x"))
    assert (page.response.status_code, page.title) == (403, "Error: One-time code - as.example")
    code = one_time_password(secret, int(app.clock.now) // STEP_SECONDS)
    page = Page(await browser.press(page, "second_factor", one_time_password=f"{code[:3]} {code[3:]}"))
    assert page.title.startswith("Allow app?")


async def test_a_password_that_was_right_is_forgotten_after_five_minutes(app: Face, browser: Browser) -> None:
    secret = enrol(app)
    page = await consent_page(browser)
    app.clock.now += 301
    code = one_time_password(secret, int(app.clock.now) // STEP_SECONDS)
    page = Page(await browser.press(page, "second_factor", one_time_password=code))
    assert (page.response.status_code, page.title) == (400, "Error: Sign in - as.example")
    assert "open for too long" in page.alert


async def test_who_has_a_second_factor_is_told_to_nobody_else(app: Face, browser: Browser) -> None:
    enrol(app)
    pages = []
    for username in ("ada", "eve", "nobody"):
        page = Page(await browser.open(AUTHORIZE, **asked()))
        page = await sign_in(browser, page, username, "not the password")
        pages.append(re.sub(f'value="({username}|[^"]{{60,}})"', "", page.response.text))
        assert page.response.status_code == 403
    assert len(set(pages)) == 1


async def test_a_password_typed_wrong_says_so_and_keeps_the_name(browser: Browser) -> None:
    page = Page(await browser.open(AUTHORIZE, **asked()))
    page = await sign_in(browser, page, "eve<script>", "not the password")
    assert page.form.fields["username"] == "eve<script>"
    assert page.form.fields["password"] == ""
    assert "This did not work" in page.alert
    described = {given["id"]: given for tag, given in page.elements if tag == "input" and given.get("id")}
    assert {given["aria-describedby"] for given in described.values()} == {"problem"}
    assert "<script" not in page.response.text


async def test_an_operator_is_no_resource_owner(app: Face, browser: Browser) -> None:
    app.write(people.add, username="root", password=PASSWORD, operator=True)
    page = await sign_in(browser, Page(await browser.open(AUTHORIZE, **asked())), "root")
    assert page.response.status_code == 403


@pytest.mark.parametrize(
    ("prompt", "after"), [("login", "Allow"), ("select_account", "Allow"), ("login consent", "Allow")]
)
async def test_a_prompt_to_sign_in_is_met_once_and_for_one_request(browser: Browser, prompt: str, after: str) -> None:
    await code_of(browser)
    page = Page(await browser.open(AUTHORIZE, **asked(prompt=prompt)))
    assert page.title.startswith("Sign in")
    answer = await browser.press(page, "sign_in", username="ada", password=PASSWORD)
    if "consent" in prompt:
        page = Page(answer)
        assert page.title.startswith(after)
        answer = await browser.press(page, "allow")
    assert "code" in sent_back(answer)
    assert Page(await browser.open(AUTHORIZE, **asked(prompt=prompt))).title.startswith("Sign in")


async def test_that_somebody_signed_in_for_a_request_is_good_for_no_other_and_not_for_long(
    app: Face, browser: Browser
) -> None:
    page = await consent_page(browser, prompt="login")
    assert page.title.startswith("Allow")
    there = browser.where
    assert "certbound_signed_in=" in there
    again = Page(await browser.open(there))
    assert again.title.startswith("Allow")
    assert Page(await browser.open(there.replace("prompt=login", "prompt=login&nonce=n"))).title.startswith("Sign in")
    assert Page(await browser.open(f"{there}x")).title.startswith("Sign in")
    app.clock.now += 601
    assert Page(await browser.open(there)).title.startswith("Sign in")


async def test_an_old_sign_in_does_not_do_where_the_client_says_how_old_it_may_be(app: Face, browser: Browser) -> None:
    await code_of(browser)
    app.clock.now += 100
    assert "code" in sent_back(await browser.open(AUTHORIZE, **asked(max_age="100")))
    page = Page(await browser.open(AUTHORIZE, **asked(max_age="99")))
    assert page.title.startswith("Sign in")
    assert "code" in sent_back(await browser.press(page, "sign_in", username="ada", password=PASSWORD))


async def test_prompt_none_shows_no_page(browser: Browser) -> None:
    assert sent_back(await browser.open(AUTHORIZE, **asked(prompt="none")))["error"] == "login_required"
    page = await consent_page(browser)
    back = sent_back(await browser.open(AUTHORIZE, **asked(prompt="none")))
    assert (back["error"], back["state"], back["iss"]) == ("consent_required", ASKED["state"], ISSUER)
    await browser.open(AUTHORIZE, **asked())
    await browser.press(page, "allow")
    assert "code" in sent_back(await browser.open(AUTHORIZE, **asked(prompt="none")))


async def test_a_login_hint_fills_the_field_in(browser: Browser) -> None:
    page = Page(await browser.open(AUTHORIZE, **asked(login_hint='ada"><b>')))
    assert page.form.fields["username"] == 'ada"><b>'
    assert "<b>" not in page.response.text


async def test_an_id_token_hint_says_whom_it_is_about(app: Face, browser: Browser) -> None:
    tokens = (await redeem(app, (await code_of(browser))["code"])).json()
    hint = tokens["id_token"]
    assert "code" in sent_back(await browser.open(AUTHORIZE, **asked(id_token_hint=hint, prompt="none")))
    other = Browser(app, ISSUER)
    page = await sign_in(other, Page(await other.open(AUTHORIZE, **asked())), "eve")
    await other.press(page, "allow")
    assert sent_back(await other.open(AUTHORIZE, **asked(id_token_hint=hint, prompt="none")))["error"] == (
        "login_required"
    )
    page = Page(await other.open(AUTHORIZE, **asked(id_token_hint=hint)))
    assert page.title.startswith("Sign in")
    back = sent_back(await other.press(page, "sign_in", username="eve", password=PASSWORD))
    assert back["error"] == "login_required"
    for wrong in (tokens["access_token"], "x.y.z"):
        assert sent_back(await browser.open(AUTHORIZE, **asked(id_token_hint=wrong)))["error"] == "invalid_request"


@pytest.mark.parametrize("mode", ["query", "fragment"])
async def test_the_answer_comes_back_in_the_mode_asked_for(browser: Browser, mode: str) -> None:
    answer = await browser.press(await consent_page(browser, response_mode=mode), "allow")
    location = answer.headers["location"]
    assert ("#" in location) == (mode == "fragment")
    assert sent_back(answer).keys() >= {"code", "state", "iss"}


async def test_an_answer_by_form_post_is_a_page_that_posts_to_the_client_alone(browser: Browser) -> None:
    answer = await browser.press(await consent_page(browser, response_mode="form_post"), "allow")
    page = Page(answer)
    assert answer.status_code == 200
    assert page.form.action == CALLBACK
    assert page.form.fields.keys() == {"code", "state", "iss"}
    assert (page.form.fields["state"], page.form.fields["iss"]) == (ASKED["state"], ISSUER)
    assert page.form.buttons == [""]
    policy = answer.headers["content-security-policy"]
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='; form-action 'self' https:;", policy)
    assert answer.headers["cache-control"] == "no-store"
    refused = Page(await browser.open(AUTHORIZE, **asked(response_mode="form_post", scope="nothing")))
    assert (refused.form.action, refused.form.fields["error"]) == (CALLBACK, "invalid_scope")


async def test_the_consent_page_says_who_asks_for_what_and_where_it_leads(browser: Browser) -> None:
    page = await consent_page(browser, scope="openid profile offline_access read", resource="https://orders.example")
    for said in ("your name", "while you are away", "the permission read", "https://orders.example", "app.example"):
        assert said in page.text
    page = Page(await browser.open(AUTHORIZE, **asked(scope="openid")))
    assert "know that you are signed in, and nothing else" in page.text
    assert "api.example" not in page.text


@pytest.mark.req("9700-01", "9700-02", "9700-22", "F2-08")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/cb"},
        {"redirect_uri": f"{CALLBACK}#x"},
        {"redirect_uri": None},
        {"redirect_uri": f"{CALLBACK}/"},
        {"redirect_uri": "https://APP.example/cb?tenant=1"},
        {"client_id": "orders"},
        {"request_uri": "urn:ietf:params:oauth:request_uri:guess"},
    ],
    ids=str,
)
async def test_without_a_safe_place_to_answer_there_is_a_page_and_no_redirect(
    browser: Browser, changes: dict[str, str | None]
) -> None:
    answer = await browser.open(AUTHORIZE, **asked(**changes))
    page = Page(answer)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert (answer.headers["content-type"], page.forms) == ("text/html; charset=utf-8", [])
    assert page.title == "This does not work - as.example"
    assert page.alert.strip()
    assert "evil" not in answer.text


@pytest.mark.req("9207-01", "9700-04", "9700-07")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"scope": "certbound.admin"}, "invalid_scope"),
        ({"resource": "https://other.example"}, "invalid_target"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"claims": "{"}, "invalid_request"),
        ({"request": "a.b.c"}, "request_not_supported"),
        ({"request_uri": "https://app.example/request"}, "request_uri_not_supported"),
        ({"response_mode": "jwt"}, "invalid_request"),
    ],
    ids=str,
)
async def test_any_other_error_goes_to_the_client_with_its_state(
    browser: Browser, changes: dict[str, str | None], error: str
) -> None:
    answer = await browser.open(AUTHORIZE, **asked(**changes))
    back = sent_back(answer)
    assert answer.headers["location"].startswith(f"{CALLBACK}&")
    assert (back["error"], back["state"], back["iss"]) == (error, ASKED["state"], ISSUER)


@pytest.mark.threat("56")
async def test_a_parameter_twice_is_refused_and_an_unknown_one_ignored(browser: Browser) -> None:
    doubled = await browser.open(f"{AUTHORIZE}?{urlencode(ASKED)}&state=again")
    assert (doubled.status_code, Page(doubled).title[:4]) == (400, "This")
    assert Page(await browser.open(AUTHORIZE, **asked(unheard_of="x"))).title.startswith("Sign in")


async def test_a_request_by_post_goes_on_as_a_get(browser: Browser) -> None:
    answer = await browser.site.ask("POST", AUTHORIZE, data=asked(resource=["https://orders.example"]))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{AUTHORIZE}?client_id=app&")
    page = Page(await browser.open(answer.headers["location"]))
    assert page.title.startswith("Sign in")


async def test_what_is_no_form_is_refused_by_a_page(browser: Browser) -> None:
    wrong = await browser.site.ask("POST", AUTHORIZE, json={})
    assert (wrong.status_code, wrong.headers["content-type"]) == (400, "text/html; charset=utf-8")
    large = await browser.site.ask("POST", AUTHORIZE, data={"state": "x" * 5000})
    assert (large.status_code, large.headers["connection"]) == (413, "close")


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_an_address_for_people_is_opened_or_posted_to_and_nothing_else(browser: Browser, method: str) -> None:
    answer = await browser.site.ask(method, AUTHORIZE)
    assert answer.status_code == 405
    assert {one.strip() for one in answer.headers["allow"].split(",")} >= {"GET", "POST"}


@pytest.mark.req("9700-17", "F2-04")
async def test_no_other_site_is_let_in_by_cross_origin_headers(browser: Browser) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for method in ("GET", "OPTIONS"):
        answer = await browser.site.ask(method, AUTHORIZE, params=asked(), headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_form_is_good_for_the_browser_that_it_was_made_for_only(app: Face, browser: Browser) -> None:
    page = Page(await browser.open(AUTHORIZE, **asked()))
    other = Browser(app, ISSUER)
    await other.open(AUTHORIZE, **asked())
    other.where = browser.where
    answer = Page(await other.press(page, "sign_in", username="ada", password=PASSWORD))
    assert (answer.response.status_code, answer.title) == (400, "Error: Sign in - as.example")
    assert "__Host-certbound-session" not in other.cookies
    without = Browser(app, ISSUER, where=browser.where)
    answer = Page(await without.press(page, "sign_in", username="ada", password=PASSWORD))
    assert answer.response.status_code == 400


async def test_a_form_is_good_for_one_request_and_half_an_hour(app: Face, browser: Browser) -> None:
    page = Page(await browser.open(AUTHORIZE, **asked()))
    where = browser.where
    await browser.open(AUTHORIZE, **asked(state="another"))
    assert Page(await browser.press(page, "sign_in", username="ada", password=PASSWORD)).response.status_code == 400
    app.clock.now += 1801
    browser.where = where
    assert Page(await browser.press(page, "sign_in", username="ada", password=PASSWORD)).response.status_code == 400


@pytest.mark.parametrize("button", ["allow", "deny", "switch"])
async def test_nobody_agrees_by_a_form_made_for_somebody_else(browser: Browser, button: str) -> None:
    page = await consent_page(browser)
    where, session = browser.where, browser.cookies.pop("__Host-certbound-session")
    signed_in = Page(await browser.open(AUTHORIZE, **asked()))
    await sign_in(browser, signed_in, "eve")
    browser.where = where
    answer = Page(await browser.press(page, button))
    assert answer.title.startswith("Allow app?")
    assert "signed in as eve" in answer.text
    assert browser.cookies["__Host-certbound-session"] != session


@pytest.mark.parametrize("button", ["allow", "cancel"])
async def test_a_forged_form_brings_one_back_to_where_it_should_have_come_from(browser: Browser, button: str) -> None:
    page = await consent_page(browser)
    forged = Page(page.response)
    forged.form.fields["certbound_form"] = "forged"
    forged.form.buttons.append(button)
    assert Page(await browser.press(forged, button)).title.startswith("Allow app?")


async def test_nobody_agrees_to_more_than_the_page_said(app: Face, browser: Browser) -> None:
    page = await consent_page(browser, scope=None)
    changes = clients.ClientChanges(scopes=("openid", "read", "erase"))
    app.write(clients.update, client_id="app", changes=changes, known_grants=GRANTS)
    await app.registered.refresh()
    page = Page(await browser.press(page, "allow"))
    assert page.title.startswith("Allow app?")
    assert "the permission erase" in page.text
    assert "code" in sent_back(await browser.press(page, "allow"))


async def test_whoever_signed_out_meanwhile_agrees_to_nothing(browser: Browser) -> None:
    page = await consent_page(browser)
    browser.cookies.pop("__Host-certbound-session")
    assert Page(await browser.press(page, "allow")).title.startswith("Sign in")


async def test_a_sign_in_that_ran_out_of_time_on_the_consent_page_is_asked_for_again(
    app: Face, browser: Browser
) -> None:
    page = await consent_page(browser, prompt="login")
    app.clock.now += 700
    assert Page(await browser.press(page, "allow")).title.startswith("Sign in")


async def test_cookies_are_for_this_host_over_tls_alone(browser: Browser) -> None:
    page = Page(await browser.open(AUTHORIZE, **asked()))
    sent = await browser.site.ask(
        "POST",
        browser.where,
        data=page.form.fields | {"username": "ada", "password": PASSWORD, "certbound_do": "sign_in"},
        headers={"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())},
    )
    cookies = [*page.response.headers.get_list("set-cookie"), *sent.headers.get_list("set-cookie")]
    assert {cookie.partition("=")[0] for cookie in cookies} == {"__Host-certbound-form", "__Host-certbound-session"}
    for cookie in cookies:
        attributes = {one.strip().lower() for one in cookie.split(";")[1:]}
        assert attributes == {"secure", "httponly", "samesite=lax", "path=/"}
        assert PASSWORD not in cookie


@pytest.mark.req("9700-27", "9700-19", "F2-04")
async def test_pages_may_not_be_framed_kept_or_load_anything_from_elsewhere(browser: Browser) -> None:
    for page in (await browser.open(AUTHORIZE, **asked()), await browser.open(AUTHORIZE, client_id="nobody")):
        policy = dict(one.split(" ", 1) for one in page.headers["content-security-policy"].split("; "))
        assert policy.pop("form-action") in {"'self' https:", "'self'"}
        assert policy == {
            "default-src": "'none'",
            "style-src": "'self'",
            "img-src": "'self' data:",
            "frame-ancestors": "'none'",
            "base-uri": "'none'",
        }
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["strict-transport-security"] == "max-age=31536000"
        elsewhere = [v for _, given in Page(page).elements for v in given.values() if v and "//" in v]
        assert elsewhere == []


async def test_a_redirect_is_kept_by_nobody_and_names_nobody(browser: Browser) -> None:
    answer = await browser.open(AUTHORIZE, **asked(prompt="none"))
    assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")


@pytest.mark.parametrize(
    "issuer", ["https://localhost:9443", "https://127.0.0.1", "https://[::1]", "https://a.localhost"]
)
async def test_this_machine_is_not_told_to_insist_on_tls_as_that_is_for_every_port(app: Face, issuer: str) -> None:
    here = app.with_policy(issuer=issuer)
    assert "strict-transport-security" not in (await here.ask("GET", f"{issuer}{AUTHORIZE}")).headers


@pytest.mark.parametrize(
    ("redirect_uri", "source"),
    [
        (LOCAL_CALLBACK, "http://127.0.0.1:*"),
        ("http://localhost:8080/playground2/oauth2client", "http://localhost:*"),
        ("http://[::1]/cb", "http:"),
    ],
)
async def test_a_form_may_end_at_the_application_on_this_machine(
    app: Face, browser: Browser, redirect_uri: str, source: str
) -> None:
    changes = clients.ClientChanges(redirect_uris=(redirect_uri,))
    app.write(clients.update, client_id="native", changes=changes, known_grants=GRANTS)
    await app.registered.refresh()
    page = await browser.open(AUTHORIZE, **NATIVE | {"redirect_uri": redirect_uri})
    assert f"form-action 'self' https: {source};" in page.headers["content-security-policy"]


async def test_the_style_sheet_has_a_name_of_its_own_and_may_be_kept(browser: Browser) -> None:
    page = Page(await browser.open(AUTHORIZE, **asked()))
    [address] = [given["href"] for tag, given in page.elements if tag == "link" and given["rel"] == "stylesheet"]
    answer = await browser.open(address or "")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "prefers-color-scheme: dark" in answer.text


async def test_below_a_path_everything_is_there(app: Face) -> None:
    tenant = app.with_policy(issuer=f"{ISSUER}/tenant")
    browser = Browser(tenant, ISSUER)
    page = await sign_in(browser, Page(await browser.open(f"/tenant{AUTHORIZE}", **asked())))
    assert page.title == "Allow app? - as.example/tenant"
    links = [given["href"] for tag, given in page.elements if tag in {"a", "link"} and given["href"] != "data:,"]
    assert [link for link in links if link and not link.startswith("/tenant/oauth2/")] == []
    assert sent_back(await browser.press(page, "allow"))["iss"] == f"{ISSUER}/tenant"


async def test_too_much_at_once_and_too_many_attempts_are_pages(
    app: Face, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: Any) -> bool:
        raise TooManyChecksError

    monkeypatch.setattr(people, "password_is_right", full)
    page = Page(await browser.open(AUTHORIZE, **asked()))
    answer = await sign_in(browser, page)
    assert (answer.response.status_code, "too much to do" in answer.alert) == (503, True)

    async def wrong(*_: Any) -> bool:
        return False

    monkeypatch.setattr(people, "password_is_right", wrong)
    statuses = [(await sign_in(browser, page)).response.status_code for _ in range(31)]
    assert set(statuses) == {403, 429}
    assert statuses[-1] == 429


async def test_without_its_records_the_server_says_come_back(app: Face, browser: Browser) -> None:
    async def gone(*_: Any) -> None:
        raise StoreUnavailable("gone")

    app.store.reading = gone  # type: ignore[method-assign,assignment]
    answer = await browser.open(AUTHORIZE, **asked())
    assert (answer.status_code, Page(answer).title) == (503, "The server cannot do this at the moment - as.example")


async def test_registrations_that_may_be_stale_are_not_served(app: Face, browser: Browser) -> None:
    app.registered._confirmed_at = float("-inf")
    answer = await browser.open(AUTHORIZE, **asked())
    assert (answer.status_code, Page(answer).title[:10]) == (503, "The server")


async def test_a_client_that_is_deleted_while_a_person_agrees_gets_nothing(
    app: Face, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await consent_page(browser)

    async def gone(*_: Any) -> None:
        raise StoreConflict("gone")

    monkeypatch.setattr(app.store, "writing", gone)
    answer = await browser.press(page, "allow")
    assert (answer.status_code, "location" in answer.headers) == (400, False)


async def test_a_browser_that_goes_away_amid_its_form_leaves_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def never(*_: Any) -> Response:
        raise AssertionError("not reached")

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "path": AUTHORIZE, "headers": [], "query_string": b""}
    answer = await BrowserEndpoint(never, Pages(ISSUER), max_body=100).answer(Request(scope, receive))
    assert (answer.status_code, caplog.records) == (400, [])


@pytest.mark.threat("54", "55")
@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example@evil.example/cb?tenant=1",
        "https://evil.example@app.example/cb?tenant=1",
        "https://app.example@@evil.example/cb?tenant=1",
        "https://app.example/..;/cb?tenant=1",
        "https://app.example/x/../cb?tenant=1",
        "https://app.example/cb?tenant=1&more=1",
        "https://app.example/cb%3Ftenant=1",
        "https://app.example:443/cb?tenant=1",
        "https://app.example\\@evil.example/cb?tenant=1",
        "http://localhost.evil.example/cb",
        "http://127.0.0.1:8080@evil.example/cb",
        "JavaScript:alert(1)",
        "javascript://app.example/%0aalert(1)",
        "data:text/html,x",
        "//evil.example/cb",
        " https://app.example/cb?tenant=1",
    ],
)
@pytest.mark.parametrize("client_id", ["app", "native"])
async def test_nothing_that_only_resembles_a_registered_uri_is_gone_to(
    browser: Browser, client_id: str, uri: str
) -> None:
    answer = await browser.open(AUTHORIZE, **asked(client_id=client_id, redirect_uri=uri, prompt="none"))
    assert (answer.status_code, "location" in answer.headers) == (400, False)
    assert not [v for _, given in Page(answer).elements for v in given.values() if v and "evil" in v]


@pytest.mark.threat("58")
@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host", "X-Forwarded-Prefix", "Forwarded"])
async def test_no_header_changes_where_a_page_leads(browser: Browser, name: str) -> None:
    headers = {name: "host=evil.example" if name == "Forwarded" else "evil.example"}
    page = Page(await browser.site.ask("GET", AUTHORIZE, params=asked(), headers=headers))
    assert page.form.action == ""
    assert "evil" not in page.response.text + str(page.response.headers)
    answer = await browser.site.ask("POST", AUTHORIZE, data=asked(), headers=headers)
    assert answer.headers["location"].startswith(f"{AUTHORIZE}?")
    back = sent_back(await browser.site.ask("GET", AUTHORIZE, params=asked(prompt="none"), headers=headers))
    assert back["iss"] == ISSUER
