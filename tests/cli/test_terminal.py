import os
import pty
import subprocess
import sys

from .conftest import Certbound


def _type(terminal: int, *, after: bytes, text: bytes) -> None:
    seen = b""
    while after not in seen:
        read = os.read(terminal, 1000)
        assert read, seen
        seen += read
    os.write(terminal, text)


def test_a_password_is_asked_for_twice_and_leaves_no_trace(certbound: Certbound) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "certbound.cli.entry", "-c", str(certbound.config), "user", "create", "carol"]
    with subprocess.Popen(
        [*command, "--json"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,  # not the terminal of whoever runs the tests
    ) as asking:
        os.close(theirs)
        _type(ours, after=b"Password: ", text=b"correct horse\n")
        _type(ours, after=b"confirmation: ", text=b"correct horse\n")
        out, _ = asking.communicate(timeout=30)
    os.close(ours)
    assert asking.returncode == 0
    assert out.startswith(b"{")
    assert b"correct horse" not in out
    assert len(certbound.json("user", "list")) == 2


def test_a_table_on_a_terminal_folds_long_values_and_loses_none(certbound: Certbound) -> None:
    name = "[bold]" + "y" * 200
    certbound.done("client", "create", name, "--auth", "client_secret_post", "--id", "a")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "certbound.cli.entry", "-c", str(certbound.config), "client", "list"]
    subprocess.run(command, check=True, stdout=theirs, timeout=30, env={**os.environ, "COLUMNS": "100"})
    os.close(theirs)
    seen = b""
    try:
        while read := os.read(ours, 65536):
            seen += read
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert seen.count(b"y") >= 200
    assert b"[bold]" in seen
