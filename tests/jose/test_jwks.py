from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey

from certbound.jose.jwks import MAX_KEYS, JWKSError, jwks_document, parse_jwks, spki_of
from certbound.jose.keys import ALGORITHMS, generate_signing_key

KEY = generate_signing_key()
OTHER = generate_signing_key()


def test_a_published_set_is_read_back() -> None:
    keys = [generate_signing_key(algorithm) for algorithm in ALGORITHMS]
    read = parse_jwks(jwks_document(key.public_jwk for key in keys))
    assert [(key.kid, key.algorithm) for key in read.keys] == [(key.kid, key.algorithm) for key in keys]
    assert all(len(read.candidates(key.kid, key.algorithm)) == 1 for key in keys)


@pytest.mark.parametrize(
    "document", [None, [], "keys", {}, {"keys": None}, {"keys": {}}, {"keys": [1]}, {"keys": ["x"]}]
)
def test_what_is_no_set_is_refused(document: object) -> None:
    with pytest.raises(JWKSError):
        parse_jwks(document)


def test_a_set_of_a_hundred_keys_is_read_and_one_more_is_refused() -> None:
    assert len(parse_jwks({"keys": [KEY.public_jwk] * MAX_KEYS}).keys) == 100
    with pytest.raises(JWKSError, match="101 keys: at most 100"):
        parse_jwks({"keys": [KEY.public_jwk] * (MAX_KEYS + 1)})


P256 = KEY.public_jwk
LEFT_OUT: dict[str, dict[str, Any]] = {
    "a kind of key not known here": {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"},
    "a symmetric key": {"kty": "oct", "k": "c2VjcmV0"},
    "an encryption key": {**P256, "use": "enc"},
    "a use nobody knows": {**P256, "use": ["sig"]},
    "no coordinates": {"kty": "EC", "crv": "P-256"},
    "a curve not known here": {**P256, "crv": "P-224"},
    "the curve of another kind": {**P256, "crv": "Ed25519"},
    "a point off the curve": {**P256, "y": P256["x"]},
    "the point at infinity": {**P256, "x": "A" * 43, "y": "A" * 43},
    "coordinates that are numbers": {**P256, "x": 1, "y": 2},
    "coordinates of another curve": {**P256, "crv": "P-384"},
    "an octet key pair of an unknown curve": {"kty": "OKP", "crv": "Ed25520", "x": "AA"},
    "an octet key pair whose curve is a list": {"kty": "OKP", "crv": ["Ed25519"], "x": "AA"},
    "an octet key pair without a curve": {"kty": "OKP", "x": "AA"},
    "an octet key pair that is too short": {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
    "RSA without modulus": {"kty": "RSA", "e": "AQAB"},
    "RSA of an even exponent": {"kty": "RSA", "n": "_" * 342, "e": "Ag"},
    "RSA of no exponent": {"kty": "RSA", "n": "_" * 342, "e": ""},
    "kty as a list": {**P256, "kty": ["EC"]},
    "no kty": {"crv": "P-256"},
}


@pytest.mark.req("8725-04")
@pytest.mark.parametrize("case", sorted(LEFT_OUT))
def test_a_key_that_cannot_be_used_is_left_out_and_the_others_stay(case: str) -> None:
    read = parse_jwks({"keys": [LEFT_OUT[case], OTHER.public_jwk]})
    assert [key.kid for key in read.keys] == [OTHER.kid]


def test_a_private_member_is_not_kept() -> None:
    members = KEY.key.as_dict(private=True)
    [read] = parse_jwks({"keys": [members]}).keys
    assert "d" not in read.key.as_dict()


def test_a_key_is_a_candidate_by_kid_kind_and_algorithm() -> None:
    unnamed = {name: value for name, value in OTHER.public_jwk.items() if name not in {"kid", "alg"}}
    read = parse_jwks({"keys": [KEY.public_jwk, unnamed]})
    assert len(read.candidates(None, "ES256")) == 2
    assert [key.kid for key in read.candidates(KEY.kid, "ES256")] == [KEY.kid]
    assert not read.candidates(None, "ES384"), "a P-256 key is for ES256 only (RFC 7518 section 3.4)"
    assert not read.candidates(None, "RS256")
    assert not read.candidates(None, "none")
    assert not read.candidates("another", "ES256")


def test_a_kid_or_alg_of_another_type_is_as_if_it_were_not_there() -> None:
    [read] = parse_jwks({"keys": [{**KEY.public_jwk, "kid": 7, "alg": ["ES256"]}]}).keys
    assert read.kid is None
    assert read.algorithm is None


values = (
    st.none()
    | st.integers()
    | st.text(max_size=50)
    | st.lists(st.text(max_size=3), max_size=2)
    | st.sampled_from(
        ["EC", "RSA", "OKP", "oct", "P-256", "Ed25519", "X25519", "Ed448", "sig", "AQAB", P256["x"], P256["y"]]
    )
)
names = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d", "use", "kid", "alg", "key_ops", "k", "x5c"])
jwks = st.dictionaries(names, values, max_size=8)


@given(st.lists(jwks, max_size=3))
def test_whatever_the_members_are_the_set_is_read_or_refused(members: list[dict[str, Any]]) -> None:
    assert len(parse_jwks({"keys": members}).keys) <= len(members)


@given(jwks)
def test_whatever_a_jwk_says_it_is_a_public_key_or_it_is_not(jwk: dict[str, Any]) -> None:
    with suppress(JWKSError):
        assert load_der_public_key(spki_of(jwk))


@pytest.mark.parametrize(
    ("private", "kind"),
    [
        (ec.generate_private_key(ec.SECP256R1()), ECKey),
        (ec.generate_private_key(ec.SECP521R1()), ECKey),
        (rsa.generate_private_key(65537, 2048), RSAKey),
        (ed25519.Ed25519PrivateKey.generate(), OKPKey),
        (ed448.Ed448PrivateKey.generate(), OKPKey),
    ],
)
def test_the_spki_of_a_jwk_is_that_of_its_key(private: Any, kind: Any) -> None:
    spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    jwk = kind.import_key(spki).as_dict(private=False)
    assert spki_of({**jwk, "kid": "any", "x5u": "https://evil.example/"}) == spki
    assert spki_of(OTHER.public_jwk) != spki


def test_a_number_with_leading_zeros_is_the_same_number() -> None:
    jwk = RSAKey.generate_key(2048).as_dict(private=False)
    assert spki_of({**jwk, "e": "AAEAAQ"}) == spki_of({**jwk, "e": "AQAB"})


@pytest.mark.parametrize("case", sorted(set(LEFT_OUT) - {"an encryption key", "a use nobody knows"}))
def test_what_is_no_public_key_has_no_spki(case: str) -> None:
    with pytest.raises(JWKSError):
        spki_of(LEFT_OUT[case])


@pytest.mark.parametrize("curve", ["X25519", "X448"])
def test_a_key_that_cannot_sign_has_no_spki(curve: Any) -> None:
    with pytest.raises(JWKSError):
        spki_of(OKPKey.generate_key(curve).as_dict(private=False))
