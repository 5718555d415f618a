from typing import Any

import pytest

from certbound.jose.jwks import JWKSet, parse_jwks
from certbound.oauth.errors import OAuthError
from certbound.oauth.software_statement import (
    LEEWAY,
    StatementIssuer,
    check_subject,
    merge,
    read_statement,
    software_of,
    stated_issuer,
)

from .making import make
from .signing import KEYS, public_jwk, signed

ISSUER = StatementIssuer("https://directory.example", certificate_subject={"CN": "software_id", "O": "org_name"})
SERVER, NOW = "https://as.example", 1_000_000
CLAIMS: dict[str, Any] = {"iss": ISSUER.issuer, "software_id": "app-7", "org_name": "Example", "iat": NOW}
SETS = {algorithm: parse_jwks({"keys": [public_jwk(key, kid="k")]}) for algorithm, key in KEYS.items()}


def statement(header: dict[str, Any] | None = None, **claims: Any) -> str:
    return signed({"alg": "ES256", "kid": "k"} | (header or {}), CLAIMS | claims)


def read(text: str, keys: JWKSet = SETS["ES256"]) -> dict[str, Any]:
    assert stated_issuer(text) == ISSUER.issuer
    return read_statement(text, ISSUER, keys, server=SERVER, now=NOW)


@pytest.mark.req("7591-05")
@pytest.mark.parametrize("algorithm", list(KEYS))
def test_a_statement_says_what_its_claims_say_but_for_those_of_every_token(algorithm: str) -> None:
    text = statement({"alg": algorithm, "typ": "JWT"}, jti="1", sub="x", exp=NOW + 1, nbf=NOW, aud=[SERVER])
    assert read(text, SETS[algorithm]) == {"software_id": "app-7", "org_name": "Example"}


@pytest.mark.req("7591-05", "7591-08")
@pytest.mark.parametrize(
    "text",
    [
        signed({"alg": "ES256", "kid": "k"}, CLAIMS, KEYS["ES384"]),
        signed({"alg": "ES256", "kid": "other"}, CLAIMS),
        signed({"alg": "ES256", "kid": "k", "jwk": public_jwk(KEYS["ES256"])}, CLAIMS),
        statement()[:-4] + "AAAA",
        statement({"typ": "at+jwt"}),
        statement(exp=NOW - LEEWAY),
        statement(nbf=NOW + LEEWAY + 1),
        statement(exp="tomorrow"),
        statement(aud="app-7"),
        statement(aud=["https://other.example"]),
        statement(aud={}),
    ],
)
def test_one_that_proves_nothing_is_invalid(text: str) -> None:
    with pytest.raises(OAuthError) as refused:
        read(text)
    assert (refused.value.error, refused.value.status) == ("invalid_software_statement", 400)


@pytest.mark.req("7591-05", "7591-08")
@pytest.mark.parametrize("text", ["", "x", "a.b.c", "a.b", signed(b'{"alg":"ES256"}', b"[]"), statement(iss=["x"])])
def test_one_without_issuer_is_invalid(text: str) -> None:
    with pytest.raises(OAuthError) as refused:
        stated_issuer(text)
    assert refused.value.error == "invalid_software_statement"


@pytest.mark.req("7591-05")
def test_one_that_another_issuer_signed_with_a_known_key_is_invalid() -> None:
    with pytest.raises(OAuthError) as refused:
        read_statement(statement(iss="https://evil.example"), ISSUER, SETS["ES256"], server=SERVER, now=NOW)
    assert refused.value.error == "invalid_software_statement"


def test_a_statement_without_end_or_audience_holds_within_the_leeway() -> None:
    assert read(statement())
    assert read(statement(exp=NOW - LEEWAY + 1, nbf=NOW + LEEWAY, aud=SERVER))


@pytest.mark.req("7591-05")
def test_what_is_stated_wins_and_the_statement_itself_is_no_metadata() -> None:
    said = {
        "client_name": "Bank",
        "redirect_uris": ["https://evil.example"],
        "scope": "read",
        "software_statement": "x",
    }
    stated = {"client_name": "App", "redirect_uris": ["https://app.example/cb"]}
    assert merge(said, stated) == {**stated, "scope": "read"}


def test_software_is_told_apart_by_its_issuer_id_and_version() -> None:
    assert software_of("a", {"software_id": "b", "software_version": "1"}) != software_of("a", {"software_id": "b"})
    assert software_of("a", {"software_id": "b"}) != software_of("ab", {"software_id": ""})


def test_a_certificate_with_the_subject_that_is_stated_will_do() -> None:
    check_subject(ISSUER, CLAIMS, make("CN=app-7,O=Example,C=DE").certificate)


@pytest.mark.parametrize("subject", ["CN=app-8,O=Example", "CN=app-7", "CN=app-7,O=Other", "O=Example"])
def test_one_with_another_subject_will_not(subject: str) -> None:
    with pytest.raises(OAuthError) as refused:
        check_subject(ISSUER, CLAIMS, make(subject).certificate)
    assert refused.value.error == "unapproved_software_statement"


@pytest.mark.parametrize("stated", [{}, {"software_id": "app-7"}, CLAIMS | {"org_name": 7}, CLAIMS | {"org_name": " "}])
def test_a_statement_that_leaves_the_subject_open_will_not(stated: dict[str, Any]) -> None:
    with pytest.raises(OAuthError) as refused:
        check_subject(ISSUER, stated, make("CN=app-7,O=Example").certificate)
    assert refused.value.error == "unapproved_software_statement"
