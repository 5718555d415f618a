"""Which APIs a token is for: the `resource` parameter becomes the `aud` claim (RFC 8707, RFC 9068 section 3)."""

from urllib.parse import urlsplit

from certbound.oauth.errors import OAuthError

MAX_RESOURCES = 10


def is_resource_indicator(uri: str) -> bool:
    """Say whether a URI may name a resource: absolute and without fragment (RFC 8707 section 2)."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path)) and all("!" <= c <= "~" and c != "#" for c in uri)


def narrow_audience(requested: tuple[str, ...], allowed: tuple[str, ...], default: str) -> tuple[str, ...]:
    """Give the audience: the resources asked for, each allowed, or `default`; `invalid_target` otherwise."""
    if len(requested) > MAX_RESOURCES:
        raise OAuthError("invalid_target", f"more than {MAX_RESOURCES} resources in one request")
    for uri in requested:
        if uri not in allowed:
            raise OAuthError("invalid_target", "the client may not ask for a token for this resource")
    return tuple(dict.fromkeys(requested)) or (default,)
