"""People before a real browser: signing in, agreeing, taking it back and signing out, on the running server."""

import contextlib
import time
from base64 import b32decode
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from certbound.authority import second_factor
from certbound.authority.second_factor import STEP_SECONDS, one_time_password
from certbound.store.engine import Store

from .chromium import Application, application, chromium, findings
from .conftest import PASSWORD, USER, Answer, Server, certbound, typed

#: The example of RFC 7636 appendix B.
VERIFIER, CHALLENGE = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
PORTAL = "portal"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def portal(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The application of a client that is registered with a certificate of its own."""
    folder = tmp_path_factory.mktemp(PORTAL)
    with application(server.config.with_name("server.crt"), server.config.with_name("server.key")) as running:
        scopes = ("--scope", "openid profile read", "--grant", "authorization_code")
        uris = ("--redirect-uri", running.url(), "--post-logout-redirect-uri", running.url("/bye"))
        server.self_signed(PORTAL, folder, *scopes, *uris)
        running.folder = folder
        yield running


@pytest.fixture(autouse=True)
def nothing_came(portal: Application) -> None:
    portal.came.clear()
    portal.home = ""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with person(browser) as context:
        yield context.new_page()


@contextlib.contextmanager
def person(browser: Browser, **how: Any) -> Iterator[BrowserContext]:
    """Sit somebody down before a browser that knows nothing yet."""
    context = browser.new_context(ignore_https_errors=True, **how)
    yield context
    context.close()


def address(server: Server, portal: Application, **changes: str) -> str:
    asked = {
        "client_id": PORTAL,
        "response_type": "code",
        "redirect_uri": portal.url(),
        "scope": "openid profile read",
        "state": "af0ifjsldkj",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"https://localhost:{server.port}/oauth2/authorize?{urlencode(asked | changes)}"


def sign_in(page: Page, username: str = USER, password: str = PASSWORD) -> None:
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def redeem(server: Server, portal: Application, code: str) -> Answer:
    form = {"grant_type": "authorization_code", "client_id": PORTAL, "code": code, "code_verifier": VERIFIER}
    body = urlencode(form | {"redirect_uri": portal.url()})
    curl = (
        f"curl -s -i --http1.1 --cacert {server.ca_file} --cert client-certificate.pem --key key.pem"
        f" --data '{body}' {server.url}"
    )
    return Answer.read(typed(curl, portal.folder))


def enrolled(server: Server, username: str) -> bytes:
    """Make somebody with a second factor; give its secret."""
    certbound("user", "create", username, "--password-stdin", config=server.config, stdin=PASSWORD)
    key = server.config.with_name("master.key").read_bytes()
    work = partial(
        second_factor.enrol,
        username=username,
        issuer="https://localhost",
        master_key=key,
        actor="test",
        now=int(time.time()),
    )
    with Store(f"sqlite:///{server.config.with_name('certbound.db')}") as store:
        return b32decode(store.write(work).secret)


def test_a_person_signs_in_and_agrees_with_the_keyboard_alone(server: Server, portal: Application, page: Page) -> None:
    page.goto(address(server, portal, prompt="consent"))
    expect(page).to_have_title(f"Sign in - localhost:{server.port}")
    page.keyboard.type(USER)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Allow {PORTAL}?")
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Allow", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_title("The application")
    [(method, came)] = portal.came
    assert (method, came["state"], came["iss"]) == ("GET", "af0ifjsldkj", f"https://localhost:{server.port}")
    answer = redeem(server, portal, came["code"])
    assert answer.status == 200
    assert answer.json.keys() >= {"access_token", "id_token"}


@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_no_page_needs_a_script(server: Server, portal: Application, browser: Browser, mode: str) -> None:
    with person(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(address(server, portal, prompt="consent", response_mode=mode))
        sign_in(page)
        page.get_by_role("button", name="Allow", exact=True).click()
        if mode == "form_post":
            page.get_by_role("button", name="Go on").click()
        expect(page).to_have_title("The application")
    assert [(method, came.keys() >= {"code", "state", "iss"}) for method, came in portal.came] == [
        ("POST" if mode == "form_post" else "GET", True)
    ]


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_an_application_that_sends_people_on_elsewhere_is_not_held_up(
    server: Server, portal: Application, page: Page, mode: str
) -> None:
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
    portal.home = portal.url("/home", "127.0.0.1")
    page.goto(address(server, portal, prompt="consent", response_mode=mode))
    sign_in(page)
    page.get_by_role("button", name="Allow", exact=True).click()
    expect(page).to_have_title("The application")
    assert page.url.partition("#")[0] == portal.home
    assert (len(portal.came), refused) == (1, [])


def test_whoever_does_not_agree_is_back_at_the_application(server: Server, portal: Application, page: Page) -> None:
    page.goto(address(server, portal, prompt="consent"))
    page.get_by_role("button", name="Cancel").click()
    expect(page).to_have_title("The application")
    page.goto(address(server, portal, prompt="consent"))
    sign_in(page)
    page.get_by_role("button", name="Do not allow").click()
    expect(page).to_have_title("The application")
    assert [came["error"] for _, came in portal.came] == ["access_denied", "access_denied"]


def test_the_second_factor_is_typed_on_a_page_of_its_own(server: Server, portal: Application, page: Page) -> None:
    secret = enrolled(server, "grace")
    page.goto(address(server, portal))
    sign_in(page, "grace", "not the password")
    expect(page.get_by_role("alert")).to_contain_text("This did not work")
    expect(page.get_by_label("Password")).to_be_focused()
    sign_in(page, "grace")
    expect(page).to_have_title(f"One-time code - localhost:{server.port}")
    expect(page.get_by_label("Code")).to_be_focused()
    page.keyboard.type(one_time_password(secret, int(time.time()) // STEP_SECONDS))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Allow {PORTAL}?")
    assert findings(page) == []


def test_what_was_allowed_is_taken_back_and_somebody_signs_out(server: Server, portal: Application, page: Page) -> None:
    page.goto(address(server, portal, prompt="consent"))
    sign_in(page)
    page.get_by_role("button", name="Allow", exact=True).click()
    expect(page).to_have_title("The application")
    page.goto(f"https://localhost:{server.port}/oauth2/consents")
    page.get_by_role("button", name=f"Take back what {PORTAL} may do").click()
    expect(page.get_by_text("No application may do anything in your name.")).to_be_visible()
    page.get_by_role("link", name="Sign out").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title(f"Signed out - localhost:{server.port}")
    page.goto(address(server, portal))
    expect(page).to_have_title(f"Sign in - localhost:{server.port}")


@pytest.mark.req("9700-27")
def test_no_other_site_shows_a_page_in_a_frame(server: Server, portal: Application, page: Page) -> None:
    page.goto(portal.url("/"))
    page.set_content(f'<iframe src="{address(server, portal)}"></iframe>')
    page.wait_for_load_state("load")
    assert "User name" not in page.frames[1].content()


LOOKS = [
    {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    for width in (320, 1280)
    for scheme in ("light", "dark")
]


def each_page(server: Server, portal: Application, page: Page) -> Iterator[str]:
    """Go through every page there is; give its name when it is up."""
    page.goto(address(server, portal, client_id="nobody"))
    yield "error"
    page.goto(address(server, portal, prompt="consent"))
    yield "sign-in"
    sign_in(page, password="not the password")
    yield "sign-in again"
    sign_in(page)
    yield "consent"
    page.get_by_role("button", name="Allow", exact=True).click()
    expect(page).to_have_title("The application")
    page.goto(f"https://localhost:{server.port}/oauth2/consents")
    yield "consents"
    page.get_by_role("link", name="Sign out").click()
    yield "sign-out"
    page.get_by_role("button", name="Sign out").click()
    yield "signed out"


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look['viewport']['width']} {look['color_scheme']}")
def test_every_page_is_for_everybody(
    server: Server, portal: Application, browser: Browser, look: dict[str, Any], tmp_path: Path
) -> None:
    with person(browser, **look) as context:
        page = context.new_page()
        seen = []
        for name in each_page(server, portal, page):
            seen.append(name)
            page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
            assert findings(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
            assert page.get_by_role("heading", level=1).count() == 1
    assert len(seen) == 7
