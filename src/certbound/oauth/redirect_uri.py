"""Where an authorization response may go: a registered redirect URI and nowhere else (RFC 9700 section 4.1.3)."""

import re

from certbound.oauth.errors import OAuthError
from certbound.oauth.registering import is_redirect_uri

# Read from the text as it stands: nothing that a parser might see otherwise is left between host and port.
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::[1-9][0-9]{0,4})?((?:[/?][!-~]*)?)")


class RedirectRefusedError(OAuthError):
    """There is no place an answer could safely be sent to: whoever sits before the browser is told, nobody else."""


def settle_redirect_uri(asked: str | None, registered: tuple[str, ...], *, optional: bool) -> str:
    """Give the URI an answer goes to: the one asked for if it is registered; RedirectRefusedError otherwise.

    Compared as exact strings, but for the port of a loopback URI (RFC 8252 section 7.3). With `optional` it may be left
    out where exactly one is registered (RFC 6749 section 3.1.2.3).
    """
    if asked is None:
        if not optional or len(registered) != 1:
            raise RedirectRefusedError("invalid_request", "the parameter redirect_uri is missing")
        [asked] = registered
    # What is no redirect URI is none either if it came to be registered.
    if not is_redirect_uri(asked) or not any(_is_same(asked, one) for one in registered):
        raise RedirectRefusedError("invalid_request", "this redirect_uri is not registered for the client")
    return asked


def _is_same(asked: str, registered: str) -> bool:
    if asked == registered:
        return True
    one, other = _without_port(asked), _without_port(registered)
    return one is not None and one == other


def _without_port(uri: str) -> tuple[str, str] | None:
    """Give what stands before and after the port of a loopback URI, None for any other."""
    match = _LOOPBACK.fullmatch(uri)
    return None if match is None else (match[1], match[2])
