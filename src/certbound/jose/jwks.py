"""Sets of public keys, as an issuer publishes them (RFC 7517)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

#: More keys than any issuer needs; a larger set is refused rather than searched.
MAX_KEYS = 100

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
#: What joserfc raises for members that are no key.
_UNUSABLE = (JoseError, ValueError, TypeError, KeyError)


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


@dataclass(frozen=True, slots=True)
class JWKSet:
    """An issuer's signature keys. Keys of kinds unknown to us, or for encryption, are left out (RFC 7517 section 5)."""

    keys: tuple[VerificationKey, ...]

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
    kid, algorithm = member.get("kid"), member.get("alg")
    return VerificationKey(
        kid=kid if isinstance(kid, str) else None,
        algorithm=algorithm if isinstance(algorithm, str) else None,
        key_type=str(member["kty"]),
        curve=public.get("crv"),
        key=key,
    )


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
