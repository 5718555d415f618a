"""The token in hand: kept until shortly before it expires, asked for once by however many wait for it."""

import asyncio
import contextlib
import copy
import threading
import time
from dataclasses import dataclass

from certbound.client.certificate import FilesVersion
from certbound.client.exchange import Answer, Ask, Token, TokenError, TokenExchange
from certbound.client.library import http
from certbound.client.transport import AsyncCertificateTransport, CertificateTransport

_TIMEOUT = {"connect": 10.0, "read": 10.0, "write": 10.0, "pool": 10.0}
_MAX_ANSWER = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Held:
    token: Token
    version: FilesVersion
    """The certificate that it is bound to, by the state of its files."""

    def serves(self, version: FilesVersion, refused: Token | None) -> bool:
        return self.version == version and self.token is not refused and time.time() < self.token.renew_at


class _Hold:
    """What both kinds of clients remember; `failures` counts, so that who waited for an attempt shares its failure."""

    def __init__(self) -> None:
        self.held: _Held | None = None
        self.failures = 0
        self.failure = TokenError("no token was asked for yet")

    def serving(self, version: FilesVersion, refused: Token | None) -> Token | None:
        held = self.held
        return held.token if held is not None and held.serves(version, refused) else None

    def share_failure(self, failures_before: int) -> None:
        if self.failures > failures_before:
            raise copy.copy(self.failure) from self.failure

    def failed(self, failure: TokenError) -> None:
        self.failure = failure
        self.failures += 1


class Tokens:
    """The tokens of one client, for threads."""

    def __init__(self, exchange: TokenExchange, transport: CertificateTransport) -> None:
        self._exchange = exchange
        self._transport = transport
        self._hold = _Hold()
        self._asking = threading.Lock()

    def token(self, refused: Token | None = None) -> Token:
        """Give a token that serves, other than the one that an API `refused`. Raises TokenError."""
        version, failures = self._transport.version(), self._hold.failures
        if (token := self._hold.serving(version, refused)) is not None:
            return token
        with self._asking:
            if (token := self._hold.serving(version, refused)) is not None:
                return token
            self._hold.share_failure(failures)
            try:
                return self._ask()
            except TokenError as failure:
                self._hold.failed(failure)
                raise

    def fetch(self) -> Token:
        """Ask for a new token, whatever is in hand. Raises TokenError."""
        with self._asking:
            return self._ask()

    def _ask(self) -> Token:
        version = self._transport.version()
        with contextlib.closing(self._exchange.steps(time.time())) as steps:
            ask = next(steps)
            while True:
                answer = self._send(ask)
                try:
                    ask = steps.send(answer)
                except StopIteration as end:
                    self._hold.held = _Held(end.value, version)
                    return self._hold.held.token

    def _send(self, ask: Ask) -> Answer:
        body = b""
        try:
            response = self._transport.handle_request(_request(ask))
            with contextlib.closing(response):
                for piece in response.iter_raw():
                    body = _append(body, piece)
        except http.TransportError as exc:
            raise _unreachable(ask, exc) from exc
        return Answer(response.status_code, body)


class AsyncTokens:
    """The tokens of one client, for asyncio."""

    def __init__(self, exchange: TokenExchange, transport: AsyncCertificateTransport) -> None:
        self._exchange = exchange
        self._transport = transport
        self._hold = _Hold()
        self._asking = asyncio.Lock()

    async def token(self, refused: Token | None = None) -> Token:
        """Give a token that serves, other than the one that an API `refused`. Raises TokenError."""
        version, failures = self._transport.version(), self._hold.failures
        if (token := self._hold.serving(version, refused)) is not None:
            return token
        async with self._asking:
            if (token := self._hold.serving(version, refused)) is not None:
                return token
            self._hold.share_failure(failures)
            try:
                return await self._ask()
            except TokenError as failure:
                self._hold.failed(failure)
                raise

    async def fetch(self) -> Token:
        """Ask for a new token, whatever is in hand. Raises TokenError."""
        async with self._asking:
            return await self._ask()

    async def _ask(self) -> Token:
        version = self._transport.version()
        with contextlib.closing(self._exchange.steps(time.time())) as steps:
            ask = next(steps)
            while True:
                answer = await self._send(ask)
                try:
                    ask = steps.send(answer)
                except StopIteration as end:
                    self._hold.held = _Held(end.value, version)
                    return self._hold.held.token

    async def _send(self, ask: Ask) -> Answer:
        body = b""
        try:
            response = await self._transport.handle_async_request(_request(ask))
            async with contextlib.aclosing(response):
                async for piece in response.aiter_raw():
                    body = _append(body, piece)
        except http.TransportError as exc:
            raise _unreachable(ask, exc) from exc
        return Answer(response.status_code, body)


def _request(ask: Ask) -> http.Request:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close"}
    if ask.form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    method = "GET" if ask.form is None else "POST"
    return http.Request(method, ask.url, headers=headers, content=ask.form, extensions={"timeout": _TIMEOUT})


def _append(body: bytes, piece: bytes) -> bytes:
    if len(body) + len(piece) > _MAX_ANSWER:
        raise TokenError(f"the issuer's answer is larger than {_MAX_ANSWER} bytes")
    return body + piece


def _unreachable(ask: Ask, exc: Exception) -> TokenError:
    return TokenError(f"{ask.url}: {' '.join(str(exc).split()) or type(exc).__name__}")
