"""One HTTP/1.1 request over a stream, and its whole answer within bounds (RFC 9112)."""

import http.client
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from certbound.fetch.stream import FetchError, Stream

if TYPE_CHECKING:
    import socket

    from _typeshed import WriteableBuffer

_KEPT_HEADERS: Final = frozenset(
    {"age", "cache-control", "content-type", "date", "etag", "expires", "last-modified", "retry-after"}
)
_MAX_HEADER_BYTES: Final = 64 * 1024
_PIECE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer that is no redirect: the status, a few headers (names in lower case), the whole body."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: `resource` as it goes into the request line; a POST if there is a `body`."""

    resource: str
    authority: str
    accept: str
    body: bytes | None = field(default=None, repr=False)
    content_type: str | None = None

    @property
    def method(self) -> str:
        """Give the method."""
        return "GET" if self.body is None else "POST"

    def encoded(self) -> bytes:
        """Give the request as it goes over the wire."""
        head = (
            f"{self.method} {self.resource} HTTP/1.1\r\nHost: {self.authority}\r\nAccept: {self.accept}\r\n"
            "Accept-Encoding: identity\r\nUser-Agent: certbound\r\nConnection: close\r\n"
        )
        if self.body is not None:
            kind = self.content_type or "application/octet-stream"
            head += f"Content-Type: {kind}\r\nContent-Length: {len(self.body)}\r\n"
        return head.encode("ascii") + b"\r\n" + (self.body or b"")


def exchange(stream: Stream, request: Request, max_bytes: int) -> Fetched:
    """Send the request and read the answer, its body of at most `max_bytes`.

    Raises FetchError, TimeoutError, OSError and http.client.HTTPException.
    """
    stream.send(request.encoded())
    wire = _Wire(stream, max_bytes + _MAX_HEADER_BYTES)
    response = http.client.HTTPResponse(cast("socket.socket", wire), method=request.method)
    with response:
        response.begin()
        _check_head(response, max_bytes)
        announced = response.length
        body = response.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise FetchError(f"the answer is larger than {max_bytes} bytes")
    if announced is not None and len(body) != announced:
        raise FetchError("the answer was cut short")
    return Fetched(status=response.status, body=body, headers=_kept(response))


def _check_head(response: http.client.HTTPResponse, max_bytes: int) -> None:
    if response.status < http.HTTPStatus.OK:
        raise FetchError(f"unexpected status {response.status}")
    if http.HTTPStatus.MULTIPLE_CHOICES <= response.status < http.HTTPStatus.BAD_REQUEST:
        raise FetchError(f"the server redirects (status {response.status}), which is not followed")
    if response.length is not None and response.length > max_bytes:
        raise FetchError(f"the answer is larger than {max_bytes} bytes")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchError("the answer is compressed, which was not asked for")


def _kept(response: http.client.HTTPResponse) -> dict[str, str]:
    """Give the headers that are of use; several of one name are one list (RFC 9110 section 5.3)."""
    kept: dict[str, str] = {}
    for name, value in response.getheaders():
        lower = name.lower()
        if lower in _KEPT_HEADERS:
            kept[lower] = f"{kept[lower]}, {value}" if lower in kept else value
    return kept


class _Wire(io.RawIOBase):
    """A stream's reading side under one cap, in the form http.client takes."""

    def __init__(self, stream: Stream, limit: int) -> None:
        self._stream = stream
        self._limit = limit

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if self._limit <= 0:
            raise FetchError("the answer is too large")
        view = memoryview(buffer).cast("B")
        received = self._stream.receive(min(len(view), self._limit, _PIECE))
        view[: len(received)] = received
        self._limit -= len(received)
        return len(received)
