import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certbound.oauth.errors import OAuthError
from certbound.oauth.registering import RegistrationRequest, accept_registration
from certbound.oauth.registration import AuthenticationMethod, Client, RegistrationError
from certbound.oauth.registration_metadata import (
    MAX_TEXT,
    MAX_VALUES,
    OF_THE_SERVER,
    Ceiling,
    check_update,
    check_within,
    read_document,
    read_metadata,
    refused,
    registered_metadata,
)

JSON = "application/json"
CEILING = Ceiling(scopes=("read", "write"), trust=("partners",))


def read(**members: Any) -> RegistrationRequest:
    return read_metadata(members, client_id="c1")


def refusal(call: Any, *arguments: Any, **named: Any) -> tuple[str, str]:
    with pytest.raises(OAuthError) as raised:
        call(*arguments, **named)
    assert raised.value.status == 400
    return raised.value.error, raised.value.description


def code(**members: Any) -> str:
    return refusal(read_metadata, members, client_id="c1")[0]


@pytest.mark.req("7591-06")
def test_the_body_is_one_json_object() -> None:
    assert read_document(b'{"client_name": "\xc3\xa4"}', "Application/JSON; charset=utf-8") == {"client_name": "ä"}


@pytest.mark.req("7591-06", "7591-08")
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", None),
        (b"{}", "application/x-www-form-urlencoded"),
        (b"", JSON),
        (b"[]", JSON),
        (b'"x"', JSON),
        (b'{"a": NaN}', JSON),
        (b'{"a": 1, "a": 2}', JSON),
        (b'{"jwks": {"keys": [], "keys": []}}', JSON),
        (b"\xff{}", JSON),
        (b"{} {}", JSON),
        (b"[" * 100_000, JSON),
        (b'{"a":' * 5_000, JSON),
    ],
)
def test_any_other_body_is_refused(body: bytes, kind: str | None) -> None:
    assert refusal(read_document, body, kind)[0] == "invalid_client_metadata"


@pytest.mark.req("7591-03")
def test_what_is_not_known_is_passed_over_and_what_is_null_is_absent() -> None:
    strange = {"logo_uri": 7, "client_name#de": [], "x": {"y": None}, "certbound_disabled": True, "client_id": "mine"}
    given = read(client_name="App", redirect_uris=None, jwks=None, **strange)
    assert given == read(client_name="App")
    assert given.client_id == "c1"


@pytest.mark.req("7591-09")
def test_what_only_an_administrator_gives_is_not_read() -> None:
    given = read(
        certbound_resources=["https://other.example"],
        certbound_diagnostics=True,
        certbound_match_by_key=True,
        certbound_consent="implicit",
    )
    assert (given.resources, given.diagnostics, given.match_by_key, given.implicit_consent) == ((), False, False, False)


def test_a_member_left_out_gets_the_default_of_the_rfc() -> None:
    given = read()
    assert (given.client_name, given.token_endpoint_auth_method, given.grant_types) == ("c1", "client_secret_basic", ())
    assert read(redirect_uris=["https://app.example/cb"]).grant_types == ("authorization_code",)
    assert given.bound is None


@pytest.mark.req("7591-03", "7591-08")
@pytest.mark.parametrize(
    "member",
    [
        {"client_name": 1},
        {"client_name": "x" * (MAX_TEXT + 1)},
        {"client_name": "a\0b"},
        {"scope": ["read"]},
        {"grant_types": "client_credentials"},
        {"grant_types": {"client_credentials": 1}},
        {"grant_types": [1]},
        {"response_types": "code"},
        {"certbound_trust": "partners"},
        {"certbound_trust": [None]},
        {"certbound_subject_attributes": ["CN"]},
        {"certbound_subject_attributes": {"CN": 1}},
        {"jwks": []},
        {"jwks": "https://app.example/jwks"},
        {"jwks_uri": {"keys": []}},
        {"tls_client_auth_subject_dn": ["CN=a"]},
        {"tls_client_auth_san_ip": 1},
        {"token_endpoint_auth_signing_alg": ["ES256"]},
        {"tls_client_certificate_bound_access_tokens": "true"},
        {"tls_client_certificate_bound_access_tokens": 1},
        {"token_endpoint_auth_method": None, "scope": False},
        {"post_logout_redirect_uris": "https://app.example"},
    ],
)
def test_a_member_of_another_type_is_refused(member: dict[str, Any]) -> None:
    assert code(**member) == "invalid_client_metadata"


@pytest.mark.parametrize("text", ['"\\ud800"', "1e999", "-1e999"])
def test_what_could_be_read_but_never_written_is_refused_wherever_it_stands(text: str) -> None:
    for place in ('{"x": %s}', '{"jwks": {"keys": [], "x": [%s]}}', '{"client_name": %s}'):
        document = read_document((place % text).encode(), JSON)
        assert refusal(read_metadata, document, client_id="c1")[0] == "invalid_client_metadata"


@pytest.mark.req("7591-01", "7591-08")
def test_redirect_uris_have_a_code_of_their_own() -> None:
    assert code(redirect_uris="https://app.example/cb") == "invalid_redirect_uri"
    assert code(redirect_uris=["x"] * (MAX_VALUES + 1)) == "invalid_redirect_uri"
    assert refused(RegistrationError("redirect_uris", "no")).error == "invalid_redirect_uri"
    assert refused(RegistrationError("jwks", 'no "x"\n\N{SNOWMAN}')).description == "jwks: no 'x'??"


@pytest.mark.req("7591-02")
def test_keys_come_by_value_or_from_an_address_and_never_both() -> None:
    assert code(jwks={"keys": []}, jwks_uri="https://app.example/jwks") == "invalid_client_metadata"


@pytest.mark.req("7591-04")
@pytest.mark.parametrize(
    ("grants", "responses"),
    [
        (["authorization_code"], []),
        (["authorization_code"], ["token"]),
        (["authorization_code"], ["code", "token"]),
        (["authorization_code"], ["code id_token"]),
        (["client_credentials"], ["code"]),
        (["implicit"], ["token"]),
    ],
)
def test_grants_and_response_types_that_do_not_go_together_are_refused(grants: list[str], responses: list[str]) -> None:
    uris = ["https://app.example/cb"]
    assert code(grant_types=grants, response_types=responses, redirect_uris=uris) == "invalid_client_metadata"


def test_grants_and_response_types_that_go_together_are_taken() -> None:
    uris = ["https://app.example/cb"]
    assert read(grant_types=["authorization_code"], response_types=["code"], redirect_uris=uris).redirect_uris
    assert read(response_types=["code"], redirect_uris=uris).grant_types == ("authorization_code",)
    assert read(grant_types=["client_credentials"], response_types=[]).grant_types == ("client_credentials",)


@pytest.mark.threat("51")
@pytest.mark.req("7591-09")
@pytest.mark.parametrize(
    "member",
    [
        {"scope": "admin"},
        {"scope": "read certbound.admin"},
        {"scope": "certbound.read"},
        {"scope": "READ"},
        {"certbound_trust": ["partners", "system"]},
        {"grant_types": ["password"]},
        {"grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"]},
    ],
)
def test_nothing_beyond_the_ceiling_is_registered(member: dict[str, Any]) -> None:
    assert refusal(check_within, read(**member), CEILING)[0] == "invalid_client_metadata"


@pytest.mark.threat("51")
def test_administrative_scopes_are_never_registered_whatever_the_ceiling_says() -> None:
    generous = Ceiling(scopes=("certbound.admin", "certbound.read"))
    held = Client("c1", "C", AuthenticationMethod.NONE, scopes=("certbound.admin", "certbound.read"))
    for scope in generous.scopes:
        assert refusal(check_within, read(scope=scope), generous)[0] == "invalid_client_metadata"
        assert refusal(check_within, read(scope=scope), CEILING, held)[0] == "invalid_client_metadata"


def test_what_is_below_the_ceiling_is_taken_and_what_an_administrator_gave_may_be_kept() -> None:
    check_within(read(scope="write read", certbound_trust=["partners"], grant_types=["client_credentials"]), CEILING)
    method = AuthenticationMethod.TLS_CLIENT_AUTH
    held = Client("c1", "C", method, grant_types=("password",), scopes=("more",), trust=("own",))
    check_within(read(scope="more read", certbound_trust=["own"], grant_types=["password"]), CEILING, held)
    assert refusal(check_within, read(scope="most"), CEILING, held)


@pytest.mark.req("7592-02")
def test_an_update_names_its_client_and_leaves_to_the_server_what_is_its_own() -> None:
    check_update({"client_id": "c1"}, "c1")
    for document in ({}, {"client_id": "c2"}, {"client_id": None}, {"client_id": ["c1"]}):
        assert refusal(check_update, document, "c1")[0] == "invalid_client_metadata"
    for name in OF_THE_SERVER:
        assert name in refusal(check_update, {"client_id": "c1", name: None}, "c1")[1]


@pytest.mark.req("7591-07", "7592-04")
def test_what_is_registered_is_written_as_it_can_be_read_again() -> None:
    members = {
        "client_name": "Orders",
        "token_endpoint_auth_method": "tls_client_auth",
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "read write",
        "redirect_uris": ["https://app.example/cb"],
        "post_logout_redirect_uris": ["https://app.example/bye"],
        "tls_client_auth_subject_dn": "CN=orders,O=Example",
        "certbound_subject_attributes": {"serialNumber": "7"},
        "certbound_trust": ["partners"],
        "tls_client_certificate_bound_access_tokens": False,
        "response_types": ["code"],
    }
    request = read_metadata(members, client_id="c1")
    grants = ("authorization_code", "refresh_token")
    accepted = accept_registration(request, client_id="c1", known_grants=grants, secret_sha256=None, now=5)
    written = registered_metadata(
        accepted.client, configuration_uri="https://as.example/r/c1", access_token="t", statement="a.b.c"
    )
    assert members.items() <= written.items()
    assert written["registration_client_uri"] == "https://as.example/r/c1"
    assert (written["registration_access_token"], written["software_statement"]) == ("t", "a.b.c")
    assert "client_secret_expires_at" not in written
    assert read_metadata(written, client_id="c1") == request


@pytest.mark.req("7591-07")
def test_a_secret_is_told_with_its_end_which_never_comes() -> None:
    client = Client("c1", "C", AuthenticationMethod.CLIENT_SECRET_BASIC, secret_sha256=bytes(32))
    written = registered_metadata(client, configuration_uri="u", access_token="t", client_secret="s")
    assert (written["client_secret"], written["client_secret_expires_at"]) == ("s", 0)
    assert written["response_types"] == []


names = st.sampled_from(
    [
        *("client_name", "scope", "grant_types", "response_types", "redirect_uris", "jwks", "jwks_uri"),
        *("token_endpoint_auth_method", "tls_client_auth_san_ip", "certbound_trust", "certbound_subject_attributes"),
        *("tls_client_certificate_bound_access_tokens", "client_id"),
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(names, values, max_size=8))
def test_whatever_is_sent_is_read_or_refused_in_the_words_of_the_rfc(document: dict[str, Any]) -> None:
    with suppress(OAuthError):
        request = read_metadata(read_document(json.dumps(document).encode(), JSON), client_id="c1")
        check_within(request, CEILING)
        assert set(request.scopes) <= {"read", "write"}
        with suppress(RegistrationError):
            accept_registration(
                request, client_id="c1", known_grants=("client_credentials",), secret_sha256=None, now=1
            )
