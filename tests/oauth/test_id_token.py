import base64
import hashlib
from typing import Any

import pytest

from certbound.jose.jwks import jwks_document, parse_jwks
from certbound.jose.jwt import sign, verify
from certbound.jose.keys import ALGORITHMS, generate_signing_key
from certbound.oauth.errors import OAuthError
from certbound.oauth.id_token import (
    TOKEN_TYPE,
    IDTokenHint,
    UserAuthentication,
    id_token_claims,
    left_half_hash,
    read_id_token_hint,
)

ISSUER = "https://as.example"
NOW = 1_800_000_000
USER = UserAuthentication("usr_1", auth_time=NOW - 60, acr="urn:certbound:pwd+otp", amr=("pwd", "otp", "mfa"))
KEYS = {algorithm: generate_signing_key(algorithm) for algorithm in ALGORITHMS}
PUBLISHED = parse_jwks(jwks_document(key.public_jwk for key in KEYS.values()))


def claims(user: UserAuthentication = USER, **members: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"issuer": ISSUER, "client_id": "orders", "nonce": "n", "issued_at": NOW, "lifetime": 300}
    return id_token_claims(user, **given | members)


def test_a_token_says_who_when_and_how() -> None:
    assert claims(at_hash="h", claims={"email": "zoe@example"}) == {
        "iss": ISSUER,
        "sub": "usr_1",
        "aud": "orders",
        "iat": NOW,
        "exp": NOW + 300,
        "auth_time": NOW - 60,
        "nonce": "n",
        "acr": "urn:certbound:pwd+otp",
        "amr": ["pwd", "otp", "mfa"],
        "at_hash": "h",
        "email": "zoe@example",
    }


def test_what_is_not_known_is_left_out() -> None:
    plain = claims(UserAuthentication("usr_1", auth_time=0), nonce=None)
    assert set(plain) == {"iss", "sub", "aud", "iat", "exp", "auth_time"}


@pytest.mark.req("F2-18")
def test_a_nonce_of_64_characters_comes_back() -> None:
    assert claims(nonce="n" * 64)["nonce"] == "n" * 64


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash"])
def test_no_attribute_of_a_user_replaces_what_the_server_says(name: str) -> None:
    assert claims(at_hash="h", claims={name: "mine"}) == claims(at_hash="h")
    bare = UserAuthentication("usr_1", auth_time=0)
    assert claims(bare, nonce=None, claims={name: "mine"}) == claims(bare, nonce=None)


@pytest.mark.parametrize("name", ["azp", "nbf", "jti", "c_hash", "s_hash", "cnf"])
def test_no_attribute_of_a_user_adds_to_it(name: str) -> None:
    assert name not in claims(claims={name: "mine"})


# OpenID Connect Core, appendix A.3 and A.4 (RS256), and what openssl makes of the same for the other hashes
ACCESS_TOKEN = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
CODE = "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "PS256"])
def test_the_hashes_of_the_standard_are_made(algorithm: str) -> None:
    assert left_half_hash(algorithm, ACCESS_TOKEN) == "77QmUPtjPfzWtF2AnpK9RQ"
    assert left_half_hash(algorithm, CODE) == "LDktKdoQak3Pk0cnXxCltA"


@pytest.mark.parametrize(("algorithm", "name"), [("ES384", "sha384"), ("EdDSA", "sha512")])
def test_other_algorithms_have_their_own_hash(algorithm: str, name: str) -> None:
    digest = hashlib.new(name, ACCESS_TOKEN.encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")
    assert left_half_hash(algorithm, ACCESS_TOKEN) == half


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_that_is_offered_has_a_hash(algorithm: str) -> None:
    assert left_half_hash(algorithm, CODE)


@pytest.mark.threat("47")
@pytest.mark.parametrize("algorithm", ["none", "", "HS256", "es256", "ES512", "RS1"])
def test_no_hash_is_made_for_an_algorithm_that_is_not_known(algorithm: str) -> None:
    with pytest.raises(ValueError, match="no hash is known"):
        left_half_hash(algorithm, ACCESS_TOKEN)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_signed_token_verifies_and_is_a_hint_of_whom_it_spoke_of(algorithm: str) -> None:
    token = sign(claims(), KEYS[algorithm], typ=TOKEN_TYPE)
    assert verify(token, PUBLISHED, algorithms=[algorithm], typ={"jwt"}).claims == claims()
    assert read_id_token_hint(token, PUBLISHED, issuer=ISSUER) == IDTokenHint("usr_1", "orders")


def test_a_hint_may_have_expired() -> None:
    token = sign(claims(issued_at=0), KEYS["ES256"], typ=TOKEN_TYPE)
    assert read_id_token_hint(token, PUBLISHED, issuer=ISSUER).subject == "usr_1"


@pytest.mark.req("8725-08", "8725-11")
@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        sign(claims(), KEYS["ES256"], typ="at+jwt"),
        sign(claims(), generate_signing_key(), typ=TOKEN_TYPE),
        sign(claims(issuer="https://other.example"), KEYS["ES256"], typ=TOKEN_TYPE),
        sign({**claims(), "sub": None}, KEYS["ES256"], typ=TOKEN_TYPE),
        sign({**claims(), "aud": ["orders"]}, KEYS["ES256"], typ=TOKEN_TYPE),
    ],
)
def test_what_is_no_id_token_of_ours_is_no_hint(token: str) -> None:
    with pytest.raises(OAuthError, match="id_token_hint") as refused:
        read_id_token_hint(token, PUBLISHED, issuer=ISSUER)
    assert refused.value.error == "invalid_request"
