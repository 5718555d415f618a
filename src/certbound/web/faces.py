"""One listener's faces as an ASGI application: the routes it serves, and refusals in JSON for everything else."""

from collections.abc import Sequence
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ExceptionHandler

_TEXTS = {404: "there is nothing at this address", 405: "this address does not take this method"}


def application(routes: Sequence[BaseRoute]) -> Starlette:
    """Make the application of a listener; every error it answers is JSON for nobody to keep, never a traceback."""
    handlers = {
        HTTPException: cast("ExceptionHandler", _refuse),
        Exception: cast("ExceptionHandler", _fail),
    }
    made = Starlette(routes=list(routes), exception_handlers=handlers)
    # A redirect would be a 307 that takes credentials along, to wherever the Host header says (RFC 9700 section 4.12).
    made.router.redirect_slashes = False
    return made


async def _refuse(_request: Request, error: HTTPException) -> Response:
    text = _TEXTS.get(error.status_code, error.detail)
    return _json("invalid_request", text, error.status_code, dict(error.headers or {}))


async def _fail(_request: Request, _error: Exception) -> Response:
    return _json("server_error", "the server met something it did not expect; its log says what", 500, {})


def _json(error: str, text: str, status: int, headers: dict[str, str]) -> JSONResponse:
    return JSONResponse(
        {"error": error, "error_description": text},
        status_code=status,
        headers={**headers, "Cache-Control": "no-store"},
    )
