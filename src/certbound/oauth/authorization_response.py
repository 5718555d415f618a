"""What goes back to the client through the browser, and how (RFC 6749 section 4.1.2, RFC 9207).

The response modes query and fragment make a URL to send the browser to, with 303 (RFC 9700 section 4.12); form_post is
a page that posts the same parameters (OAuth 2.0 Form Post Response Mode), which `web` makes.
"""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from certbound.oauth.authorization_request import AuthorizationRefusedError, AuthorizationRequest, ResponseMode


def response_parameters(code: str, request: AuthorizationRequest, issuer: str) -> dict[str, str]:
    """Give the parameters of an answer that brings a code, with `iss` and the client's own `state`."""
    return {"code": code, **_of_every_answer(request.state, issuer)}


def error_parameters(refused: AuthorizationRefusedError, issuer: str) -> dict[str, str]:
    """Give the parameters of an answer that is a refusal (RFC 6749 section 4.1.2.1), with `iss` and `state` too."""
    return {
        "error": refused.error,
        "error_description": refused.description,
        **_of_every_answer(refused.state, issuer),
    }


def redirect_url(redirect_uri: str, parameters: Mapping[str, str], mode: ResponseMode) -> str:
    """Add the parameters to a settled redirect URI, which otherwise stays as it is to the letter.

    A query it was registered with is kept and added to (RFC 6749 section 3.1.2). ValueError where the mode makes no URL
    or the URI has a fragment, which none that is settled has.
    """
    if mode not in {"query", "fragment"} or "#" in redirect_uri:
        raise ValueError("parameters are added to a URI without fragment, as its query or its fragment")
    added = urlencode(parameters, quote_via=quote, safe="")
    if mode == "fragment":
        return f"{redirect_uri}#{added}"
    if "?" not in redirect_uri:
        return f"{redirect_uri}?{added}"
    return f"{redirect_uri}{added}" if redirect_uri.endswith(("?", "&")) else f"{redirect_uri}&{added}"


def _of_every_answer(state: str | None, issuer: str) -> dict[str, str]:
    return {"iss": issuer} if state is None else {"iss": issuer, "state": state}
