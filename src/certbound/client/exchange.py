"""How a client gets a token, as steps without I/O: discovery, then client_credentials (RFC 8414, RFC 8705)."""

import json
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from certbound.fetch.discovery import DiscoveryError, check_issuer, metadata_urls, read_metadata
from certbound.fetch.target import TargetError, parse_target

_OK: Final = 200
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_NOT_QUOTABLE: Final = re.compile(r"[^ !#-\[\]-~]+")
_RENEW_BEFORE: Final = 30.0
_UNSTATED_LIFETIME: Final = 60.0


class TokenError(Exception):
    """No token was had; the text is one line.

    `error` and `error_description` are the server's own words (RFC 6749 section 5.2), None if it said nothing of the
    kind; `status` is the HTTP status of its answer, None if there was none.
    """

    def __init__(
        self,
        message: str,
        *,
        error: str | None = None,
        error_description: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.error = error
        self.error_description = error_description
        self.status = status


@dataclass(frozen=True, slots=True)
class Token:
    """An access token; opaque to its holder (RFC 9068 section 6). `expires_at` is in seconds since the epoch."""

    access_token: str = field(repr=False)
    expires_at: float
    scope: str
    token_type: str = "Bearer"
    renew_at: float = field(default=0.0, repr=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to make, without following redirects: a GET, or a POST of `form`."""

    url: str
    form: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes = field(repr=False)


class TokenExchange:
    """What one client asks of one issuer. Remembers the token endpoint for as long as it serves.

    `scope` is space-separated, `resource` one or more URIs (RFC 8707). Raises ValueError for what can never work.
    """

    def __init__(
        self, issuer: str, client_id: str, *, scope: str | None = None, resource: str | Sequence[str] | None = None
    ) -> None:
        if not client_id:
            raise ValueError("client_id must be set to the id the client is registered under")
        self._issuer = check_issuer(issuer)
        self._form: list[tuple[str, str]] = [("grant_type", "client_credentials"), ("client_id", client_id)]
        if scope:
            self._form.append(("scope", scope))
        resources = [resource] if isinstance(resource, str) else resource or ()
        self._form.extend(("resource", uri) for uri in resources)
        self._scope = scope or ""
        self._endpoint: str | None = None

    def steps(self, now: float) -> Generator[Ask, Answer, Token]:
        """Yield what to ask, take answers, return the token; `now` in seconds since the epoch. Raises TokenError."""
        try:
            if self._endpoint is None:
                self._endpoint = yield from self._discover()
            answer = yield Ask(self._endpoint, urlencode(self._form).encode("ascii"))
            return self._read_token(answer, now)
        except (TokenError, GeneratorExit):  # closed before the end: the endpoint could not be reached
            self._endpoint = None
            raise

    def _discover(self) -> Generator[Ask, Answer, str]:
        for url in metadata_urls(self._issuer):
            answer = yield Ask(url)
            if answer.status == _OK:
                try:
                    return _token_endpoint(read_metadata(answer.body, self._issuer))
                except (DiscoveryError, TargetError) as exc:
                    raise TokenError(f"{url}: {exc}", status=answer.status) from None
        raise TokenError(f"no metadata is published for issuer {self._issuer!r}", status=answer.status)

    def _read_token(self, answer: Answer, now: float) -> Token:
        members = _read_object(answer.body)
        if answer.status != _OK:
            raise _refusal(members, answer.status)
        value, kind, scope = members.get("access_token"), members.get("token_type"), members.get("scope", self._scope)
        if not isinstance(value, str) or not _TOKEN.fullmatch(value):
            raise TokenError("the token endpoint's answer holds no access_token", status=answer.status)
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise TokenError("the token is of a type other than Bearer", status=answer.status)
        lifetime = members.get("expires_in")
        if not isinstance(lifetime, int | float) or isinstance(lifetime, bool) or not 0 <= lifetime <= 2**31:
            lifetime = _UNSTATED_LIFETIME
        return Token(
            access_token=value,
            expires_at=now + lifetime,
            scope=scope if isinstance(scope, str) else self._scope,
            renew_at=now + lifetime - min(_RENEW_BEFORE, lifetime / 10),
        )


def _token_endpoint(metadata: Mapping[str, Any]) -> str:
    """Give the endpoint for a client with a certificate: the alias where there is one (RFC 8705 section 5)."""
    aliases = metadata.get("mtls_endpoint_aliases")
    alias = aliases.get("token_endpoint") if isinstance(aliases, Mapping) else None
    endpoint = alias if alias is not None else metadata.get("token_endpoint")
    if not isinstance(endpoint, str):
        raise DiscoveryError("the metadata has no token_endpoint")
    parse_target(endpoint)
    return endpoint


def _read_object(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _refusal(members: Mapping[str, Any], status: int) -> TokenError:
    error, description = (
        _NOT_QUOTABLE.sub(" ", text)[:300] if isinstance(text := members.get(name), str) else None
        for name in ("error", "error_description")
    )
    if error is None:
        return TokenError(f"the token endpoint answered with status {status} and no OAuth error", status=status)
    message = f"{error}: {description}" if description else error
    return TokenError(message, error=error, error_description=description, status=status)
