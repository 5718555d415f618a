"""Random values handed out, and what is kept of them: never the value, only its digest."""

import hashlib
import secrets

_ENTROPY = 32
"""Bytes of randomness in each; FAPI 2.0 section 5.4.1 asks for 16."""
REQUEST_URI_PREFIX = "urn:ietf:params:oauth:request_uri:"
"""How the URI of a pushed request begins (RFC 9126 section 2.2)."""


def new_refresh_token() -> str:
    """Make a refresh token of 256 bits; the prefix lets a secret scanner know one when it sees it."""
    return "cbr_" + secrets.token_urlsafe(_ENTROPY)


def new_code() -> str:
    """Make an authorization code of 256 bits: a key to what is kept of it, and nothing more."""
    return secrets.token_urlsafe(_ENTROPY)


def new_request_uri() -> str:
    """Make the URI of a pushed request, with 256 bits that cannot be guessed (RFC 9126 section 7.1)."""
    return REQUEST_URI_PREFIX + secrets.token_urlsafe(_ENTROPY)


def new_session() -> str:
    """Make what a browser is known by while a person is signed in, of 256 bits."""
    return secrets.token_urlsafe(_ENTROPY)


def new_jti() -> str:
    """Make an identifier that no other token has (RFC 7519 section 4.1.7)."""
    return secrets.token_urlsafe(16)


def digest(token: str) -> bytes:
    """Give SHA-256 of a token: enough to keep, as what is hashed cannot be guessed."""
    return hashlib.sha256(token.encode()).digest()
