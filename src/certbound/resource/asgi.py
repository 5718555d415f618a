"""Certificate-bound tokens for an ASGI app."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from certbound.certificates.presented import PresentedChain
from certbound.oauth.blocking import NOTHING_BLOCKED, Blocked
from certbound.resource.bearer import Answer, bearer_token, is_quotable, json_answer, refusal_answer
from certbound.resource.blocked import BlockedUnavailableError, IssuerBlocked
from certbound.resource.direct import DirectTLS
from certbound.resource.keys import IssuerKeys, KeysUnavailableError
from certbound.resource.seen import SeenTokens
from certbound.resource.verifier import BoundToken, TokenRefused, Verifier, check_blocked

if TYPE_CHECKING:
    from certbound.jose.jwks import JWKSet

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class CertificateBoundMiddleware:
    """Let a request through only with a token of `issuer` for `audience`, bound to the connection's certificate.

    The app finds a BoundToken in `scope["certbound"]`. Everything else gets 401 or 400 with the challenge of RFC 6750;
    a WebSocket is refused before it is accepted. Where the issuer lists what it blocked (`certbound_blocked_endpoint`
    in its metadata), the list is asked for as requests come, and what is on it gets 401 within seconds. While the
    issuer's keys, or a list that is in force, cannot be had, the answer is 503.

    `exempt` are exact paths that need no token. `verify` is a CA file (PEM) for the issuer's certificate instead of the
    system's roots. With `require_binding=False` tokens that are bound to nothing pass too. Raises ValueError for
    settings that cannot work; the issuer is asked at the first request, never before.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        issuer: str,
        audience: str,
        certificates: DirectTLS | None = None,
        exempt: Collection[str] = (),
        verify: str | PathLike[str] | None = None,
        require_binding: bool = True,
    ) -> None:
        if not is_quotable(audience):
            raise ValueError("audience must be visible ASCII without quotes, as it appears in the tokens' aud")
        if isinstance(exempt, str):
            raise ValueError("exempt must be a list of paths, not one string")  # noqa: TRY004  settings: ValueError throughout
        if verify is not None and not Path(verify).is_file():
            raise ValueError(f"verify must name a CA file (PEM): there is no file {verify}")
        self._app = app
        self._audience = audience
        self._certificates = certificates if certificates is not None else DirectTLS()
        self._exempt = frozenset(exempt)
        self._verifier = Verifier(issuer, audience, require_binding=require_binding)
        self._keys = IssuerKeys(issuer, verify)
        self._blocked = IssuerBlocked(issuer, self._keys, verify)
        self._seen = SeenTokens()
        self._asking: _OneAtATime[JWKSet] = _OneAtATime()
        self._refreshing: _OneAtATime[None] = _OneAtATime()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on with its token, or answer in the app's place."""
        if scope["type"] == "lifespan" or (scope["type"] in {"http", "websocket"} and scope["path"] in self._exempt):
            await self._app(scope, receive, send)
            return
        try:
            token = await self._authorize(scope)
        except TokenRefused as refusal:
            logger.info("token_refused", extra={"error": refusal.error, "detail": refusal.description})
            await _send(refusal_answer(refusal, self._audience), scope, receive, send)
        except (KeysUnavailableError, BlockedUnavailableError) as failure:
            logger.warning("token_not_decided", extra={"detail": str(failure)})
            answer = json_answer(503, {"error": "temporarily_unavailable"})
            answer.headers.append((b"retry-after", str(failure.retry_after).encode()))
            await _send(answer, scope, receive, send)
        else:
            await self._app({**scope, "certbound": token}, receive, send)

    async def _authorize(self, scope: Scope) -> BoundToken:
        token = bearer_token(scope["headers"])
        presented = self._certificates.presented(scope)
        keys = self._keys.ready(time.monotonic()) or await self._ask_issuer()
        blocked = await self._ask_blocked(keys)
        try:
            return self._verify(token, presented, keys, blocked)
        except TokenRefused as refusal:
            if not refusal.unknown_key or not self._keys.may_have_others(time.monotonic(), than=keys):
                raise
        return self._verify(token, presented, await self._ask_issuer(lacking=keys), blocked)

    def _verify(self, token: str, presented: PresentedChain | None, keys: "JWKSet", blocked: Blocked) -> BoundToken:
        now = int(time.time())
        seen = self._seen.recall(token, presented, now, keys)
        if seen is not None:
            check_blocked(seen.claims, presented, blocked)
            return seen
        verified = self._verifier.verify(token, presented, now, keys, blocked=blocked)
        self._seen.remember(token, presented, verified, keys)
        return verified

    async def _ask_issuer(self, lacking: "JWKSet | None" = None) -> "JWKSet":
        """Fetch the keys in a thread."""
        return await asyncio.shield(self._asking.begin(partial(self._keys.obtain, time.monotonic(), lacking=lacking)))

    async def _ask_blocked(self, keys: "JWKSet") -> Blocked:
        """Give what is blocked, and have the list fetched when it is due; wait for it only if the last one is old."""
        endpoint = self._keys.blocked_endpoint
        if endpoint is None:
            return NOTHING_BLOCKED
        now, clock = time.monotonic(), int(time.time())
        refreshing = self._refreshing.under_way
        if refreshing is None and self._blocked.is_due(now):
            refreshing = self._refreshing.begin(partial(self._blocked.refresh, endpoint, now, clock, keys))
        if refreshing is not None and self._blocked.is_old(now, clock):
            await asyncio.shield(refreshing)
        return self._blocked.current(int(time.time()))


class _OneAtATime(Generic[_T]):
    """A call in a thread, made once for all who need what comes of it, whoever of them goes away meanwhile.

    The thread is its own: the event loop's may all be busy with the app.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "certbound")
        self._task: asyncio.Task[_T] | None = None

    @property
    def under_way(self) -> "asyncio.Task[_T] | None":
        task = self._task
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            return None
        return task

    def begin(self, call: Callable[[], _T]) -> "asyncio.Task[_T]":
        """Make the call, unless one is under way; await what is given back in a shield."""
        if (task := self.under_way) is None:
            task = self._task = asyncio.create_task(self._make(call))
        return task

    async def _make(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def requires(*scopes: str) -> Callable[[ASGIApp], ASGIApp]:
    """Wrap an ASGI app or endpoint so that it needs all of these scopes: 403 `insufficient_scope` without them."""
    if not scopes or not all(is_quotable(scope) and " " not in scope for scope in scopes):
        raise ValueError('requires() takes one or more scopes, each a string of its own: requires("read", "write")')
    return lambda app: _ScopeRequired(app, frozenset(scopes))


class _ScopeRequired:
    """An object rather than a function, so that Starlette's Route takes it for the ASGI app it is."""

    def __init__(self, app: ASGIApp, scopes: frozenset[str]) -> None:
        self._app = app
        self._scopes = scopes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = scope.get("certbound")
        if not isinstance(token, BoundToken):
            raise RuntimeError(  # noqa: TRY004  a fault of the set-up, not of a type
                "requires() found no token: put CertificateBoundMiddleware around it, and do not exempt it"
            )
        if self._scopes <= token.scope:
            await self._app(scope, receive, send)
            return
        needed = " ".join(sorted(self._scopes))
        refusal = TokenRefused("insufficient_scope", "the token lacks a scope", 403, scope=needed)
        await _send(refusal_answer(refusal), scope, receive, send)


async def _send(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer instead of the app; a WebSocket is closed unaccepted, with the status where the server can send it."""
    if scope["type"] == "http":
        kind = "http"
    elif "websocket.http.response" in (scope.get("extensions") or {}):
        kind = "websocket.http"
    else:
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": f"{kind}.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": f"{kind}.response.body", "body": answer.body})
