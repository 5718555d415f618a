"""/oauth2/register and what lies below it: clients that register themselves (RFC 7591, RFC 7592)."""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from certbound.authority.registrations import Registrations
from certbound.oauth.errors import OAuthError
from certbound.oauth.registration_metadata import read_document
from certbound.store.engine import StoreUnavailable
from certbound.web.oauth.answers import NO_STORE, answer, refusal, unavailable
from certbound.web.presented import presented_chain
from certbound.web.request_body import read_body

log = logging.getLogger(__name__)

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,512}=*)", re.IGNORECASE)
_REALM = 'Bearer realm="certbound"'


class RegistrationEndpoint:
    """Reads one request, and answers it or says in the client's words why not; `max_body` is in bytes."""

    def __init__(self, registrations: Registrations, *, max_body: int) -> None:
        self._registrations = registrations
        self._max_body = max_body

    def routes(self, path: str) -> list[Route]:
        """Make the routes: `path` for new clients, and below it one for each client."""
        return [
            Route(path, self.register, methods=["POST"]),
            Route(path + "/{client_id}", self.registered, methods=["GET", "PUT", "DELETE"]),
        ]

    async def register(self, request: Request) -> Response:
        """Register a client."""

        async def registering() -> Response:
            token = _token(request)
            document = await self._document(request)
            made = await self._registrations.register(token, document, presented_chain(request.scope))
            return answer(made, 201)

        return await _answered(request, registering)

    async def registered(self, request: Request) -> Response:
        """Read, replace or delete the registration of a client."""
        client_id = str(request.path_params["client_id"])

        async def managing() -> Response:
            token = _token(request)
            if request.method == "DELETE":
                await self._registrations.delete(client_id, token)
                return Response(status_code=204, headers=NO_STORE)
            if request.method == "PUT":
                document = await self._document(request)
                presented = presented_chain(request.scope)
                return answer(await self._registrations.replace(client_id, token, document, presented))
            return answer(await self._registrations.read(client_id, token))

        return await _answered(request, managing)

    async def _document(self, request: Request) -> Mapping[str, Any]:
        body = await read_body(request, self._max_body)
        if body is None:
            raise _TooLargeError
        return read_document(body, request.headers.get("content-type"))


class _TooLargeError(Exception):
    """The body is longer than allowed."""


async def _answered(request: Request, answering: Callable[[], Awaitable[Response]]) -> Response:
    try:
        return await answering()
    except OAuthError as error:
        if error.detail:
            address = request.client.host if request.client else None
            log.info("registration refused", extra={"error": error.error, "detail": error.detail, "address": address})
        return _refusal(error, known="authorization" in request.headers)
    except _TooLargeError:
        text = "the request is too large"
        members = {"error": "invalid_client_metadata", "error_description": text}
        # The rest of it is not worth reading.
        return JSONResponse(members, status_code=413, headers={**NO_STORE, "Connection": "close"})
    except StoreUnavailable as error:
        log.error("request not answered", extra={"reason": str(error)})
        return unavailable()
    except ClientDisconnect:
        return Response(status_code=400)


def _token(request: Request) -> str | None:
    """Give the token in the header: the only place for it (RFC 6750 section 2.1)."""
    headers = request.headers.getlist("authorization")
    if len(headers) > 1:
        raise OAuthError("invalid_request", "the Authorization header is there more than once")
    if not headers:
        return None
    match = _BEARER.fullmatch(headers[0].strip())
    if match is None:
        raise OAuthError("invalid_token", "this address takes a token of the scheme Bearer")
    return match[1]


def _refusal(error: OAuthError, *, known: bool) -> JSONResponse:
    """Make the error answer; who sent no token at all is told no more than the scheme (RFC 6750 section 3.1)."""
    made = refusal(error)
    if error.error in {"invalid_token", "insufficient_scope"}:
        said = f', error="{error.error}", error_description="{error.description}"' if known else ""
        made.headers["WWW-Authenticate"] = _REALM + said
    return made
