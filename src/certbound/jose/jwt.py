"""Signing claims and verifying signed claims (RFC 7519, RFC 8725)."""

import json
import warnings
from base64 import urlsafe_b64decode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning

from certbound.jose.jwks import JWKSError, JWKSet, VerificationKey, read_public_key
from certbound.jose.keys import SigningKey

#: Bytes of a whole token; longer ones are refused unread.
MAX_TOKEN_LENGTH = 16_384

# A header that brings its own key, or that changes what is signed, is never honoured (RFC 8725 sections 3.2 and 3.10).
_REFUSED_HEADERS: Final = frozenset({"crit", "b64", "zip", "jwk", "jku", "x5u", "x5c"})
#: Seconds since the epoch up to which a float counts every second; no time anybody means is later.
_LATEST: Final = 2**53
#: Characters of an identifier; a UUID has 36.
_LONGEST_JTI: Final = 256


class JWTError(ValueError):
    """The token is not acceptable; the text says why, for the log. `unknown_key` invites one refetch of the keys."""

    def __init__(self, message: str, *, unknown_key: bool = False) -> None:
        super().__init__(message)
        self.unknown_key = unknown_key


@dataclass(frozen=True, slots=True)
class VerifiedJWT:
    """Header and claims of a token whose signature holds."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


def sign(claims: Mapping[str, Any], key: SigningKey, *, typ: str) -> str:
    """Serialise and sign claims as a compact JWS with `alg`, `typ` and `kid` in its header (RFC 7515 section 7.1)."""
    header = {"alg": key.algorithm, "typ": typ, "kid": key.kid}
    payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=False)
    if key.algorithm == "EdDSA":
        with _eddsa_by_its_old_name():
            return jws.serialize_compact(header, payload, key.key, algorithms=["EdDSA"])
    return jws.serialize_compact(header, payload, key.key, algorithms=[key.algorithm])


def verify(
    token: str,
    keys: JWKSet,
    *,
    algorithms: Collection[str],
    typ: Collection[str | None],
    max_length: int = MAX_TOKEN_LENGTH,
) -> VerifiedJWT:
    """Check the signature of a compact JWS and give its header and claims.

    `algorithms` is the caller's allow-list, `typ` the media types it takes, in lower case without `application/`, with
    None for a token that names none (RFC 8725 sections 3.1 and 3.11), `max_length` in characters. Raises JWTError;
    nothing of a token that fails is returned.
    """
    header = _read_header(token, max_length)
    algorithm = _check_header(header, algorithms, typ, _REFUSED_HEADERS)
    kid = header.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise JWTError("`kid` is no string")
    candidates = keys.candidates(kid, algorithm)
    if not candidates:
        raise JWTError("signed with a key that the issuer does not publish", unknown_key=True)
    return _verified(token, header, candidates, algorithm, max_length)


def verify_by_own_key(
    token: str,
    *,
    algorithms: Collection[str],
    typ: Collection[str | None],
    max_length: int = MAX_TOKEN_LENGTH,
) -> tuple[VerifiedJWT, VerificationKey]:
    """Check a compact JWS by the public key in its own header `jwk`, and give it with that key (RFC 7515 4.1.3).

    This proves that the sender holds the key and says nothing of who that is: only a kind of token that is meant so
    may be read here. The arguments are those of `verify`; raises JWTError.
    """
    header = _read_header(token, max_length)
    algorithm = _check_header(header, algorithms, typ, _REFUSED_HEADERS - {"jwk"})
    try:
        key = read_public_key(header.get("jwk"))
    except JWKSError as error:
        raise JWTError(f"the header `jwk`: {error}") from error
    candidates = JWKSet((key,)).candidates(None, algorithm)
    if not candidates:
        raise JWTError("the key in the header `jwk` is not one for the algorithm")
    return _verified(token, header, candidates, algorithm, max_length), key


def unverified_claims(token: str, *, max_length: int = MAX_TOKEN_LENGTH) -> Mapping[str, Any]:
    """Give what a compact JWS claims without a look at its signature: to find the keys to verify it with, no more.

    Raises JWTError for what is none.
    """
    _read_header(token, max_length)
    payload = token.split(".")[1]
    return _read_object(_decode(payload, "claims"), "claims")


def numeric_date(claims: Mapping[str, Any], name: str) -> float | None:
    """Read a time in seconds since the epoch (RFC 7519 section 2), None if it is absent; JWTError if it is no number.

    JSON as Python reads it knows NaN, Infinity, and integers that are no float.
    """
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not -_LATEST <= value <= _LATEST:
        raise JWTError(f"the time `{name}` is no number of seconds")
    return value


def jwt_id(claims: Mapping[str, Any]) -> str:
    """Read the `jti` of a token that counts once (RFC 7519 section 4.1.7); JWTError if there is none to remember."""
    value = claims.get("jti")
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_JTI or not value.isprintable():
        raise JWTError(f"`jti` is no string of 1 to {_LONGEST_JTI} printable characters")
    return value


def _check_header(
    header: Mapping[str, Any], algorithms: Collection[str], typ: Collection[str | None], refused: Collection[str]
) -> str:
    """Hold the header to what the caller takes, and give the algorithm."""
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise JWTError("signed with an algorithm that is not allowed here")
    if found := header.keys() & refused:
        raise JWTError(f"header members not accepted: {', '.join(sorted(found))}")
    if _media_type(header) not in typ:
        raise JWTError("not the kind of token expected here (`typ`)")
    return algorithm


def _verified(
    token: str, header: Mapping[str, Any], candidates: Sequence[VerificationKey], algorithm: str, max_length: int
) -> VerifiedJWT:
    for candidate in candidates:
        if (payload := _payload_if_signed(token, candidate.key, algorithm, max_length)) is not None:
            return VerifiedJWT(header=header, claims=_read_object(payload, "claims"))
    # Without `kid` nobody can tell a forged signature from that of a key published since.
    raise JWTError("the signature does not hold", unknown_key="kid" not in header)


def _payload_if_signed(token: str, key: Any, algorithm: str, max_length: int) -> bytes | None:
    # Members that nobody knows are ignored (RFC 7515 section 4); those that would matter were refused before.
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    # The whole is no longer, and joserfc has limits of its own.
    registry.max_header_length = registry.max_payload_length = registry.max_signature_length = max_length
    try:
        if algorithm == "EdDSA":
            with _eddsa_by_its_old_name():
                return jws.deserialize_compact(token, key, registry=registry).payload
        return jws.deserialize_compact(token, key, registry=registry).payload
    except (JoseError, ValueError, TypeError):
        return None


class _eddsa_by_its_old_name(warnings.catch_warnings):  # noqa: N801  a context, read as one
    """RFC 9864 renames EdDSA to Ed25519; verifiers in the field know the old name, so the warning is not for us."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore", SecurityWarning)


def _read_header(token: str, max_length: int) -> Mapping[str, Any]:
    if len(token) > max_length:
        raise JWTError(f"longer than {max_length} characters")
    head, *rest = token.split(".")
    if len(rest) != 2:  # noqa: PLR2004  header.payload.signature
        raise JWTError("not a compact JWS of three parts")
    return _read_object(_decode(head, "header"), "header")


def _decode(part: str, what: str) -> bytes:
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError as error:
        raise JWTError(f"the {what} is not base64url") from error


def _read_object(text: bytes, what: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise JWTError(f"the {what} is not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise JWTError(f"the {what} is not a JSON object")
    return cast("dict[str, Any]", value)


def _media_type(header: Mapping[str, Any]) -> str | None:
    if "typ" not in header:
        return None
    typ = header["typ"]
    return typ.lower().removeprefix("application/") if isinstance(typ, str) else ""
