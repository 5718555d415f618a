"""The parameters of a request, read once: every value bounded, nothing twice (RFC 6749 section 3.2)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from certbound.oauth.errors import OAuthError

MAX_PARAMETERS = 100
MAX_LENGTHS: Mapping[str, int] = {
    "client_id": 256,
    "scope": 4096,
    "username": 256,
    "password": 1024,
    "grant_type": 256,
    "request": 16_384,  # a signed request holds all the others (RFC 9101)
}
MAX_LENGTH = 8192
"""Characters of a parameter's value where MAX_LENGTHS does not name it; together the body's own cap holds."""
_MEDIA_TYPE = "application/x-www-form-urlencoded"
_REPEATABLE = frozenset({"resource"})  # RFC 8707 section 2


@dataclass(frozen=True, slots=True)
class Form:
    """The parameters of one request. An empty value counts as absent (RFC 6749 section 3.2)."""

    values: Mapping[str, tuple[str, ...]] = field(repr=False)  # may hold secrets

    def get(self, name: str) -> str | None:
        """Give the value of a parameter that may be absent."""
        values = self.values.get(name)
        return values[0] if values else None

    def all(self, name: str) -> tuple[str, ...]:
        """Give every value of a parameter that may be repeated."""
        return self.values.get(name, ())

    def required(self, name: str) -> str:
        """Give the value of a parameter; `invalid_request` names it where it is absent."""
        value = self.get(name)
        if value is None:
            raise OAuthError("invalid_request", f"the parameter {name} is missing")
        return value


def parse_form(body: bytes, content_type: str | None, query: bytes = b"") -> Form:
    """Read a form-encoded body; `invalid_request` says what is wrong with it.

    Parameters in the query are refused whole: a `client_id` there may differ from the one in the body, and secrets do
    not belong into URLs (RFC 6749 section 2.3.1).
    """
    if (content_type or "").partition(";")[0].strip().lower() != _MEDIA_TYPE:
        raise OAuthError("invalid_request", f"send the parameters as {_MEDIA_TYPE}")
    if query:
        raise OAuthError("invalid_request", "send the parameters in the body, not in the query")
    return _parse(body, "body")


def parse_query(query: bytes) -> Form:
    """Read the query of an authorization request (RFC 6749 section 3.1); `invalid_request` says what is wrong with it.

    No secret belongs there: this is for the endpoints that browsers are sent to.
    """
    return _parse(query, "query")


def _parse(encoded: bytes, where: str) -> Form:
    try:
        pairs = parse_qsl(
            encoded.decode("utf-8"),
            keep_blank_values=True,
            max_num_fields=MAX_PARAMETERS,
            encoding="utf-8",
            errors="strict",
        )
    except ValueError as error:
        text = f"the {where} is not form-encoded UTF-8 of at most {MAX_PARAMETERS} parameters"
        raise OAuthError("invalid_request", text) from error
    return form_of(pairs)


def form_of(pairs: Iterable[tuple[str, str]]) -> Form:
    """Make a form of names and values, wherever they were written; `invalid_request` says what is wrong with them."""
    values: dict[str, tuple[str, ...]] = {}
    seen: set[str] = set()
    for name, value in pairs:
        if name in seen and name not in _REPEATABLE:
            raise OAuthError("invalid_request", f"the parameter {printable(name)} is there more than once")
        seen.add(name)
        if len(value) > MAX_LENGTHS.get(name, MAX_LENGTH):
            raise OAuthError("invalid_request", f"the parameter {printable(name)} is too long")
        if "\0" in value:
            raise OAuthError("invalid_request", f"the parameter {printable(name)} holds a NUL character")
        if value:
            values[name] = (*values.get(name, ()), value)
    return Form(values)


def printable(text: str, most: int = 64) -> str:
    """Give a text that may stand in an error description (RFC 6749 section 5.2), shortened to `most` characters."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text[:most])
