"""Which target does a URL name? Two that differ in spelling only name the same one (RFC 3986 section 6.2)."""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

MAX_LENGTH: Final = 2048
"""Characters of a URL."""
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_TRIPLET: Final = re.compile(r"%(..?)?")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]")


def target_uri(url: str) -> str:
    """Give an http or https URL in its normal form without query and fragment (RFC 9449 section 4.3).

    ValueError for what is no such URL, and for one with credentials in it.
    """
    if len(url) > MAX_LENGTH or not all("!" <= c <= "~" for c in url):
        raise ValueError(f"not a URL of at most {MAX_LENGTH} printable ASCII characters")
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not {"@", "%", "\\"}.isdisjoint(parts.netloc):
        raise ValueError("not an http or https URL with a plain host")
    return f"{parts.scheme}://{_authority(parts)}{_path(parts.path)}"


def _authority(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    return host if parts.port in {None, _DEFAULT_PORTS[parts.scheme]} else f"{host}:{parts.port}"


def _path(path: str) -> str:
    """Normalise triplets, then dot segments; an empty path is the root (sections 6.2.2.2, 6.2.2.3 and 6.2.3)."""
    kept: list[str] = []
    segments = _TRIPLET.sub(_triplet, path).split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def _triplet(found: re.Match[str]) -> str:
    digits = found[1] or ""
    if not re.fullmatch(r"[0-9A-Fa-f]{2}", digits):
        raise ValueError("a percent sign that encodes nothing")
    character = chr(int(digits, 16))
    return character if _UNRESERVED.fullmatch(character) else f"%{digits.upper()}"
