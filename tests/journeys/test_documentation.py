"""What the pages say to type, typed in their order; what they show of the answers is what is printed.

Every block of `sh` on a page is run. The files that a page speaks of come from openssl, and the `.example` hosts stand
on loopback, behind a proxy.
"""

import os
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from tests.fetch.peers import Server as Published
from tests.fetch.peers import proxying
from tests.fetch.peers import serving as publishing

from .conftest import CERTBOUND, certbound, free_port, serving
from .pages import ROOT, Step, blocks, steps
from .sent import make_files

PAGES = (
    *("certificates", "revocation", "rotation", "stolen-key", "refusals", "assertions", "workload-identity", "keys"),
    "registration",
)
PATIENCE = 120
"""Seconds that a block may take, and in which a running server has what was changed; a hang, not a measure."""
_LOOKS = re.compile(r"(curl|certbound [a-z ]*?(list|show|status|token|explain)\b)")


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make once what a reader of the pages has from elsewhere: certificates, keys, CRLs, a bundle, a JWK Set."""
    folder = tmp_path_factory.mktemp("sent")
    make_files(folder)
    return folder


@contextmanager
def hosts(folder: Path, authority: trustme.CA) -> Iterator[dict[str, str]]:
    """Publish a folder under the names of the pages; give the ports to write into their URLs, by scheme."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("keys.example", "spire.example").configure_cert(context)
    client = ssl.create_default_context()
    with publishing(client, context) as secure, publishing(client, None) as plain:
        for server in (secure, plain):
            _publish(server, folder)
        yield {"https": str(secure.port), "http": str(plain.port)}


def _publish(server: Published, folder: Path) -> None:
    def body() -> bytes:
        target = server.requests[-1].split(b" ")[1].decode()
        return folder.joinpath(target.rpartition("/")[2]).read_bytes()

    server.answer = lambda connection: connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content := body()), content)
    )


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_says_to_type_does_what_it_says(name: str, sent: Path, tmp_path: Path) -> None:
    port, authority = free_port(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "hosts.pem"))
    made = certbound("init", tmp_path / "here", "--bind", f"127.0.0.1:{port}")
    shutil.copytree(sent, tmp_path / "here", dirs_exist_ok=True)
    with hosts(sent, authority) as ports, proxying() as proxy:
        environ = {
            "CERTBOUND__OUTBOUND__PROXY": proxy.url,
            "CERTBOUND__OUTBOUND__CA_FILE": str(tmp_path / "hosts.pem"),
            "CERTBOUND__LISTENER__0__SERVES": '["oauth", "metrics"]',
            "CERTBOUND__OAUTH__DYNAMIC_REGISTRATION": "initial-access-token",
        }
        page = ROOT.joinpath("docs", f"{name}.md").read_text("utf-8").replace("9443", str(port))
        page = re.sub(r"\b(https?)(://\w+\.example)\b", lambda url: f"{url[0]}:{ports[url[1]]}", page)
        with serving(Path(made["config"]), environ):
            type_all(steps(page), tmp_path / "here", environ)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_lines_to_type_and_their_answers_only(name: str) -> None:
    page = ROOT.joinpath("docs", f"{name}.md").read_text("utf-8")
    assert {language for language, _ in blocks(page)} <= {"sh", "text", "json"}
    assert page.count("```") == 2 * len(blocks(page))


def type_all(page: Iterator[Step], folder: Path, environ: Mapping[str, str]) -> None:
    shell = {**os.environ, **environ, "PATH": f"{CERTBOUND.parent}:{os.environ['PATH']}"}
    for step in page:
        if not (step.lines.startswith("keytool") and shutil.which("keytool") is None):
            shell |= type_step(step, folder, shell)


def type_step(step: Step, folder: Path, shell: Mapping[str, str]) -> dict[str, str]:
    """Type a block, again and again for a while if it only looks; give the values that the page names."""
    end = time.monotonic() + PATIENCE
    while True:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", step.lines],
            cwd=folder,
            env=shell,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        named = step.match(done.stdout) if done.returncode == step.code else None
        if named is not None:
            return named
        if not _LOOKS.match(step.lines) or time.monotonic() > end:
            pytest.fail(f"{step.lines}\nis shown to give\n{step.shown}\nand gave {done.returncode}\n{done.stdout}")
