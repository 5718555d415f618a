"""Measure certbound as installed here and print one Markdown table: `make bench`, or shorter with `ARGS=--quick`.

CPU of requests is that of the server's process (user and system, from /proc), so that it does not depend on how busy
the machine is with other things; each figure is the median of several rounds. How long a block takes is by the clock,
and means nothing on a machine that is busy. A run with failures prints no figure.
"""

import json
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import blocking, decisions, lookups
from bench.readings import cpu_seconds, resident_mib

PROGRAM = Path(sys.executable).with_name("certbound")
REQUEST_BODY = b"grant_type=client_credentials&client_id=bench"


def main() -> int:
    """Run it."""
    quick = "--quick" in sys.argv
    rounds, requests = (3, 200) if quick else (7, 500)
    with tempfile.TemporaryDirectory(prefix="certbound-bench-") as folder:
        home = Path(folder)
        port = _prepare(home)
        rows = [("start to first token", f"{_start_to_first_token(home, port) * 1000:.0f} ms", "under 2000 ms")]
        with _server(home, port) as server:
            _token(_context(home), port)
            time.sleep(2)
            rows.append(("resident memory of an idle worker", f"{resident_mib(server.pid):.0f} MiB", "under 90 MiB"))
            fresh = [_cpu(server.pid, lambda: _fresh(home, port, requests)) / requests for _ in range(rounds)]
            kept = [_cpu(server.pid, lambda: _kept(home, port, requests)) / requests for _ in range(rounds)]
            rows.append(("CPU of a token on a fresh mTLS connection", f"{statistics.median(fresh) * 1e6:.0f} us", ""))
            rows.append(("CPU of a token on a kept mTLS connection", f"{statistics.median(kept) * 1e6:.0f} us", ""))
    rows += [*decisions.rows(quick=quick), *lookups.rows(quick=quick), *blocking.rows(quick=quick)]
    print("| what | measured | wanted |\n|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    return 0


def _prepare(home: Path) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    _certbound("init", str(home), "--bind", f"127.0.0.1:{port}", "--json")
    _certbound("cert", "new", "--cn", "bench", "--key", "p256", "--self-signed", "--out", str(home / "client"))
    certificate = str(home / "client" / "certificate.pem")
    config = ("-c", str(home / "certbound.toml"))
    method = ("--auth", "self_signed_tls_client_auth")
    _certbound(*config, "client", "create", "bench", "--id", "bench", *method, "--certificate", certificate)
    return port


def _start_to_first_token(home: Path, port: int) -> float:
    """Give seconds from starting the process to holding a token."""
    started = time.monotonic()
    with _server(home, port):
        _token(_context(home), port)
        return time.monotonic() - started


@contextmanager
def _server(home: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    command = [str(PROGRAM), "-c", str(home / "certbound.toml"), "serve"]
    with (home / "server.log").open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            _wait_for(port, server)
            yield server
        finally:
            server.terminate()


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise SystemExit("the server did not start")


def _fresh(home: Path, port: int, requests: int) -> None:
    context = _context(home)
    for _ in range(requests):
        _token(context, port)


def _kept(home: Path, port: int, requests: int) -> None:
    with _connect(_context(home), port) as connection:
        for _ in range(requests):
            _ask(connection)


def _context(home: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(home / "server.crt"))
    context.load_cert_chain(home / "client" / "certificate.pem", home / "client" / "key.pem")
    return context


def _connect(context: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10), server_hostname="localhost")


def _token(context: ssl.SSLContext, port: int) -> None:
    with _connect(context, port) as connection:
        _ask(connection)


def _ask(connection: ssl.SSLSocket) -> None:
    head = b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(REQUEST_BODY) + REQUEST_BODY)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536) or _fail(answer)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536) or _fail(answer)
    if not head.startswith(b"HTTP/1.1 200") or "access_token" not in json.loads(body):
        _fail(answer)


def _fail(answer: bytes) -> bytes:
    raise SystemExit(f"a request failed, so there is no figure: {answer[:200]!r}")


def _cpu(pid: int, work: Callable[[], None]) -> float:
    before = cpu_seconds(pid)
    work()
    return cpu_seconds(pid) - before


def _certbound(*arguments: str) -> None:
    done = subprocess.run([str(PROGRAM), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"certbound {' '.join(arguments)}: {done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
