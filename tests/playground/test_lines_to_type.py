"""What the demo tells people to type is what it did: every line works while it is up, and means the same."""

import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from certbound.cli import program

from .conftest import LETTERS, SECONDS, Up, lines_to_type


def run(arguments: list[str]) -> str:
    done = subprocess.run(
        arguments, check=False, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def run_certbound(line: str, *more: str) -> str:
    """Run the command line in this process, which is quicker than many."""
    _, *arguments = shlex.split(line)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert program.run([*arguments, *more]) == 0, line
    return printed.getvalue()


@pytest.mark.parametrize("letter", LETTERS)
def test_every_curl_line_gives_the_status_it_promises(up: Up, letter: str) -> None:
    status, line = up.to_try[letter]
    came = run([*shlex.split(line), "-s", "-o", "/dev/null", "-w", "%{http_code}"])
    assert came == str(status)


def test_taken_ports_are_left_alone_and_free_ones_used(up: Up) -> None:
    assert not re.search(r"localhost:944[34]\b", up.out)
    assert "✓ 9 of 9 steps gave what they should" in up.out


def test_the_story_and_the_list_at_the_end_show_the_same_lines(up: Up) -> None:
    story, _, listed = up.out.partition("It stays up")
    assert lines_to_type(story, "curl") == lines_to_type(listed, "curl")


def test_the_originals_line_stands_word_for_word(up: Up) -> None:
    password = (up.folder / "alice.password").read_text().strip()
    words = shlex.split(up.to_try["c"][1])
    url = words.pop(6)
    assert url.startswith("https://localhost:")
    assert url.endswith("/oauth2/token")
    assert words == [
        *("curl", "-k", "-d", f"grant_type=password&username=alice&password={password}&client_id=playground"),
        *("-H", "Content-Type: application/x-www-form-urlencoded", "-i"),
        *("--cert", str(up.folder / "playground/client-certificate.pem")),
        *("--key", str(up.folder / "playground/key.pem")),
    ]


def test_no_whole_token_is_shown(up: Up) -> None:
    header = (up.folder / "orders/authorization.header").read_text()
    token = header.removeprefix("Authorization: Bearer ").strip()
    assert token.count(".") == 2
    assert token not in up.out


def test_explain_says_what_the_story_says(up: Up) -> None:
    explained = [line for line in lines_to_type(up.out, "certbound") if " explain " in line]
    assert len(explained) == 3
    for line, failed in zip(explained, (["tls_client_auth_subject_dn"], ["validity", "chain"], ["chain"]), strict=True):
        decided: dict[str, Any] = json.loads(run_certbound(line, "--json"))
        assert decided["accepted"] is False
        assert [check["check"] for check in decided["checks"] if not check["passed"]] == failed


def test_typing_the_commands_makes_the_same_certificates_and_registrations(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(up.folder / "openssl.cnf", tmp_path)
    shutil.copy(up.folder / "alice.password", tmp_path)
    for made in up.folder.glob("*/*.pem"):
        (tmp_path / made.parent.name).mkdir(exist_ok=True)
    (tmp_path / "ca/issued.txt").touch()
    for line in lines_to_type(up.out, "openssl"):
        run(shlex.split(line))
    for line in lines_to_type(up.out, "certbound"):
        if " explain " not in line:
            run_certbound(line)
    for folder in (up.folder, tmp_path):
        assert {made.parent.name for made in folder.glob("*/*cert*.pem")} >= {"orders", "expired", "playground"}
    assert registered(tmp_path) == registered(up.folder)


def registered(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """What is registered below a folder, but for what differs each time: times, identifiers, keys."""
    line = f"certbound -c {shlex.quote(str(folder / 'server/certbound.toml'))}"
    clients = json.loads(run_certbound(f"{line} client list", "--json"))
    for client in clients:
        del client["client_id_issued_at"]
        client.pop("certbound_certificate_in_use", None)
    users = json.loads(run_certbound(f"{line} user list", "--json"))
    return clients, [user["username"] for user in users]
