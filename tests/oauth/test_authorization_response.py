from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certbound.oauth.authorization_request import AuthorizationRequest
from certbound.oauth.authorization_response import error_parameters, redirect_url, response_parameters

ISSUER = "https://as.example/tenant"
CALLBACK = "https://app.example/callback"
REQUEST = AuthorizationRequest("orders", CALLBACK, redirect_uri_sent=True, state="a b&c=d#e+f")
STATELESS = AuthorizationRequest("orders", CALLBACK, redirect_uri_sent=True)
URIS = (
    CALLBACK,
    "https://app.example",
    "https://app.example/callback?tenant=a%20b",
    "https://app.example/callback?",
    "https://app.example/callback?a=1&",
    "http://localhost:8080/playground2/oauth2client",
    "http://[::1]:5000/cb?x",
)


@pytest.mark.req("9207-01", "F2-15")
def test_a_code_comes_with_the_issuer_and_the_clients_state() -> None:
    assert response_parameters("c", REQUEST, ISSUER) == {"code": "c", "iss": ISSUER, "state": REQUEST.state}
    assert response_parameters("c", STATELESS, ISSUER) == {"code": "c", "iss": ISSUER}


@pytest.mark.req("9207-01", "9700-28")
def test_a_refusal_comes_with_the_issuer_and_the_clients_state() -> None:
    refused = REQUEST.refused("access_denied", "the user refused")
    assert error_parameters(refused, ISSUER) == {
        "error": "access_denied",
        "error_description": "the user refused",
        "iss": ISSUER,
        "state": REQUEST.state,
    }
    assert "state" not in error_parameters(STATELESS.refused("access_denied", "no"), ISSUER)


@pytest.mark.parametrize(
    ("uri", "mode", "url"),
    [
        (CALLBACK, "query", f"{CALLBACK}?code=a%20b%2Fc"),
        (CALLBACK, "fragment", f"{CALLBACK}#code=a%20b%2Fc"),
        (URIS[1], "query", "https://app.example?code=a%20b%2Fc"),
        (URIS[2], "query", "https://app.example/callback?tenant=a%20b&code=a%20b%2Fc"),
        (URIS[2], "fragment", "https://app.example/callback?tenant=a%20b#code=a%20b%2Fc"),
        (URIS[3], "query", "https://app.example/callback?code=a%20b%2Fc"),
        (URIS[4], "query", "https://app.example/callback?a=1&code=a%20b%2Fc"),
    ],
)
def test_parameters_are_added_to_the_uri_as_it_was_registered(uri: str, mode: str, url: str) -> None:
    assert redirect_url(uri, {"code": "a b/c"}, mode) == url  # type: ignore[arg-type]


@pytest.mark.parametrize(("uri", "mode"), [(CALLBACK, "form_post"), (CALLBACK, "jwt"), (f"{CALLBACK}#", "query")])
def test_what_makes_no_url_is_a_mistake(uri: str, mode: str) -> None:
    with pytest.raises(ValueError, match="without fragment"):
        redirect_url(uri, {"code": "c"}, mode)  # type: ignore[arg-type]


@pytest.mark.req("9700-02")
@given(
    st.sampled_from(URIS),
    st.dictionaries(st.sampled_from(["code", "state", "error", "iss"]), st.text(), min_size=1),
    st.sampled_from(["query", "fragment"]),
)
def test_whatever_is_added_scheme_host_and_path_stay_and_the_client_reads_it_back(
    uri: str, parameters: dict[str, str], mode: str
) -> None:
    url = redirect_url(uri, parameters, mode)  # type: ignore[arg-type]
    before, after = urlsplit(uri), urlsplit(url)
    assert url.startswith(uri)
    assert (after.scheme, after.netloc, after.path) == (before.scheme, before.netloc, before.path)
    assert all("!" <= c <= "~" for c in url)
    registered = parse_qsl(before.query, keep_blank_values=True)
    assert parse_qsl(after.query, keep_blank_values=True)[: len(registered)] == registered
    added = after.fragment if mode == "fragment" else after.query
    assert parse_qsl(added, keep_blank_values=True)[-len(parameters) :] == list(parameters.items())
