"""What an ID token says of the user and of how she was authenticated (OpenID Connect Core section 2)."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from certbound.jose.jwks import JWKSet
from certbound.jose.jwt import JWTError, verify
from certbound.jose.keys import ALGORITHMS
from certbound.oauth.errors import OAuthError
from certbound.oauth.userinfo import SAID_BY_SERVER

TOKEN_TYPE = "JWT"
"""The `typ` header: never the one of an access token (RFC 8725 section 3.11)."""

# The hash of each algorithm; Ed25519 is made with SHA-512 (RFC 8032 section 5.1).
_HASHES = {
    "ES256": hashlib.sha256,
    "RS256": hashlib.sha256,
    "PS256": hashlib.sha256,
    "ES384": hashlib.sha384,
    "EdDSA": hashlib.sha512,
}


@dataclass(frozen=True, slots=True)
class UserAuthentication:
    """Who authenticated, when (seconds since the epoch), how well (`acr`) and by what means (`amr`, RFC 8176)."""

    subject: str
    auth_time: int
    acr: str | None = None
    amr: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IDTokenHint:
    """Whom an ID token of ours once spoke of, and to which client."""

    subject: str
    client_id: str


def id_token_claims(
    user: UserAuthentication,
    *,
    issuer: str,
    client_id: str,
    nonce: str | None,
    issued_at: int,
    lifetime: int,
    at_hash: str | None = None,
    claims: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the claims; times and `lifetime` in seconds.

    `claims` are those of the user that go into the token; they never replace one that is made here. `at_hash` belongs
    to the access token that is handed out beside it. One audience needs no `azp`.
    """
    members: dict[str, Any] = {
        "iss": issuer,
        "sub": user.subject,
        "aud": client_id,
        "iat": issued_at,
        "exp": issued_at + lifetime,
        "auth_time": user.auth_time,
        "nonce": nonce,
        "acr": user.acr,
        "amr": list(user.amr) or None,
        "at_hash": at_hash,
    }
    others = {name: value for name, value in (claims or {}).items() if name not in SAID_BY_SERVER}
    return others | {name: value for name, value in members.items() if value is not None}


def left_half_hash(algorithm: str, value: str) -> str:
    """Give the `at_hash` of an access token or the `c_hash` of a code (OpenID Connect Core section 3.1.3.6).

    `algorithm` is the one that the ID token is signed with; ValueError for one whose hash is not known.
    """
    if algorithm not in _HASHES:
        raise ValueError(f"no hash is known for the algorithm {algorithm!r}")
    digest = _HASHES[algorithm](value.encode("ascii")).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def read_id_token_hint(token: str, keys: JWKSet, *, issuer: str) -> IDTokenHint:
    """Read a parameter `id_token_hint`: an ID token that this server signed, though it may have expired since.

    `keys` are the server's own, those no longer in use among them. Raises `invalid_request` (section 3.1.2.1).
    """
    try:
        claims = verify(token, keys, algorithms=ALGORITHMS, typ={TOKEN_TYPE.lower()}).claims
    except JWTError as error:
        raise OAuthError("invalid_request", _NO_HINT, detail=str(error)) from error
    subject, client_id = claims.get("sub"), claims.get("aud")
    if claims.get("iss") != issuer or not isinstance(subject, str) or not isinstance(client_id, str):
        raise OAuthError("invalid_request", _NO_HINT, detail="the claims are not those of an ID token")
    return IDTokenHint(subject, client_id)


_NO_HINT = "id_token_hint is no ID token of this server"
