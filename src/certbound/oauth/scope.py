"""Which scopes a request ends up with (RFC 6749 section 3.3)."""

import re

from certbound.oauth.errors import OAuthError
from certbound.oauth.form import printable
from certbound.oauth.registration import ADMINISTRATIVE_SCOPES

_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def is_scope_token(text: str) -> bool:
    """Say whether a text may be a scope (RFC 6749 appendix A.4)."""
    return _SCOPE_TOKEN.fullmatch(text) is not None


def parse_scope(text: str) -> tuple[str, ...]:
    """Split a `scope` parameter into its tokens, each once, in their order; `invalid_scope` where one is malformed."""
    tokens = tuple(dict.fromkeys(token for token in text.split(" ") if token))
    for token in tokens:
        if not is_scope_token(token):
            raise OAuthError("invalid_scope", f"malformed scope {printable(token)}")
    return tokens


def narrow_scope(requested: str | None, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Give the scopes to grant: those asked for, all of them allowed, or by default everything allowed.

    Administrative scopes are never part of the default: they must be asked for by name.
    """
    if requested is None:
        return tuple(scope for scope in allowed if scope not in ADMINISTRATIVE_SCOPES)
    scopes = parse_scope(requested)
    for scope in scopes:
        if scope not in allowed:
            raise OAuthError("invalid_scope", f"the client may not ask for the scope {printable(scope)}")
    return scopes
