"""An address that people come to with a browser: whatever goes wrong there is a page for them, never a traceback."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form, parse_form, parse_query
from certbound.store.engine import StoreUnavailable
from certbound.web.request_body import read_body
from certbound.web.signin.pages import Pages

log = logging.getLogger(__name__)

Answering = Callable[[Request, Form, Form], Awaitable[Response]]
"""What answers: the request with the parameters of its query and of its body, which is empty for a GET."""

_HEADING = "This does not work"
_LATER = "The server cannot do this at the moment"
_ADVICE = (
    "Go back to the application you came from and start again. If that does not help, tell those who run it what"
    " is written here."
)
_WAIT = "Wait a moment, then load this page again."


class BrowserEndpoint:
    """Reads the parameters once and turns every failure into a page; `max_body` is in bytes."""

    def __init__(self, answering: Answering, pages: Pages, *, max_body: int) -> None:
        self._answering = answering
        self._pages = pages
        self._max_body = max_body

    def route(self, path: str) -> Route:
        """Make the route of this address."""
        return Route(path, self.answer, methods=["GET", "POST"])

    async def answer(self, request: Request) -> Response:
        """Answer a GET or a POST; a HEAD may not do what a GET does here."""
        if request.method not in {"GET", "POST"}:
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, POST"})
        try:
            body = Form({}) if request.method == "GET" else await self._read(request)
            if body is None:
                text = "What your browser sent is too large."
                page = self._pages.error(_HEADING, text, _ADVICE, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                page.headers["Connection"] = "close"
                return page
            return await self._answering(request, parse_query(request.scope["query_string"]), body)
        except OAuthError as error:
            return self._refusal(request, error)
        except StoreUnavailable as error:
            log.error("request not answered", extra={"reason": str(error)})
            text = "Its records cannot be reached."
            return self._pages.error(_LATER, text, _WAIT, status=HTTPStatus.SERVICE_UNAVAILABLE)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)

    async def _read(self, request: Request) -> Form | None:
        body = await read_body(request, self._max_body)
        return None if body is None else parse_form(body, request.headers.get("content-type"))

    def _refusal(self, request: Request, error: OAuthError) -> Response:
        address = request.client.host if request.client else None
        extra = {"error": error.error, "description": error.description, "detail": error.detail, "address": address}
        log.info("request of a browser refused", extra=extra)
        later = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        text = f"{error.description[:1].upper()}{error.description[1:]}."
        return self._pages.error(_LATER if later else _HEADING, text, _WAIT if later else _ADVICE, status=error.status)
