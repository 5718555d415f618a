import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import click
import pytest

from certbound.cli import program as cli_program
from certbound.cli.program import program as root

from .conftest import Certbound, program


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no such command 'nothing'"),
        (["client", "crate"], "create"),
        (["client", "list", "--nonsense"], "--nonsense"),
        (["client", "create"], "missing"),
        (["client", "create", "a", "--auth", "magic"], "'magic' is not one of"),
        (["--json", "status"], "--json stands at the end"),
        (["serve", "--workers", "0"], "--workers"),
    ],
)
def test_misuse_ends_with_2_and_one_line(certbound: Certbound, arguments: list[str], message: str) -> None:
    assert message in certbound.refused(*arguments, code=2)


def test_settings_that_cannot_be_used_are_named(certbound: Certbound) -> None:
    text = certbound.config.read_text()
    certbound.config.write_text(text.replace("issuer =", "isuer ="))
    for command in (("status",), ("client", "list"), ("serve",), ("db", "upgrade")):
        assert "did you mean 'issuer'?" in certbound.refused(*command)
    certbound.config.unlink()
    assert "certbound init DIR" in certbound.refused("serve")


def test_the_settings_are_found_by_the_environment_too(
    certbound: Certbound, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CERTBOUND_CONFIG", str(certbound.config))
    assert cli_program.run(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"] == str(certbound.config)


def test_a_damaged_database_is_one_line(certbound: Certbound) -> None:
    (certbound.folder / "certbound.db").write_bytes(b"no database" * 1000)
    assert "the database could not do it" in certbound.refused("client", "list")


def test_what_nobody_expected_is_one_line_too(certbound: Certbound, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("a\nb")

    monkeypatch.setattr("certbound.cli.client.opened", fail)
    assert "unexpected KeyError" in certbound.refused("client", "list")


def test_an_interruption_is_no_traceback(certbound: Certbound, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("certbound.cli.client.opened", interrupt)
    ended = certbound("client", "list")
    assert (ended.code, ended.err.strip()) == (1, "certbound: interrupted")


def _commands(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if name == "demo":
                continue
            inner = command.get_command(context, name)
            assert inner is not None
            found += _commands(inner, (*path, name))
    return found


@pytest.mark.parametrize(
    ("path", "command"), _commands(root), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_and_option_is_explained(path: tuple[str, ...], command: click.Command) -> None:
    text = command.help or ""
    assert text.partition("\n\n")[0].rstrip().endswith(".") or "\n" in text
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


def test_help_and_certificates_load_neither_the_database_nor_the_server(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import sys
        from certbound.cli.program import run
        assert run(["--help"]) == 0
        assert "cryptography" not in sys.modules, "cryptography"
        assert run(["cert", "new", "--cn", "a", "--out", sys.argv[1]]) == 0
        for name in ("sqlalchemy", "uvicorn", "starlette", "rich", "pydantic"):
            assert name not in sys.modules, name
        """
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "a"], check=True, timeout=60, stdout=subprocess.DEVNULL)


def test_without_the_servers_packages_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['click'] = None; from certbound.cli.entry import main; main()"
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=60, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "certbound: the command line needs more packages: pip install 'certbound[server]'\n"


def test_a_reader_that_went_away_is_no_error(made: tuple[Path, object]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "certbound.cli.entry", "-c", str(made[0] / "certbound.toml"), "status"]
    ended = subprocess.run(command, check=False, stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_the_version_is_told() -> None:
    assert program("--version").stdout.startswith("certbound ")
