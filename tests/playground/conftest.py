"""The demo as a newcomer runs it: the real program, in a process of its own, and a look at what it prints."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

SECONDS = 60  # what no run may take; a hang, not a measure
WHOLE_SESSION = 1200
LETTERS = "abcdefghi"
CERTBOUND = Path(sys.executable).with_name("certbound")


@dataclass(frozen=True)
class Ended:
    """A run that has ended."""

    code: int
    out: str
    err: str

    @property
    def steps(self) -> dict[str, str]:
        """What is printed for each step, by its letter."""
        story = self.out.partition("3. The story")[2].partition("What it proves")[0]
        parts = re.split(r"^\(([a-z])\) ", story, flags=re.MULTILINE)[1:]
        return dict(zip(parts[::2], parts[1::2], strict=True))


def lines_to_type(text: str, program: str) -> list[str]:
    """Give the lines that are printed to be typed, of one program."""
    return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith(f"$ {program} ")]


def run_demo(*arguments: str, temporary: Path, environ: Mapping[str, str] = os.environ) -> Ended:
    command = [str(CERTBOUND), "demo", *arguments]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
        env={**environ, "TMPDIR": str(temporary)},
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def started(
    *arguments: str,
    temporary: Path,
    program: tuple[str, ...] = (str(CERTBOUND), "demo"),
    seconds: float = SECONDS,
) -> Iterator["subprocess.Popen[str]"]:
    """Start the demo and, whatever happens, see it gone in the end."""
    process = subprocess.Popen(
        [*program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    watchdog = threading.Timer(seconds, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        watchdog.join()
        process.kill()
        process.communicate()


def read_until(process: "subprocess.Popen[str]", line: str) -> str:
    """Read the output to the line that begins like this; fails where it never comes."""
    assert process.stdout is not None
    read = ""
    for found in process.stdout:
        read += found
        if found.startswith(line):
            return read
    pytest.fail(f"ended without {line!r}:\n{read}")


@dataclass(frozen=True)
class Up:
    """A demo that stays up, and what it printed until then."""

    folder: Path
    out: str

    @property
    def to_try(self) -> dict[str, tuple[int, str]]:
        """The status that each step promises and its curl line, by letter, from the list that is printed at the end."""
        listed = self.out.partition("It stays up")[2]
        found = re.findall(r"^\((.)\) .*: (\d+)\n\$ (curl .*)$", listed, flags=re.MULTILINE)
        return {letter: (int(status), line) for letter, status, line in found}


@contextlib.contextmanager
def default_ports_taken() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for port in (9443, 9444):
            holder = stack.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):  # somebody else has it, which is as good
                holder.bind(("127.0.0.1", port))
                holder.listen()
        yield


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A demo in a folder with a space in its name, on free ports, ended by Ctrl-C."""
    temporary = tmp_path_factory.mktemp("up")
    folder = temporary / "a folder"
    with default_ports_taken(), started("--dir", str(folder), temporary=temporary, seconds=WHOLE_SESSION) as process:
        yield Up(folder, read_until(process, "Ctrl-C ends it."))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
        assert (process.returncode, out, err) == (0, "Ended.\n", "")


def path_of(folder: Path, *programs: str) -> str:
    """Make a PATH on which there are these programs and nothing else."""
    folder.mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found is not None
        (folder / program).symlink_to(found)
    return str(folder)
