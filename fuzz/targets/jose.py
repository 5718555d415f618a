"""JWK Sets and JWTs of issuers, and what an API makes of signed claims."""

import base64
import json
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certbound.certificates.presented import PresentedChain
from certbound.jose.jwks import JWKSError, jwks_document, parse_jwks
from certbound.jose.jwt import JWTError, verify
from certbound.jose.keys import load_signing_key
from certbound.oauth.binding import confirmation
from certbound.resource.bearer import bearer_token, refusal_answer
from certbound.resource.verifier import ALGORITHMS, TokenRefused, Verifier
from fuzz import mutation, seeds
from fuzz.target import Target
from fuzz.targets.oauth import json_of, jwk_sets

_KEY = load_signing_key("ES256", seeds.KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
_KEYS = parse_jwks(jwks_document([_KEY.public_jwk]))
_PRESENTED = PresentedChain(seeds.leaf())
_NOW = int(seeds.NOW.timestamp())
_HEADER = json.dumps({"alg": "ES256", "typ": "at+jwt", "kid": _KEY.kid}).encode()
_CLAIMS = {
    "iss": "https://as",
    "aud": ["https://api"],
    "sub": "a",
    "client_id": "a",
    "exp": _NOW + 300,
    "nbf": _NOW,
    "iat": _NOW,
    "jti": "1",
    "scope": "read write",
    "cnf": confirmation(_PRESENTED),
}
_VERIFIER = Verifier(issuer="https://as", audience="https://api")


def _jwks(data: bytes) -> None:
    keys = parse_jwks(json_of(data))
    for key in keys.keys:
        keys.candidates(key.kid, "ES256")


def _verify(data: bytes) -> None:
    verify(data.decode("latin-1"), _KEYS, algorithms=ALGORITHMS, typ={"at+jwt"})


def _verify_signed(data: bytes) -> None:
    """Take a header and a payload on two lines, and sign them as they are."""
    header, _, payload = data.partition(b"\n")
    verify(_signed(header, payload), _KEYS, algorithms=ALGORITHMS, typ={"at+jwt"})


def _claims(data: bytes) -> None:
    try:
        _VERIFIER.verify(_signed(_HEADER, data), _PRESENTED, _NOW, _KEYS)
    except TokenRefused as refusal:
        refusal_answer(refusal)


def _bearer(data: bytes) -> None:
    try:
        bearer_token([(b"Authorization", value) for value in data.split(b"\n")[:3]])
    except TokenRefused as refusal:
        refusal_answer(refusal)


def _signed(header: bytes, payload: bytes) -> str:
    signed = b".".join(map(_base64url, (header, payload)))
    r, s = decode_dss_signature(seeds.KEY.sign(signed, ECDSA(SHA256())))
    return (signed + b"." + _base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _tokens() -> Iterator[bytes]:
    yield _signed(_HEADER, json.dumps(_CLAIMS).encode()).encode()
    yield b"eyJhbGciOiJub25lIn0.e30."


def _payloads() -> Iterator[bytes]:
    yield json.dumps(_CLAIMS).encode()
    yield json.dumps(_CLAIMS | {"aud": "https://api", "cnf": {"x5t#S256": "\ud800"}}).encode()


_WORDS = (b"Bearer ", b"\n", b"eyJ", b'"crit"', b'"b64"', b'"alg"', b'"kid"', b'"typ"', b'"EdDSA"', b'"none"', b".")
TARGETS = (
    Target("jwks.parse_jwks", _jwks, (JWKSError,), jwk_sets, mutation.json_text),
    Target("jwt.verify", _verify, (JWTError,), _tokens, words=_WORDS),
    Target(
        "jwt.verify_signed",
        _verify_signed,
        (JWTError,),
        lambda: [_HEADER + b"\n" + text for text in _payloads()],
        words=_WORDS,
    ),
    Target("resource.verify", _claims, (), _payloads, mutation.json_text),
    Target("bearer.bearer_token", _bearer, (), lambda: [b"Bearer " + token for token in _tokens()], words=_WORDS),
)
