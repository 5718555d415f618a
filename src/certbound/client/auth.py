"""Put a token on requests to the origins it is meant for, and on no others."""

from collections.abc import AsyncGenerator, Generator, Sequence
from os import PathLike

from certbound.client.certificate import ClientCertificate
from certbound.client.exchange import Token, TokenExchange
from certbound.client.library import http, require_library
from certbound.client.tokens import AsyncTokens, Tokens
from certbound.client.transport import AsyncCertificateTransport, CertificateTransport

_UNAUTHORIZED = 401


class Origins:
    """Where a token may go: the listed https origins, or any that is called by https if None were listed."""

    def __init__(self, origins: Sequence[str] | None) -> None:
        if isinstance(origins, str):
            raise ValueError("origins must be a list such as ['https://api.example.com'], not one string")  # noqa: TRY004
        self._listed = None if origins is None else frozenset(_read_origin(origin) for origin in origins)

    def may_have_token(self, url: http.URL) -> bool:
        """Say whether a request to `url` gets the token; ValueError for one in the clear where nothing was listed."""
        if url.scheme != "https" and self._listed is None:
            raise ValueError(
                f"a bound token goes over https only, not to {url.scheme}://{url.host}: "
                "call it by https, or list the origins the token is for in origins=[...]"
            )
        return url.scheme == "https" and (self._listed is None or _origin(url) in self._listed)


class TokenAuth(http.Auth):
    """The authentication of Client and AsyncClient: each gives the one kind of tokens that it uses."""

    def __init__(self, origins: Origins, tokens: Tokens | None = None, async_tokens: AsyncTokens | None = None) -> None:
        self._origins = origins
        self._tokens = tokens
        self._async_tokens = async_tokens

    def sync_auth_flow(self, request: http.Request) -> Generator[http.Request, http.Response, None]:
        """Send with a token; once more with another if the API holds it invalid."""
        if self._tokens is None or not self._applies(request):
            yield request
            return
        token = self._tokens.token()
        response = yield _with(request, token)
        if _token_was_refused(response) and _can_repeat(request):
            yield _with(request, self._tokens.token(refused=token))

    async def async_auth_flow(self, request: http.Request) -> AsyncGenerator[http.Request, http.Response]:
        """Do the same for asyncio."""
        if self._async_tokens is None or not self._applies(request):
            yield request
            return
        token = await self._async_tokens.token()
        response = yield _with(request, token)
        if _token_was_refused(response) and _can_repeat(request):
            yield _with(request, await self._async_tokens.token(refused=token))

    def _applies(self, request: http.Request) -> bool:
        return "Authorization" not in request.headers and self._origins.may_have_token(request.url)


class CertificateAuth(TokenAuth):
    """Authentication for an httpx2 or httpx client of one's own: `httpx2.Client(auth=CertificateAuth(...))`.

    It gets tokens with the certificate, and puts them on requests to `origins` only. That the client shows the same
    certificate to those origins is the client's own affair (its `verify` context), as the API will refuse it otherwise.
    Raises ValueError or OSError for settings and files that cannot work.
    """

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        certificate: str | PathLike[str],
        key: str | PathLike[str],
        origins: Sequence[str],
        scope: str | None = None,
        resource: str | Sequence[str] | None = None,
        verify: str | PathLike[str] | None = None,
    ) -> None:
        require_library()
        files = ClientCertificate(certificate, key)
        exchange = TokenExchange(issuer, client_id, scope=scope, resource=resource)
        super().__init__(
            Origins(origins),
            Tokens(exchange, CertificateTransport(files, verify)),
            AsyncTokens(exchange, AsyncCertificateTransport(files, verify)),
        )


def _read_origin(origin: str) -> tuple[bytes, int]:
    url = http.URL(origin)
    if url.scheme != "https" or not url.host or url.userinfo or url.raw_path not in {b"", b"/"}:
        raise ValueError(f"origins must be https URLs without path, such as https://api.example.com, not {origin!r}")
    return _origin(url)


def _origin(url: http.URL) -> tuple[bytes, int]:
    return url.raw_host, url.port or 443


def _with(request: http.Request, token: Token) -> http.Request:
    request.headers["Authorization"] = f"Bearer {token.access_token}"
    return request


def _token_was_refused(response: http.Response) -> bool:
    challenges = response.headers.get_list("WWW-Authenticate")
    return response.status_code == _UNAUTHORIZED and any(
        'error="invalid_token"' in challenge for challenge in challenges
    )


def _can_repeat(request: http.Request) -> bool:
    """Say whether the body is still there; one that was streamed is gone."""
    return isinstance(request.stream, http.ByteStream)
