"""RFC 8414: what the server says of itself."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from .conftest import Server, identity, serving

WELL_KNOWN = "/.well-known/oauth-authorization-server"
REQUIRED_EVEN_IF_EMPTY = "response_types_supported"  # section 2 against section 3.2


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose issuer has a path."""
    off = {"CERTBOUND__OAUTH__CLIENT_AUTHENTICATION_METHODS": '["client_secret_basic", "self_signed_tls_client_auth"]'}
    with serving(tmp_path_factory.mktemp("tenant"), path="/tenant/one", password_grant=False, environ=off) as running:
        yield running


@pytest.mark.req("8414-01")
def test_the_required_members_are_there(server: Server) -> None:
    metadata = server.metadata()
    issuer = urlsplit(metadata["issuer"])
    assert metadata["issuer"] == server.issuer
    assert (issuer.scheme, issuer.query, issuer.fragment) == ("https", "", "")
    assert metadata["token_endpoint"] == f"{server.issuer}/oauth2/token"
    assert isinstance(metadata["response_types_supported"], list)


@pytest.mark.req("8414-01")
def test_an_authorization_endpoint_is_published_exactly_if_a_grant_uses_it(server: Server) -> None:
    metadata = server.metadata()
    used = {"authorization_code", "implicit"} & set(metadata["grant_types_supported"])
    assert ("authorization_endpoint" in metadata) == bool(used)


@pytest.mark.req("8414-03")
def test_every_method_that_is_offered_is_published_and_no_other(server: Server, tenant: Server) -> None:
    everything = server.metadata()["token_endpoint_auth_methods_supported"]
    assert {"tls_client_auth", "self_signed_tls_client_auth", "client_secret_basic"} <= set(everything)
    some = tenant.metadata()["token_endpoint_auth_methods_supported"]
    assert sorted(some) == ["client_secret_basic", "self_signed_tls_client_auth"]


@pytest.mark.req("8414-03")
def test_a_method_that_is_not_published_does_not_work(tenant: Server) -> None:
    made = tenant.register("client_secret_post")
    answer = tenant.token(made.client.client_id, client_secret=made.client_secret or "")
    assert answer.error == (401, "invalid_client")


@pytest.mark.req("8414-04")
def test_algorithms_of_assertions_are_published_exactly_where_assertions_are_a_method(
    server: Server, tenant: Server
) -> None:
    everything, some = server.metadata(), tenant.metadata()
    methods = [name for name in everything if name.endswith("_auth_methods_supported")]
    assert len(methods) >= 3
    for name in methods:
        algorithms = name.replace("_auth_methods_", "_auth_signing_alg_values_")
        assert "private_key_jwt" in everything[name]
        assert everything[algorithms]
        assert {"none", "HS256"}.isdisjoint(everything[algorithms])
        assert algorithms not in some


@pytest.mark.req("8414-06")
def test_the_document_is_found_before_the_issuers_path(tenant: Server) -> None:
    assert tenant.ask(f"{WELL_KNOWN}/tenant/one").json["issuer"] == tenant.issuer
    assert tenant.ask(WELL_KNOWN).status == 404


@pytest.mark.req("8414-06")
def test_what_the_document_names_works_below_the_issuers_path(tenant: Server) -> None:
    metadata, own = tenant.metadata(), identity()
    origin = tenant.issuer.removesuffix("/tenant/one")
    form = {"grant_type": "client_credentials", "client_id": tenant.self_signed_client(own)}
    answer = tenant.ask(metadata["token_endpoint"].removeprefix(origin), form, own)
    assert answer.claims["iss"] == tenant.issuer
    assert tenant.ask(metadata["jwks_uri"].removeprefix(origin)).json["keys"]


@pytest.mark.req("8414-06")
def test_the_document_is_not_posted_for(server: Server) -> None:
    answer = server.ask(WELL_KNOWN, {"any": "thing"})
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]


@pytest.mark.req("8414-07")
def test_the_document_is_json_without_empty_arrays(server: Server) -> None:
    answer = server.ask(WELL_KNOWN)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert [] not in [value for name, value in answer.json.items() if name != REQUIRED_EVEN_IF_EMPTY]
