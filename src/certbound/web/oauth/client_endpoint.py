"""What clients post forms to: the token endpoint and those like it (RFC 6749 section 3.2, RFC 7009, RFC 7662)."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from certbound.authority.tokens.authenticating import ClientRequest
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import parse_form
from certbound.store.engine import StoreUnavailable
from certbound.web.oauth.answers import NO_STORE, answer, refusal, unavailable
from certbound.web.presented import presented_chain
from certbound.web.request_body import read_body

log = logging.getLogger(__name__)

ANSWER_FLOOR = 0.005
"""Seconds before which no failed authentication is answered, so that its time does not tell why it failed."""
_TIMER_SECONDS = 0.002
"""How far from its moment a timer of an event loop may end, rounded up."""
_FLOORED = frozenset({"invalid_client", "invalid_grant"})


Answering = Callable[[ClientRequest], Awaitable[Mapping[str, Any]]]
"""What answers a request with the members of a JSON object; OAuthError otherwise, StoreUnavailable for a 503."""


class ClientEndpoint:
    """Reads the form once, has the request answered, and makes every failure look alike from outside."""

    def __init__(self, answering: Answering, *, max_body: int, status: int = 200) -> None:
        self._answering = answering
        self._max_body = max_body
        self._status = status

    async def post(self, request: Request) -> Response:
        """Answer one request, with `status` where it is met; `max_body` is in bytes."""
        started = time.monotonic()
        try:
            body = await read_body(request, self._max_body)
            if body is None:
                return _too_large()
            return answer(await self._answering(_client_request(request, body)), self._status)
        except OAuthError as error:
            if error.detail:
                address = request.client.host if request.client else None
                log.info("request refused", extra={"error": error.error, "detail": error.detail, "address": address})
            if error.error in _FLOORED:
                await _until(started + ANSWER_FLOOR)
            return refusal(error)
        except StoreUnavailable as error:
            log.error("request not answered", extra={"reason": str(error)})
            return unavailable()
        except ClientDisconnect:
            return Response(status_code=400)


def _client_request(request: Request, body: bytes) -> ClientRequest:
    headers = request.headers.getlist("authorization")
    if len(headers) > 1:
        raise OAuthError("invalid_request", "the Authorization header is there more than once")
    return ClientRequest(
        form=parse_form(body, request.headers.get("content-type"), request.scope["query_string"]),
        authorization=headers[0] if headers else None,
        presented=presented_chain(request.scope),
        address=request.client.host if request.client else None,
    )


async def _until(moment: float) -> None:
    """Wait for a moment of the monotonic clock.

    Event loops count timers in whole milliseconds from the end of the work: what is left over of that would tell how
    long the work took. So the last of it is waited out turn by turn; the loop serves everybody else meanwhile.
    """
    await asyncio.sleep(moment - time.monotonic() - _TIMER_SECONDS)
    while time.monotonic() < moment:  # noqa: ASYNC110  no event says that a moment has come
        await asyncio.sleep(0)


def _too_large() -> JSONResponse:
    """Refuse an oversized body, and the connection with it: its rest is not worth reading."""
    return JSONResponse(
        {"error": "invalid_request", "error_description": "the request body is too large"},
        status_code=413,
        headers={**NO_STORE, "Connection": "close"},
    )
