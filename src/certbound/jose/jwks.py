"""Sets of public keys, as an issuer publishes them (RFC 7517)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

#: More keys than any issuer needs; a larger set is refused rather than searched.
MAX_KEYS = 100

#: Members of a JWK that are secret (RFC 7518 section 6): whoever sends one has no key of their own any more.
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})

PublicKey = ECKey | OKPKey | RSAKey
_KINDS: dict[str, type[PublicKey]] = {"EC": ECKey, "RSA": RSAKey, "OKP": OKPKey}
#: What a key must be for an algorithm: `kty` and `crv` (RFC 7518 sections 3.3 to 3.5, RFC 8037 section 3.1).
_FITTING = {
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "RS256": ("RSA", None),
    "PS256": ("RSA", None),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
#: What joserfc raises for members that are no key; of a short RSA key it warns, which may be made an error.
_UNUSABLE = (JoseError, ValueError, TypeError, KeyError, SecurityWarning)
#: At least 2048 bits (RFC 7518 section 3.3); above 8192, or with a long exponent, a signature costs its verifier much.
_RSA_BITS = range(2048, 8193)
_RSA_EXPONENT = range(65537, 2**64)


class JWKSError(ValueError):
    """The document is no usable JWK Set."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public signature key; `algorithm` is None where the issuer did not say which it is for."""

    kid: str | None
    algorithm: str | None
    key_type: str
    curve: str | None
    key: PublicKey

    @property
    def spki(self) -> bytes:
        """Give the key as SubjectPublicKeyInfo in DER (RFC 5280 section 4.1)."""
        return self.key.as_der(private=False)

    @property
    def thumbprint(self) -> str:
        """Give base64url(SHA-256) of the required members without padding; equal keys have equal ones (RFC 7638)."""
        kind: Any = _KINDS[self.key_type]
        return str(kind.import_key(self.key.public_key).thumbprint())  # by its numbers, however they were written


@dataclass(frozen=True, slots=True)
class JWKSet:
    """An issuer's signature keys. Keys of kinds unknown to us, or for encryption, are left out (RFC 7517 section 5)."""

    keys: tuple[VerificationKey, ...] = ()

    def candidates(self, kid: str | None, algorithm: str) -> Sequence[VerificationKey]:
        """Give the keys a signature may be tried with: by `kid`, then kind and `alg` (RFC 8725 section 3.1)."""
        return [
            key
            for key in self.keys
            if (kid is None or key.kid == kid)
            and (key.key_type, key.curve) == _FITTING.get(algorithm)
            and key.algorithm in {None, algorithm}
        ]


def parse_jwks(document: object) -> JWKSet:
    """Read a JWK Set from decoded JSON; JWKSError says what is wrong with it."""
    if not isinstance(document, Mapping) or not isinstance(document.get("keys"), list):
        raise JWKSError("not a JWK Set: an object with a list `keys` was expected")
    members: list[Any] = document["keys"]
    if len(members) > MAX_KEYS:
        raise JWKSError(f"a JWK Set of {len(members)} keys: at most {MAX_KEYS} are read")
    return JWKSet(tuple(key for key in map(_verification_key, members) if key is not None))


def read_public_key(jwk: object) -> VerificationKey:
    """Read one public signature key from decoded JSON; JWKSError says what is wrong with it.

    A private member is refused, and so are members that are not written as RFC 7518 section 6 has them, as the key
    would have more than one thumbprint (RFC 7638 section 7).
    """
    if not isinstance(jwk, Mapping):
        raise JWKSError("a JWK was expected, which is an object")
    if not PRIVATE_MEMBERS.isdisjoint(jwk):
        raise JWKSError("the JWK holds a private key")
    key = _verification_key(jwk)
    if key is None:
        raise JWKSError(f"not a public signature key of a kind and strength known here: {', '.join(_KINDS)}")
    if key.key.thumbprint() != key.thumbprint:
        raise JWKSError("the numbers of the JWK are not written in their one form: no leading zeros, no padding")
    return key


def jwks_document(public_jwks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Make the JWK Set to publish of the public members of keys."""
    return {"keys": [dict(jwk) for jwk in public_jwks]}


def _verification_key(member: object) -> VerificationKey | None:
    if not isinstance(member, Mapping):
        raise JWKSError("a member of `keys` is no object")
    kind = _KINDS.get(str(member.get("kty")))
    if kind is None or member.get("use", "sig") != "sig":
        return None
    public = _public_members(member)
    try:
        key = kind.import_key(public)
        key.public_key  # noqa: B018  builds the key, so that a point off the curve shows here (RFC 8725 section 3.4)
    except _UNUSABLE:
        return None
    if isinstance(key, RSAKey) and not _is_strong(key):
        return None
    kid, algorithm = member.get("kid"), member.get("alg")
    return VerificationKey(
        kid=kid if isinstance(kid, str) else None,
        algorithm=algorithm if isinstance(algorithm, str) else None,
        key_type=str(member["kty"]),
        curve=public.get("crv"),
        key=key,
    )


def _is_strong(key: RSAKey) -> bool:
    numbers = key.public_key.public_numbers()
    return numbers.n.bit_length() in _RSA_BITS and numbers.e in _RSA_EXPONENT and numbers.e % 2 == 1


def spki_of(jwk: Mapping[str, Any]) -> bytes:
    """Give a JWK's own public key as SubjectPublicKeyInfo in DER (RFC 5280 section 4.1); JWKSError if it is none.

    Equal keys give equal octets, however their numbers are padded. Keys that cannot sign (X25519, X448) are none here.
    """
    kind = _KINDS.get(str(jwk.get("kty")))
    if kind is None or (kind is OKPKey and str(jwk.get("crv")) not in {"Ed25519", "Ed448"}):
        raise JWKSError(f"not a public key of a kind known here: {', '.join(_KINDS)}")
    try:
        return kind.import_key(_public_members(jwk)).as_der(private=False)
    except _UNUSABLE:
        raise JWKSError(f"the members of the JWK are no public key of kind {jwk['kty']}") from None


def _public_members(jwk: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in jwk.items() if name in {"kty", "crv", "x", "y", "n", "e"}}
