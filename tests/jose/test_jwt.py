import base64
import hashlib
import hmac
import json
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.errors import SecurityWarning

from certbound.jose.jwks import JWKSet, VerificationKey, jwks_document, parse_jwks
from certbound.jose.jwt import (
    MAX_TOKEN_LENGTH,
    JWTError,
    VerifiedJWT,
    jwt_id,
    numeric_date,
    sign,
    unverified_claims,
    verify,
    verify_by_own_key,
)
from certbound.jose.keys import ALGORITHMS, SigningKey, generate_signing_key, load_signing_key

CLAIMS = {"sub": "orders", "exp": 2**33, "unicode": "Zoë"}
KEYS = {algorithm: generate_signing_key(algorithm) for algorithm in ALGORITHMS}
ES256 = KEYS["ES256"]
PUBLISHED = parse_jwks(jwks_document(key.public_jwk for key in KEYS.values()))
HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": ES256.kid}


def check(token: str, keys: JWKSet = PUBLISHED) -> Any:
    return verify(token, keys, algorithms=ALGORITHMS, typ={"at+jwt"})


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "==")


def forge(header: dict[str, Any] | bytes, payload: bytes = b'{"sub":"orders"}', key: SigningKey = ES256) -> str:
    """Sign whatever header with a published key, by cryptography alone: only the header can be at fault."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    signed = f"{encode(head)}.{encode(payload)}".encode()
    private = serialization.load_der_private_key(key.private_der, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    der = private.sign(signed, ec.ECDSA(hashes.SHA256()))
    r, s = _dss(der)
    return f"{signed.decode()}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _dss(der: bytes) -> tuple[int, int]:
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    return decode_dss_signature(der)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_signed_verifies_and_says_what_was_said(algorithm: str) -> None:
    token = sign(CLAIMS, KEYS[algorithm], typ="at+jwt")
    verified = verify(token, PUBLISHED, algorithms=[algorithm], typ={"at+jwt"})
    assert verified.claims == CLAIMS
    assert verified.header == {"alg": algorithm, "typ": "at+jwt", "kid": KEYS[algorithm].kid}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_longer_than_a_token_verifies_where_the_caller_says_so(algorithm: str) -> None:
    long = sign({"list": ["entry"] * 50_000}, KEYS[algorithm], typ="at+jwt")
    with pytest.raises(JWTError, match=f"longer than {MAX_TOKEN_LENGTH}"):
        check(long)
    with pytest.raises(JWTError, match="longer than"):
        verify(long, PUBLISHED, algorithms=[algorithm], typ={"at+jwt"}, max_length=len(long) - 1)
    verified = verify(long, PUBLISHED, algorithms=[algorithm], typ={"at+jwt"}, max_length=len(long))
    assert len(verified.claims["list"]) == 50_000


@pytest.mark.req("8725-01")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_that_the_caller_does_not_allow_is_refused(algorithm: str) -> None:
    others = [other for other in ALGORITHMS if other != algorithm]
    with pytest.raises(JWTError, match="not allowed"):
        verify(sign(CLAIMS, KEYS[algorithm], typ="at+jwt"), PUBLISHED, algorithms=others, typ={"at+jwt"})


def test_an_es256_signature_holds_for_cryptography_alone() -> None:
    head, payload, signature = sign(CLAIMS, ES256, typ="at+jwt").split(".")
    raw = decode(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public = serialization.load_der_private_key(ES256.private_der, None).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(der, f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    assert json.loads(decode(payload)) == CLAIMS


def test_a_token_forged_with_a_plain_header_verifies_so_that_the_corpus_below_fails_for_its_headers() -> None:
    assert check(forge(HEADER)).claims == {"sub": "orders"}
    assert check(forge({"alg": "ES256", "typ": "Application/AT+JWT"})).claims == {"sub": "orders"}


@pytest.mark.req("8725-01", "8725-02", "9068-01")
@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", " none", "none ", "", "n\0one"])
@pytest.mark.parametrize("signature", ["", "AA", "none"])
def test_no_spelling_of_alg_none_verifies(name: str, signature: str) -> None:
    head = encode(json.dumps({**HEADER, "alg": name}).encode())
    with pytest.raises(JWTError):
        check(f"{head}.{encode(b'{}')}.{signature}")


def _secrets() -> dict[str, bytes]:
    public = serialization.load_der_private_key(ES256.private_der, None).public_key()
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return {
        "pem": public.public_bytes(serialization.Encoding.PEM, spki),
        "der": public.public_bytes(serialization.Encoding.DER, spki),
        "point": public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint),
        "jwk": json.dumps(ES256.public_jwk).encode(),
        "jwk without spaces": json.dumps(ES256.public_jwk, separators=(",", ":")).encode(),
        "empty": b"",
    }


@pytest.mark.req("8725-01")
@pytest.mark.parametrize("form", sorted(_secrets()))
@pytest.mark.parametrize(("algorithm", "digest"), [("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")])
def test_a_public_key_is_no_hmac_secret_even_where_the_caller_allows_hmac(
    form: str, algorithm: str, digest: str
) -> None:
    signed = f"{encode(json.dumps({**HEADER, 'alg': algorithm}).encode())}.{encode(b'{}')}"
    token = f"{signed}.{encode(hmac.digest(_secrets()[form], signed.encode(), digest))}"
    for allowed in (ALGORITHMS, (*ALGORITHMS, algorithm)):
        with pytest.raises(JWTError):
            verify(token, PUBLISHED, algorithms=allowed, typ={"at+jwt"})


STRANGER = generate_signing_key()
BAD_HEADERS: dict[str, dict[str, Any]] = {
    "crit of an unknown extension": {"crit": ["cnf"], "cnf": {}},
    "crit of nothing": {"crit": []},
    "crit of an empty name": {"crit": [""]},
    "crit of b64": {"crit": ["b64"], "b64": False},
    "b64 without crit": {"b64": False},
    "b64 true": {"b64": True},
    "zip": {"zip": "DEF"},
    "jwk": {"jwk": STRANGER.public_jwk},
    "the published key in jwk": {"jwk": ES256.public_jwk},
    "jku": {"jku": "https://evil.example/jwks"},
    "x5u": {"x5u": "https://evil.example/x5u"},
    "x5c": {"x5c": ["MIIB"]},
    "x5c empty": {"x5c": []},
    "unknown kid": {"kid": "../../../dev/null"},
    "kid with SQL": {"kid": "' OR 1=1 --"},
    "empty kid": {"kid": ""},
    "kid as a number": {"kid": 1},
    "kid as an object": {"kid": {"$ne": None}},
    "kid as a list": {"kid": [ES256.kid]},
    "kid as another key's": {"kid": KEYS["ES384"].kid},
    "no typ": {"typ": None},
    "typ JWT": {"typ": "JWT"},
    "typ of a logout token": {"typ": "logout+jwt"},
    "typ as a list": {"typ": ["at+jwt"]},
    "typ twice application": {"typ": "application/application/at+jwt"},
    "alg as a list": {"alg": ["ES256"]},
    "alg null": {"alg": None},
    "alg in small letters": {"alg": "es256"},
    "alg of a longer curve": {"alg": "ES384"},
    "alg of another family": {"alg": "RS256"},
}


@pytest.mark.req("8725-03", "8725-10", "8725-11", "8725-06")
@pytest.mark.parametrize("case", sorted(BAD_HEADERS))
def test_a_header_that_asks_for_something_else_is_refused_though_its_signature_holds(case: str) -> None:
    with pytest.raises(JWTError):
        check(forge({**HEADER, **BAD_HEADERS[case]}))


def test_a_strangers_key_does_not_verify_under_a_published_kid() -> None:
    with pytest.raises(JWTError, match="does not hold"):
        check(forge(HEADER, key=STRANGER))


def test_only_an_unknown_key_invites_a_refetch() -> None:
    def unknown_key(token: str) -> bool:
        with pytest.raises(JWTError) as caught:
            check(token)
        return caught.value.unknown_key

    assert unknown_key(forge({**HEADER, "kid": "tomorrow's"}, key=STRANGER))
    assert unknown_key(forge({name: value for name, value in HEADER.items() if name != "kid"}, key=STRANGER))
    assert not unknown_key(forge(HEADER, key=STRANGER))
    assert not unknown_key(forge({**HEADER, "typ": "JWT"}))


GOOD = forge(HEADER)
HEAD, PAYLOAD, SIGNATURE = GOOD.split(".")
MALFORMED: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "dots": lambda: "..",
    "two parts": lambda: f"{HEAD}.{PAYLOAD}",
    "four parts": lambda: f"{GOOD}.AA",
    "five parts, as a JWE has": lambda: f"{HEAD}.a.b.c.d",
    "JSON serialisation": lambda: json.dumps({"payload": PAYLOAD, "protected": HEAD, "signature": SIGNATURE}),
    "a space before": lambda: f" {GOOD}",
    "a space after": lambda: f"{GOOD} ",
    "a line break within": lambda: f"{HEAD}\n.{PAYLOAD}.{SIGNATURE}",
    "a NUL within": lambda: f"{HEAD}.{PAYLOAD}\0.{SIGNATURE}",
    "no signature": lambda: f"{HEAD}.{PAYLOAD}.",
    "no payload": lambda: f"{HEAD}..{SIGNATURE}",
    "signature as DER": lambda: f"{HEAD}.{PAYLOAD}.{encode(b'0' + decode(SIGNATURE))}",
    "signature of zeros": lambda: f"{HEAD}.{PAYLOAD}.{encode(bytes(64))}",
    "header not JSON": lambda: forge(b"{"),
    "header a list": lambda: forge(b"[]"),
    "header a string": lambda: forge(b'"at+jwt"'),
    "header not UTF-8": lambda: forge(b'{"alg":"ES256","typ":"at+jwt","x":"\xff"}'),
    "header in UTF-16": lambda: forge(json.dumps(HEADER).encode("utf-16")),
    "header with a byte order mark": lambda: forge(b"\xef\xbb\xbf" + json.dumps(HEADER).encode()),
    "header nested deep": lambda: forge(b'{"alg":"ES256","x":' + b"[" * 3000 + b"]" * 3000 + b"}"),
    "payload nested deep": lambda: forge(HEADER, b"[" * 5000 + b"]" * 5000),
    "payload a list": lambda: forge(HEADER, b"[]"),
    "payload not UTF-8": lambda: forge(HEADER, b'{"sub":"\xff"}'),
    "payload in UTF-16": lambda: forge(HEADER, '{"sub":"a"}'.encode("utf-16")),
    "payload a nested JWT": lambda: forge(HEADER, GOOD.encode()),
    "payload with a number of 5000 digits": lambda: forge(HEADER, b'{"exp":' + b"9" * 5000 + b"}"),
    "not ASCII": lambda: GOOD + "é",
    "a surrogate": lambda: GOOD + "\udcff",
    "full-width dots": lambda: GOOD.replace(".", "\uff0e"),
    "too long": lambda: forge(HEADER, json.dumps({"x": "x" * MAX_TOKEN_LENGTH}).encode()),
    "long and all dots": lambda: "." * MAX_TOKEN_LENGTH,
}


@pytest.mark.req("8725-03", "8725-07")
@pytest.mark.parametrize("case", sorted(MALFORMED))
def test_a_malformed_token_is_refused_and_nothing_else_happens(case: str) -> None:
    with pytest.raises(JWTError):
        check(MALFORMED[case]())


@given(position=st.integers(0, len(GOOD) - 1), bit=st.integers(0, 5))
def test_no_flipped_bit_verifies_as_something_else(position: int, bit: int) -> None:
    changed = GOOD[:position] + chr(ord(GOOD[position]) ^ (1 << bit)) + GOOD[position + 1 :]
    try:
        verified = check(changed)
    except JWTError:
        return
    # The last character of a part has bits that mean nothing: what is read must be what was signed.
    assert verified.claims == {"sub": "orders"}


@given(st.text(max_size=300) | st.lists(st.binary(max_size=80).map(encode), min_size=3, max_size=3).map(".".join))
def test_junk_gives_a_jwt_error_and_no_other(token: str) -> None:
    with pytest.raises(JWTError):
        check(token)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
members = st.sampled_from(["alg", "typ", "kid", "crit", "b64", "zip", "jwk", "jku", "x5c", "x5u", "x5t", "cty", "enc"])


@given(st.dictionaries(members, json_values | st.sampled_from(["ES256", "EdDSA", "at+jwt", ES256.kid]), max_size=5))
def test_any_header_gives_claims_or_a_jwt_error(header: dict[str, Any]) -> None:
    try:
        verified = check(forge(header))
    except JWTError:
        return
    assert header["alg"] == "ES256"
    assert not header.keys() & {"crit", "b64", "zip", "jwk", "jku", "x5u", "x5c"}
    assert verified.claims == {"sub": "orders"}


def test_a_reloaded_key_signs_as_the_same_key() -> None:
    for algorithm, key in KEYS.items():
        loaded = load_signing_key(algorithm, key.private_der)
        assert loaded.kid == key.kid
        assert check(sign(CLAIMS, loaded, typ="at+jwt")).claims == CLAIMS


def test_the_token_of_a_key_that_is_not_in_the_set_is_refused() -> None:
    alone = parse_jwks(jwks_document([KEYS["RS256"].public_jwk]))
    with pytest.raises(JWTError):
        check(sign(CLAIMS, ES256, typ="at+jwt"), alone)


def test_a_key_published_for_one_algorithm_does_not_verify_another() -> None:
    """RS256 and PS256 take the same kind of key (RFC 8725 section 3.1)."""
    token = sign(CLAIMS, SigningKey(KEYS["RS256"].kid, "PS256", KEYS["RS256"].key), typ="at+jwt")
    with pytest.raises(JWTError):
        check(token)


def test_the_thumbprint_of_rfc_7638_is_the_kid() -> None:
    for key in KEYS.values():
        names = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}
        jwk = key.public_jwk
        required = {name: jwk[name] for name in names[jwk["kty"]]}
        text = json.dumps(required, sort_keys=True, separators=(",", ":")).encode()
        assert key.kid == encode(hashlib.sha256(text).digest())


def check_own(token: str, algorithms: Collection[str] = ALGORITHMS) -> tuple[VerifiedJWT, VerificationKey]:
    return verify_by_own_key(token, algorithms=algorithms, typ={"dpop+jwt"})


OWN = {"alg": "ES256", "typ": "dpop+jwt", "jwk": ES256.public_jwk}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_that_brings_its_own_key_verifies_by_it_and_names_it(algorithm: str) -> None:
    key = KEYS[algorithm]
    header = {"alg": algorithm, "typ": "dpop+jwt", "jwk": key.key.as_dict(private=False)}
    verified, found = check_own(by_joserfc(header, key))
    assert verified.claims == {"sub": "orders"}
    assert found.thumbprint == key.kid
    with pytest.raises(JWTError, match="not allowed"):
        check_own(by_joserfc(header, key), [other for other in ALGORITHMS if other != algorithm])


def by_joserfc(header: dict[str, Any], key: SigningKey) -> str:
    registry = jws.JWSRegistry(algorithms=[key.algorithm], strict_check_header=False)
    registry.max_header_length = MAX_TOKEN_LENGTH
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        return jws.serialize_compact(header, b'{"sub":"orders"}', key.key, registry=registry)


NOT_OWN: dict[str, dict[str, Any]] = {
    **{case: {**OWN, **members} for case, members in BAD_HEADERS.items() if "jwk" not in case and "kid" not in case},
    "another's key": {**OWN, "jwk": STRANGER.public_jwk},
    "no key": {name: value for name, value in OWN.items() if name != "jwk"},
    "a key that is null": {**OWN, "jwk": None},
    "a key as text": {**OWN, "jwk": json.dumps(ES256.public_jwk)},
    "a list of keys": {**OWN, "jwk": [ES256.public_jwk]},
    "a set of keys": {**OWN, "jwk": {"keys": [ES256.public_jwk]}},
    "its private key": {**OWN, "jwk": ES256.key.as_dict(private=True)},
    "a symmetric key": {**OWN, "jwk": {"kty": "oct", "k": "c2VjcmV0"}},
    "an encryption key": {**OWN, "jwk": {**ES256.public_jwk, "use": "enc"}},
    "a key for another algorithm": {**OWN, "jwk": {**ES256.public_jwk, "alg": "ES384"}},
    "a key of another kind": {**OWN, "jwk": KEYS["RS256"].public_jwk},
    "a point off the curve": {**OWN, "jwk": {**ES256.public_jwk, "y": ES256.public_jwk["x"]}},
    "a certificate beside it": {**OWN, "x5c": ["MIIB"]},
}


@pytest.mark.threat("43", "45", "B18")
@pytest.mark.req("8725-10")
@pytest.mark.parametrize("case", sorted(NOT_OWN))
def test_a_token_does_not_verify_by_what_is_not_its_own_public_key(case: str) -> None:
    assert check_own(forge(OWN))[1].thumbprint == ES256.kid
    with pytest.raises(JWTError):
        check_own(forge(NOT_OWN[case]))


@pytest.mark.threat("44", "46", "B18")
@pytest.mark.parametrize("algorithm", ["none", "NONE", "HS256", "HS512", ""])
@pytest.mark.parametrize("form", sorted(_secrets()))
def test_its_own_public_key_is_no_hmac_secret(form: str, algorithm: str) -> None:
    signed = f"{encode(json.dumps({**OWN, 'alg': algorithm}).encode())}.{encode(b'{}')}"
    for signature in ("", encode(hmac.digest(_secrets()[form], signed.encode(), "sha256"))):
        for allowed in (ALGORITHMS, (*ALGORITHMS, algorithm)):
            with pytest.raises(JWTError):
                check_own(f"{signed}.{signature}", allowed)


def test_a_header_member_that_nobody_knows_is_ignored() -> None:
    assert check(forge({**HEADER, "x-ours": {"any": 1}, "client_id": "orders"})).claims == {"sub": "orders"}
    assert check_own(forge({**OWN, "x-ours": ["any"]}))[0].claims == {"sub": "orders"}


def test_a_header_may_be_longer_than_joserfc_thinks() -> None:
    assert check(forge({**HEADER, "cty": "x" * 2000})).claims == {"sub": "orders"}


def test_a_token_that_names_no_type_is_taken_where_the_caller_says_so_and_only_there() -> None:
    def typed(header: dict[str, Any]) -> Mapping[str, Any]:
        return verify(forge(header), PUBLISHED, algorithms=ALGORITHMS, typ={None, "jwt"}).claims

    assert typed({"alg": "ES256"}) == {"sub": "orders"}
    assert typed({"alg": "ES256", "typ": "application/JWT"}) == {"sub": "orders"}
    for typ in list[Any]((None, "", 7, [], ["JWT"], {}, "at+jwt")):
        with pytest.raises(JWTError, match="kind of token"):
            typed({"alg": "ES256", "typ": typ})
    with pytest.raises(JWTError, match="kind of token"):
        check(forge({"alg": "ES256"}))


def test_claims_can_be_seen_before_anything_is_verified() -> None:
    head, payload, _ = GOOD.split(".")
    assert unverified_claims(f"{head}.{payload}.") == {"sub": "orders"}
    with pytest.raises(JWTError, match="longer than 20"):
        unverified_claims(GOOD, max_length=20)


@given(st.text(max_size=300) | st.lists(st.binary(max_size=80).map(encode), min_size=3, max_size=3).map(".".join))
def test_junk_is_no_token_of_its_own_key_and_claims_nothing(token: str) -> None:
    with pytest.raises(JWTError):
        check_own(token)
    with suppress(JWTError):
        assert isinstance(unverified_claims(token), dict)


@given(st.dictionaries(members, json_values | st.sampled_from([OWN["jwk"], "ES256", "dpop+jwt"]), max_size=5))
def test_any_header_gives_an_own_key_or_a_jwt_error(header: dict[str, Any]) -> None:
    with suppress(JWTError):
        assert check_own(forge({**OWN, **header}))[1].thumbprint == ES256.kid


@pytest.mark.parametrize("value", [0, 1, 1.5, -1, 2**53, -(2**53)])
def test_a_number_of_seconds_is_a_time(value: float) -> None:
    assert numeric_date({"exp": value}, "exp") == value


@pytest.mark.parametrize(
    "value", [True, False, "1", [], {}, 2**53 + 1, 10**400, 1e300, float("nan"), float("inf"), float("-inf")]
)
def test_what_is_no_number_of_seconds_is_refused(value: Any) -> None:
    with pytest.raises(JWTError, match="`exp`"):
        numeric_date({"exp": value}, "exp")


def test_an_absent_time_is_none() -> None:
    assert numeric_date({"iat": 1}, "exp") is None
    assert numeric_date({"exp": None}, "exp") is None


@pytest.mark.parametrize("value", ["a", "x" * 256, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "ä b"])
def test_an_identifier_is_a_text_to_remember(value: str) -> None:
    assert jwt_id({"jti": value}) == value


@pytest.mark.parametrize("value", ["", "x" * 257, None, 1, ["a"], "a\nb", "a\0", "\ud800", "\u202e"])
def test_what_cannot_be_remembered_is_no_identifier(value: Any) -> None:
    with pytest.raises(JWTError, match="`jti`"):
        jwt_id({"jti": value})
    with pytest.raises(JWTError, match="`jti`"):
        jwt_id({})
