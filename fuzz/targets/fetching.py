"""Addresses of documents to fetch, the answers of their servers, and how long those hold."""

from dataclasses import dataclass
from http.client import HTTPException

from certbound.fetch.exchange import Request, exchange
from certbound.fetch.freshness import freshness
from certbound.fetch.stream import FetchError
from certbound.fetch.target import TargetError, parse_target
from fuzz.target import Target, expect

_URLS = (
    b"https://keys.example.com/jwks.json?a=b",
    b"https://[2001:db8::1]:8443/",
    b"https://192.0.2.1",
    b"https://a@b/",
    b"https://0x7f.1:0/#f",
    b"https://[::ffff:1.2.3.4%25eth0]:65536",
)
_WORDS = (b"https://", b"http://", b"[", b"]", b"@", b":", b"%25", b"//", b"::", b"xn--", b"\\", b"\t", b"#", b"?")


def _parse(data: bytes) -> None:
    target = parse_target(data.decode("utf-8", "surrogateescape"))
    expect(0 <= target.port < 1 << 16 and bool(target.host), "no host or no port")
    expect(not set(target.authority + target.resource) & set(" \r\n\t\\"), "what may not be in a request")
    str(target).encode("ascii")


@dataclass(slots=True)
class _Recorded:
    """A server that says what it says, and ends."""

    answer: bytes

    def send(self, data: bytes) -> None:
        """Take the request."""

    def receive(self, size: int) -> bytes:
        """Give the next bytes."""
        given, self.answer = self.answer[:size], self.answer[size:]
        return given


def _exchange(data: bytes) -> None:
    fetched = exchange(_Recorded(data), Request("/", "a", "*/*"), _MAXIMUM)
    expect(len(fetched.body) <= _MAXIMUM, "more than was wanted")
    expect(_LEAST <= freshness(fetched.headers, least=_LEAST, most=60, default=20) <= 60, "out of bounds")  # noqa: PLR2004


_LEAST, _MAXIMUM = 10, 4096
_ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: max-age=30, no-cache\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nAge: 5\r\n\r\n2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.0 404 No\r\nExpires: Mon, 01 Jun 2026 12:00:00 GMT\r\nDate: Mon, 01 Jun 2026 11:59:00 GMT\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Encoding: gzip\r\n\r\n",
)
_HEADERS = (
    *(
        b"Content-Length: ",
        b"Transfer-Encoding: chunked",
        b"Content-Encoding: ",
        b"\r\n\r\n",
        b"\r\n",
        b"HTTP/1.1 200 ",
    ),
    *(b"Cache-Control: ", b'max-age="', b"Expires: ", b"Date: ", b"Age: ", b"no-store", b"99999999999999999999"),
)
TARGETS = (
    Target("fetch.parse_target", _parse, (TargetError,), lambda: _URLS, words=_WORDS, maximum=2100),
    Target("fetch.exchange", _exchange, (FetchError, HTTPException), lambda: _ANSWERS, words=_HEADERS),
)
