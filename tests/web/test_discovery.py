"""The documents that anybody may read, and what is not there."""

import dataclasses

import pytest

from certbound.authority import keys
from certbound.authority.tokens.issuing import GRANTS
from certbound.jose.keys import ALGORITHMS
from certbound.oauth.registration import AuthenticationMethod

from .conftest import ISSUER, MASTER_KEY, ORDERS, Face

CALLED = ("token", "introspection", "revocation")
WELL_KNOWN = "/.well-known/oauth-authorization-server"


@pytest.mark.req("9700-06", "9207-02", "9126-01")
async def test_the_metadata_document_has_these_members(face: Face) -> None:
    answer = await face.ask("GET", WELL_KNOWN)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    document = answer.json()
    assert set(document.pop("grant_types_supported")) == set(GRANTS)
    assert set(document.pop("token_endpoint_auth_methods_supported")) == set(AuthenticationMethod)
    assert set(document.pop("revocation_endpoint_auth_methods_supported")) == set(AuthenticationMethod)
    assert set(document.pop("introspection_endpoint_auth_methods_supported")) == set(AuthenticationMethod) - {"none"}
    algorithms = [document.pop(f"{name}_endpoint_auth_signing_alg_values_supported") for name in CALLED]
    assert algorithms == [list(ALGORITHMS)] * 3
    assert document == {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/oauth2/authorize",
        "pushed_authorization_request_endpoint": f"{ISSUER}/oauth2/par",
        "end_session_endpoint": f"{ISSUER}/oauth2/logout",
        "token_endpoint": f"{ISSUER}/oauth2/token",
        "introspection_endpoint": f"{ISSUER}/oauth2/introspect",
        "revocation_endpoint": f"{ISSUER}/oauth2/revoke",
        "userinfo_endpoint": f"{ISSUER}/oauth2/userinfo",
        "jwks_uri": f"{ISSUER}/oauth2/jwks",
        "certbound_blocked_endpoint": f"{ISSUER}/oauth2/blocked",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claims_parameter_supported": True,
        "request_uri_parameter_supported": False,
        "scopes_supported": ["openid", "offline_access", "profile", "email", "address", "phone"],
        "tls_client_certificate_bound_access_tokens": True,
    }


@pytest.mark.req("8705-33")
async def test_aliases_name_the_endpoints_that_clients_call_and_no_other(face: Face) -> None:
    aliased = dataclasses.replace(face, mtls_alias="https://mtls.as.example/")
    document = (await aliased.ask("GET", WELL_KNOWN)).json()
    assert document["mtls_endpoint_aliases"] == {
        "pushed_authorization_request_endpoint": "https://mtls.as.example/oauth2/par",
        "token_endpoint": "https://mtls.as.example/oauth2/token",
        "introspection_endpoint": "https://mtls.as.example/oauth2/introspect",
        "revocation_endpoint": "https://mtls.as.example/oauth2/revoke",
        "userinfo_endpoint": "https://mtls.as.example/oauth2/userinfo",
    }
    assert set(document["mtls_endpoint_aliases"]) <= set(document)


@pytest.mark.req("8414-06")
@pytest.mark.parametrize("path", [f"{WELL_KNOWN}/tenant/one", f"/tenant/one{WELL_KNOWN}"])
async def test_an_issuer_with_a_path_has_its_document_in_both_places(face: Face, path: str) -> None:
    tenant = face.with_policy(issuer=f"{ISSUER}/tenant/one")
    document = (await tenant.ask("GET", path)).json()
    assert document["issuer"] == f"{ISSUER}/tenant/one"
    assert document["token_endpoint"] == f"{ISSUER}/tenant/one/oauth2/token"
    form = {"grant_type": "client_credentials", "client_id": "orders"}
    assert (await tenant.ask("POST", "/tenant/one/oauth2/token", ORDERS, data=form)).status_code == 200
    assert (await tenant.ask("POST", "/oauth2/token", ORDERS, data=form)).status_code == 404


@pytest.mark.req("8414-06")
async def test_a_slash_at_the_issuers_end_is_dropped_from_urls_and_kept_in_the_name(face: Face) -> None:
    tenant = face.with_policy(issuer=f"{ISSUER}/tenant/")
    document = (await tenant.ask("GET", f"{WELL_KNOWN}/tenant")).json()
    assert document["issuer"] == f"{ISSUER}/tenant/"
    assert document["token_endpoint"] == f"{ISSUER}/tenant/oauth2/token"


async def test_the_key_set_has_public_members_only(face: Face) -> None:
    face.write(keys.rotate, master_key=MASTER_KEY, algorithm="RS256")
    await face.registered.refresh()
    answer = await face.ask("GET", "/oauth2/jwks")
    assert answer.status_code == 200
    published = answer.json()["keys"]
    assert {jwk["alg"] for jwk in published} == {"ES256", "RS256"}
    assert len({jwk["kid"] for jwk in published}) == len(published)
    for jwk in published:
        assert set(jwk) <= {"kty", "crv", "x", "y", "n", "e", "kid", "use", "alg"}
        assert jwk["use"] == "sig"


async def test_an_issuer_that_rotates_signs_with_a_published_key(face: Face) -> None:
    face.write(keys.rotate, master_key=MASTER_KEY, algorithm="ES256")
    await face.registered.refresh()
    published = (await face.ask("GET", "/oauth2/jwks")).json()["keys"]
    assert face.registered.signing_key.kid in {jwk["kid"] for jwk in published}


@pytest.mark.parametrize("path", [WELL_KNOWN, "/oauth2/jwks"])
async def test_documents_may_be_kept_for_a_short_time(face: Face, path: str) -> None:
    assert (await face.ask("GET", path)).headers["cache-control"] == "public, max-age=60"


@pytest.mark.threat("58")
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "1"},
        {"X-Forwarded-Prefix": "/evil", "X-Script-Name": "/evil"},
        {"Forwarded": "host=evil.example;proto=http"},
    ],
    ids=lambda headers: next(iter(headers)),
)
async def test_no_header_changes_what_the_document_says(face: Face, headers: dict[str, str]) -> None:
    plain = await face.ask("GET", WELL_KNOWN)
    assert (await face.ask("GET", WELL_KNOWN, headers=headers)).content == plain.content


@pytest.mark.req("9700-03")
@pytest.mark.parametrize("path", ["/", "/oauth2", "/oauth2/token/", "/oauth2/jwks/", "/admin", "//oauth2/token", "/.."])
async def test_nothing_else_is_there(face: Face, path: str) -> None:
    answer = await face.ask("GET", f"{ISSUER}{path}")
    assert answer.status_code == 404
    assert answer.json()["error"] == "invalid_request"
    assert answer.headers["cache-control"] == "no-store"
    assert "location" not in answer.headers


@pytest.mark.parametrize("path", [WELL_KNOWN, "/oauth2/jwks", "/healthz"])
async def test_documents_are_read_and_not_written(face: Face, path: str) -> None:
    answer = await face.ask("POST", path)
    assert answer.status_code == 405
    assert {method.strip() for method in answer.headers["allow"].split(",")} == {"GET", "HEAD"}
    assert answer.json()["error"] == "invalid_request"
