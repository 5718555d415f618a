"""How a page looks and what it may do: templates, and the headers that keep it from doing more."""

import hashlib
from base64 import b64encode
from importlib import resources
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

SCRIPT = "document.forms[0].submit()"
"""All the script there is: it sends the answer of response_mode=form_post on, which a button does without it."""
_SCRIPT_SOURCE = f"'sha256-{b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
_STYLESHEET = resources.files("certbound.web.signin").joinpath("signin.css").read_bytes()
STYLESHEET_PATH = f"/oauth2/static/signin.{hashlib.sha256(_STYLESHEET).hexdigest()[:16]}.css"
"""With a hash of what it holds, so that it may be kept for good."""
_KEPT_SECONDS = 31_536_000
_TRANSPORT_SECONDS = 31_536_000

PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # addresses hold requests and their state
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors (RFC 9700 section 4.16)
}


class Pages:
    """Makes the pages of one issuer."""

    def __init__(self, issuer: str) -> None:
        parts = urlsplit(issuer)
        self._base = parts.path.rstrip("/")
        self._server = parts.netloc + self._base
        self._transport = _strict_transport(parts.hostname or "")
        self._templates = Environment(
            loader=PackageLoader("certbound.web.signin"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            auto_reload=False,
        )

    def page(
        self, name: str, *, status: int = 200, send_to: str | None = None, script: bool = False, **values: Any
    ) -> HTMLResponse:
        """Make a page from its template; `send_to` is the redirect URI that its form may end up at."""
        text = self._templates.get_template(f"{name}.html").render(
            server=self._server, stylesheet=self._base + STYLESHEET_PATH, **values
        )
        headers = self.headers | {"Content-Security-Policy": _security_policy(send_to, script=script)}
        return HTMLResponse(text, status_code=status, headers=headers)

    def error(self, heading: str, problem: str, advice: str, *, status: int) -> HTMLResponse:
        """Make the page that says what is wrong and what to do."""
        return self.page("error", status=status, heading=heading, problem=problem, advice=advice)

    @property
    def headers(self) -> dict[str, str]:
        """What every answer to a browser has, redirects included."""
        return PAGE_HEADERS | self._transport

    def redirect(self, url: str) -> Response:
        """Send the browser on with a GET, whatever it came with: 303 alone never takes a form along (RFC 9700 4.12)."""
        return Response(status_code=303, headers=self.headers | {"Location": url})

    def routes(self) -> list[Route]:
        """Make the route of the style sheet."""
        return [Route(self._base + STYLESHEET_PATH, _stylesheet)]


async def _stylesheet(_request: Request) -> Response:
    headers = {"Cache-Control": f"public, max-age={_KEPT_SECONDS}, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(_STYLESHEET, media_type="text/css", headers=headers)


def _security_policy(send_to: str | None, *, script: bool) -> str:
    """Say what a page may do: look as it should, and post its form.

    Browsers hold `form-action` against every redirect that follows a form, and a client's callback sends people on as
    it likes. So a form whose answer ends at a client may end at https anywhere; at plain http only on this machine.
    """
    targets = ["'self'"]
    if send_to is not None:
        targets.append("https:")
        if send_to.startswith("http:"):
            targets.append(_local_source(send_to))
    directives = ["default-src 'none'", "style-src 'self'", "img-src 'self' data:"]
    if script:
        directives.append(f"script-src {_SCRIPT_SOURCE}")
    return "; ".join([*directives, f"form-action {' '.join(targets)}", "frame-ancestors 'none'", "base-uri 'none'"])


def _local_source(uri: str) -> str:
    """Name the local machine as a source; there is no way to write an IPv6 address in one."""
    host = urlsplit(uri).hostname or ""
    return f"http://{host}:*" if host == "localhost" or host.replace(".", "").isdigit() else "http:"


def _strict_transport(host: str) -> dict[str, str]:
    """Have browsers insist on https, but not at this machine: the rule is for all of a host's ports, callbacks too."""
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost" or host.endswith(".localhost")
    return {} if local else {"Strict-Transport-Security": f"max-age={_TRANSPORT_SECONDS}"}
