"""JWTs as strangers make them: any header and any payload, signed by cryptography alone."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm

Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

KEYS: dict[str, Private] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
    "PS256": rsa.generate_private_key(65537, 2048),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def signed(header: dict[str, Any] | bytes, payload: dict[str, Any] | bytes, key: Private | None = None) -> str:
    """Sign with `key`, or the one of KEYS for the header's algorithm; the kind of key decides how it is signed."""
    private = key or KEYS[str(json.loads(_octets(header))["alg"])]
    text = f"{encode(_octets(header))}.{encode(_octets(payload))}"
    return f"{text}.{encode(_signature(text.encode(), private, _octets(header)))}"


def _octets(part: dict[str, Any] | bytes) -> bytes:
    return part if isinstance(part, bytes) else json.dumps(part).encode()


def _signature(text: bytes, key: Private, header: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(text)
    if isinstance(key, rsa.RSAPrivateKey):
        by_pss = padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size)
        return key.sign(text, by_pss if b"PS256" in header else padding.PKCS1v15(), SHA256())
    size = (key.curve.key_size + 7) // 8
    digest: HashAlgorithm = SHA256() if size == 32 else SHA384()
    r, s = decode_dss_signature(key.sign(text, ec.ECDSA(digest)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def public_jwk(key: Private, **members: Any) -> dict[str, Any]:
    """Write the public key as RFC 7518 section 6 has it."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key().public_bytes_raw()), **members}
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"kty": "RSA", "n": encode(_octets_of(numbers.n)), "e": encode(_octets_of(numbers.e)), **members}
    size, point = (key.curve.key_size + 7) // 8, key.public_key().public_numbers()
    x, y = (encode(coordinate.to_bytes(size, "big")) for coordinate in (point.x, point.y))
    return {"kty": "EC", "crv": f"P-{key.curve.key_size}", "x": x, "y": y, **members}


def _octets_of(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
