"""How long an answer may be used before it is fetched again (RFC 9111 section 4.2)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

# A directive with its argument, which may be quoted (RFC 9111 section 5.2); what is inside quotes is no directive.
_DIRECTIVE: Final = re.compile(r"""([!#$%&'*+.^_`|~\w-]+)(?:[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^\s,;"]*))?""", re.ASCII)
_MAX_DIGITS: Final = 9
_MAX_HEADER: Final = 4096


def freshness(headers: Mapping[str, str], *, least: int, most: int, default: int) -> int:
    """Give the seconds for which an answer is fresh from now on, between `least` and `most`.

    `headers` has names in lower case. `no-store`, `no-cache` and what cannot be read give `least`, an answer that says
    nothing gives `default`. `max-age` goes before `Expires`, the age of an answer from a cache on the way is taken off.
    """
    directives = _directives(headers.get("cache-control", "")[:_MAX_HEADER])
    if "no-store" in directives or "no-cache" in directives:
        return least
    if "max-age" in directives:
        lifetime = _seconds(directives["max-age"])
    elif "expires" in headers:
        lifetime = _until(headers["expires"], headers.get("date"))
    else:
        return max(least, min(most, default))
    return max(least, min(most, lifetime - _seconds(headers.get("age", "0"))))


def _directives(text: str) -> dict[str, str]:
    """Give the directives by name in lower case, of a repeated one the first (RFC 9111 section 4.2.1)."""
    found: dict[str, str] = {}
    for match in _DIRECTIVE.finditer(text):
        found.setdefault(match[1].lower(), (match[2] or "").strip('"'))
    return found


def _seconds(text: str) -> int:
    """Read a number of seconds (RFC 9111 section 1.2.2); 0 for what is none."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()):
        return 0
    return int(digits) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _until(expires: str, date: str | None) -> int:
    """Give the seconds from `date`, or from now on, to `expires`; 0 for what is no date (RFC 9111 section 5.3)."""
    try:
        end = parsedate_to_datetime(expires)
        start = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return int((end - start).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return 0
