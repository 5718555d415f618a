"""What a request to the token endpoint and a client's own JWK Set hold."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certbound.oauth import client_jwks
from certbound.oauth.credentials import read_credentials
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import parse_form
from certbound.oauth.registration import RegistrationError
from fuzz import mutation, seeds
from fuzz.target import Target, expect

_FORM = "application/x-www-form-urlencoded"
_FORMS = (
    b"grant_type=client_credentials&client_id=orders&scope=read+write&resource=https%3A%2F%2Fa&resource=b",
    b"grant_type=refresh_token&refresh_token=%C3%A5&client_secret=s%00&client_id=a;b",
    b"client_id=&client_assertion=a.b.c&client_assertion_type=urn%3Aietf",
    b"",
)
_WORDS = (b"client_id=", b"client_secret=", b"client_assertion=", b"resource=", b"%00", b"%ED%A0%80", b"&", b"=", b"+")


def _form(data: bytes) -> None:
    try:
        form = parse_form(data, _FORM)
        for name in ("client_id", "resource"):
            form.required(name).encode()
    except OAuthError as error:
        _printable(error)


def _credentials(data: bytes) -> None:
    body, has_header, header = data.partition(b"\n")
    try:
        shown = read_credentials(parse_form(body, _FORM), header.decode("latin-1") if has_header else None, None)
        (shown.client_id + (shown.secret or "")).encode()
    except OAuthError as error:
        _printable(error)


def _printable(error: OAuthError) -> None:
    """RFC 6749 section 5.2 says what may stand in a description."""
    printable = all(" " <= character <= "~" and character not in '"\\' for character in error.description)
    expect(printable, "a description that may not be sent")


def _all_credentials() -> Iterator[bytes]:
    yield from _FORMS
    for pair in (b"orders:secret", b"a%3Ab:c+d", b":", b"\xff:", b"a%00:b"):
        yield _FORMS[0] + b"\nBasic " + base64.b64encode(pair)
    yield b"\nBearer x"


def _client_jwks(data: bytes) -> None:
    found = client_jwks.read_client_jwks(json_of(data))
    expect(bool(found.certificates or found.keys), "neither certificates nor keys nor a refusal")


def json_of(data: bytes) -> Any:
    """Give what a caller hands on, which reads JSON itself; None where it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def jwk_sets() -> Iterator[bytes]:
    """Give JWK Sets with and without certificates."""
    point = seeds.KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    x, y = (base64.urlsafe_b64encode(point[i : i + 32]).rstrip(b"=").decode() for i in (1, 33))
    key = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    chain = [base64.b64encode(der).decode() for der in (seeds.leaf(), seeds.intermediate())]
    thumbprint = {"x5t#S256": "q" * 43, "kid": "1", "use": "sig", "alg": "ES256"}
    yield json.dumps({"keys": [key | {"x5c": chain}, key, key | thumbprint]}).encode()
    rsa = {"kty": "RSA", "n": "u" * 342, "e": "AQAB", "kid": "2", "key_ops": ["verify"]}
    okp = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    yield json.dumps({"keys": [rsa, okp, {"kty": "oct", "k": "AA"}], "spiffe_refresh_hint": 5}).encode()
    yield b'{"keys":[]}'


TARGETS = (
    Target("form.parse_form", _form, (), lambda: _FORMS, words=_WORDS),
    Target("credentials.read_credentials", _credentials, (), _all_credentials, words=(*_WORDS, b"\nBasic ")),
    Target("client_jwks.read", _client_jwks, (RegistrationError,), jwk_sets, mutation.json_text),
)
