import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import trustme

from certbound.cli.program import run


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


class Certbound:
    """The program on one server's settings, in this process."""

    def __init__(self, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.config = config
        self.folder = config.parent
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: object, stdin: str | None = None) -> Ended:
        if stdin is not None:
            self._monkeypatch.setattr(sys, "stdin", StringIO(stdin))
        self._capsys.readouterr()
        code = run(["-c", str(self.config), *map(str, arguments)])
        return Ended(code, *self._capsys.readouterr())

    def done(self, *arguments: object, stdin: str | None = None) -> str:
        ended = self(*arguments, stdin=stdin)
        assert ended.code == 0, ended.err
        return ended.out

    def json(self, *arguments: object, stdin: str | None = None) -> Any:
        ended = self(*arguments, "--json", stdin=stdin)
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    def refused(self, *arguments: object, code: int = 1) -> str:
        """Run what must be refused: nothing on stdout, one line on stderr."""
        ended = self(*arguments)
        assert (ended.code, ended.out) == (code, ""), ended
        assert ended.err.startswith("certbound: ")
        assert ended.err.count("\n") == 1
        return ended.err.removeprefix("certbound: ").strip()


def program(*arguments: object, code: int | None = 0, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run the real program in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-m", "certbound.cli.entry", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **options.pop("env", {})},
        **options,
    )
    assert code is None or ended.returncode == code, ended.stderr
    return ended


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder that `init` made, and what it printed."""
    folder = tmp_path_factory.mktemp("cli") / "server"
    return folder, json.loads(program("init", folder, "--json").stdout)


@pytest.fixture
def certbound(
    made: tuple[Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Certbound:
    """The program on a server of the test's own."""
    monkeypatch.delenv("CERTBOUND_CONFIG", raising=False)
    shutil.copytree(made[0], tmp_path / "server")
    return Certbound(tmp_path / "server" / "certbound.toml", capsys, monkeypatch)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@pytest.fixture
def leaf_file(authority: trustme.CA, tmp_path: Path) -> Path:
    leaf = authority.issue_cert("orders.example", common_name="orders")
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "leaf.pem"))
    leaf.private_key_pem.write_to_path(str(tmp_path / "leaf.key"))
    return tmp_path / "leaf.pem"


@pytest.fixture
def self_signed(certbound: Certbound, tmp_path: Path) -> Path:
    certbound.done("cert", "new", "--cn", "probe", "--self-signed", "--out", tmp_path / "probe")
    return tmp_path / "probe" / "certificate.pem"
