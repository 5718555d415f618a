import hmac
import json
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from tests.oauth.signing import KEYS, encode, public_jwk, signed

from certbound.oauth.dpop import Proof, access_token_hash, read_proof
from certbound.oauth.dpop_nonce import WINDOW_SECONDS, dpop_nonces
from certbound.oauth.errors import OAuthError

NOW = 1_780_000_000
URL = "https://as.example.com/oauth2/token"
STRANGER = ec.generate_private_key(ec.SECP256R1())
HEADER = {"alg": "ES256", "typ": "dpop+jwt", "jwk": public_jwk(KEYS["ES256"])}
CLAIMS = {"jti": "e1j3V_bKic8-LAEB", "htm": "POST", "htu": URL, "iat": NOW}
TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
KEY = bytes(range(32))

# RFC 9449: figure 2, a proof for the token endpoint, and figure 13, one for a resource.
RFC_HEADER = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQy"
    "VVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
)
FIGURE_2 = (
    f"{RFC_HEADER}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2"
    "VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
FIGURE_13 = (
    f"{RFC_HEADER}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm"
    "90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9"
    ".2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)
RFC_JKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
RESOURCE = "https://resource.example.org/protectedresource"


def read(*headers: str, **how: Any) -> Proof:
    return read_proof(headers, "POST", URL, **{"now": NOW, **how})


def refused(*headers: str, error: str = "invalid_dpop_proof", **how: Any) -> str:
    with pytest.raises(OAuthError) as caught:
        read(*headers, **how)
    assert (caught.value.error, caught.value.status) == (error, 400)
    assert caught.value.description.isascii()
    assert caught.value.description.isprintable()
    assert not {'"', "\\"} & set(caught.value.description)
    return caught.value.description


def proving(**claims: Any) -> str:
    """Sign claims that differ in these; None leaves one out."""
    return signed(HEADER, {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None})


def test_the_proofs_of_the_rfc_are_accepted() -> None:
    token = read_proof([FIGURE_2], "POST", "https://server.example.com/token", now=1562262616)
    assert token == Proof(jkt=RFC_JKT, jti="-BwC3ESc6acc2lTc", iat=1562262616)
    resource = read_proof([FIGURE_13], "GET", RESOURCE, now=1562262618, access_token=TOKEN)
    assert resource == Proof(jkt=RFC_JKT, jti="e1j3V_bKic8-LAEB", iat=1562262618)
    assert access_token_hash(TOKEN) == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


@pytest.mark.parametrize("algorithm", sorted(KEYS))
def test_a_proof_names_its_key_whatever_the_algorithm(algorithm: str) -> None:
    header = {"alg": algorithm, "typ": "dpop+jwt", "jwk": public_jwk(KEYS[algorithm])}
    assert len(read(signed(header, CLAIMS)).jkt) == 43
    assert "algorithm" in refused(signed(header, CLAIMS), algorithms=set(KEYS) - {algorithm})


@pytest.mark.parametrize("number", [0, 2, 3])
def test_there_is_one_header_and_no_second(number: int) -> None:
    assert f"there are {number}" in refused(*[proving()] * number)
    refused(",".join([proving()] * number))


JWK = HEADER["jwk"]
BAD_HEADERS: dict[str, dict[str, Any]] = {
    "no typ": {"typ": None},
    "typ JWT": {"typ": "JWT"},
    "typ of an access token": {"typ": "at+jwt"},
    "typ of an assertion": {"typ": "client-authentication+jwt"},
    "typ as a list": {"typ": ["dpop+jwt"]},
    "alg none": {"alg": "none"},
    "alg None": {"alg": "None"},
    "alg HS256": {"alg": "HS256"},
    "alg of another kind": {"alg": "RS256"},
    "alg of a longer curve": {"alg": "ES384"},
    "alg PBES2 with p2c": {"alg": "PBES2-HS256+A128KW", "p2c": 2**31, "p2s": "AA"},
    "no jwk": {"jwk": None},
    "jwk as text": {"jwk": "key"},
    "another's jwk": {"jwk": public_jwk(STRANGER)},
    "a private key": {"jwk": {**public_jwk(KEYS["ES256"]), "d": "AA"}},
    "a symmetric key": {"jwk": {"kty": "oct", "k": "c2VjcmV0"}},
    "a point off the curve": {"jwk": public_jwk(KEYS["ES256"], y=public_jwk(KEYS["ES256"])["x"])},
    "an encryption key": {"jwk": public_jwk(KEYS["ES256"], use="enc")},
    "jku": {"jku": "https://evil.example/jwks"},
    "x5u": {"x5u": "https://evil.example/x5u"},
    "x5c": {"x5c": ["MIIB"]},
    "crit of an unknown extension": {"crit": ["cnf"], "cnf": {}},
    "crit of nothing": {"crit": []},
    "crit of an empty name": {"crit": [""]},
    "b64": {"b64": False},
    "crit of b64": {"crit": ["b64"], "b64": False},
    "zip": {"zip": "DEF"},
}


@pytest.mark.req("8725-10", "8725-11")
@pytest.mark.threat("43", "44", "45", "B18")
@pytest.mark.parametrize("case", sorted(BAD_HEADERS))
def test_a_header_that_is_not_a_proofs_is_refused_though_its_signature_holds(case: str) -> None:
    assert read(signed(HEADER, CLAIMS, KEYS["ES256"])).jti == CLAIMS["jti"]
    header = {name: value for name, value in {**HEADER, **BAD_HEADERS[case]}.items() if value is not None}
    refused(signed(header, CLAIMS, KEYS["ES256"]))


@pytest.mark.threat("46", "B18")
def test_the_proofs_own_key_is_no_shared_secret() -> None:
    text = f"{encode(json.dumps({**HEADER, 'alg': 'HS256'}).encode())}.{encode(json.dumps(CLAIMS).encode())}"
    token = f"{text}.{encode(hmac.digest(json.dumps(JWK).encode(), text.encode(), 'sha256'))}"
    refused(token)
    refused(token, algorithms={"ES256", "HS256", "none"})


@pytest.mark.parametrize("method", ["GET", "post", "Post", "POST ", "", None, ["POST"], 1])
def test_the_method_is_that_of_the_request(method: Any) -> None:
    assert "(htm)" in refused(proving(htm=method))


@pytest.mark.parametrize(
    "url",
    [
        URL, URL + "?a=b", URL + "#fragment", URL + "?a=b#c", "HTTPS://AS.Example.COM/oauth2/token",
        "https://as.example.com:443/oauth2/token", "https://as.example.com:/oauth2/token",
        "https://as.example.com/%6fauth2/%74oken", "https://as.example.com/a/../oauth2/./token",
        "https://as.example.com/%2e%2E/oauth2/token",
    ],
)  # fmt: skip
def test_a_url_may_be_spelled_in_another_way(url: str) -> None:
    assert read(proving(htu=url)).iat == NOW
    assert read_proof([proving()], "POST", url, now=NOW).iat == NOW


@pytest.mark.parametrize(
    "url",
    [
        "http://as.example.com/oauth2/token", "https://as.example.com:8443/oauth2/token", URL + "/", URL + "//",
        "https://as.example.com/oauth2/Token", "https://as.example.com/oauth2%2Ftoken", "https://as.example.com",
        "https://as.example.com.evil.example/oauth2/token", "https://evil.example/oauth2/token", "/oauth2/token",
        "https://user@as.example.com/oauth2/token", "https://as.example.com@evil.example/oauth2/token",
        "https://as.example.com\\@evil.example/oauth2/token", "https://as.example.com/oauth2/token%", URL + "%zz",
        "https://as.example.com:port/oauth2/token", "https://[::1/oauth2/token", "https://as.example.com/oauth2/token;a",
        " " + URL, URL + " ", URL + "\n", "https://as.example.com/oauth2/t\token", "https://as.example.c\u00f6m/", "",
        None, "as.example.com",
        [URL], 1, {}, URL + "?" + "x" * 2048, "\ud800", "ftp://as.example.com/oauth2/token", "https:///oauth2/token",
    ],
)  # fmt: skip
def test_another_url_is_refused(url: Any) -> None:
    assert "(htu)" in refused(proving(htu=url))


def test_a_url_of_the_request_that_is_none_is_a_proof_for_another() -> None:
    with pytest.raises(OAuthError, match=r"\(htu\)"):
        read_proof([proving()], "POST", "https://[", now=NOW)


def test_an_alias_of_the_endpoint_is_the_endpoint() -> None:
    alias = "https://mtls.example.com/oauth2/token"
    assert "(htu)" in refused(proving(htu=alias))
    for url in (URL, alias):
        assert read(proving(htu=url), aliases=[alias]).iat == NOW


@pytest.mark.req("F2-12")
@pytest.mark.parametrize(
    ("seconds", "accepted"),
    [(0, True), (10, True), (30, True), (31, False), (61, False), (-60, True), (-61, False), (-60.5, False),
     (-86_400, False), (-0.5, True), (30.5, False)],
)  # fmt: skip
def test_a_proof_was_made_just_now(seconds: float, accepted: bool) -> None:
    if accepted:
        assert read(proving(iat=NOW + seconds)).iat in {NOW + int(seconds), NOW + int(seconds) - 1}
    else:
        assert "(iat)" in refused(proving(iat=NOW + seconds))


@pytest.mark.parametrize("value", [None, "now", True, [NOW], {}, float("nan"), float("inf"), 10**400])
def test_the_time_of_a_proof_is_a_number(value: Any) -> None:
    assert "iat" in refused(proving(iat=value))


@pytest.mark.parametrize("fraction", [0, 0.25, 0.75])
def test_a_proof_is_refused_for_its_age_once_it_is_forgotten(fraction: float) -> None:
    token = proving(iat=NOW + fraction)
    expires_at = read(token).expires_at
    assert "too old" in refused(token, now=expires_at)
    assert read(proving(), now=NOW + 60).expires_at == NOW + 61


@pytest.mark.parametrize("value", [None, "", "x" * 257, 1, ["a"], {}, "a\nb", "a\0b", "\ud800"])
def test_a_proof_that_could_not_be_remembered_is_refused(value: Any) -> None:
    assert "jti" in refused(proving(jti=value))
    assert read(proving(jti="x" * 256)).jti == "x" * 256


@pytest.mark.parametrize(
    "value", [None, "", TOKEN, access_token_hash("another"), access_token_hash(TOKEN) + "=", 1, ["a"], "ä", "\ud800"]
)
def test_a_proof_for_another_access_token_is_refused(value: Any) -> None:
    assert "(ath)" in refused(proving(ath=value), access_token=TOKEN)
    assert read(proving(ath=access_token_hash(TOKEN)), access_token=TOKEN).iat == NOW


@pytest.mark.parametrize("token", ["", "ä", "\ud800"])
def test_an_access_token_may_be_any_text(token: str) -> None:
    refused(proving(), access_token=token)
    assert read(proving(ath=access_token_hash(token)), access_token=token).iat == NOW


def test_a_nonce_is_good_for_its_window_and_the_next_in_every_worker() -> None:
    first, previous, following = dpop_nonces(KEY, NOW)
    token = proving(nonce=first)
    for seconds in (0, WINDOW_SECONDS, -WINDOW_SECONDS):
        assert read(token, nonces=dpop_nonces(KEY, NOW + seconds)).iat == NOW
    for seconds in (2 * WINDOW_SECONDS, -2 * WINDOW_SECONDS, 86_400):
        assert "DPoP-Nonce" in refused(token, nonces=dpop_nonces(KEY, NOW + seconds), error="use_dpop_nonce")
    assert len({first, previous, following}) == 3
    assert dpop_nonces(KEY, NOW + WINDOW_SECONDS)[1] == first
    assert all(len(nonce) == 24 and "=" not in nonce for nonce in (first, previous, following))


@pytest.mark.parametrize("nonce", [None, "", "eyJ7S_zG.eyJH0-Z.HX4w-7v", 1, ["a"], "ä", "\ud800"])
def test_a_nonce_that_the_server_did_not_give_out_is_answered_with_one(nonce: Any) -> None:
    refused(proving(nonce=nonce), nonces=dpop_nonces(KEY, NOW), error="use_dpop_nonce")
    refused(proving(nonce=dpop_nonces(KEY[:-1], NOW)[0]), nonces=dpop_nonces(KEY, NOW), error="use_dpop_nonce")
    refused(proving(nonce=nonce), nonces=(), error="use_dpop_nonce")
    assert read(proving(nonce=nonce)).iat == NOW, "where none is asked for, one that is there says nothing"


def test_a_nonce_is_asked_for_only_where_all_else_is_right() -> None:
    refused(proving(htm="GET"), nonces=dpop_nonces(KEY, NOW))
    refused(proving(iat=NOW - 61), nonces=dpop_nonces(KEY, NOW))


def test_a_proof_of_a_long_rsa_key_is_read_and_a_longer_proof_is_not() -> None:
    assert read(signed({**HEADER, "alg": "RS256", "jwk": public_jwk(KEYS["RS256"])}, {**CLAIMS, "x": "x" * 4000})).jti
    assert "longer than 8192" in refused(proving(x="x" * 8192))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([URL, "POST", NOW]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
headers = st.sampled_from(["alg", "typ", "kid", "crit", "b64", "zip", "jwk", "jku", "x5c", "cty", "p2c"])
key_members = st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d", "use", "alg"]), json_values)


@given(
    st.dictionaries(headers, json_values),
    st.dictionaries(st.sampled_from([*CLAIMS, "ath", "nonce"]), json_values),
    key_members,
)
def test_whatever_is_signed_it_is_a_proof_or_an_oauth_error(
    header: dict[str, Any], claims: dict[str, Any], members: dict[str, Any]
) -> None:
    for token in (
        signed({**HEADER, **header}, CLAIMS, KEYS["ES256"]),
        signed({**HEADER, "jwk": {**public_jwk(KEYS["ES256"]), **members}}, CLAIMS),
        signed(HEADER, {**CLAIMS, **claims}),
    ):
        with suppress(OAuthError):
            proof = read(token, access_token=TOKEN if "ath" in claims else None)
            assert proof.jti.encode()
            assert NOW - 60 <= proof.iat <= NOW + 30


@given(st.text(max_size=200) | st.lists(st.binary(max_size=60).map(encode), max_size=5).map(".".join), st.text())
def test_junk_is_refused_with_nothing_but_an_oauth_error(text: str, url: str) -> None:
    refused(text)
    with suppress(OAuthError):
        read_proof([proving(htu=url)], "POST", url, now=NOW, access_token=url)


parts = st.sampled_from(
    ["https://", "http://", "h", "[::1]", "%41", "%", "%2e", "..", ".", "/", ":", "443", "@", "?", "#"]
)


@given(st.lists(parts, max_size=12).map("".join))
def test_a_normal_form_is_its_own(url: str) -> None:
    from certbound.oauth.target_uri import target_uri

    with suppress(ValueError):
        assert target_uri(target_uri(url)) == target_uri(url)
