"""A browser as far as these pages need one: it keeps cookies, reads pages, and sends forms back."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx2


class Site(Protocol):
    async def ask(self, method: str, url: str, **how: Any) -> httpx2.Response: ...


@dataclass
class PageForm:
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """What a page says: its title, its text, its alerts, its labels and forms."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__()
        self.response = response
        self.title = self.text = self.alert = ""
        self.forms: list[PageForm] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(response.text)

    @property
    def form(self) -> PageForm:
        [form] = self.forms
        return form

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append((tag, given))
        if tag not in {"meta", "link", "input"}:
            self._open.append("alert" if given.get("role") == "alert" else tag)
        if tag == "form":
            self.forms.append(PageForm(given.get("action") or ""))
        if tag == "input" and given.get("name"):
            self.forms[-1].fields[given["name"] or ""] = given.get("value") or ""
        if tag == "button":
            self.forms[-1].buttons.append(given.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if "title" in self._open:
            self.title += data
        elif not {"script", "style"} & set(self._open):
            self.text += re.sub(r"\s+", " ", data)
        if "alert" in self._open:
            self.alert += re.sub(r"\s+", " ", data)


@dataclass
class Browser:
    """`where` is the address of the last page, `cookies` what is kept of all."""

    site: Site
    origin: str
    cookies: dict[str, str] = field(default_factory=dict)
    where: str = ""

    async def open(self, url: str, **parameters: Any) -> httpx2.Response:
        """Go to an address, and on to wherever the site sends the browser on itself."""
        address = f"{url}?{urlencode(parameters, doseq=True)}" if parameters else url
        return await self._follow(await self._send("GET", address))

    async def press(self, page: Page, button: str, *, form: int = 0, **typed: str) -> httpx2.Response:
        """Fill in a form of a page and press one of its buttons."""
        sent = page.forms[form]
        assert button in sent.buttons
        assert typed.keys() <= sent.fields.keys()
        data = sent.fields | typed | {"certbound_do": button}
        address = urljoin(self.where, sent.action) if sent.action else self.where
        return await self._follow(await self._send("POST", address, data=data))

    async def _follow(self, response: httpx2.Response) -> httpx2.Response:
        for _ in range(5):
            if response.status_code != 303:
                return response
            address = urljoin(f"{self.origin}/", response.headers["location"])
            if not address.startswith(f"{self.origin}/"):
                return response
            response = await self._send("GET", address)
        raise AssertionError("sent in circles")

    async def _send(self, method: str, url: str, **how: Any) -> httpx2.Response:
        self.where = urljoin(f"{self.origin}/", url)
        shown = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        response = await self.site.ask(method, self.where, headers={"Cookie": shown} if shown else {}, **how)
        for text in response.headers.get_list("set-cookie"):
            name, _, rest = text.partition("=")
            value = rest.partition(";")[0].strip('"')
            if value and "Max-Age=0" not in text:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return response


def sent_back(response: httpx2.Response) -> dict[str, str]:
    """Give the parameters that a redirect to a client brings it."""
    assert response.status_code == 303, response.text
    parts = urlsplit(response.headers["location"])
    return dict(parse_qsl(parts.fragment or parts.query))
