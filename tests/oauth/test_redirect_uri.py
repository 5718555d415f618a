from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certbound.oauth.redirect_uri import RedirectRefusedError, settle_redirect_uri

WEB = "https://app.example/callback?tenant=a"
ORIGINAL = "http://localhost:8080/playground2/oauth2client"
REGISTERED = (WEB, ORIGINAL, "http://127.0.0.1/cb", "http://[::1]:1/cb", "http://localhost")

# What went wrong elsewhere: user information, path parameters, prefixes, spellings, ports that are none.
ATTACKS = [
    # other than registered by a little
    "https://app.example/callback",
    "https://app.example/callback?tenant=a&x=y",
    "https://app.example/callback?tenant=A",
    "https://app.example/callback?tenant=a/",
    "https://app.example/callback/?tenant=a",
    "https://app.example/callback?tenant=a ",
    " https://app.example/callback?tenant=a",
    "https://app.example/callback?tenant=a\n",
    "https://app.example/callback?tenant=a#",
    "https://app.example/callback?tenant=a#x",
    "https://app.example/callback?tenant=%61",
    "https://app.example/%63allback?tenant=a",
    "HTTPS://app.example/callback?tenant=a",
    "https://APP.example/callback?tenant=a",
    "https://app.example./callback?tenant=a",
    "https://app.example:443/callback?tenant=a",
    "https://app.example:8443/callback?tenant=a",
    "http://app.example/callback?tenant=a",
    "//app.example/callback?tenant=a",
    "https:/app.example/callback?tenant=a",
    "https:app.example/callback?tenant=a",
    "/callback?tenant=a",
    "callback",
    "*",
    "https://*/callback?tenant=a",
    # more than one host (CVE-2026-7504)
    "https://evil.example@app.example/callback?tenant=a",
    "https://app.example@evil.example/callback?tenant=a",
    "https://app.example@@evil.example/callback?tenant=a",
    "https://a@b@app.example/callback?tenant=a",
    "https://app.example:pass@evil.example/callback?tenant=a",
    "https://app.example%40evil.example/callback?tenant=a",
    "https://app.example/callback@evil.example?tenant=a",
    # ..;/ and its relatives (CVE-2026-3872)
    "https://app.example/callback/..;/..;/steal?tenant=a",
    "https://app.example/x/..;/callback?tenant=a",
    "https://app.example/x/../callback?tenant=a",
    "https://app.example/./callback?tenant=a",
    "https://app.example/%2e%2e/callback?tenant=a",
    "https://app.example/callback;a=b?tenant=a",
    "http://localhost:8080/playground2/oauth2client/..;/steal",
    "http://localhost:8080/playground2/..;/playground2/oauth2client",
    # what begins like localhost (CVE-2024-8883, CVE-2026-18211)
    "http://localhost.evil.example:8080/playground2/oauth2client",
    "http://localhost.evil.example",
    "http://localhost@evil.example",
    "http://localhost:80@evil.example",
    "http://localhost:@evil.example",
    "http://evil.example@localhost",
    "http://localhost%2eevil.example",
    "http://localhostevil.example",
    "http://localhost.",
    "http://LOCALHOST",
    "http://127.0.0.1.evil.example/cb",
    "http://127.0.0.1:1@evil.example/cb",
    "http://127.1/cb",
    "http://2130706433/cb",
    "http://0x7f.0.0.1/cb",
    "http://0177.0.0.1/cb",
    "http://127.0.0.2/cb",
    "http://0.0.0.0/cb",
    "http://[::ffff:127.0.0.1]/cb",
    "http://[0:0:0:0:0:0:0:1]:1/cb",
    "http://[::1%25lo]:1/cb",
    "http://[::1].evil.example/cb",
    "http://::1/cb",
    # one loopback host is not another, and the rest of the URI is not free
    "http://localhost/cb",
    "http://127.0.0.1:5000/other",
    "http://127.0.0.1:5000/cb/",
    "http://127.0.0.1:5000/cb?x=y",
    "http://127.0.0.1:5000/CB",
    "http://127.0.0.1:5000",
    "https://127.0.0.1:5000/cb",
    # ports that are none
    "http://127.0.0.1:/cb",
    "http://127.0.0.1:0/cb",
    "http://127.0.0.1:080/cb",
    "http://127.0.0.1:65536/cb",
    "http://127.0.0.1:99999/cb",
    "http://127.0.0.1:100000/cb",
    "http://127.0.0.1:-1/cb",
    "http://127.0.0.1:+1/cb",
    "http://127.0.0.1:8_0/cb",
    "http://127.0.0.1:٨٠/cb",
    "http://127.0.0.1:80:80/cb",
    "http://127.0.0.1:80 /cb",
    "http://127.0.0.1:80%2f@evil.example/cb",
    # backslashes and other things that browsers read as a slash or as nothing
    "https://app.example\\@evil.example/callback?tenant=a",
    "https://evil.example\\@app.example/callback?tenant=a",
    "https:\\\\app.example\\callback?tenant=a",
    "http://localhost\\.evil.example",
    "http://localhost:80\\@evil.example",
    "http://localhost:80\t",
    "http://local\thost",
    "http://localhost\r\nLocation: https://evil.example",
    "http://localhost/\u2025/",
    "http://loc\u0430lhost",
    "http://localhost\u3002evil.example",
    # other schemes, in any case (CVE-2026-9086)
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "jAvAsCrIpT://localhost/%0aalert(1)",
    "java\tscript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://app.example/callback",
    "ftp://localhost",
    "about:blank",
    "urn:ietf:wg:oauth:2.0:oob",
    "x",
    ":",
    "://",
    "http://",
    "https://[",
    "https://[::1",
]


@pytest.mark.req("9700-01", "9700-02", "F2-08")
@pytest.mark.parametrize("uri", REGISTERED)
def test_a_registered_uri_is_taken_as_it_stands(uri: str) -> None:
    assert settle_redirect_uri(uri, REGISTERED, optional=False) == uri


@pytest.mark.req("9700-01", "9700-02", "F2-08", "F2-16", "9700-16")
@pytest.mark.threat("54", "55")
@pytest.mark.parametrize("uri", ATTACKS)
def test_what_is_not_registered_is_no_place_to_go_to(uri: str) -> None:
    with pytest.raises(RedirectRefusedError) as refused:
        settle_redirect_uri(uri, REGISTERED, optional=True)
    assert refused.value.error == "invalid_request"
    assert refused.value.description == "this redirect_uri is not registered for the client"


@pytest.mark.req("9700-16", "F2-16")
@pytest.mark.threat("55")
@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "JavaScript:alert(1)", "http://app.example/", "data:,x", "https://a@b.example/", ""]
)
def test_what_is_no_redirect_uri_is_none_even_if_it_was_registered(uri: str) -> None:
    with pytest.raises(RedirectRefusedError):
        settle_redirect_uri(uri, (uri,), optional=True)
    with pytest.raises(RedirectRefusedError):
        settle_redirect_uri(None, (uri,), optional=True)


@pytest.mark.req("9700-01")
@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:9000/playground2/oauth2client",
        "http://localhost/playground2/oauth2client",
        "http://localhost:1",
        "http://localhost:65535",
        "http://127.0.0.1:51004/cb",
        "http://[::1]/cb",
        "http://[::1]:51004/cb",
    ],
)
def test_the_port_of_a_native_apps_loopback_uri_may_vary(uri: str) -> None:
    assert settle_redirect_uri(uri, REGISTERED, optional=False) == uri


@pytest.mark.parametrize("registered", ["http://127.0.0.2:1/cb", "https://localhost:1/cb", "https://127.0.0.1:1/cb"])
def test_no_other_port_may_vary(registered: str) -> None:
    assert settle_redirect_uri(registered, (registered,), optional=False) == registered
    with pytest.raises(RedirectRefusedError):
        settle_redirect_uri(registered.replace(":1/", ":2/"), (registered,), optional=False)


def test_the_uri_may_be_left_out_where_there_is_exactly_one() -> None:
    assert settle_redirect_uri(None, (WEB,), optional=True) == WEB


@pytest.mark.req("F2-14")
@pytest.mark.parametrize(("registered", "optional"), [((WEB,), False), ((WEB, ORIGINAL), True), ((), True)])
def test_otherwise_it_may_not_be_left_out(registered: tuple[str, ...], optional: bool) -> None:
    with pytest.raises(RedirectRefusedError, match="redirect_uri is missing") as refused:
        settle_redirect_uri(None, registered, optional=optional)
    assert refused.value.error == "invalid_request"


PIECES = (
    "",
    ":",
    "/",
    "//",
    "@",
    "@evil.example",
    "\\",
    ":80",
    ":080",
    ":8080",
    "?",
    "#",
    ".",
    "/..;",
    "%2e",
    " ",
    "\t",
)
nearly = st.builds(
    lambda uri, at, less, piece: uri[:at] + piece + uri[at + less :],
    st.sampled_from(REGISTERED),
    st.integers(0, 50),
    st.integers(0, 6),
    st.sampled_from(PIECES),
)


@pytest.mark.req("9700-01", "9700-02")
@pytest.mark.threat("54")
@given(nearly | st.text(max_size=60))
def test_whatever_is_asked_for_only_the_port_differs_from_what_is_registered(uri: str) -> None:
    with suppress(RedirectRefusedError):
        settled = settle_redirect_uri(uri, REGISTERED, optional=False)
        assert settled == uri
        parts = urlsplit(settled)
        known = [urlsplit(one) for one in REGISTERED]
        same = [one for one in known if one._replace(netloc="") == parts._replace(netloc="")]
        assert any(one.hostname == parts.hostname for one in same)
        assert parts.username is parts.password is None


@given(st.integers(1, 65535), st.integers(1, 65535))
def test_any_two_ports_of_a_loopback_uri_are_as_good_as_each_other(one: int, other: int) -> None:
    asked = f"http://127.0.0.1:{one}/cb"
    assert settle_redirect_uri(asked, (f"http://127.0.0.1:{other}/cb",), optional=False) == asked
