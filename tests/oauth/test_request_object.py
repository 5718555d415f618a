import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from tests.oauth.signing import signed

from certbound.jose.jwks import jwks_document, parse_jwks
from certbound.jose.jwt import sign
from certbound.jose.keys import SigningKey, generate_signing_key
from certbound.oauth.authorization_request import AuthorizationPolicy, parse_authorization_request
from certbound.oauth.form import Form
from certbound.oauth.profile import Profile
from certbound.oauth.registration import AuthenticationMethod, Client
from certbound.oauth.request_object import (
    RequestObjectError,
    _pairs,
    read_request_object,
)

NOW = 1_800_000_000
ISSUER = "https://as.example"
CALLBACK = "https://app.example/callback"
ES256, OTHER = generate_signing_key(), generate_signing_key()
EDDSA, ES384 = generate_signing_key("EdDSA"), generate_signing_key("ES384")
KEYS = parse_jwks(jwks_document(key.public_jwk for key in (ES256, EDDSA, ES384)))
CLIENT = Client(
    client_id="orders",
    client_name="Orders",
    token_endpoint_auth_method=AuthenticationMethod.TLS_CLIENT_AUTH,
    grant_types=("authorization_code",),
    redirect_uris=(CALLBACK,),
)
TYP = "oauth-authz-req+jwt"
LEAST: dict[str, Any] = {
    "iss": "orders",
    "aud": ISSUER,
    "exp": NOW + 300,
    "client_id": "orders",
    "response_type": "code",
    "redirect_uri": CALLBACK,
}


def read(claims: dict[str, Any], *, key: SigningKey = ES256, typ: str = TYP) -> Form:
    algorithms = Profile.FAPI2.rules.signing_algorithms
    return read_request_object(sign(claims, key, typ=typ), CLIENT, KEYS, issuer=ISSUER, algorithms=algorithms, now=NOW)


def read_signed(payload: bytes) -> Form:
    """Read an object that is signed as it should be, whatever is in it."""
    header, body = (
        base64.urlsafe_b64encode(part).rstrip(b"=")
        for part in (b'{"alg":"ES256","typ":"' + TYP.encode() + b'"}', payload)
    )
    private = serialization.load_der_private_key(ES256.private_der, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(private.sign(header + b"." + body, ec.ECDSA(hashes.SHA256())))
    signature = base64.urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=")
    jwt = b".".join((header, body, signature)).decode()
    return read_request_object(jwt, CLIENT, KEYS, issuer=ISSUER, algorithms=["ES256"], now=NOW)


def changed(**members: Any) -> dict[str, Any]:
    """The least of a request object, with members changed; None takes one out."""
    return {name: value for name, value in {**LEAST, **members}.items() if value is not None}


@pytest.mark.req("9126-07")
def test_the_parameters_are_those_in_the_object() -> None:
    claims = changed(
        scope="openid read",
        state="x",
        max_age=0,
        resource=["https://a.example", "https://b.example"],
        claims={"id_token": {"acr": {"essential": True}}},
        nonce="",
        unknown={"is": ["ignored"]},
    )
    policy = AuthorizationPolicy(scopes=("openid", "read"), resources=("https://a.example", "https://b.example"))
    request = parse_authorization_request(read(claims), CLIENT, policy=policy)
    assert request.scopes == ("openid", "read")
    assert request.resources == ("https://a.example", "https://b.example")
    assert (request.state, request.max_age, request.nonce) == ("x", 0, None)
    assert request.claims.id_token["acr"].essential


def test_every_parameter_may_stand_in_the_object() -> None:
    names = (
        "client_id response_type redirect_uri response_mode scope resource state code_challenge code_challenge_method"
        " nonce prompt max_age login_hint id_token_hint acr_values claims dpop_jkt"
    )
    members = dict.fromkeys(names.split(), "x") | LEAST
    assert set(read(members).values) == set(names.split())


def test_what_is_written_as_text_is_read_as_well() -> None:
    form = read(changed(max_age="5", resource="https://a.example", claims='{"id_token": {}}'))
    assert (form.get("max_age"), form.all("resource"), form.get("claims")) == (
        "5",
        ("https://a.example",),
        '{"id_token": {}}',
    )


def test_nothing_else_becomes_a_parameter() -> None:
    form = read(changed(iat=NOW, nbf=NOW, jti="j", client_secret="s", code="c", username="u"))
    assert set(form.values) == {"client_id", "response_type", "redirect_uri"}


@pytest.mark.parametrize("typ", [TYP, TYP.upper(), f"application/{TYP}", "JWT"])
def test_an_object_is_of_its_type_or_of_none_in_particular(typ: str) -> None:
    assert read(LEAST, typ=typ).get("client_id") == "orders"


def test_an_object_may_name_no_type() -> None:
    private = serialization.load_der_private_key(ES256.private_der, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    token = signed({"alg": "ES256"}, LEAST, private)
    form = read_request_object(token, CLIENT, KEYS, issuer=ISSUER, algorithms=["ES256"], now=NOW)
    assert form.get("client_id") == "orders"


@pytest.mark.parametrize("aud", [ISSUER, [ISSUER]])
def test_an_object_is_for_the_issuer(aud: object) -> None:
    assert read(changed(aud=aud))


@pytest.mark.parametrize(
    "claims",
    [
        changed(client_id="other"),
        changed(client_id=None),
        changed(iss="other"),
        changed(iss=None),
        changed(iss=ISSUER),
        changed(client_id="other", iss="other"),
        changed(aud=None),
        changed(aud=f"{ISSUER}/"),
        changed(aud=f"{ISSUER}/oauth2/authorize"),
        changed(aud=[ISSUER, "https://other.example"]),
        changed(aud=[]),
        changed(aud={ISSUER: 1}),
        changed(sub="orders"),
        changed(sub="usr_1"),
        changed(request="a.b.c"),
        changed(request_uri="urn:x"),
        changed(exp=None),
        changed(exp=NOW),
        changed(exp=NOW - 1),
        changed(exp=NOW + 3601),
        changed(exp=str(NOW + 300)),
        changed(exp=True),
        changed(exp=float("nan")),
        changed(exp=float("inf")),
        changed(nbf=NOW + 61),
        changed(nbf=NOW - 3601),
        changed(nbf="now"),
        changed(nbf=float("nan")),
        changed(iat=NOW + 61),
        changed(iat=[NOW]),
        changed(iat=True),
        changed(state=7),
        changed(state=["x"]),
        changed(state="\0"),
        changed(state="\ud800"),
        changed(state="x\udfff"),
        changed(state="s" * 8193),
        changed(response_type=["code"]),
        changed(max_age=True),
        changed(max_age=1.5),
        changed(acr_values=7),
        changed(scope=["read"]),
        changed(resource=[1]),
        changed(resource=[["https://a.example"]]),
        changed(resource={"a": 1}),
        changed(resource=["https://a.example"] * 10 + ["\0"]),
        changed(claims=["userinfo"]),
        changed(claims={"id_token": {f"claim{n}": None for n in range(1000)}}),
    ],
)
@pytest.mark.req("9126-03", "9126-07", "F2-12")
def test_an_object_that_is_not_this_clients_for_this_server_and_now_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(RequestObjectError) as refused:
        read_signed(json.dumps(claims).encode())
    assert refused.value.error == "invalid_request_object"
    assert not refused.value.unknown_key


@pytest.mark.req("F2-12")
def test_a_clock_may_be_a_little_ahead() -> None:
    assert read(changed(iat=NOW + 10, nbf=NOW + 10))
    assert read(changed(iat=NOW + 60, nbf=NOW + 60))


def test_an_object_may_be_old_and_be_good_for_an_hour() -> None:
    assert read(changed(iat=NOW - 10**6, nbf=NOW - 3600, exp=NOW + 3600))
    assert read(changed(exp=NOW + 1))


def test_an_object_of_another_key_invites_to_look_for_it() -> None:
    with pytest.raises(RequestObjectError) as refused:
        read(LEAST, key=OTHER)
    assert refused.value.unknown_key


@pytest.mark.req("8725-11")
@pytest.mark.parametrize("typ", ["", "at+jwt", "dpop+jwt", "client-authentication+jwt", "logout+jwt"])
def test_a_token_of_another_kind_is_no_request(typ: str) -> None:
    with pytest.raises(RequestObjectError):
        read(LEAST, typ=typ)


def test_an_algorithm_that_is_not_allowed_is_refused() -> None:
    assert read(LEAST, key=EDDSA)
    with pytest.raises(RequestObjectError) as refused:
        read(LEAST, key=ES384)
    assert not refused.value.unknown_key


@pytest.mark.parametrize("jwt", ["", "a", "a.b.c", "e30.e30.", "eyJhbGciOiJub25lIn0.e30.", "." * 5, "é.é.é"])
def test_what_is_not_signed_is_refused(jwt: str) -> None:
    with pytest.raises(RequestObjectError):
        read_request_object(jwt, CLIENT, KEYS, issuer=ISSUER, algorithms=["ES256", "none"], now=NOW)


@pytest.mark.parametrize("depth", [10, 500, *range(880, 1000), 2000])
def test_however_deep_the_claims_are_they_are_read_or_refused(depth: int) -> None:
    deep = b'{"a":' * depth + b"0" + b"}" * depth
    payload = json.dumps(LEAST).encode()[:-1] + b',"claims":' + deep + b"}"
    with suppress(RequestObjectError):
        assert read_signed(payload).get("claims")


def test_claims_deeper_than_can_be_written_are_refused() -> None:
    claims: dict[str, Any] = {}
    for _ in range(100_000):
        claims = {"a": claims}
    with pytest.raises(RequestObjectError, match="too deeply"):
        list(_pairs({"claims": claims}))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["state", "scope", "resource", "claims", "max_age", "exp", "nbf", "iat", "aud", "iss", "nonce"])


@given(st.dictionaries(names, values, max_size=4))
def test_whatever_is_signed_is_read_or_refused(members: dict[str, Any]) -> None:
    with suppress(RequestObjectError):
        form = read_signed(json.dumps({**LEAST, **members}).encode())
        assert all(value and "\0" not in value for values in form.values.values() for value in values)
