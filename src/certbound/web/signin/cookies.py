"""The two cookies: who is signed in, and which browser a form was made for.

Both begin with `__Host-`: no other host and no plain connection can set them (RFC 6265bis section 4.1.3.2).
"""

import re
import secrets

from starlette.requests import Request
from starlette.responses import Response

SESSION = "__Host-certbound-session"
FORM = "__Host-certbound-form"
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")  # 256 bits in base64url


def session_of(request: Request) -> str | None:
    """Give what a browser shows for being signed in."""
    return _read(request, SESSION)


def browser_of(request: Request) -> str | None:
    """Give what tells this browser from others, if it keeps cookies and saw a form before."""
    return _read(request, FORM)


def new_browser() -> str:
    """Make a value to tell a browser by."""
    return secrets.token_urlsafe(32)


def keep_session(response: Response, value: str) -> None:
    """Have the browser show `value` from now on, until it is closed; the server knows when that runs out."""
    _keep(response, SESSION, value)


def keep_browser(response: Response, value: str) -> None:
    """Have the browser show `value` with every form it sends."""
    _keep(response, FORM, value)


def drop_session(response: Response) -> None:
    """Have the browser forget that somebody is signed in."""
    response.delete_cookie(SESSION, path="/", secure=True, httponly=True, samesite="lax")


def _read(request: Request, name: str) -> str | None:
    value = request.cookies.get(name)
    return value if value is not None and _VALUE.fullmatch(value) else None


def _keep(response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="lax")
