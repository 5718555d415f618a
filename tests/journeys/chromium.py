"""Debian's Chromium, driven by Playwright; and an application of a client, which people come back to."""

import contextlib
import hashlib
import shutil
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

AXE = Path(__file__).parent.parent / "vendor" / "axe-core" / "axe.min.js"
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium; no browser is ever downloaded for the tests."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


def findings(page: Page) -> list[str]:
    """Have axe-core look at a page; give what it finds, whatever it thinks of its weight."""
    source = AXE.read_bytes()
    assert hashlib.sha256(source).hexdigest() == AXE_SHA256
    page.evaluate(source.decode())
    found: dict[str, Any] = page.evaluate("axe.run(document)")
    return [f"{page.title()}: {one['id']} ({one['impact']}): {one['help']}" for one in found["violations"]]


@dataclass
class Application:
    """What a client's callback was sent: the method, and the parameters of query or form."""

    folder: Path = Path()
    port: int = 0
    came: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    home: str = ""
    """Where the callback sends people on to, if it does."""

    def url(self, path: str = "/cb", host: str = "localhost") -> str:
        return f"https://{host}:{self.port}{path}"


@contextlib.contextmanager
def application(certificate: Path, key: Path) -> Iterator[Application]:
    """Run an application on a port of its own."""
    running = Application()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self._answer(parts.path, dict(parse_qsl(parts.query)))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(urlsplit(self.path).path, dict(parse_qsl(body)))

        def _answer(self, path: str, parameters: dict[str, str]) -> None:
            if path == "/cb":
                running.came.append((self.command, parameters))
            onward = path == "/cb" and running.home
            self.send_response(303 if onward else 200)
            if onward:
                self.send_header("Location", running.home)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>The application</title>")

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        running.port = server.server_address[1]
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield running
        server.shutdown()
        serving.join()
