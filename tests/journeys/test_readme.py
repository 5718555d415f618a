"""What the README says to type, typed."""

import json
import os
import signal
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from certbound.tls.door import Door
from certbound.tls.listener import Listener
from certbound.tls.serving import running

from .conftest import CERTBOUND, SECONDS, SELF_SIGNED, confirmation, free_port, thumbprint, typed
from .pages import ROOT, blocks

README = ROOT.joinpath("README.md").read_text()
SERVE = "certbound serve &\n"


def block(language: str, holding: str) -> str:
    """Give the one block of code of the README in which there is this."""
    (found,) = (text for kind, text in blocks(README) if kind == language and holding in text)
    return found


@dataclass(frozen=True)
class Typed:
    """What came of typing the README's lines, while their server is up."""

    folder: Path
    port: int
    answer: Any


def first_line(shell: "subprocess.Popen[str]", beginning: str, errors: Path) -> str:
    assert shell.stdout is not None
    for line in shell.stdout:
        if line.startswith(beginning):
            return line
    pytest.fail(f"ended without {beginning!r}: {errors.read_text()}")


@pytest.fixture(scope="module")
def lines_typed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Typed]:
    """Type the block as it stands, but for a free port, with an eye on the server as a person has it."""
    folder, port = tmp_path_factory.mktemp("readme"), free_port()
    lines = block("sh", "certbound init").replace("9443", str(port))
    lines = lines.replace("certbound init", f"certbound init --bind 127.0.0.1:{port}")
    until_served, serve, rest = lines.partition(SERVE)
    errors = folder / "errors"
    environ = {**os.environ, "PATH": f"{CERTBOUND.parent}:{os.environ['PATH']}"}
    with (
        errors.open("w") as err,
        subprocess.Popen(
            ["bash", "-e"],
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            bufsize=1,
            start_new_session=True,
        ) as shell,
    ):
        watchdog = threading.Timer(SECONDS, os.killpg, (shell.pid, signal.SIGKILL))
        watchdog.start()
        try:
            assert shell.stdin is not None
            shell.stdin.write(until_served + serve)
            first_line(shell, "listening on ", errors)
            shell.stdin.write(rest + "\necho\n")
            yield Typed(folder / "here", port, json.loads(first_line(shell, "{", errors)))
            shell.stdin.write("kill %1\nwait\n")
            shell.stdin.close()
            assert shell.wait(SECONDS) == 0, errors.read_text()
        finally:
            watchdog.cancel()
            watchdog.join()
            if shell.poll() is None:
                os.killpg(shell.pid, signal.SIGKILL)


def test_the_lines_give_the_token_that_is_shown(lines_typed: Typed) -> None:
    shown, got = json.loads(block("json", "access_token")), lines_typed.answer
    assert got["access_token"].startswith(shown["access_token"].removesuffix("..."))
    assert {**got, "access_token": ""} == {**shown, "access_token": ""}
    assert confirmation(got["access_token"]) == {"x5t#S256": thumbprint(lines_typed.folder / "client.pem")}


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.mark.req("8705-23", "8705-24")
async def test_the_api_that_is_shown_takes_the_token_from_its_certificate_alone(
    lines_typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = lines_typed.folder / "server.crt"
    monkeypatch.setenv("SSL_CERT_FILE", str(server))  # the development certificate is in no system's store
    names: dict[str, Any] = {"app": hello}
    exec(block("python", "CertificateBoundMiddleware").replace("9443", str(lines_typed.port)), names)  # noqa: S102
    listener = Listener(
        name="api", bind="127.0.0.1:0", app=names["app"], certificate=server, key=server.with_name("server.key")
    )
    typed(SELF_SIGNED.format("thief"), tmp_path)
    headers = {"Authorization": f"Bearer {lines_typed.answer['access_token']}"}
    async with running(Door([listener])) as bound:
        for files, status in (
            ((lines_typed.folder / "client.pem", lines_typed.folder / "key.pem"), 200),
            ((tmp_path / "client-certificate.pem", tmp_path / "key.pem"), 401),
            (None, 401),
        ):
            context = ssl.create_default_context(cafile=server)
            if files is not None:
                context.load_cert_chain(*files)
            async with httpx2.AsyncClient(verify=context, timeout=SECONDS) as client:
                answer = await client.get(f"https://localhost:{bound['api'][1]}/", headers=headers)
            assert answer.status_code == status, answer.text
