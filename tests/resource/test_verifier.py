import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from certbound.certificates.presented import PresentedChain
from certbound.jose.jwks import JWKSet, parse_jwks
from certbound.resource import BoundToken, TokenRefused, Verifier

AUDIENCE = "https://api.example.com"
NOW = 1_800_000_000
KEYS: dict[str, Callable[[], Any]] = {
    "ES256": lambda: ECKey.generate_key("P-256"),
    "ES384": lambda: ECKey.generate_key("P-384"),
    "RS256": lambda: RSAKey.generate_key(2048),
    "PS256": lambda: RSAKey.generate_key(2048),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519"),
}


@pytest.fixture(autouse=True)
def at_a_fixed_time(issuer: Any) -> None:
    issuer.now = NOW


@pytest.fixture
def keys(issuer: Any) -> JWKSet:
    return parse_jwks(json.loads(issuer.answers["/jwks"][1]))


@pytest.fixture
def verifier(issuer: Any) -> Verifier:
    return Verifier(issuer.url, AUDIENCE)


def refused(verifier: Verifier, token: str, presented: PresentedChain | None, keys: JWKSet) -> TokenRefused:
    with pytest.raises(TokenRefused) as caught:
        verifier.verify(token, presented, NOW, keys)
    assert (caught.value.error, caught.value.status) == ("invalid_token", 401)
    return caught.value


def replace_part(token: str, position: int, part: bytes) -> str:
    parts = token.split(".")
    parts[position] = encoded(part)
    return ".".join(parts)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.req("8705-23", "9068-07")
def test_a_token_is_good_with_its_certificate(
    issuer: Any, verifier: Verifier, keys: JWKSet, certificate: PresentedChain
) -> None:
    token = verifier.verify(issuer.sign(certificate.leaf), certificate, NOW, keys)
    assert isinstance(token, BoundToken)
    assert (token.client_id, token.subject, token.scope) == ("robot", "robot", frozenset({"read", "write"}))
    assert token.x5t_s256 == token.claims["cnf"]["x5t#S256"]
    assert token.expires_at == token.claims["exp"]


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": ["https://other.example", AUDIENCE]},
        {"header": {"typ": "application/at+jwt"}},
        {"header": {"typ": "AT+JWT"}},
        {"nbf": NOW - 10},
        {"exp": NOW + 100.5},
        {"without": ("scope", "client_id", "iat", "jti")},
    ],
    ids=str,
)
def test_variations_that_are_good(
    issuer: Any, verifier: Verifier, keys: JWKSet, certificate: PresentedChain, changed: dict[str, Any]
) -> None:
    assert verifier.verify(issuer.sign(certificate.leaf, **changed), certificate, NOW, keys)


@pytest.mark.req("9068-07", "9068-08")
@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://localhost"},
        {"iss": None},
        {"without": ("iss",)},
        {"aud": "https://api.example.com/"},
        {"aud": ["https://other.example"]},
        {"aud": []},
        {"aud": {AUDIENCE: 1}},
        {"aud": AUDIENCE + "x"},
        {"without": ("aud",)},
        {"exp": NOW - 60},
        {"exp": str(NOW + 300)},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": None},
        {"without": ("exp",)},
        {"nbf": NOW + 600},
        {"iat": NOW + 600},
        {"iat": "now"},
        {"without": ("sub",)},
        {"sub": 1},
        {"scope": ["read"]},
        {"client_id": 1},
        {"header": {"typ": "JWT"}},
        {"header": {"typ": "at+jwt "}},
        {"header": {"typ": None}},
        {"header": {"kid": "unknown"}},
        {"header": {"kid": 1}},
        {"header": {"crit": ["cnf"]}},
        {"header": {"crit": [""]}},
        {"header": {"crit": []}},
        {"header": {"jku": "https://localhost/jwks"}},
        {"header": {"x5u": "https://localhost/x5u"}},
        {"header": {"x5c": ["AAAA"]}},
        {"header": {"b64": False}},
    ],
    ids=str,
)
def test_every_other_token_is_refused(
    issuer: Any, verifier: Verifier, keys: JWKSet, certificate: PresentedChain, changed: dict[str, Any]
) -> None:
    refused(verifier, issuer.sign(certificate.leaf, **changed), certificate, keys)


@pytest.mark.req("8705-23", "8705-24")
@pytest.mark.parametrize(
    "changed",
    [
        {"without": ("cnf",)},
        {"cnf": None},
        {"cnf": {}},
        {"cnf": []},
        {"cnf": "x5t#S256"},
        {"cnf": {"jkt": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}},
        {"cnf": {"x5t#S256": ""}},
        {"cnf": {"x5t#S256": None}},
        {"cnf": {"x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}},
        {"cnf": {"x5t": "A4DtL2JmUMhAsvJj5tKyn64Sqzk"}},
        {"cnf": {"x5t#S256": "caf\u00e9"}},
    ],
    ids=str,
)
def test_a_token_without_a_binding_that_is_known_and_right_is_refused(
    issuer: Any, verifier: Verifier, keys: JWKSet, certificate: PresentedChain, changed: dict[str, Any]
) -> None:
    refused(verifier, issuer.sign(certificate.leaf, **changed), certificate, keys)


@pytest.mark.req("8705-24")
def test_a_token_with_another_certificate_or_none_is_refused(
    issuer: Any, verifier: Verifier, keys: JWKSet, certificate: PresentedChain, other_certificate: PresentedChain
) -> None:
    token = issuer.sign(certificate.leaf)
    assert refused(verifier, token, other_certificate, keys).description == "the token is bound to another certificate"
    assert refused(verifier, token, None, keys).description == "the connection has no client certificate"
    beside = PresentedChain(other_certificate.leaf, (certificate.leaf,))
    refused(verifier, token, beside, keys)


def test_an_unbound_token_passes_only_where_that_is_allowed(
    issuer: Any, keys: JWKSet, certificate: PresentedChain, other_certificate: PresentedChain
) -> None:
    relaxed = Verifier(issuer.url, AUDIENCE, require_binding=False)
    unbound = issuer.sign(certificate.leaf, without=("cnf",))
    assert relaxed.verify(unbound, None, NOW, keys).x5t_s256 is None
    for cnf in (None, {}, {"jkt": "x"}):
        refused(relaxed, issuer.sign(certificate.leaf, cnf=cnf), certificate, keys)
    refused(relaxed, issuer.sign(certificate.leaf), other_certificate, keys)
    refused(relaxed, issuer.sign(certificate.leaf), None, keys)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_one_changed_character_is_refused(
    issuer: Any, verifier: Verifier, keys: JWKSet, certificate: PresentedChain, position: int
) -> None:
    parts = issuer.sign(certificate.leaf).split(".")
    middle = len(parts[position]) // 2
    flipped = "A" if parts[position][middle] != "A" else "B"
    parts[position] = parts[position][:middle] + flipped + parts[position][middle + 1 :]
    refused(verifier, ".".join(parts), certificate, keys)


def test_other_claims_under_the_same_signature_are_refused(
    issuer: Any, verifier: Verifier, keys: JWKSet, certificate: PresentedChain
) -> None:
    refused(verifier, replace_part(issuer.sign(certificate.leaf), 1, b'{"sub":"admin"}'), certificate, keys)


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "", "HS256", "ES512", "ES256K", None, 1, ["ES256"]]
)
@pytest.mark.parametrize("signed", [True, False])
def test_an_algorithm_that_is_not_listed_is_refused(
    issuer: Any, verifier: Verifier, keys: JWKSet, certificate: PresentedChain, algorithm: object, *, signed: bool
) -> None:
    header = json.dumps({"alg": algorithm, "typ": "at+jwt", "kid": "one"}).encode()
    token = replace_part(issuer.sign(certificate.leaf), 0, header)
    refused(verifier, token if signed else token.rpartition(".")[0] + ".", certificate, keys)


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
def test_a_public_key_is_no_shared_secret(
    issuer: Any, verifier: Verifier, keys: JWKSet, certificate: PresentedChain, form: str
) -> None:
    _, claims, _ = issuer.sign(certificate.leaf).split(".")
    public = {
        "pem": issuer.key.as_pem(private=False),
        "der": issuer.key.as_der(private=False),
        "jwk": json.dumps(issuer.key.as_dict(private=False)).encode(),
    }[form]
    header = encoded(b'{"alg":"HS256","typ":"at+jwt","kid":"one"}')
    signature = hmac.digest(public, f"{header}.{claims}".encode(), "sha256")
    refused(verifier, f"{header}.{claims}.{encoded(signature)}", certificate, keys)


def test_a_key_brought_along_is_not_used(
    issuer: Any, verifier: Verifier, keys: JWKSet, certificate: PresentedChain
) -> None:
    own = ECKey.generate_key("P-256", {"kid": "one"})
    embedded = own.as_dict(private=False)
    refused(verifier, issuer.sign(certificate.leaf, key=own, header={"jwk": embedded}), certificate, keys)
    refused(verifier, issuer.sign(certificate.leaf, key=own), certificate, keys)
    refused(
        verifier, issuer.sign(certificate.leaf, header={"jwk": issuer.key.as_dict(private=False)}), certificate, keys
    )


def test_an_unknown_key_is_told_apart(
    issuer: Any, verifier: Verifier, keys: JWKSet, certificate: PresentedChain
) -> None:
    assert refused(verifier, issuer.sign(certificate.leaf, header={"kid": "new"}), certificate, keys).unknown_key
    assert not refused(verifier, issuer.sign(certificate.leaf, header={"typ": "JWT"}), certificate, keys).unknown_key


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "RS256", "PS256", "EdDSA"])
@pytest.mark.filterwarnings("ignore:EdDSA:joserfc.errors.SecurityWarning")
def test_every_listed_algorithm_is_verified(issuer: Any, certificate: PresentedChain, algorithm: str) -> None:
    key = KEYS[algorithm]()
    keys = parse_jwks({"keys": [{**key.as_dict(private=False), "kid": "k"}]})
    _, claims, _ = issuer.sign(certificate.leaf).split(".")
    header = {"alg": algorithm, "typ": "at+jwt", "kid": "k"}
    payload = base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))
    token = jws.serialize_compact(header, payload, key, algorithms=[algorithm])
    assert Verifier(issuer.url, AUDIENCE).verify(token, certificate, NOW, keys)


def test_a_key_of_another_curve_or_for_another_algorithm_is_not_used(
    issuer: Any, verifier: Verifier, certificate: PresentedChain
) -> None:
    token = issuer.sign(certificate.leaf)
    for published in (
        {**ECKey.generate_key("P-384").as_dict(private=False), "kid": "one"},
        {**issuer.key.as_dict(private=False), "kid": "one", "alg": "ES384"},
        {**issuer.key.as_dict(private=False), "kid": "one", "use": "enc"},
    ):
        refused(verifier, token, certificate, parse_jwks({"keys": [published]}))


@pytest.mark.parametrize("token", ["", ".", "..", "a.b", "a.b.c", "a.b.c.d.e", "\u00e9.\u00e9.\u00e9", "a" * 20_000])
def test_garbage_is_refused(verifier: Verifier, keys: JWKSet, certificate: PresentedChain, token: str) -> None:
    refused(verifier, token, certificate, keys)


def test_expiry_has_its_leeway_and_no_more(
    issuer: Any, verifier: Verifier, keys: JWKSet, certificate: PresentedChain
) -> None:
    token = issuer.sign(certificate.leaf, exp=NOW + 100, iat=NOW)
    assert verifier.verify(token, certificate, NOW + 104, keys)
    with pytest.raises(TokenRefused, match="expired"):
        verifier.verify(token, certificate, NOW + 105, keys)


@pytest.mark.parametrize("algorithms", [["none"], ["HS256"], ["ES256", "HS512"], []])
def test_a_verifier_cannot_be_made_to_take_weak_algorithms(algorithms: list[str]) -> None:
    with pytest.raises(ValueError, match="algorithms"):
        Verifier("https://as.example", AUDIENCE, algorithms)


def test_a_listed_algorithm_is_the_only_one(issuer: Any, keys: JWKSet, certificate: PresentedChain) -> None:
    verifier = Verifier(issuer.url, AUDIENCE, ["RS256"])
    refused(verifier, issuer.sign(certificate.leaf), certificate, keys)
