"""RFC 7523: clients that prove themselves by a JWT they sign, over real TLS."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from tests.oauth.signing import KEYS, Private, public_jwk, signed

from .conftest import Answer, Server, identity

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
INVALID_CLIENT, INVALID_REQUEST = (401, "invalid_client"), (400, "invalid_request")
ALGORITHMS = ["ES256", "ES384", "RS256", "PS256", "EdDSA"]
NUMBERS = count()


def register(server: Server, algorithm: str = "ES256", **how: Any) -> str:
    jwks = {"keys": [public_jwk(KEYS[algorithm], kid="1")]}
    return server.register("private_key_jwt", **{"jwks": jwks, "scopes": ("read",)} | how).client.client_id


def assertion(
    server: Server, client_id: str, algorithm: str = "ES256", *, key: Private | None = None, **claims: Any
) -> str:
    """Sign an assertion; None leaves a claim out."""
    now = int(time.time())
    given = {"iss": client_id, "sub": client_id, "aud": server.issuer, "iat": now, "exp": now + 60}
    members = given | {"jti": f"{now}-{next(NUMBERS)}"} | claims
    kept = {name: value for name, value in members.items() if value is not None}
    return signed({"alg": algorithm, "kid": "1", "typ": "JWT"}, kept, key)


def proof(shown: str, **form: str) -> dict[str, Any]:
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": shown} | form


@pytest.fixture(scope="module")
def client_id(server: Server) -> str:
    return register(server)


@pytest.mark.req("9700-13", "F2-07")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_client_proves_itself_by_what_it_signs_without_a_certificate_or_a_secret(
    server: Server, algorithm: str
) -> None:
    client_id = register(server, algorithm)
    answer = server.token(None, **proof(assertion(server, client_id, algorithm)))
    assert (answer.claims["client_id"], answer.claims["scope"], answer.bound_to) == (client_id, "read", None)
    assert server.token(client_id).error == INVALID_CLIENT


@pytest.mark.req("9700-13", "F2-07")
def test_an_assertion_of_another_key_is_refused(server: Server, client_id: str) -> None:
    stranger = assertion(server, client_id, "PS256", key=KEYS["PS256"])
    assert server.token(None, **proof(stranger)).error == INVALID_CLIENT
    forged = assertion(server, client_id)[:-6] + "AAAAAA"
    assert server.token(None, **proof(forged)).error == INVALID_CLIENT


@pytest.mark.req("F2-09", "9126-02")
@pytest.mark.threat("36")
@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/par", "/"])
def test_the_audience_is_the_issuer_as_a_string_only(server: Server, client_id: str, path: str) -> None:
    for audience in (f"{server.issuer}{path}", [server.issuer], [server.issuer, f"{server.issuer}{path}"], None):
        shown = assertion(server, client_id, aud=audience)
        assert server.token(None, **proof(shown)).error == INVALID_CLIENT
    assert server.token(None, **proof(assertion(server, client_id))).status == 200


@pytest.mark.parametrize(
    "wrong",
    [{"iss": "other"}, {"sub": "other"}, {"exp": None}, {"exp": 1}, {"exp": 4_000_000_000}, {"jti": None}, {"jti": 7}],
)
def test_every_claim_is_held_to_its_rule(server: Server, client_id: str, wrong: dict[str, Any]) -> None:
    shown = assertion(server, client_id, **wrong)
    assert server.token(client_id, **proof(shown)).error == INVALID_CLIENT


@pytest.mark.threat("37")
def test_an_assertion_counts_once(server: Server, client_id: str) -> None:
    shown = assertion(server, client_id)
    assert server.token(None, **proof(shown)).status == 200
    assert server.token(None, **proof(shown)).error == INVALID_CLIENT


@pytest.mark.threat("37")
def test_of_many_uses_at_once_one_succeeds(server: Server, client_id: str) -> None:
    shown = assertion(server, client_id)

    def use(_: int) -> Answer:
        return server.token(None, **proof(shown))

    with ThreadPoolExecutor(10) as clients:
        outcomes = list(clients.map(use, range(10)))
    assert sorted(answer.status for answer in outcomes) == [200] + [401] * 9


@pytest.mark.threat("41")
def test_an_assertion_is_the_only_method_of_a_request_and_of_its_client(server: Server, client_id: str) -> None:
    own = identity()
    two = proof(assertion(server, client_id), client_secret="secret")
    assert server.token(None, own, **two).error == INVALID_REQUEST
    assert server.token(client_id, own, client_secret="secret").error == INVALID_CLIENT
    assert server.token(client_id, own).error == INVALID_CLIENT
    mutual = server.self_signed_client(own)
    assert server.token(None, own, **proof(assertion(server, mutual))).error == INVALID_REQUEST


def test_another_type_of_assertion_is_refused(server: Server, client_id: str) -> None:
    form = proof(assertion(server, client_id)) | {"client_assertion_type": ASSERTION_TYPE.replace("jwt", "saml2")}
    assert server.token(None, **form).error == INVALID_CLIENT


@pytest.mark.req("8705-31")
def test_bound_tokens_of_a_client_that_signs_are_bound_to_the_connections_certificate(server: Server) -> None:
    client_id, own = register(server, bound=True), identity()
    answer = server.token(None, own, **proof(assertion(server, client_id)))
    assert answer.bound_to == own.certificate.x5t_s256
    assert server.token(None, **proof(assertion(server, client_id))).error == INVALID_REQUEST


@pytest.mark.req("7662-02")
def test_a_client_that_signs_may_introspect_and_revoke_its_tokens(server: Server, client_id: str) -> None:
    token = server.token(None, **proof(assertion(server, client_id))).token

    def posted(path: str) -> Answer:
        return server.ask(path, proof(assertion(server, client_id), token=token))

    assert posted("/oauth2/introspect").json["active"] is True
    assert posted("/oauth2/revoke").status == 200
    assert posted("/oauth2/introspect").json == {"active": False}


@pytest.mark.req("8414-03", "8414-04")
def test_the_method_and_its_algorithms_are_published_for_each_endpoint(server: Server) -> None:
    metadata = server.metadata()
    for endpoint in ("token", "introspection", "revocation"):
        assert "private_key_jwt" in metadata[f"{endpoint}_endpoint_auth_methods_supported"]
        assert metadata[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] == ALGORITHMS
