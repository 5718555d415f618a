"""How answers and refusals look to OAuth clients (RFC 6749 sections 5.1 and 5.2)."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from certbound.oauth.errors import OAuthError

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
RETRY_SECONDS = "1"


def answer(members: Mapping[str, Any], status: int = 200) -> JSONResponse:
    """Make an answer that nobody may keep."""
    return JSONResponse(members, status_code=status, headers=NO_STORE)


def refusal(error: OAuthError) -> JSONResponse:
    """Make the error answer: its code, and the text that is meant for the client."""
    headers = dict(NO_STORE)
    if error.status == 401:  # noqa: PLR2004
        headers["WWW-Authenticate"] = 'Basic realm="certbound"'
    if error.status == 503:  # noqa: PLR2004
        headers["Retry-After"] = RETRY_SECONDS
    return JSONResponse(
        {"error": error.error, "error_description": error.description}, status_code=error.status, headers=headers
    )


def unavailable() -> JSONResponse:
    """Make the answer for a database that is not there just now."""
    return refusal(OAuthError("temporarily_unavailable", "the server cannot reach its records: try again"))
