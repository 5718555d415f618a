import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certbound.oauth.authorization_request import (
    PARAMETERS,
    AuthorizationPolicy,
    AuthorizationRefusedError,
    AuthorizationRequest,
    check_allowed,
    parse_authorization_request,
)
from certbound.oauth.claims_request import ClaimRequest, ClaimsRequest
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form, form_of, printable
from certbound.oauth.profile import Profile
from certbound.oauth.redirect_uri import RedirectRefusedError
from certbound.oauth.registration import AuthenticationMethod, Client

CALLBACK = "https://app.example/callback"
ORIGINAL = "http://localhost:8080/playground2/oauth2client"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
JKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
CLIENT = Client(
    client_id="orders",
    client_name="Orders",
    token_endpoint_auth_method=AuthenticationMethod.TLS_CLIENT_AUTH,
    grant_types=("authorization_code",),
    redirect_uris=(CALLBACK, ORIGINAL),
)
PUBLIC = replace(CLIENT, token_endpoint_auth_method=AuthenticationMethod.NONE)
POLICY = AuthorizationPolicy(
    scopes=("openid", "profile", "read", "certbound.admin"), resources=("https://a.example", "https://b.example")
)
FAPI2 = replace(POLICY, profile=Profile.FAPI2)
LEAST = {"client_id": "orders", "response_type": "code", "redirect_uri": CALLBACK, "scope": "read"}
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
EVERYTHING: dict[str, str] = {
    **LEAST,
    **PKCE,
    "response_mode": "form_post",
    "scope": "openid read",
    "state": "s t" * 1000,
    "nonce": "n" * 64,
    "prompt": "consent login",
    "max_age": "0",
    "login_hint": "Zoë",
    "id_token_hint": "a.b-.c_",
    "acr_values": "b a b",
    "claims": '{"userinfo": {"email": null}, "id_token": {"acr": {"essential": true, "value": "b"}}}',
    "dpop_jkt": JKT,
}
RESOURCES = (("resource", "https://b.example"), ("resource", "https://a.example"))


def form(parameters: dict[str, str], *more: tuple[str, str]) -> Form:
    return form_of([*parameters.items(), *more])


def parse(
    parameters: dict[str, str],
    *,
    client: Client = CLIENT,
    policy: AuthorizationPolicy = POLICY,
    pushed: bool = False,
) -> AuthorizationRequest:
    return parse_authorization_request(form(parameters), client, policy=policy, pushed=pushed)


def without(name: str, parameters: dict[str, str] = LEAST) -> dict[str, str]:
    return {key: value for key, value in parameters.items() if key != name}


def test_everything_that_can_be_asked_for_is_read() -> None:
    request = parse_authorization_request(form(EVERYTHING, *RESOURCES), CLIENT, policy=POLICY, pushed=True)
    assert request == AuthorizationRequest(
        client_id="orders",
        redirect_uri=CALLBACK,
        redirect_uri_sent=True,
        response_mode="form_post",
        scopes=("openid", "read"),
        resources=("https://b.example", "https://a.example"),
        state="s t" * 1000,
        code_challenge=CHALLENGE,
        nonce="n" * 64,
        prompt=frozenset({"login", "consent"}),
        max_age=0,
        login_hint="Zoë",
        id_token_hint="a.b-.c_",
        acr_values=("b", "a"),
        claims=ClaimsRequest({"email": ClaimRequest()}, {"acr": ClaimRequest(essential=True, values=("b",))}),
        dpop_jkt=JKT,
        pushed=True,
    )
    assert request.is_openid


def test_little_need_be_asked_for() -> None:
    request = parse(LEAST)
    assert request == AuthorizationRequest("orders", CALLBACK, redirect_uri_sent=True, scopes=("read",))
    assert not request.is_openid


def test_a_parameter_that_is_not_known_is_ignored() -> None:
    assert parse({**LEAST, "display": "popup", "response-type": "token", "Scope": "all"}) == parse(LEAST)


def test_without_a_scope_everything_but_administration_is_asked_for() -> None:
    assert parse(without("scope")).scopes == ("openid", "profile", "read")


def test_the_only_uri_may_be_left_out_of_a_plain_request() -> None:
    request = parse(without("redirect_uri"), client=replace(CLIENT, redirect_uris=(CALLBACK,)))
    assert (request.redirect_uri, request.redirect_uri_sent) == (CALLBACK, False)


@pytest.mark.req("9700-01")
def test_the_callback_of_the_original_works_on_any_port() -> None:
    for uri in (ORIGINAL, ORIGINAL.replace("8080", "9000")):
        assert parse({**LEAST, "redirect_uri": uri}).redirect_uri == uri


@pytest.mark.req("9700-01", "9700-02", "9700-22")
@pytest.mark.threat("54")
@pytest.mark.parametrize(
    "parameters",
    [
        without("client_id"),
        {**LEAST, "client_id": "other"},
        {**LEAST, "client_id": "Orders"},
        without("redirect_uri"),
        {**LEAST, "redirect_uri": "https://app.example/callback/"},
        {**LEAST, "redirect_uri": "https://evil.example/", "response_type": "token"},
        {},
    ],
)
def test_nothing_is_sent_to_a_place_that_is_not_the_clients(parameters: dict[str, str]) -> None:
    with pytest.raises(RedirectRefusedError) as refused:
        parse(parameters)
    assert refused.value.error == "invalid_request"


@pytest.mark.parametrize(("scope", "pushed"), [("openid", False), ("read", True), ("read openid", False)])
@pytest.mark.req("F2-14")
def test_openid_and_pushed_requests_have_to_name_their_redirect_uri(scope: str, pushed: bool) -> None:
    with pytest.raises(RedirectRefusedError, match="missing"):
        parse(
            {**without("redirect_uri"), "scope": scope},
            client=replace(CLIENT, redirect_uris=(CALLBACK,)),
            pushed=pushed,
        )


@pytest.mark.parametrize("parameters", [LEAST, {**LEAST, "response_type": "token"}])
def test_a_disabled_client_asks_nobody_for_anything_and_gets_no_answer(parameters: dict[str, str]) -> None:
    with pytest.raises(RedirectRefusedError):
        parse(parameters, client=replace(CLIENT, disabled=True))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": "none"}, "unsupported_response_type"),
        ({"response_mode": "jwt"}, "invalid_request"),
        ({"response_mode": "Query"}, "invalid_request"),
        ({"request": "a.b.c"}, "request_not_supported"),
        ({"request_uri": "https://app.example/request"}, "request_uri_not_supported"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "request_uri_not_supported"),
        ({"scope": "write"}, "invalid_scope"),
        ({"scope": 'a"b'}, "invalid_scope"),
        ({"resource": "https://c.example"}, "invalid_target"),
        ({"code_challenge": CHALLENGE}, "invalid_request"),
        ({"code_challenge_method": "S256"}, "invalid_request"),
        ({**PKCE, "code_challenge_method": "plain"}, "invalid_request"),
        ({"nonce": "n" * 513}, "invalid_request"),
        ({"nonce": "é"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"prompt": 'a"b\\'}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "1.5"}, "invalid_request"),
        ({"max_age": "٣"}, "invalid_request"),
        ({"max_age": "1" * 10}, "invalid_request"),
        ({"login_hint": "a" * 257}, "invalid_request"),
        ({"login_hint": "a\nb"}, "invalid_request"),
        ({"id_token_hint": "a b"}, "invalid_request"),
        ({"acr_values": "a" * 1025}, "invalid_request"),
        ({"acr_values": "ü"}, "invalid_request"),
        ({"claims": "[]"}, "invalid_request"),
        ({"dpop_jkt": "x"}, "invalid_request"),
        ({"dpop_jkt": JKT + "="}, "invalid_request"),
    ],
)
def test_what_is_wrong_is_answered_to_the_client_with_its_state(wrong: dict[str, str], error: str) -> None:
    with pytest.raises(AuthorizationRefusedError) as refused:
        parse({**LEAST, "state": "xyz", "response_mode": "fragment", **wrong})
    assert refused.value.error == error
    assert refused.value.redirect_uri == CALLBACK
    assert refused.value.state == "xyz"
    assert refused.value.response_mode == ("query" if "response_mode" in wrong else "fragment")
    assert printable(refused.value.description, 1000) == refused.value.description


@pytest.mark.req("9126-03")
def test_a_request_uri_within_a_pushed_request_is_refused() -> None:
    with pytest.raises(AuthorizationRefusedError) as refused:
        parse({**LEAST, "request_uri": "urn:ietf:params:oauth:request_uri:x"}, pushed=True)
    assert refused.value.error == "invalid_request"


@pytest.mark.req("F2-18")
def test_state_may_be_long_and_nonce_have_64_characters() -> None:
    request = parse({**LEAST, "state": "s" * 4096, "nonce": "n" * 64})
    assert (request.state, request.nonce) == ("s" * 4096, "n" * 64)


def test_texts_may_be_as_long_as_they_may() -> None:
    request = parse({**LEAST, "nonce": "n" * 512, "login_hint": "l" * 256, "acr_values": "a" * 1024})
    assert (request.nonce, request.login_hint, request.acr_values) == ("n" * 512, "l" * 256, ("a" * 1024,))


@pytest.mark.parametrize("state", ["s" * 4097, "é", "a\nb", "a\tb"])
def test_a_state_that_is_none_is_not_given_back(state: str) -> None:
    with pytest.raises(AuthorizationRefusedError, match="state") as refused:
        parse({**LEAST, "state": state})
    assert refused.value.state is None


@pytest.mark.parametrize("prompt", ["none", "login", "consent", "select_account", "select_account consent login"])
def test_a_client_may_say_what_the_user_is_asked(prompt: str) -> None:
    assert parse({**LEAST, "prompt": prompt}).prompt == set(prompt.split())


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_a_client_may_say_how_it_is_answered(mode: str) -> None:
    assert parse({**LEAST, "response_mode": mode}).response_mode == mode


@pytest.mark.req("9700-04")
def test_a_public_client_needs_pkce() -> None:
    with pytest.raises(AuthorizationRefusedError, match="PKCE") as refused:
        parse(LEAST, client=PUBLIC)
    assert refused.value.error == "invalid_request"
    assert parse({**LEAST, **PKCE}, client=PUBLIC).code_challenge == CHALLENGE


@pytest.mark.req("9700-04")
def test_a_confidential_client_needs_pkce_where_it_is_demanded() -> None:
    with pytest.raises(AuthorizationRefusedError, match="PKCE"):
        parse(LEAST, policy=replace(POLICY, require_pkce=True))


@pytest.mark.req("F2-14")
def test_fapi2_takes_pushed_requests_with_pkce_and_nothing_else() -> None:
    assert parse({**LEAST, **PKCE}, policy=FAPI2, pushed=True).pushed
    with pytest.raises(AuthorizationRefusedError, match="push"):
        parse({**LEAST, **PKCE}, policy=FAPI2)
    with pytest.raises(AuthorizationRefusedError, match="PKCE"):
        parse(LEAST, policy=FAPI2, pushed=True)
    with pytest.raises(AuthorizationRefusedError) as refused:
        parse({**LEAST, **PKCE, "response_type": "code id_token"}, policy=FAPI2, pushed=True)
    assert refused.value.error == "unsupported_response_type"


@pytest.mark.req("F2-05", "F2-07", "F2-14")
@pytest.mark.parametrize("method", [AuthenticationMethod.NONE, AuthenticationMethod.CLIENT_SECRET_BASIC])
def test_fapi2_takes_no_request_of_a_client_that_authenticates_otherwise(method: AuthenticationMethod) -> None:
    with pytest.raises(AuthorizationRefusedError) as refused:
        parse({**LEAST, **PKCE}, client=replace(CLIENT, token_endpoint_auth_method=method), policy=FAPI2, pushed=True)
    assert refused.value.error == "unauthorized_client"


@pytest.mark.req("9126-07")
def test_a_client_that_has_to_push_its_requests_cannot_do_otherwise() -> None:
    policy = replace(POLICY, require_pushed=True)
    with pytest.raises(AuthorizationRefusedError, match="push"):
        parse(LEAST, policy=policy)
    assert parse(LEAST, policy=policy, pushed=True)


def test_a_client_without_the_grant_is_told_so() -> None:
    with pytest.raises(AuthorizationRefusedError) as refused:
        parse(LEAST, client=replace(CLIENT, grant_types=("client_credentials",)))
    assert refused.value.error == "unauthorized_client"


@pytest.mark.req("9126-08")
def test_what_was_allowed_is_looked_at_again() -> None:
    request = parse_authorization_request(form({**EVERYTHING}, *RESOURCES), CLIENT, policy=POLICY)
    check_allowed(request, CLIENT, policy=POLICY)
    for client in (
        replace(CLIENT, redirect_uris=(ORIGINAL,)),
        replace(CLIENT, disabled=True),
        replace(CLIENT, client_id="other"),
    ):
        with pytest.raises(RedirectRefusedError) as unsafe:
            check_allowed(request, client, policy=POLICY)
        assert unsafe.value.error == "invalid_request"
    for policy, error in (
        (replace(POLICY, scopes=("openid",)), "invalid_scope"),
        (replace(POLICY, resources=("https://a.example",)), "invalid_target"),
        (FAPI2, "invalid_request"),
    ):
        with pytest.raises(AuthorizationRefusedError) as refused:
            check_allowed(request, CLIENT, policy=policy)
        assert (refused.value.error, refused.value.state) == (error, request.state)


def test_a_refusal_of_the_user_is_an_answer_to_the_request() -> None:
    refused = parse(EVERYTHING).refused("access_denied", "the user refused")
    assert (refused.error, refused.redirect_uri, refused.response_mode) == ("access_denied", CALLBACK, "form_post")
    assert refused.state == EVERYTHING["state"]


def test_what_a_user_or_a_client_might_want_kept_is_not_in_the_log() -> None:
    shown = repr(parse(EVERYTHING))
    assert not any(EVERYTHING[name] in shown for name in ("state", "nonce", "login_hint", "id_token_hint"))


acceptable: st.SearchStrategy[dict[str, str]] = st.fixed_dictionaries(
    {
        "client_id": st.just("orders"),
        "response_type": st.just("code"),
        "redirect_uri": st.sampled_from([CALLBACK, ORIGINAL]),
        "code_challenge": st.just(CHALLENGE),
        "code_challenge_method": st.just("S256"),
    },
    optional={
        "response_mode": st.sampled_from(["query", "fragment", "form_post"]),
        "scope": st.lists(st.sampled_from(POLICY.scopes)).map(" ".join),
        "resource": st.sampled_from(POLICY.resources),
        "state": st.text(st.characters(min_codepoint=32, max_codepoint=126)),
        "prompt": st.just("none") | st.lists(st.sampled_from(["login", "consent", "select_account"])).map(" ".join),
        "max_age": st.integers(0, 10**9 - 1).map(str),
        "login_hint": st.text(st.characters(categories=["L", "N", "S"]), max_size=20),
        "acr_values": st.lists(st.sampled_from(["1", "2", "urn:x"])).map(" ".join),
        "claims": st.sampled_from([EVERYTHING["claims"], "{}"]),
        "dpop_jkt": st.just(JKT),
    },
)
spoilt = st.builds(
    lambda request, name, value: {**request, name: value},
    acceptable,
    st.sampled_from(sorted(PARAMETERS | {"request", "request_uri"})),
    st.text(max_size=20) | st.sampled_from(["https://evil.example/", "token", "{", "none login", "x"]),
)


@given(acceptable, st.sampled_from([POLICY, FAPI2, replace(POLICY, require_pkce=True)]))
def test_whatever_may_be_asked_for_is_kept_as_it_was(parameters: dict[str, str], policy: AuthorizationPolicy) -> None:
    request = parse(parameters, policy=policy, pushed=True)
    kept = json.loads(json.dumps(request.as_parameters(), allow_nan=False))
    assert AuthorizationRequest.from_parameters(kept) == request
    check_allowed(request, CLIENT, policy=policy)


def outcome(
    parameters: dict[str, str], policy: AuthorizationPolicy, *, pushed: bool
) -> AuthorizationRequest | OAuthError:
    try:
        return parse(parameters, policy=policy, pushed=pushed)
    except OAuthError as refused:
        return refused


@pytest.mark.req("9700-01", "9700-02")
@given(spoilt | st.dictionaries(st.text(max_size=5), st.text()), st.booleans(), st.sampled_from([POLICY, FAPI2]))
def test_whatever_else_is_asked_for_no_answer_leaves_the_registered_uris(
    parameters: dict[str, str], pushed: bool, policy: AuthorizationPolicy
) -> None:
    found = outcome(parameters, policy, pushed=pushed)
    if isinstance(found, AuthorizationRequest | AuthorizationRefusedError):
        assert found.redirect_uri in CLIENT.redirect_uris
    if isinstance(found, AuthorizationRequest):
        assert set(found.scopes) <= set(policy.scopes)
        assert set(found.resources) <= set(policy.resources)
        assert found.pushed is pushed
    else:
        assert printable(found.description, 1000) == found.description


def test_everything_is_kept_while_the_user_signs_in() -> None:
    request = parse_authorization_request(form(EVERYTHING, *RESOURCES), CLIENT, policy=POLICY, pushed=True)
    least = AuthorizationRequest("orders", CALLBACK, redirect_uri_sent=False)
    for one in (request, least):
        kept: dict[str, Any] = json.loads(json.dumps(one.as_parameters()))
        assert AuthorizationRequest.from_parameters(kept) == one
    unset = [field.name for field in fields(request) if getattr(request, field.name) in (None, (), frozenset())]
    assert unset == []
