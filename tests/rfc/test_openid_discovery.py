"""RFC 8414 and OpenID Connect Discovery 1.0: every rule for a member of the documents, held against both of them."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from certbound.jose.keys import ALGORITHMS

from .conftest import Server, serving

OAUTH, OPENID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
Document = Mapping[str, Any]
Rule = Callable[[Document], bool]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose issuer has a path, with everything in its documents that there can be."""
    everything = {
        "CERTBOUND__OAUTH__DYNAMIC_REGISTRATION": "initial-access-token",
        "CERTBOUND__OAUTH__MTLS_ENDPOINT_ALIASES": "https://mtls.example",
    }
    with serving(tmp_path_factory.mktemp("full"), path="/tenant/one", environ=everything) as running:
        yield running


def endpoint(name: str) -> Rule:
    """Say that a member is the URL of an endpoint: https, with a host and without a fragment."""
    return lambda document: _is_endpoint(document[name])


def _is_endpoint(url: object) -> bool:
    parts = urlsplit(url) if isinstance(url, str) else None
    return parts is not None and parts.scheme == "https" and bool(parts.netloc) and not parts.fragment


def has(name: str, *members: str) -> Rule:
    """Say that a member is an array of texts, none twice, and these among them."""
    return lambda document: _are_texts(document[name]) and set(members) <= set(document[name])


def only(name: str, *members: object) -> Rule:
    """Say that a member, if it is there, is one of these or an array of some of them."""

    def holds(document: Document) -> bool:
        value = document.get(name, [])
        return all(one in members for one in (value if isinstance(value, list) else [value]))

    return holds


def _are_texts(value: object) -> bool:
    return (
        isinstance(value, list) and all(isinstance(text, str) for text in value) and 0 < len(value) == len(set(value))
    )


def algorithms(of: str) -> Rule:
    """Say that algorithms of assertions are named exactly if a method uses them, `none` not among them."""

    def holds(document: Document) -> bool:
        signed = {"private_key_jwt", "client_secret_jwt"} & set(document[f"{of}_endpoint_auth_methods_supported"])
        name = f"{of}_endpoint_auth_signing_alg_values_supported"
        return _are_texts(document[name]) and "none" not in document[name] if signed else name not in document

    return holds


def aliases(document: Document) -> bool:
    """Say that aliases are of endpoints that there are: of all that take certificates, of none that people come to."""
    named: Mapping[str, str] = document["mtls_endpoint_aliases"]
    for_browsers = {"authorization_endpoint", "end_session_endpoint"}
    endpoints = {name for name in document if name.endswith("_endpoint") and not name.startswith("certbound_")}
    return named.keys() == endpoints - for_browsers and all(map(_is_endpoint, named.values()))


def _is_below_the_issuer(document: Document) -> bool:
    urls = [value for name, value in document.items() if re.search("_(endpoint|uri)$", name)]
    return len(urls) > 9 and all(url.startswith(f"{document['issuer']}/oauth2/") for url in urls)


# By the section that makes the rule: what holds for both documents, and for that of the OpenID provider.
BOTH: Mapping[str, Rule] = {
    "RFC 8414 2 issuer": lambda d: _is_endpoint(d["issuer"]) and not urlsplit(d["issuer"]).query,
    "RFC 8414 2 authorization_endpoint": endpoint("authorization_endpoint"),
    "RFC 8414 2 token_endpoint": endpoint("token_endpoint"),
    "RFC 8414 2 jwks_uri": endpoint("jwks_uri"),
    "RFC 8414 2 registration_endpoint": endpoint("registration_endpoint"),
    "RFC 8414 2 scopes_supported": has("scopes_supported", "openid"),
    "RFC 8414 2 response_types_supported": has("response_types_supported", "code"),
    "RFC 8414 2 response_modes_supported": only("response_modes_supported", "query", "fragment", "form_post"),
    "RFC 8414 2 grant_types_supported": has("grant_types_supported", "authorization_code"),
    "RFC 8414 2 token_endpoint_auth_methods_supported": has("token_endpoint_auth_methods_supported", "tls_client_auth"),
    "RFC 8414 2 token_endpoint_auth_signing_alg_values_supported": algorithms("token"),
    "RFC 8414 2 revocation_endpoint": endpoint("revocation_endpoint"),
    "RFC 8414 2 revocation_endpoint_auth_methods_supported": has("revocation_endpoint_auth_methods_supported"),
    "RFC 8414 2 revocation_endpoint_auth_signing_alg_values_supported": algorithms("revocation"),
    "RFC 8414 2 introspection_endpoint": endpoint("introspection_endpoint"),
    "RFC 8414 2 introspection_endpoint_auth_methods_supported": has("introspection_endpoint_auth_methods_supported"),
    "RFC 8414 2 introspection_endpoint_auth_signing_alg_values_supported": algorithms("introspection"),
    "RFC 8414 2 code_challenge_methods_supported": only("code_challenge_methods_supported", "S256"),
    "RFC 8414 2.1 signed_metadata": lambda d: "signed_metadata" not in d,
    "RFC 8414 3.2 no empty arrays": lambda d: [] not in d.values(),
    "RFC 8705 3.3": only("tls_client_certificate_bound_access_tokens", True),
    "RFC 8705 5": aliases,
    "RFC 9126 5 pushed_authorization_request_endpoint": endpoint("pushed_authorization_request_endpoint"),
    "RFC 9126 5 require_pushed_authorization_requests": only("require_pushed_authorization_requests", True, False),
    "RFC 9207 3": only("authorization_response_iss_parameter_supported", True),
    "every endpoint is below the issuer": _is_below_the_issuer,
}
OPENID_ONLY: Mapping[str, Rule] = {
    "3 userinfo_endpoint": endpoint("userinfo_endpoint"),
    "3 subject_types_supported": has("subject_types_supported"),
    "3 subject_types_supported, no other": only("subject_types_supported", "pairwise", "public"),
    "3 id_token_signing_alg_values_supported": has("id_token_signing_alg_values_supported"),
    "3 id_token_signing_alg_values_supported, no other": only("id_token_signing_alg_values_supported", *ALGORITHMS),
    "3 acr_values_supported": has("acr_values_supported"),
    "3 claim_types_supported": only("claim_types_supported", "normal", "aggregated", "distributed"),
    "3 claims_supported": has("claims_supported", "sub", "iss", "auth_time", "acr", "name", "email", "address"),
    "3 claims_parameter_supported": only("claims_parameter_supported", True, False),
    "3 request_parameter_supported": only("request_parameter_supported", True, False),
    # Left out, it would say that any address may be given.
    "3 request_uri_parameter_supported": lambda d: d["request_uri_parameter_supported"] is False,
    "3 nothing is encrypted": lambda d: not [name for name in d if "_encryption_" in name],
    "3 userinfo_signing_alg_values_supported": lambda d: "userinfo_signing_alg_values_supported" not in d,
    "Core 11": has("scopes_supported", "openid", "offline_access"),
    "RP-Initiated Logout 2.1": endpoint("end_session_endpoint"),
    "Initiating User Registration 4": has("prompt_values_supported", "none", "login", "consent"),
}


def documents(server: Server) -> dict[str, Document]:
    path = urlsplit(server.issuer).path
    return {name: server.ask(name + path).json for name in (OAUTH, OPENID)}


@pytest.mark.req("8414-01", "8414-02", "8414-03", "8414-04", "8414-05", "8414-07")
@pytest.mark.parametrize("name", [OAUTH, OPENID])
@pytest.mark.parametrize("rule", BOTH)
def test_both_documents_keep_every_rule_for_their_members(full: Server, rule: str, name: str) -> None:
    assert BOTH[rule](documents(full)[name])


@pytest.mark.parametrize("rule", OPENID_ONLY)
def test_the_document_of_the_openid_provider_keeps_the_rules_of_its_own(full: Server, rule: str) -> None:
    assert OPENID_ONLY[rule](documents(full)[OPENID])


@pytest.mark.req("9068-06")
def test_the_two_documents_say_the_same_of_whatever_both_speak_of(full: Server, server: Server) -> None:
    for one in (full, server):
        found = documents(one)
        assert {**found[OPENID], **found[OAUTH]} == found[OPENID]


@pytest.mark.req("8414-08")
def test_both_name_exactly_the_issuer_that_they_were_asked_for(full: Server) -> None:
    assert [document["issuer"] for document in documents(full).values()] == [full.issuer] * 2


@pytest.mark.req("8414-06")
@pytest.mark.parametrize("name", [OAUTH, OPENID])
def test_the_documents_of_an_issuer_with_a_path_are_found_where_each_standard_looks(full: Server, name: str) -> None:
    """RFC 8414 section 3.1 inserts before the path, OpenID Connect Discovery section 4 appends to the issuer."""
    inserted, appended = full.ask(f"{name}/tenant/one"), full.ask(f"/tenant/one{name}")
    assert (inserted.status, inserted.headers["Content-Type"]) == (200, "application/json")
    assert (appended.status, appended.body) == (200, inserted.body)
    assert full.ask(name).status == 404
    assert full.ask(f"{name}/tenant/one", {"any": "thing"}).status == 405


def test_every_endpoint_that_is_named_is_there(full: Server) -> None:
    document = documents(full)[OPENID]
    origin = full.issuer.removesuffix("/tenant/one")
    for name, url in document.items():
        if re.search("_(endpoint|uri)$", name):
            path = url.removeprefix(origin)
            assert 404 not in {full.ask(path).status, full.ask(path, {"any": "thing"}).status}, name


def test_the_algorithms_named_are_those_of_the_published_keys(full: Server) -> None:
    published = full.ask("/tenant/one/oauth2/jwks").json["keys"]
    named = documents(full)[OPENID]["id_token_signing_alg_values_supported"]
    assert set(named) == {key["alg"] for key in published}


@pytest.mark.req("8414-02")
def test_every_published_key_says_that_it_signs(full: Server) -> None:
    assert {key["use"] for key in full.ask("/tenant/one/oauth2/jwks").json["keys"]} == {"sig"}
