import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from certbound.cli import program

from .conftest import CERTBOUND, LETTERS, SECONDS, Ended, lines_to_type, path_of, read_until, run_demo, started

OUTCOMES = {
    "a": ["200 ", "aud              https://localhost:", "cnf x5t#S256     "],
    "b": ["200 ", "client_id        playground", "cnf x5t#S256     "],
    "c": ["200 ", "sub              usr_", "cnf x5t#S256     "],
    "d": ["200 ", '"client_id": "orders"', '"item": "a teapot"'],
    "e": ["401 ", "invalid_token: the token is bound to another certificate"],
    "f": ["401 ", "invalid_token: the connection has no client certificate"],
    "g": ["401 ", "invalid_client", "failed: tls_client_auth_subject_dn", "found            CN=billing,O=Example"],
    "h": ["401 ", "invalid_client", "failed: validity", "to 2020-01-31"],
    "i": ["401 ", "invalid_client", "failed: chain", "no usable trust anchor named CN=Stranger CA"],
}


def check_told_whole(ended: Ended) -> None:
    assert (ended.code, ended.err) == (0, ""), ended.out + ended.err
    assert list(ended.steps) == list(LETTERS)
    for letter, outcomes in OUTCOMES.items():
        for outcome in [*outcomes, "✓ as it must be"]:
            assert outcome in ended.steps[letter]
    assert "✓ 9 of 9 steps gave what they should" in ended.out
    assert "✗" not in ended.out
    assert "\x1b" not in ended.out


def test_told_once_every_step_holds_and_nothing_is_left_behind(tmp_path: Path) -> None:
    ended = run_demo("--once", temporary=tmp_path)
    check_told_whole(ended)
    assert "Made by openssl" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_ones_own_is_kept_and_openssl_is_not_needed(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "demo"
    environ = {**os.environ, "PATH": path_of(tmp_path / "bin")}
    ended = run_demo("--once", "--dir", str(folder), temporary=tmp_path, environ=environ)
    check_told_whole(ended)
    assert "openssl is not installed" in ended.out
    assert lines_to_type(ended.out, "openssl") == []
    assert (folder / "server/certbound.toml").is_file()
    for private in ("orders/key.pem", "playground/key.pem", "server/server.key", "alice.password", "server.log"):
        assert (folder / private).stat().st_mode & 0o077 == 0
    # What a client is refused for is in the log, and only there.
    assert "client authentication refused" in (folder / "server.log").read_text()


@pytest.mark.parametrize("taken", ["mine", "mine/file"])
def test_a_folder_that_holds_something_is_refused_in_one_line(
    tmp_path: Path, taken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").touch()
    assert program.run(["demo", "--once", "--dir", str(tmp_path / taken)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "give a new or an empty folder" in err
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["file"]


def test_certificates_from_the_wrong_ca_fail_the_steps_that_need_the_right_one(tmp_path: Path) -> None:
    """An openssl that issues all certificates by the stranger: what the demo expects must then not come."""
    path_of(tmp_path / "real", "openssl")
    impostor = tmp_path / "bin/openssl"
    impostor.parent.mkdir()
    impostor.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = ca ]; then shift; '
        f"exec {tmp_path}/real/openssl ca -cert stranger-ca/certificate.pem -keyfile stranger-ca/key.pem "
        '$(printf "%s " "$@" | sed "s# -cert [^ ]* -keyfile [^ ]*##"); fi\n'
        f'exec {tmp_path}/real/openssl "$@"\n'
    )
    impostor.chmod(0o755)
    environ = {**os.environ, "PATH": f"{impostor.parent}:{os.environ['PATH']}"}
    (tmp_path / "tmp").mkdir()
    ended = run_demo("--once", temporary=tmp_path / "tmp", environ=environ)
    assert (ended.code, ended.err) == (1, "")
    failed = [letter for letter, told in ended.steps.items() if "✗" in told]
    # Without a token there is nothing to show at the API; refusals must also be for the right reason.
    assert failed == ["a", "d", "e", "f", "g"]
    assert "✗ status should be 200, is 401" in ended.steps["a"]
    assert "✗ the request could not be made" in ended.steps["d"]
    assert "✗ failed checks should be ('tls_client_auth_subject_dn',)" in ended.steps["g"]
    assert "✗ 5 of 9 steps did not give what they should: (a) " in ended.out
    assert list((tmp_path / "tmp").iterdir()) == []


def test_on_a_terminal_there_is_colour_and_lines_to_type_stay_whole(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(
            [CERTBOUND, "demo", "--once"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TMPDIR": str(tmp_path), "TERM": "xterm-256color", "COLUMNS": "60"},
        )
        os.close(theirs)
        shown = b""
        try:
            while piece := terminal.read(65536):
                shown += piece
        except OSError:  # how Linux says that the other end is closed
            pass
        assert process.wait(SECONDS) == 0
    assert b"\x1b[1m" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())
    curl = lines_to_type(plain, "curl")
    assert len(curl) == len(LETTERS)
    assert all("https://localhost:" in line for line in curl)


@pytest.mark.parametrize(("moment", "number"), [("1. Certificates", signal.SIGTERM), ("(a)", signal.SIGINT)])
def test_a_signal_in_the_middle_ends_it_cleanly(tmp_path: Path, moment: str, number: signal.Signals) -> None:
    with started("--once", temporary=tmp_path) as process:
        read_until(process, moment)
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert out.endswith("Interrupted.\n")
    assert err == ""
    assert list(tmp_path.iterdir()) == []


def test_the_token_to_try_is_renewed_while_it_stays_up(tmp_path: Path) -> None:
    hurried = "import sys, pathlib; from certbound.playground import demo; demo.RENEW_SECONDS = 0.1; "
    told = "sys.exit(demo.run(pathlib.Path(sys.argv[1]), once=False))"
    folder = tmp_path / "demo"
    with started(str(folder), temporary=tmp_path, program=(sys.executable, "-c", hurried + told)) as process:
        read_until(process, "Ctrl-C ends it.")
        seen: set[str] = set()
        deadline = time.monotonic() + SECONDS
        while len(seen) < 3 and time.monotonic() < deadline:
            seen.add((folder / "orders/authorization.header").read_text())
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out, err) == (0, "Ended.\n", "")
    assert len(seen) == 3
    assert all(re.fullmatch(r"Authorization: Bearer [\w.-]+\n", header) for header in seen)
