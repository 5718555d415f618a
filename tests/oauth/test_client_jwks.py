import base64
import hashlib
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey, RSAKey
from tests.oauth.making import authority, make, new_key
from tests.oauth.signing import public_jwk

from certbound.jose.jwks import spki_of
from certbound.jose.keys import ALGORITHMS
from certbound.oauth.client_jwks import ClientKeys, read_client_jwks
from certbound.oauth.registration import RegistrationError

ROOT = authority()
MINE = make("CN=orders", issuer=ROOT)
OTHER = make("CN=others")
X5C = MINE.jwk()["x5c"]
ABOVE = base64.b64encode(ROOT.der).decode()
BARE = {name: value for name, value in OTHER.jwk().items() if name != "x5c"}
UNUSABLE: dict[str, dict[str, Any]] = {
    "an encryption key": {**BARE, "use": "enc"},
    "a certificate's key for encryption": MINE.jwk(use="enc"),
    "a use nobody knows": {**BARE, "use": "other"},
    "operations of encryption": {**BARE, "key_ops": ["wrapKey"]},
    "operations that are no list": {**BARE, "key_ops": "verify"},
    "a kind not known here": {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "x5c": X5C},
    "a kind that is no text": {**BARE, "kty": ["EC"]},
    "a point off the curve": {**BARE, "y": BARE["x"]},
    "a key that cannot sign": OKPKey.generate_key("X25519").as_dict(private=False),
    "nothing": {},
}


def thumbprint(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def read(*keys: Any) -> ClientKeys:
    return read_client_jwks({"keys": list(keys)})


@pytest.mark.req("8705-19")
def test_the_first_certificate_of_each_chain_and_the_bare_keys_are_the_clients() -> None:
    other = make("CN=renewed")
    found = read(MINE.jwk(x5c=[*X5C, ABOVE]), BARE, other.jwk(use="sig", key_ops=["verify"]))
    assert [certificate.der for certificate in found.certificates] == [MINE.der, other.der]
    assert found.keys == (OTHER.certificate.spki,)


def test_what_is_there_twice_counts_once() -> None:
    found = read(MINE.jwk(), MINE.jwk(kid="again"), BARE, {**BARE, "kid": "again"})
    assert (len(found.certificates), len(found.keys)) == (1, 1)


def test_signatures_are_verified_with_the_keys_of_both_kinds_that_are_strong_enough() -> None:
    short = public_jwk(rsa.generate_private_key(65537, 1024))  # noqa: S505 - that is the point
    found = read(MINE.jwk(kid="mine", alg="ES256"), {**BARE, "use": "sig"}, short)
    assert [key.spki for key in found.verification_keys.keys] == [MINE.certificate.spki, OTHER.certificate.spki]
    assert [(key.kid, key.algorithm) for key in found.verification_keys.keys] == [("mine", "ES256"), (None, None)]


def test_a_chain_may_have_any_length_up_to_the_cap() -> None:
    assert read(MINE.jwk(x5c=X5C + [ABOVE] * 100)).certificates == (MINE.certificate,)
    with pytest.raises(RegistrationError, match="131072 characters"):
        read(MINE.jwk(x5c=[*X5C, "A" * 131_072]))


def test_the_thumbprints_are_those_of_the_first_certificate() -> None:
    right = {"x5t#S256": MINE.certificate.x5t_s256, "x5t": thumbprint(MINE.certificate.sha1)}
    assert read(MINE.jwk(x5c=[*X5C, ABOVE], **right)).certificates == (MINE.certificate,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x5t#S256", OTHER.certificate.x5t_s256),
        ("x5t#S256", ROOT.certificate.x5t_s256),
        ("x5t#S256", MINE.certificate.x5t_s256 + "="),
        ("x5t#S256", MINE.certificate.sha256.hex()),
        ("x5t#S256", ""),
        ("x5t#S256", None),
        ("x5t#S256", [MINE.certificate.x5t_s256]),
        ("x5t", thumbprint(OTHER.certificate.sha1)),
        ("x5t", thumbprint(hashlib.sha1(MINE.der).hexdigest().encode())),  # noqa: S324 - the name's own hash
    ],
    ids=["other", "above", "padded", "hex", "empty", "null", "list", "other sha1", "hex in base64"],
)
def test_another_thumbprint_is_refused_and_the_right_one_named(name: str, value: Any) -> None:
    right = {"x5t#S256": MINE.certificate.x5t_s256, "x5t": thumbprint(MINE.certificate.sha1)}
    with pytest.raises(RegistrationError, match=f"`{name}` is not that of the certificate") as refused:
        read(MINE.jwk(**{name: value}))
    assert right[name] in str(refused.value)


@pytest.mark.parametrize("case", sorted(UNUSABLE))
def test_a_key_that_is_of_no_use_is_passed_over(case: str) -> None:
    found = read(UNUSABLE[case], MINE.jwk())
    assert (found.certificates, found.keys) == ((MINE.certificate,), ())
    fitting = [found.verification_keys.candidates(None, algorithm) for algorithm in ALGORITHMS]
    assert [key.spki for keys in fitting for key in keys] == [MINE.certificate.spki]


@pytest.mark.parametrize("case", sorted(UNUSABLE))
def test_a_set_without_a_usable_key_is_refused(case: str) -> None:
    with pytest.raises(RegistrationError, match="no key of the set can be used"):
        read(UNUSABLE[case])


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(RegistrationError, match="no key of the set can be used"):
        read()


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"])
def test_a_private_member_spoils_the_set(member: str) -> None:
    for key in (MINE.jwk(**{member: "AA"}), {**UNUSABLE["an encryption key"], member: "AA"}):
        with pytest.raises(RegistrationError, match="holds a private key"):
            read(MINE.jwk(), key)


@pytest.mark.parametrize(
    ("document", "advice"),
    [
        (None, "not a JWK Set"),
        ([], "not a JWK Set"),
        ({}, "not a JWK Set"),
        ({"keys": {}}, "not a JWK Set"),
        ({"keys": [MINE.jwk()] * 101}, "not a JWK Set"),
        ({"keys": ["x"]}, "no object"),
        ({"keys": [{"kty": "oct"}]}, "private key"),
        ({"keys": [MINE.jwk(x5c=None)]}, "must be a list"),
        ({"keys": [MINE.jwk(x5c=[])]}, "must be a list"),
        ({"keys": [MINE.jwk(x5c=X5C[0])]}, "must be a list"),
        ({"keys": [MINE.jwk(x5c=[*X5C, 7])]}, "must be a list"),
        ({"keys": [MINE.jwk(x5c=["***"])]}, "it is not base64"),
        ({"keys": [MINE.jwk(x5c=[X5C[0][:64] + "\n" + X5C[0][64:]])]}, "it is not base64"),
        ({"keys": [MINE.jwk(x5c=["\u00e4" * 4])]}, "cannot be read"),
        ({"keys": [MINE.jwk(x5c=["AAAA"])]}, "cannot be read"),
        ({"keys": [MINE.jwk(x5c=[ABOVE, *X5C])]}, "not those of the certificate"),
        ({"keys": [{**BARE, "x5c": X5C}]}, "not those of the certificate"),
        ({"keys": [{"kty": "EC", "x5c": X5C}]}, "not those of the certificate"),
        ({"keys": [MINE.jwk(x="AA")]}, "not those of the certificate"),
    ],
)
def test_a_set_that_does_not_hold_together_is_refused(document: object, advice: str) -> None:
    with pytest.raises(RegistrationError, match=advice) as refused:
        read_client_jwks(document)
    assert refused.value.member == "jwks"
    assert len(str(refused.value).splitlines()) == 1


def test_a_certificate_of_the_same_key_is_another_certificate() -> None:
    key = new_key()
    old, new = make(key=key), make(key=key)
    found = read(old.jwk(), new.jwk())
    assert found.certificates == (old.certificate, new.certificate)
    assert not found.keys


def test_an_rsa_key_whose_exponent_is_padded_is_the_same_key() -> None:
    jwk = RSAKey.generate_key(2048).as_dict(private=False)
    assert read({**jwk, "e": "AAEAAQ"}).keys == (spki_of(jwk),)


values = (
    st.none()
    | st.integers()
    | st.text(max_size=20)
    | st.lists(st.text(max_size=5) | st.just(X5C[0]), max_size=3)
    | st.sampled_from(["EC", "RSA", "OKP", "P-256", "Ed25519", "sig", "AQAB", BARE["x"], BARE["y"]])
)
names = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "use", "key_ops", "x5c", "x5t", "x5t#S256", "x5u"])


@given(st.lists(st.dictionaries(names, values, max_size=8), max_size=3))
def test_whatever_a_set_holds_it_is_read_or_refused(keys: list[Any]) -> None:
    with suppress(RegistrationError):
        assert isinstance(read(*keys), ClientKeys)
