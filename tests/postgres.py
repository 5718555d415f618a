"""A PostgreSQL for the tests: the one CERTBOUND_TEST_POSTGRES names, or Debian's in a folder that goes away again."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "32MB",
}


class NoPostgresError(Exception):
    """There is none to be had; the text is the reason to skip with."""


class Server:
    """Debian's PostgreSQL in a temporary folder, run by an unprivileged user, reached by a Unix socket only."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
        if not found:
            raise NoPostgresError("no PostgreSQL: install Debian's postgresql or set CERTBOUND_TEST_POSTGRES")
        self._programs = found[-1].parent
        self._user = _unprivileged_user()
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="certbound-pg-"))
        self.url = f"postgresql://postgres@/postgres?host={self.folder}"
        if self._user:
            shutil.chown(self.folder, self._user)
        options = ("--auth=trust", "--username=postgres", "--no-sync", "--no-locale", "--encoding=UTF8")
        made = subprocess.run(
            [*self._as_user(), self._programs / "initdb", *options, self.folder / "data"],
            capture_output=True,
            cwd="/",
            timeout=60,
            check=False,
        )
        if made.returncode != 0:
            self.remove()
            raise NoPostgresError(f"initdb failed: {made.stderr.decode(errors='replace')[-500:]}")

    def start(self) -> None:
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        self._process = subprocess.Popen(
            [
                *self._as_user(),
                self._programs / "postgres",
                "-D",
                self.folder / "data",
                "-k",
                self.folder,
                *settings,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise NoPostgresError(f"PostgreSQL does not start: {error}") from error
                time.sleep(0.05)

    def stop(self) -> None:
        """End this server at once, its connections included."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _as_user(self) -> list[str]:
        # The signal on the parent's death ends the server even after a test run that was killed.
        command = ["setpriv", "--pdeathsig=INT"]
        if self._user is None:
            return command if shutil.which("setpriv") else []
        return [*command, f"--reuid={self._user}", f"--regid={pwd.getpwnam(self._user).pw_gid}", "--clear-groups"]


class Databases:
    """Databases on a running server, each under a name of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def create(self) -> str:
        """Create an empty database and give its url."""
        name = f"certbound_test_{secrets.token_hex(8)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def drop(self, url: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {name_of(url)} WITH (FORCE)")

    def cut_connections(self, url: str) -> None:
        """Cut every connection to a database, as a failing network or a restarted server does."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name_of(url)]
            )

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


def name_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


@contextmanager
def databases() -> Iterator[Databases]:
    """Give the databases of the environment's server, or of one started for the while."""
    if url := os.environ.get("CERTBOUND_TEST_POSTGRES"):
        yield Databases(url)
        return
    server = Server()
    try:
        server.start()
        yield Databases(server.url)
    finally:
        server.remove()


def _unprivileged_user() -> str | None:
    """Give the user to become; None where we are no root. PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
