import base64
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey

from certbound.jose.jwks import (
    MAX_KEYS,
    PRIVATE_MEMBERS,
    JWKSError,
    jwks_document,
    parse_jwks,
    read_public_key,
    spki_of,
)
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


def number(value: int, length: int = 0) -> str:
    """Write a number as RFC 7518 section 2 has it, in `length` octets or in no more than it needs."""
    octets = value.to_bytes(length or (value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def rsa_jwk(bits: int, exponent: int = 65537) -> dict[str, Any]:
    """Write an RSA key that nobody holds: only its size matters."""
    return {"kty": "RSA", "n": number((1 << bits) - 159), "e": number(exponent)}


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
    "RSA of 1024 bits": rsa_jwk(1024),
    "RSA of 2047 bits": rsa_jwk(2047),
    "RSA of 8193 bits": rsa_jwk(8193),
    "RSA of exponent 3": rsa_jwk(2048, 3),
    "RSA of an exponent of 65 bits": rsa_jwk(2048, 2**64 + 1),
    "kty as a list": {**P256, "kty": ["EC"]},
    "no kty": {"crv": "P-256"},
}


@pytest.mark.parametrize("bits", [2048, 3072, 8192])
def test_an_rsa_key_from_2048_to_8192_bits_is_read(bits: int) -> None:
    [read] = parse_jwks({"keys": [rsa_jwk(bits)]}).keys
    assert read_public_key(rsa_jwk(bits)).key == read.key


@pytest.mark.req("8725-04", "F2-20")
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


OF_ANOTHER_USE = {"an encryption key", "a use nobody knows"}
TOO_WEAK = {case for case in LEFT_OUT if "bits" in case or "exponent" in case} - {"RSA of no exponent"}


@pytest.mark.parametrize("case", sorted(set(LEFT_OUT) - OF_ANOTHER_USE - TOO_WEAK))
def test_what_is_no_public_key_has_no_spki(case: str) -> None:
    with pytest.raises(JWKSError):
        spki_of(LEFT_OUT[case])


@pytest.mark.parametrize("curve", ["X25519", "X448"])
def test_a_key_that_cannot_sign_has_no_spki(curve: Any) -> None:
    with pytest.raises(JWKSError):
        spki_of(OKPKey.generate_key(curve).as_dict(private=False))


# RFC 7638 section 3.1
RSA_OF_RFC_7638 = {
    "kty": "RSA",
    "n": (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3ok"
        "njhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6q"
        "MQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJ"
        "zKnqDKgw"
    ),
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}
# RFC 9449 sections 4.1 and 6.1; RFC 8037 appendix A.3
EC_OF_RFC_9449 = {
    "kty": "EC",
    "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
    "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    "crv": "P-256",
}
OKP_OF_RFC_8037 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


@pytest.mark.parametrize(
    ("jwk", "thumbprint"),
    [
        (RSA_OF_RFC_7638, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (EC_OF_RFC_9449, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
        (OKP_OF_RFC_8037, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
    ],
)
def test_the_thumbprint_is_that_of_the_rfcs(jwk: dict[str, Any], thumbprint: str) -> None:
    key = read_public_key({**jwk, "use": "sig", "x5t": "any", "unknown": 1})
    assert key.thumbprint == thumbprint
    assert (key.kid, key.algorithm) == (jwk.get("kid"), jwk.get("alg"))


@pytest.mark.parametrize("case", sorted(LEFT_OUT))
def test_what_is_no_public_signature_key_is_not_read_as_one(case: str) -> None:
    with pytest.raises(JWKSError):
        read_public_key(LEFT_OUT[case])


@pytest.mark.parametrize("document", [None, [], "jwk", 7, {}, [P256]])
def test_what_is_no_jwk_is_not_read_as_one(document: object) -> None:
    with pytest.raises(JWKSError):
        read_public_key(document)


@pytest.mark.parametrize("member", sorted(PRIVATE_MEMBERS))
def test_one_key_with_a_private_member_is_refused(member: str) -> None:
    for jwk in (EC_OF_RFC_9449, RSA_OF_RFC_7638, OKP_OF_RFC_8037):
        with pytest.raises(JWKSError, match="private key"):
            read_public_key({**jwk, member: ""})


@pytest.mark.parametrize(
    "jwk",
    [
        {**RSA_OF_RFC_7638, "e": "AAEAAQ"},
        {**RSA_OF_RFC_7638, "n": number((1 << 2048) - 159, 257)},
        {**EC_OF_RFC_9449, "x": EC_OF_RFC_9449["x"] + "="},
        {**EC_OF_RFC_9449, "x": "A" + EC_OF_RFC_9449["x"]},
        {**EC_OF_RFC_9449, "x": EC_OF_RFC_9449["x"][:-1] + "t"},
        {**OKP_OF_RFC_8037, "x": OKP_OF_RFC_8037["x"] + "="},
        {**OKP_OF_RFC_8037, "x": OKP_OF_RFC_8037["x"][:-1] + "p"},
    ],
)
def test_a_key_has_one_spelling_only(jwk: dict[str, Any]) -> None:
    with pytest.raises(JWKSError):
        read_public_key(jwk)


@given(jwks)
def test_whatever_one_jwk_says_it_is_read_or_refused(jwk: dict[str, Any]) -> None:
    with suppress(JWKSError):
        assert len(read_public_key(jwk).thumbprint) == 43


@pytest.mark.req("F2-21")
def test_keys_of_one_kid_are_told_apart_by_kind_and_algorithm() -> None:
    keys = {algorithm: generate_signing_key(algorithm) for algorithm in ALGORITHMS}
    encryption = {**OTHER.public_jwk, "kid": "one", "use": "enc"}
    read = parse_jwks({"keys": [encryption, *({**key.public_jwk, "kid": "one"} for key in keys.values())]})
    for algorithm, key in keys.items():
        [found] = read.candidates("one", algorithm)
        assert found.thumbprint == key.kid
