"""Signing claims and verifying signed claims (RFC 7519, RFC 8725)."""

import json
import warnings
from base64 import urlsafe_b64decode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning

from certbound.jose.jwks import JWKSet
from certbound.jose.keys import SigningKey

#: Bytes of a whole token; longer ones are refused unread.
MAX_TOKEN_LENGTH = 16_384

# A header that brings its own key, or that changes what is signed, is never honoured (RFC 8725 sections 3.2 and 3.10).
_REFUSED_HEADERS = frozenset({"crit", "b64", "zip", "jwk", "jku", "x5u", "x5c"})


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
    typ: Collection[str],
    max_length: int = MAX_TOKEN_LENGTH,
) -> VerifiedJWT:
    """Check the signature of a compact JWS and give its header and claims.

    `algorithms` is the caller's allow-list, `typ` the media types it takes, in lower case without `application/`
    (RFC 8725 sections 3.1 and 3.11), `max_length` in characters. Raises JWTError; nothing of a token that fails is
    returned.
    """
    header = _read_header(token, max_length)
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise JWTError("signed with an algorithm that is not allowed here")
    if refused := _REFUSED_HEADERS & header.keys():
        raise JWTError(f"header members not accepted: {', '.join(sorted(refused))}")
    if _media_type(header.get("typ")) not in typ:
        raise JWTError("not the kind of token expected here (`typ`)")
    if kid is not None and not isinstance(kid, str):
        raise JWTError("`kid` is no string")
    candidates = keys.candidates(kid, algorithm)
    if not candidates:
        raise JWTError("signed with a key that the issuer does not publish", unknown_key=True)
    for candidate in candidates:
        if (payload := _payload_if_signed(token, candidate.key, algorithm, max_length)) is not None:
            return VerifiedJWT(header=header, claims=_read_object(payload, "claims"))
    raise JWTError("the signature does not hold")


def _payload_if_signed(token: str, key: Any, algorithm: str, max_length: int) -> bytes | None:
    registry = jws.JWSRegistry(algorithms=[algorithm])
    registry.max_payload_length = max_length  # the whole is no longer, and joserfc has a limit of its own
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
    try:
        return _read_object(urlsafe_b64decode(head + "=" * (-len(head) % 4)), "header")
    except ValueError as error:
        raise JWTError("the header is not base64url of a JSON object") from error


def _read_object(text: bytes, what: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise JWTError(f"the {what} is not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise JWTError(f"the {what} is not a JSON object")
    return cast("dict[str, Any]", value)


def _media_type(typ: object) -> str:
    return typ.lower().removeprefix("application/") if isinstance(typ, str) else ""
