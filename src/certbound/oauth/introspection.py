"""What is told of a token, and to whom (RFC 7662)."""

from collections.abc import Mapping
from typing import Any

INACTIVE: Mapping[str, Any] = {"active": False}
"""The answer for every token that is not good, or not the caller's business; nothing else is in it (section 2.2)."""
_TOLD = ("iss", "sub", "aud", "client_id", "iat", "exp", "jti", "scope", "cnf", "auth_time", "acr")


def may_introspect(client_id: str, claims: Mapping[str, Any]) -> bool:
    """Say whether a client may be told of a token: it was issued to it, or its audience names it."""
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    return client_id == claims.get("client_id") or client_id in named


def introspection_answer(claims: Mapping[str, Any], *, token_type: str | None, username: str | None) -> dict[str, Any]:
    """Build the answer for a good token (section 2.2): what it says, its binding included (RFC 8705 section 3.2)."""
    answer: dict[str, Any] = {"active": True} | {name: claims[name] for name in _TOLD if name in claims}
    if token_type is not None:
        answer["token_type"] = token_type
    if username is not None:
        answer["username"] = username
    return answer
