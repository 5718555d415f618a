"""What a URL says of where to go, or why it is refused before anything is resolved."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final
from urllib.parse import urlsplit

_MAX_URL: Final = 2048
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_PRINTABLE: Final = re.compile(r"[!-\[\]-~]+")  # visible ASCII but the backslash, which parsers disagree about
_HOST_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?")
_ENDS_IN_NUMBER: Final = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")


class TargetError(ValueError):
    """The URL may not be fetched; the text says why in one line."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL: `host` without brackets, `authority` as it goes into `Host`, `resource` path and query."""

    scheme: str
    host: str
    port: int
    authority: str
    resource: str

    def __str__(self) -> str:
        """Give the URL without its query, which may carry what a log should not."""
        return f"{self.scheme}://{self.authority}{self.resource.partition('?')[0]}"


def parse_target(url: str, *, plain: bool = False) -> Target:
    """Read an https URL, with `plain` also an http URL, without credentials (RFC 9110 section 4.2); TargetError."""
    if len(url) > _MAX_URL:
        raise TargetError(f"the URL is longer than {_MAX_URL} characters")
    if not _PRINTABLE.fullmatch(url):
        raise TargetError("the URL must be visible ASCII (write an international host name in its xn-- form)")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise TargetError("this is no URL") from None
    if parts.scheme not in _DEFAULT_PORTS or (parts.scheme == "http" and not plain):
        raise TargetError("only https: and http: may be fetched" if plain else "only https: may be fetched")
    if "@" in parts.netloc:
        raise TargetError("the URL carries credentials")
    if ":" not in host:
        _check_name(host)
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    return Target(scheme=parts.scheme, host=host, port=port, authority=parts.netloc, resource=resource)


def parse_proxy(url: str) -> Target:
    """Read `http://HOST:PORT` or `https://HOST:PORT`; TargetError for anything else."""
    proxy = parse_target(url, plain=True)
    if url not in {f"{proxy.scheme}://{proxy.authority}", f"{proxy.scheme}://{proxy.authority}/"}:
        raise TargetError("a proxy has no path")
    if not proxy.authority.endswith(f":{proxy.port}"):
        raise TargetError("the port of the proxy is missing")
    return proxy


def _check_name(host: str) -> None:
    """Refuse what is neither a host name nor a canonical IPv4 address, such as 0177.1 and 2130706433."""
    if not _HOST_NAME.fullmatch(host):
        raise TargetError("the URL has no valid host name")
    if _ENDS_IN_NUMBER.fullmatch(host):
        try:
            IPv4Address(host)
        except ValueError:
            raise TargetError("the host is a number but no dotted IPv4 address") from None
