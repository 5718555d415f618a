"""Proof that whoever redeems a code is whoever asked for it (RFC 7636), by S256 alone."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode

from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form

METHODS = ("S256",)
"""For `code_challenge_methods_supported`; `plain` shows the verifier to whoever sees the request (RFC 9700 4.8)."""
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # a SHA-256 in base64url: what S256 makes of any verifier
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 section 4.1


def check_challenge(parameters: Form) -> str | None:
    """Give the code challenge of an authorization request, None where it has none; `invalid_request` unless S256.

    Without `code_challenge_method` the method would be `plain` (RFC 7636 section 4.3), which is refused.
    """
    challenge, method = parameters.get("code_challenge"), parameters.get("code_challenge_method")
    if challenge is None:
        if method is not None:
            raise OAuthError("invalid_request", "code_challenge_method is there without a code_challenge")
        return None
    if method not in METHODS:
        raise OAuthError("invalid_request", "send code_challenge_method=S256: no other method is accepted")
    if _CHALLENGE.fullmatch(challenge) is None:
        raise OAuthError("invalid_request", "code_challenge is not a SHA-256 in base64url, 43 characters without =")
    return challenge


def verify(challenge: str | None, verifier: str | None) -> str | None:
    """Give the reason for which a code is not to be redeemed with this `code_verifier`, None if there is none.

    `challenge` is the one of the authorization request. A verifier without a challenge is refused: somebody took the
    challenge out of the request (RFC 9700 section 4.8.2).
    """
    if challenge is None:
        return None if verifier is None else "code_verifier is there, but the authorization request had no challenge"
    if verifier is None:
        return "code_verifier is missing: the authorization request had a code_challenge"
    if _VERIFIER.fullmatch(verifier) is None:
        return "code_verifier is not 43 to 128 unreserved characters"
    digest = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    if not hmac.compare_digest(digest, challenge.encode()):
        return "code_verifier is not the one of the code_challenge"
    return None
