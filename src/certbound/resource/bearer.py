"""The Bearer scheme on the wire: the token in the request, the challenge in the answer (RFC 6750)."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from certbound.resource.verifier import TokenRefused

_B64TOKEN: Final = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
_QUOTABLE: Final = re.compile(r"[ !#-\[\]-~]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back in the app's place; names of headers in lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def is_quotable(text: str) -> bool:
    """Say whether a text may stand in a challenge as it is (RFC 6750 section 3)."""
    return _QUOTABLE.fullmatch(text) is not None


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Take the token from the Authorization header and nowhere else (RFC 6750 section 2.1), or raise TokenRefused."""
    values = [value for name, value in headers if name.lower() == b"authorization"]
    if len(values) > 1:
        raise TokenRefused("invalid_request", "more than one Authorization header", 400)
    scheme, _, token = values[0].strip().partition(b" ") if values else (b"", b"", b"")
    if scheme.lower() != b"bearer":
        raise TokenRefused(None, "a bearer token is needed")
    token = token.strip()
    if not _B64TOKEN.fullmatch(token):
        raise TokenRefused("invalid_request", "the Authorization header holds no bearer token", 400)
    return token.decode("ascii")


def refusal_answer(refusal: TokenRefused, realm: str | None = None) -> Answer:
    """Make the answer for a refusal: the challenge (RFC 6750 section 3) and the same as JSON."""
    parameters = {} if realm is None else {"realm": realm}
    if refusal.error is None:
        # A request without authentication learns nothing but that it needs some (RFC 6750 section 3.1).
        answer = Answer(refusal.status, [(b"content-length", b"0"), (b"cache-control", b"no-store")], b"")
    else:
        parameters |= {"error": refusal.error, "error_description": refusal.description}
        answer = json_answer(refusal.status, {"error": refusal.error, "error_description": refusal.description})
    if refusal.scope:
        parameters["scope"] = refusal.scope
    challenge = "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())
    answer.headers.append((b"www-authenticate", challenge.encode("ascii")))
    return answer


def json_answer(status: int, members: dict[str, str]) -> Answer:
    """Make an answer of JSON that no cache keeps."""
    body = json.dumps(members).encode("ascii")
    length = str(len(body)).encode("ascii")
    headers = [(b"content-type", b"application/json"), (b"content-length", length), (b"cache-control", b"no-store")]
    return Answer(status, headers, body)
