"""A signing key as a value, and the algorithms that go with it."""

from dataclasses import dataclass, field
from typing import Any, cast

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

PrivateKey = ECKey | OKPKey | RSAKey

#: Signature algorithms offered, by the key each takes (RFC 7518 section 3.1, RFC 8037). ES256 is the default: it signs
#: seven times faster than RS256; RS256 is there because RFC 9068 section 2.1 wants it supported.
ALGORITHMS = ("ES256", "ES384", "RS256", "PS256", "EdDSA")
RSA_BITS = 3072


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with the one algorithm it is used for (RFC 8725 section 3.1).

    `kid` is the RFC 7638 thumbprint of the public key, so no two keys ever share one.
    """

    kid: str
    algorithm: str
    key: PrivateKey = field(repr=False)

    @property
    def public_jwk(self) -> dict[str, Any]:
        """Give the public members with `kid`, `use` and `alg`, as published in the JWK Set (RFC 7517 section 4)."""
        members = cast("dict[str, Any]", self.key.as_dict(private=False))
        return {**members, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    @property
    def private_der(self) -> bytes:
        """Give the private key as PKCS#8 DER: a secret, to be sealed before it is kept."""
        return self.key.as_der(private=True)


def generate_signing_key(algorithm: str = "ES256") -> SigningKey:
    """Make a fresh key for one of ALGORITHMS; ValueError names the algorithms there are."""
    match algorithm:
        case "ES256":
            return _signing_key(algorithm, ECKey.generate_key("P-256"))
        case "ES384":
            return _signing_key(algorithm, ECKey.generate_key("P-384"))
        case "RS256" | "PS256":
            return _signing_key(algorithm, RSAKey.generate_key(RSA_BITS))
        case "EdDSA":
            return _signing_key(algorithm, OKPKey.generate_key("Ed25519"))
    raise ValueError(f"unknown signature algorithm {algorithm!r}: use one of {', '.join(ALGORITHMS)}")


def load_signing_key(algorithm: str, private_der: bytes) -> SigningKey:
    """Read back what `SigningKey.private_der` gave; ValueError if the key does not fit the algorithm."""
    if algorithm not in _KINDS:
        raise ValueError(f"unknown signature algorithm {algorithm!r}: use one of {', '.join(ALGORITHMS)}")
    kind, curve = _KINDS[algorithm]
    try:
        key = kind.import_key(private_der)
        fits = curve is None or key.as_dict(private=False).get("crv") == curve
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"the key is not one for {algorithm}") from error
    if not fits:
        raise ValueError(f"the key is not one for {algorithm}")
    return _signing_key(algorithm, key)


#: The kind of key each algorithm takes, and on which curve (RFC 7518 section 3.4: one curve for each).
_KINDS: dict[str, tuple[type[PrivateKey], str | None]] = {
    "ES256": (ECKey, "P-256"),
    "ES384": (ECKey, "P-384"),
    "RS256": (RSAKey, None),
    "PS256": (RSAKey, None),
    "EdDSA": (OKPKey, "Ed25519"),
}


def _signing_key(algorithm: str, key: PrivateKey) -> SigningKey:
    return SigningKey(kid=key.thumbprint(), algorithm=algorithm, key=key)
