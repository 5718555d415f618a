"""HTTP clients that get their own tokens, and use token and connection with one and the same certificate."""

from collections.abc import Sequence
from os import PathLike
from typing import Any, Final

from certbound.client.auth import Origins, TokenAuth
from certbound.client.certificate import ClientCertificate
from certbound.client.exchange import Token, TokenExchange
from certbound.client.library import http, require_library
from certbound.client.tokens import AsyncTokens, Tokens
from certbound.client.transport import AsyncCertificateTransport, CertificateTransport

_OWNED: Final = {
    "auth": "it is the token's; for authentication of your own use an httpx2 client",
    "cert": "set certificate=ClientCertificate(certfile, keyfile)",
    "mounts": "the client owns its transport",
    "proxy": "the client owns its transport",
    "transport": "the client owns its transport; to bring your own use CertificateAuth with an httpx2 client",
}


class Client(http.Client):
    """An httpx2 client for one client_id of one issuer.

    `certificate` is shown on every connection. `scope` is space-separated, `resource` one or more URIs (RFC 8707) for
    the token. `verify` is a CA file (PEM) for issuer and API instead of the system's roots. The token goes to the
    `origins` listed, else to every https origin called; a redirect to another origin never gets it. Where an API
    answers `invalid_token`, the request is repeated once with a new token. `options` are those of httpx2.Client, but
    for what makes connections. Requests raise TokenError beside httpx2's own errors; ValueError, TypeError and OSError
    tell of settings and files that cannot work.
    """

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        certificate: ClientCertificate,
        scope: str | None = None,
        resource: str | Sequence[str] | None = None,
        verify: str | PathLike[str] | None = None,
        origins: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        _check(certificate, options)
        exchange = TokenExchange(issuer, client_id, scope=scope, resource=resource)
        allowed = Origins(origins)
        transport = CertificateTransport(certificate, verify, **_connection_options(options))
        self._tokens = Tokens(exchange, transport)
        super().__init__(auth=TokenAuth(allowed, tokens=self._tokens), transport=transport, **options)

    def fetch_token(self) -> Token:
        """Ask the issuer for a new token, which the next requests use. Raises TokenError."""
        return self._tokens.fetch()


class AsyncClient(http.AsyncClient):
    """The same for asyncio: an httpx2.AsyncClient."""

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        certificate: ClientCertificate,
        scope: str | None = None,
        resource: str | Sequence[str] | None = None,
        verify: str | PathLike[str] | None = None,
        origins: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        _check(certificate, options)
        exchange = TokenExchange(issuer, client_id, scope=scope, resource=resource)
        allowed = Origins(origins)
        transport = AsyncCertificateTransport(certificate, verify, **_connection_options(options))
        self._tokens = AsyncTokens(exchange, transport)
        super().__init__(auth=TokenAuth(allowed, async_tokens=self._tokens), transport=transport, **options)

    async def fetch_token(self) -> Token:
        """Ask the issuer for a new token, which the next requests use. Raises TokenError."""
        return await self._tokens.fetch()


def _check(certificate: ClientCertificate, options: dict[str, Any]) -> None:
    require_library()
    for name in _OWNED.keys() & options.keys():
        raise TypeError(f"{name} cannot be set: {_OWNED[name]}")
    if not isinstance(certificate, ClientCertificate):
        raise TypeError("certificate must be a ClientCertificate(certfile, keyfile)")


def _connection_options(options: dict[str, Any]) -> dict[str, Any]:
    """Take out what the transport, not the client, has to know."""
    return {name: options.pop(name) for name in ("http1", "http2", "limits") if name in options}
