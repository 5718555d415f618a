import hmac
import json
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from tests.oauth.signing import KEYS, encode, public_jwk, signed

from certbound.certificates.check import Check
from certbound.jose.jwks import JWKSet, parse_jwks
from certbound.oauth.client_assertion import KEY_CHECK, Assertion, check_client_assertion, claimed_client
from certbound.oauth.errors import OAuthError

ISSUER = "https://as.example.com"
NOW = 1_780_000_000
ALGORITHMS = tuple(KEYS)
FAPI = ("ES256", "PS256", "EdDSA")
REGISTERED = parse_jwks({"keys": [public_jwk(key, kid=alg, alg=alg) for alg, key in KEYS.items()]})
STRANGER = ec.generate_private_key(ec.SECP256R1())
HEADER = {"alg": "ES256", "kid": "ES256"}
CLAIMS = {"iss": "orders", "sub": "orders", "aud": ISSUER, "exp": NOW + 60, "iat": NOW, "jti": "7f9d1c0e"}


def check(
    assertion: str, keys: JWKSet = REGISTERED, algorithms: tuple[str, ...] = ALGORITHMS, client_id: str = "orders"
) -> tuple[tuple[Check, ...], Assertion | None]:
    return check_client_assertion(assertion, keys, client_id=client_id, issuer=ISSUER, algorithms=algorithms, now=NOW)


def failed(assertion: str, **how: Any) -> list[str]:
    """Name the checks that did not pass; nothing is accepted unless there is none, and what is shown is one line."""
    checks, accepted = check(assertion, **how)
    names = [one.check for one in checks if not one.passed]
    assert (accepted is None) == bool(names)
    for one in checks:
        assert (one.expected + one.found).isascii()
        assert (one.expected + one.found).isprintable()
        assert len(one.found) <= 200
    return names


def claiming(**claims: Any) -> str:
    """Sign claims that differ in these; None leaves one out."""
    return signed(HEADER, {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None})


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_assertion_of_a_registered_key_is_accepted_once_all_checks_pass(algorithm: str) -> None:
    checks, accepted = check(signed({"alg": algorithm, "kid": algorithm, "typ": "JWT"}, CLAIMS))
    assert accepted == Assertion(jti="7f9d1c0e", expires_at=NOW + 60)
    assert [one.check for one in checks] == [
        "assertion_signature", "assertion_iss", "assertion_sub", "assertion_aud", "assertion_exp", "assertion_iat",
        "assertion_nbf", "assertion_jti",
    ]  # fmt: skip


@pytest.mark.req("8725-01", "F2-20")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_only_algorithms_of_the_allow_list_are_accepted(algorithm: str) -> None:
    token = signed({"alg": algorithm, "kid": algorithm}, CLAIMS)
    assert failed(token, algorithms=FAPI) == ([] if algorithm in FAPI else ["assertion_signature"])
    assert failed(token, algorithms=()) == ["assertion_signature"]


@pytest.mark.req("8725-09", "F2-09", "9126-02")
@pytest.mark.threat("36")
@pytest.mark.parametrize(
    "audience",
    [
        f"{ISSUER}/oauth2/token", f"{ISSUER}/oauth2/par", f"{ISSUER}/", ISSUER.upper(), f" {ISSUER}", f"{ISSUER}:443",
        [ISSUER], [ISSUER, ISSUER], [f"{ISSUER}/oauth2/token"], [ISSUER, f"{ISSUER}/oauth2/token"], [[ISSUER]], [],
        "https://other.example.com", "", None, 1, True, {"aud": ISSUER}, f"{ISSUER}\u200b", "\ud800",
    ],
)  # fmt: skip
def test_the_audience_is_the_issuer_as_a_string_and_nothing_else(audience: Any) -> None:
    assert failed(claiming(aud=audience)) == ["assertion_aud"]
    assert not failed(claiming())


@pytest.mark.req("8725-08")
@pytest.mark.parametrize("claim", ["iss", "sub"])
@pytest.mark.parametrize("value", [None, "", "others", "ORDERS", "orders ", ["orders"], 1, {"iss": "orders"}, "örders"])
def test_issuer_and_subject_are_the_client(claim: str, value: Any) -> None:
    assert failed(claiming(**{claim: value})) == [f"assertion_{claim}"]


def test_an_assertion_of_another_client_is_not_this_ones_even_where_it_registered_the_same_key() -> None:
    assert failed(claiming(), client_id="others") == ["assertion_iss", "assertion_sub"]


@pytest.mark.parametrize(
    ("seconds", "accepted"),
    [(1, True), (0.5, True), (60, True), (300, True), (301, False), (300.5, False), (3600, False), (0, False),
     (-1, False)],
)  # fmt: skip
def test_an_assertion_expires_within_five_minutes_and_is_not_expired(seconds: float, accepted: bool) -> None:
    assert failed(claiming(exp=NOW + seconds)) == ([] if accepted else ["assertion_exp"])


@pytest.mark.parametrize(("seconds", "found"), [(3600, "3600 s ahead"), (0, "0 s ahead"), (-5, "5 s ago")])
def test_the_trace_says_by_how_much_a_time_is_off(seconds: int, found: str) -> None:
    checks, _ = check(claiming(exp=NOW + seconds))
    assert [(one.expected, one.found) for one in checks if not one.passed] == [("expires within 300 s", found)]


@pytest.mark.parametrize(
    ("audience", "found"),
    [(None, "absent"), ([ISSUER], "no string"), ("ä\n", "??"), ("https://b.example", "https://b.example")],
)
def test_the_trace_says_what_was_there_in_its_place(audience: Any, found: str) -> None:
    checks, _ = check(claiming(aud=audience))
    assert [(one.expected, one.found) for one in checks if not one.passed] == [(f"the string {ISSUER}", found)]


def test_an_assertion_is_remembered_until_it_is_refused_for_its_age() -> None:
    _, accepted = check(claiming(exp=NOW + 59.2))
    assert accepted is not None
    assert accepted.expires_at == NOW + 60


@pytest.mark.req("F2-12")
@pytest.mark.parametrize("claim", ["iat", "nbf"])
@pytest.mark.parametrize(
    ("seconds", "accepted"),
    [(-86400, True), (-1, True), (0, True), (10, True), (30, True), (31, False), (61, False), (299, False)],
)
def test_a_clock_may_be_some_seconds_ahead_and_no_more(claim: str, seconds: int, accepted: bool) -> None:
    assert failed(claiming(**{claim: NOW + seconds})) == ([] if accepted else [f"assertion_{claim}"])


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "value", ["1780000060", True, [NOW + 60], {}, float("nan"), float("inf"), float("-inf"), 10**400, -(10**400)]
)
def test_a_time_is_a_number(claim: str, value: Any) -> None:
    assert failed(claiming(**{claim: value})) == [f"assertion_{claim}"]


def test_expiry_is_required_and_the_other_times_are_not() -> None:
    assert failed(claiming(exp=None)) == ["assertion_exp"]
    assert not failed(claiming(iat=None, nbf=None))


@pytest.mark.req("F2-09")
@pytest.mark.threat("37")
@pytest.mark.parametrize("value", [None, "", "x" * 257, 1, ["a"], {}, True, "a\nb", "a\0b", "\ud800", "\u202e"])
def test_an_assertion_that_could_not_be_remembered_is_refused(value: Any) -> None:
    assert failed(claiming(jti=value)) == ["assertion_jti"]
    assert not failed(claiming(jti="x" * 256))


@pytest.mark.req("8725-11")
@pytest.mark.parametrize(
    ("typ", "accepted"),
    [
        ("JWT", True), ("jwt", True), ("application/jwt", True), ("client-authentication+jwt", True),
        ("application/client-authentication+jwt", True), ("Client-Authentication+JWT", True),
        ("at+jwt", False), ("dpop+jwt", False), ("oauth-authz-req+jwt", False), ("logout+jwt", False), ("", False),
        (None, False), (7, False), (["JWT"], False), ("client-authentication+jwt ", False),
    ],
)  # fmt: skip
def test_the_type_is_that_of_an_assertion_or_of_any_jwt(typ: Any, accepted: bool) -> None:
    assert failed(signed({**HEADER, "typ": typ}, CLAIMS)) == ([] if accepted else ["assertion_signature"])


OWN = public_jwk(KEYS["ES256"])
REFUSED_HEADERS: dict[str, dict[str, Any]] = {
    "jwk": {"jwk": public_jwk(STRANGER)},
    "the registered key as jwk": {"jwk": OWN},
    "jku": {"jku": "https://evil.example/jwks"},
    "x5u": {"x5u": "https://evil.example/x5u"},
    "x5c": {"x5c": ["MIIB"]},
    "crit of an unknown extension": {"crit": ["cnf"], "cnf": {}},
    "crit of nothing": {"crit": []},
    "crit of an empty name": {"crit": [""]},
    "crit of b64": {"crit": ["b64"], "b64": False},
    "b64": {"b64": False},
    "b64 true": {"b64": True},
    "zip": {"zip": "DEF"},
    "kid as a number": {"kid": 1},
    "kid as a list": {"kid": ["ES256"]},
    "alg none": {"alg": "none"},
    "alg None": {"alg": "None"},
    "alg HS256": {"alg": "HS256"},
    "alg PBES2 with p2c": {"alg": "PBES2-HS256+A128KW", "p2c": 2**31, "p2s": "AA"},
    "alg of another key": {"alg": "ES384", "kid": "ES256"},
}


@pytest.mark.req("8725-10", "8725-06", "8725-02", "F2-21")
@pytest.mark.threat("43", "44", "45", "B18")
@pytest.mark.parametrize("case", sorted(REFUSED_HEADERS))
def test_a_header_that_asks_for_something_else_is_refused_though_its_signature_holds(case: str) -> None:
    token = signed({**HEADER, **REFUSED_HEADERS[case]}, CLAIMS, KEYS["ES256"])
    assert failed(token) in (["assertion_signature"], [KEY_CHECK])
    if "jwk" in REFUSED_HEADERS[case]:
        assert failed(signed({**HEADER, **REFUSED_HEADERS[case]}, CLAIMS, STRANGER)) == ["assertion_signature"]


@pytest.mark.threat("46", "B18")
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("allowed", [ALGORITHMS, (*ALGORITHMS, "HS256", "none")])
def test_a_registered_public_key_is_no_shared_secret(encoding: Encoding, allowed: tuple[str, ...]) -> None:
    public = KEYS["ES256"].public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    for secret in (public, json.dumps(OWN).encode(), b""):
        text = f"{encode(json.dumps({**HEADER, 'alg': 'HS256'}).encode())}.{encode(json.dumps(CLAIMS).encode())}"
        token = f"{text}.{encode(hmac.digest(secret, text.encode(), 'sha256'))}"
        assert failed(token, algorithms=allowed) in (["assertion_signature"], [KEY_CHECK])
    head = encode(json.dumps({**HEADER, "alg": "none"}).encode())
    assert failed(f"{head}.{encode(json.dumps(CLAIMS).encode())}.", algorithms=allowed) != []


@pytest.mark.req("8725-03")
def test_a_strangers_signature_is_none_and_its_claims_are_not_looked_at() -> None:
    token = signed(HEADER, {"sub": "orders"}, STRANGER)
    checks, accepted = check(token)
    assert ([one.check for one in checks], accepted) == (["assertion_signature"], None)


def test_only_an_unknown_key_says_that_the_keys_may_have_changed() -> None:
    assert failed(signed({**HEADER, "kid": "tomorrow's"}, CLAIMS)) == [KEY_CHECK]
    assert failed(claiming(), keys=JWKSet(())) == [KEY_CHECK]
    assert failed(signed(HEADER, CLAIMS, STRANGER)) == ["assertion_signature"]


@pytest.mark.req("F2-21")
def test_keys_of_one_kid_are_told_apart_by_kind_use_and_algorithm() -> None:
    encryption = public_jwk(STRANGER, kid="one", use="enc")
    several = parse_jwks({"keys": [encryption, *(public_jwk(k, kid="one", alg=a) for a, k in KEYS.items())]})
    for algorithm in ALGORITHMS:
        assert not failed(signed({"alg": algorithm, "kid": "one"}, CLAIMS), keys=several)
    assert failed(signed({"alg": "ES256", "kid": "one"}, CLAIMS, STRANGER), keys=several) == ["assertion_signature"]


def test_an_assertion_without_kid_is_tried_with_every_key_that_fits() -> None:
    two = parse_jwks({"keys": [public_jwk(STRANGER, kid="old"), public_jwk(KEYS["ES256"], kid="new")]})
    assert not failed(signed({"alg": "ES256"}, CLAIMS), keys=two)
    assert not failed(signed({"alg": "ES256"}, CLAIMS, STRANGER), keys=two)


def test_a_client_is_named_by_the_subject_alone_and_by_no_signature() -> None:
    head, payload = encode(b'{"alg":"none"}'), encode(b'{"sub":"orders","iss":"others"}')
    assert claimed_client(f"{head}.{payload}.") == "orders"
    for client_id in ("a", "a" * 256):
        assert claimed_client(claiming(sub=client_id)) == client_id


@pytest.mark.parametrize(
    "payload",
    [b"{}", b"[]", b"", b"{", b'{"sub":""}', b'{"sub":1}', b'{"sub":["a"]}', b'{"sub":null}', b'{"sub":"a\\u0000"}',
     b'{"sub":"\\ud800"}', b'{"sub":"a\\nb"}', b'{"sub":"' + b"a" * 257 + b'"}', b'{"sub":"a"}' * 1000],
)  # fmt: skip
def test_an_assertion_that_names_no_client_is_no_client(payload: bytes) -> None:
    with pytest.raises(OAuthError) as refused:
        claimed_client(f"{encode(b'{}')}.{encode(payload)}.AA")
    assert refused.value.error == "invalid_client"


@pytest.mark.parametrize("junk", ["", "a", "..", "a.b", "a.b.c", "a.b.c.d.e", "é.é.é", "\udcff", "." * 9000])
def test_what_is_no_jwt_names_nobody_and_is_refused(junk: str) -> None:
    with pytest.raises(OAuthError, match="invalid_client"):
        claimed_client(junk)
    assert failed(junk) == ["assertion_signature"]


def test_an_assertion_longer_than_a_parameter_may_be_is_refused() -> None:
    assert failed(claiming(more="x" * 8192)) == ["assertion_signature"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([ISSUER, "orders"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
headers = st.dictionaries(
    st.sampled_from(["alg", "typ", "kid", "crit", "b64", "zip", "jwk", "jku", "x5c", "cty", "p2c"]), json_values
)


@given(headers, st.dictionaries(st.sampled_from([*CLAIMS, "nbf", "client_id"]), json_values))
def test_whatever_a_client_signs_it_is_decided_and_nothing_is_raised(
    header: dict[str, Any], claims: dict[str, Any]
) -> None:
    failed(signed({**HEADER, **header}, CLAIMS, KEYS["ES256"]))
    failed(signed(HEADER, {**CLAIMS, **claims}))
    with suppress(OAuthError):
        assert claimed_client(signed(HEADER, {**CLAIMS, **claims})).encode()


@given(st.text(max_size=200) | st.lists(st.binary(max_size=60).map(encode), max_size=5).map(".".join))
def test_junk_is_decided_and_nothing_but_an_oauth_error_is_raised(text: str) -> None:
    assert failed(text)
    with suppress(OAuthError):
        claimed_client(text)
