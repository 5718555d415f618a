"""Addresses of documents to fetch."""

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


TARGETS = (Target("fetch.parse_target", _parse, (TargetError,), lambda: _URLS, words=_WORDS, maximum=2100),)
