from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.oauth.making import make, new_key
from tests.oauth.signing import KEYS, public_jwk

from certbound.oauth.registering import (
    AcceptedRegistration,
    RegistrationRequest,
    accept_registration,
    is_redirect_uri,
)
from certbound.oauth.registration import RegistrationError

MINE = make()
P521 = ec.generate_private_key(ec.SECP521R1())
GRANTS = ("client_credentials", "authorization_code", "password", "refresh_token")
PKI: dict[str, Any] = {"subject": {"tls_client_auth_san_dns": "a.example"}, "trust": ("partners",)}


def accept(method: str = "tls_client_auth", client_id: str = "orders", **members: Any) -> AcceptedRegistration:
    given = (PKI if method == "tls_client_auth" else {}) | {"client_name": "Orders"} | members
    request = RegistrationRequest(token_endpoint_auth_method=method, **given)
    return accept_registration(request, client_id=client_id, known_grants=GRANTS, secret_sha256=b"s" * 32, now=1)


@pytest.mark.parametrize(
    ("members", "member", "advice"),
    [
        ({"method": "private_key_jwks"}, "token_endpoint_auth_method", "use one of tls_client_auth"),
        ({"client_id": ""}, "client_id", "printable"),
        ({"client_id": "a b"}, "client_id", "printable"),
        ({"client_id": "a" * 256}, "client_id", "255"),
        ({"client_id": "usr_1"}, "client_id", "usr_"),
        ({"client_name": " "}, "client_name", "printable"),
        ({"client_name": "a\nb"}, "client_name", "printable"),
        ({"grant_types": ("implicit",)}, "grant_types", "use some of client_credentials"),
        ({"method": "none"}, "grant_types", "needs its grants named"),
        ({"method": "none", "grant_types": ("client_credentials",)}, "grant_types", "clients that authenticate"),
        ({"grant_types": ("refresh_token",)}, "grant_types", "authorization_code"),
        ({"grant_types": ("authorization_code",)}, "redirect_uris", "at least one redirect URI"),
        ({"scopes": ('a"b',)}, "scope", "printable ASCII"),
        ({"resources": ("api",)}, "certbound_resources", "absolute URI"),
        ({"resources": ("https://a/#b",)}, "certbound_resources", "without fragment"),
        ({"redirect_uris": ("http://a.example/",)}, "redirect_uris", "use https"),
        ({"post_logout_redirect_uris": ("https://a.example/#bye",)}, "post_logout_redirect_uris", "without fragment"),
        ({"subject": {}}, "tls_client_auth_subject_dn", "exactly one"),
        (
            {"subject": {"tls_client_auth_san_dns": "a", "tls_client_auth_san_ip": "::1"}},
            "tls_client_auth_subject_dn",
            "exactly one",
        ),
        ({"subject": {"tls_client_auth_san_ip": "localhost"}}, "tls_client_auth_san_ip", "(?i)address"),
        ({"method": "client_secret_post", "subject": PKI["subject"]}, "tls_client_auth_san_dns", "only"),
        ({"trust": ()}, "certbound_trust", "no authority is trusted by default"),
        ({"method": "client_secret_basic", "trust": ("partners",)}, "certbound_trust", "only"),
        ({"certificates": (MINE.certificate,)}, "jwks", "only"),
        ({"method": "self_signed_tls_client_auth"}, "jwks", "at least one certificate"),
        (
            {"method": "self_signed_tls_client_auth", "certificates": (MINE.certificate,), "jwks": {"keys": []}},
            "jwks",
            "not both",
        ),
    ],
)
def test_each_rule_names_the_member_and_what_to_do(members: dict[str, Any], member: str, advice: str) -> None:
    with pytest.raises(RegistrationError, match=advice) as refused:
        accept(**members)
    assert refused.value.member == member


@pytest.mark.req("7591-01", "7591-04")
@pytest.mark.parametrize("method", ["none", "tls_client_auth", "client_secret_basic"])
def test_a_client_with_somewhere_to_send_users_back_to_may_have_codes(method: str) -> None:
    uris = ("http://localhost:8080/playground2/oauth2client",)
    client = accept(method, grant_types=("authorization_code", "refresh_token"), redirect_uris=uris).client
    assert (client.grant_types, client.redirect_uris) == (("authorization_code", "refresh_token"), uris)


SIGNING = {"keys": [public_jwk(KEYS["PS256"], kid="1"), public_jwk(KEYS["ES256"], kid="2", alg="ES256")]}
ENCRYPTING = {"keys": [public_jwk(KEYS["ES256"], use="enc")]}
ALG = "token_endpoint_auth_signing_alg"
ELSEWHERE = "https://client.example/jwks"


def test_a_client_that_signs_is_registered_with_its_keys_and_its_algorithm_and_needs_no_certificate() -> None:
    inline, published = (accept("private_key_jwt", jwks=SIGNING), accept("private_key_jwt", jwks_uri=ELSEWHERE))
    assert (inline.certificates, published.certificates) == ((), ())
    assert (inline.client.jwks, inline.client.jwks_uri) == (SIGNING, None)
    assert (published.client.jwks, published.client.jwks_uri) == (None, ELSEWHERE)
    assert (inline.client.secret_sha256, inline.client.tls_client_certificate_bound_access_tokens) == (None, False)
    assert "token_endpoint_auth_signing_alg" not in inline.client.as_metadata()
    bound = accept("private_key_jwt", jwks=SIGNING, token_endpoint_auth_signing_alg="PS256", bound=True).client
    assert bound.tls_client_certificate_bound_access_tokens
    assert bound.as_metadata()["token_endpoint_auth_signing_alg"] == "PS256"
    assert bound.as_metadata()["token_endpoint_auth_method"] == "private_key_jwt"


@pytest.mark.req("7591-02")
@pytest.mark.parametrize(
    ("members", "member", "advice"),
    [
        ({}, "jwks", "either a jwks or a jwks_uri"),
        ({"jwks": SIGNING, "jwks_uri": ELSEWHERE}, "jwks_uri", "give either"),
        ({"jwks": SIGNING, "certificates": (MINE.certificate,)}, "jwks", "keys and no certificates"),
        ({"jwks_uri": ELSEWHERE, "certificates": (MINE.certificate,)}, "jwks_uri", "give either"),
        ({"jwks_uri": "http://client.example/jwks"}, "jwks_uri", "https"),
        ({"jwks": ENCRYPTING}, "jwks", "no key of the set can be used"),
        ({"jwks": {"keys": [public_jwk(P521)]}}, "jwks", "no key of the set is one for ES256 or ES384 or RS256"),
        ({"jwks": SIGNING, ALG: "EdDSA"}, "jwks", "no key of the set is one for EdDSA"),
        ({"jwks": SIGNING, ALG: "none"}, ALG, "use one of"),
        (
            {"jwks": SIGNING, "token_endpoint_auth_signing_alg": "HS256"},
            "token_endpoint_auth_signing_alg",
            "use one of",
        ),
        ({"jwks": SIGNING, "match_by_key": True}, "certbound_match_by_key", "only"),
        ({"jwks": SIGNING, "trust": ("partners",)}, "certbound_trust", "only"),
        ({"method": "client_secret_basic", "jwks_uri": ELSEWHERE}, "jwks_uri", "private_key_jwt only"),
        ({"method": "client_secret_basic", "jwks": SIGNING}, "jwks", "only"),
        (
            {
                "method": "self_signed_tls_client_auth",
                "jwks_uri": ELSEWHERE,
                "token_endpoint_auth_signing_alg": "ES256",
            },
            "token_endpoint_auth_signing_alg",
            "private_key_jwt only",
        ),
    ],
)
def test_a_client_that_signs_has_one_source_of_keys_that_can(members: dict[str, Any], member: str, advice: str) -> None:
    with pytest.raises(RegistrationError, match=advice) as refused:
        accept(**{"method": "private_key_jwt"} | members)
    assert refused.value.member == member


def test_defaults_bind_the_tokens_of_mutual_tls_and_keep_secrets_where_they_belong() -> None:
    pki, secret = accept().client, accept("client_secret_post").client
    assert (pki.tls_client_certificate_bound_access_tokens, pki.secret_sha256) == (True, None)
    assert (secret.tls_client_certificate_bound_access_tokens, secret.secret_sha256) == (False, b"s" * 32)
    assert pki.grant_types == ("client_credentials",)


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:8080/playground2/oauth2client",
        "https://app.example.com/cb?x=1",
        "http://127.0.0.1/",
        "http://[::1]:3000/cb",
    ],
)
def test_redirect_uris_that_are_safe_are_accepted(uri: str) -> None:
    assert is_redirect_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "http://app.example.com/cb",
        "http://localhost.example.com/",
        "https://user@app.example.com/",
        "https://user:pw@app.example.com/",
        "https://app.example.com/#x",
        "https://app.example.com/#",
        "https://",
        "//app.example.com",
        "https:///cb",
        "https://app.example.com\\@evil.example/",
        "https://app.example.com/ x",
        "https://äpp.example/",
        "https://[::1/",
        "",
        "JavaScript:alert(1)",
        "jAvAsCrIpT://localhost/%0aalert(1)",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://app.example.com/x",
        "http://localhost@evil.example/",
        "http://localhost:8080@evil.example/",
        "https://app.example.com@@evil.example/",
        "https://a@b@c@evil.example/",
        "http://localhost%40evil.example/",
        "http://localhost.evil.example/",
        "http://localhost./",
        "http://127.0.0.1.evil.example/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://[::]/",
        "http:localhost/",
        "http:/localhost/",
        "http://",
        "https:app.example.com",
        "https:\\\\app.example.com/",
        "https://app.example.com\t/",
        "https://app.example.com/\n",
        "\x01https://app.example.com/",
        "https://app.example.com/\x7f",
        "https://app.example.com/\0",
        "https://app.example.com:port/",
        "https://app.example.com:65536/",
        "app://callback",
    ],
)
def test_redirect_uris_that_lead_elsewhere_are_refused(uri: str) -> None:
    assert not is_redirect_uri(uri)


def test_the_certificates_of_a_jwk_set_are_registered_once() -> None:
    jwks = {"keys": [MINE.jwk(), MINE.jwk(kid="again"), {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}
    accepted = accept("self_signed_tls_client_auth", jwks=jwks)
    assert [certificate.der for certificate in accepted.certificates] == [MINE.der]


@pytest.mark.parametrize(
    ("jwks", "advice"),
    [
        ({}, "not a JWK Set"),
        ({"keys": "x"}, "not a JWK Set"),
        ({"keys": [MINE.jwk()] * 1000}, "not a JWK Set"),
        ({"keys": ["x"]}, "no object"),
        ({"keys": [MINE.jwk(d="AA")]}, "private key"),
        ({"keys": [{"kty": "oct", "k": "AA"}]}, "private key"),
        ({"keys": [MINE.jwk(x5c=[])]}, "x5c"),
        ({"keys": [MINE.jwk(x5c="MII")]}, "x5c"),
        ({"keys": [MINE.jwk(x5c=["***"])]}, "cannot be read"),
        ({"keys": [MINE.jwk(x5c=["AAAA"])]}, "cannot be read"),
        ({"keys": [MINE.jwk(x5c=make(key=new_key()).jwk()["x5c"])]}, "not those of the certificate"),
        ({"keys": [MINE.jwk(x="AA")]}, "not those of the certificate"),
    ],
)
def test_a_jwk_set_that_does_not_hold_together_is_refused(jwks: dict[str, Any], advice: str) -> None:
    with pytest.raises(RegistrationError, match=advice) as refused:
        accept("self_signed_tls_client_auth", jwks=jwks)
    assert refused.value.member == "jwks"


SELF_SIGNED = "self_signed_tls_client_auth"
URI = "https://client.example/jwks"
BARE = {name: value for name, value in MINE.jwk().items() if name != "x5c"}


@pytest.mark.parametrize(
    ("members", "member", "advice"),
    [
        ({"jwks_uri": URI}, "jwks_uri", "only"),
        ({"method": "client_secret_basic", "jwks_uri": URI}, "jwks_uri", "only"),
        ({"method": SELF_SIGNED, "jwks_uri": URI, "certificates": (MINE.certificate,)}, "jwks_uri", "either"),
        ({"method": SELF_SIGNED, "jwks_uri": URI, "jwks": {"keys": [MINE.jwk()]}}, "jwks_uri", "either"),
        ({"method": SELF_SIGNED, "jwks_uri": "http://client.example/jwks"}, "jwks_uri", "https"),
        ({"method": SELF_SIGNED, "jwks_uri": "http://localhost/jwks"}, "jwks_uri", "https"),
        ({"method": SELF_SIGNED, "jwks_uri": "https://me:pw@client.example/jwks"}, "jwks_uri", "without credentials"),
        ({"method": SELF_SIGNED, "jwks_uri": "https://client.example/jwks#keys"}, "jwks_uri", "fragment"),
        ({"method": SELF_SIGNED, "jwks_uri": "file:///etc/passwd"}, "jwks_uri", "https"),
        ({"method": SELF_SIGNED, "jwks_uri": "https://"}, "jwks_uri", "https"),
        ({"method": SELF_SIGNED, "jwks_uri": ""}, "jwks_uri", "https"),
        ({"match_by_key": True}, "certbound_match_by_key", "only"),
        ({"method": "client_secret_post", "match_by_key": True}, "certbound_match_by_key", "only"),
        ({"method": SELF_SIGNED, "jwks": {"keys": [BARE]}}, "jwks", "at least one certificate"),
        ({"method": SELF_SIGNED, "match_by_key": True}, "jwks", "at least one certificate"),
        ({"method": SELF_SIGNED, "jwks": {"keys": []}, "match_by_key": True}, "jwks", "no key of the set"),
        (
            {"method": SELF_SIGNED, "certificates": (MINE.certificate,), "subject_attributes": {"O": "Example"}},
            "certbound_subject_attributes",
            "only",
        ),
        ({"method": "client_secret_post", "subject_attributes": {"O": "x"}}, "certbound_subject_attributes", "only"),
        ({"subject_attributes": {"nonsense": "x"}}, "certbound_subject_attributes", "no known attribute type"),
        ({"subject_attributes": {"O": "x", "2.5.4.10": "y"}}, "certbound_subject_attributes", "given twice"),
        ({"subject_attributes": {"O": ""}}, "certbound_subject_attributes", "O"),
        ({"subject": {}, "subject_attributes": {"O": "x"}, "trust": ()}, "certbound_trust", "at least one trust store"),
        (
            {
                "subject": {"tls_client_auth_san_dns": "a.example", "tls_client_auth_san_ip": "::1"},
                "subject_attributes": {"O": "x"},
            },
            "tls_client_auth_subject_dn",
            "exactly one",
        ),
    ],
)
def test_what_says_which_certificates_mean_a_client_fits_its_method(
    members: dict[str, Any], member: str, advice: str
) -> None:
    with pytest.raises(RegistrationError, match=advice) as refused:
        accept(**members)
    assert refused.value.member == member


def test_published_keys_are_registered_by_their_uri_and_nothing_else() -> None:
    accepted = accept(SELF_SIGNED, jwks_uri=URI)
    assert (accepted.client.jwks_uri, accepted.client.jwks, accepted.certificates) == (URI, None, ())
    assert accepted.client.certificate_metadata() == {"jwks_uri": URI}


def test_a_set_of_bare_keys_is_registered_where_keys_may_match() -> None:
    accepted = accept(SELF_SIGNED, jwks={"keys": [BARE]}, match_by_key=True)
    assert (accepted.client.match_by_key, accepted.certificates) == (True, ())
    mixed = accept(SELF_SIGNED, jwks={"keys": [BARE, MINE.jwk()]})
    assert [certificate.der for certificate in mixed.certificates] == [MINE.der]


@pytest.mark.parametrize("subject", [{}, PKI["subject"]])
def test_attributes_stand_alone_or_beside_one_of_the_five(subject: dict[str, str]) -> None:
    client = accept(subject=subject, subject_attributes={"serialNumber": "1234", "organizationIdentifier": "X"}).client
    assert (client.subject is not None) == bool(subject)
    assert client.certificate_metadata() == subject | {
        "certbound_subject_attributes": {"serialNumber": "1234", "organizationIdentifier": "X"}
    }


def test_metadata_has_the_names_of_the_standards_and_says_nothing_that_is_not_registered() -> None:
    plain, told = accept().client.as_metadata(), accept(diagnostics=True).client.as_metadata()
    assert told == plain | {"certbound_diagnostics": True}
    keyed = accept(SELF_SIGNED, jwks={"keys": [BARE]}, match_by_key=True).client.as_metadata()
    assert (keyed["jwks"], keyed["certbound_match_by_key"]) == ({"keys": [BARE]}, True)
    assert accept(implicit_consent=True).client.as_metadata() == plain | {"certbound_consent": "implicit"}
    absent = {"jwks", "jwks_uri", "certbound_match_by_key", "certbound_diagnostics", "certbound_subject_attributes"}
    assert absent.isdisjoint(plain)


@pytest.mark.parametrize("method", ["tls_client_auth", "client_secret_basic", "none"])
def test_any_client_may_be_told_why_it_is_refused(method: str) -> None:
    grants = ("password",) if method == "none" else ()
    assert accept(method, diagnostics=True, grant_types=grants).client.diagnostics
    assert not accept(method, grant_types=grants).client.diagnostics
