"""Forms that only the browser they were made for can send, and only while what they are about is the case.

A sealed value in the form names the browser, which a cookie names too; another site can neither read nor set either
(OWASP: signed double submit). Nothing is kept on the server.
"""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from certbound.oauth.form import Form
from certbound.web.signin import cookies
from certbound.web.signin.pages import Pages
from certbound.web.signin.sealed import Sealed

FIELD = "certbound_form"
BUTTON = "certbound_do"
LASTS = 1800
"""Seconds for which a page may lie open."""


class Forms:
    """Makes pages with a form, and opens what comes back from them."""

    def __init__(self, pages: Pages, sealed: Sealed) -> None:
        self.pages = pages
        self._sealed = sealed

    def page(
        self,
        request: Request,
        name: str,
        *about: str,
        carried: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> Response:
        """Make a page whose form is good for what `about` says; `carried` comes back with it."""
        browser = cookies.browser_of(request) or cookies.new_browser()
        form = self._sealed.seal(FIELD, browser, *about, **(carried or {}))
        page = self.pages.page(name, form=form, **values)
        cookies.keep_browser(page, browser)
        return page

    def open(self, request: Request, form: Form, *about: str, lasts: int = LASTS) -> Mapping[str, Any] | None:
        """Give what a form carried; None where it was made for another browser, for something else or too long ago."""
        browser = cookies.browser_of(request)
        return None if browser is None else self._sealed.open(form.get(FIELD), FIELD, browser, *about, lasts=lasts)
