"""RFC 9068 section 2 and 3: what an access token says."""

import base64
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from certbound.jose.jwt import sign
from certbound.jose.keys import generate_signing_key

from .conftest import Server, decoded, identity

API = "https://api.example"
OTHER = "https://other.example"


def number(text: str) -> int:
    return int.from_bytes(octets(text), "big")


def octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.req("9068-01")
def test_the_token_is_signed_with_a_published_key_and_of_its_own_type(server: Server) -> None:
    own = identity()
    token = server.token(server.self_signed_client(own), own).token
    header = decoded(token, 0)
    assert (header["typ"], header["alg"]) == ("at+jwt", "ES256")
    [jwk] = [key for key in server.ask("/oauth2/jwks").json["keys"] if key["kid"] == header["kid"]]
    assert (jwk["kty"], jwk["crv"], jwk["use"]) == ("EC", "P-256", "sig")
    point = ec.EllipticCurvePublicNumbers(number(jwk["x"]), number(jwk["y"]), ec.SECP256R1())
    signed, _, signature = token.rpartition(".")
    raw = octets(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    point.public_key().verify(der, signed.encode(), ec.ECDSA(hashes.SHA256()))


@pytest.mark.req("9068-01")
def test_rs256_is_among_the_algorithms() -> None:
    key = generate_signing_key("RS256")
    signed, _, signature = sign({"sub": "a"}, key, typ="at+jwt").rpartition(".")
    jwk = key.public_jwk
    public = rsa.RSAPublicNumbers(number(jwk["e"]), number(jwk["n"])).public_key()
    public.verify(octets(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.req("9068-01")
def test_no_key_is_made_for_the_algorithm_none() -> None:
    with pytest.raises(ValueError, match="unknown signature algorithm"):
        generate_signing_key("none")


@pytest.mark.req("9068-02")
def test_every_required_claim_is_there(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own)
    before = int(time.time())
    answer = server.token(client_id, own)
    claims = answer.claims
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} <= set(claims)
    assert (claims["iss"], claims["client_id"]) == (server.issuer, client_id)
    assert before <= claims["iat"] <= int(time.time())
    assert claims["exp"] - claims["iat"] == answer.json["expires_in"] == 300


@pytest.mark.req("9068-02")
def test_no_two_tokens_have_the_same_identifier(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own)
    assert len({server.token(client_id, own).claims["jti"] for _ in range(5)}) == 5


@pytest.mark.req("9068-03")
def test_a_client_acting_for_itself_is_the_subject(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own)
    assert server.token(client_id, own).claims["sub"] == client_id


@pytest.mark.req("9068-03")
def test_the_resource_owner_is_the_subject_of_what_she_allowed(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own, grant_types=("password", "client_credentials"))
    alice, bob = server.alice, server.person()
    subjects = [server.token(client_id, own, **person).claims["sub"] for person in (alice, bob, alice)]
    assert subjects[0] == subjects[2] != subjects[1]
    assert all(subject.startswith("usr_") for subject in subjects)


@pytest.mark.req("9068-04")
def test_the_granted_scope_is_in_the_token_and_in_the_answer(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own, scopes=("read", "write"))
    everything, some = server.token(client_id, own), server.token(client_id, own, scope="write")
    assert everything.claims["scope"] == everything.json["scope"] == "read write"
    assert some.claims["scope"] == some.json["scope"] == "write"


@pytest.mark.req("9068-04")
@pytest.mark.parametrize("scope", ["admin", "read admin", 'read"', "Read"])
def test_a_scope_that_the_client_may_not_have_is_refused(server: Server, scope: str) -> None:
    own = identity()
    client_id = server.self_signed_client(own, scopes=("read",))
    assert server.token(client_id, own, scope=scope).error == (400, "invalid_scope")


@pytest.mark.req("9068-05")
def test_the_audience_is_the_resource_asked_for_or_else_the_default(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own, resources=(API, OTHER))
    assert server.token(client_id, own, resource=OTHER).claims["aud"] == OTHER
    assert server.token(client_id, own, resource=[API, OTHER]).claims["aud"] == [API, OTHER]
    assert server.token(client_id, own).claims["aud"] == server.issuer


@pytest.mark.req("9068-05")
@pytest.mark.parametrize("resource", [OTHER, f"{API}/", f"{API}#part", "api"])
def test_a_resource_that_the_client_may_not_have_is_refused(server: Server, resource: str) -> None:
    own = identity()
    client_id = server.self_signed_client(own, resources=(API,))
    assert server.token(client_id, own, resource=resource).error == (400, "invalid_target")
