import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from certbound.fetch.address import ANYWHERE
from certbound.fetch.document import FetchError, fetch
from certbound.fetch.trust import trust_roots

LOOPBACK = ("127.0.0.0/8",)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\n{}"


def refusal(server: Any, url: str | None = None, **options: Any) -> str:
    options = {"trust": server.trust, "allow": ANYWHERE, "timeout": 5.0, **options}
    with pytest.raises(FetchError) as caught:
        fetch(url or server.url(), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_document_comes_with_its_status_and_a_few_headers(server: Any) -> None:
    server.says(OK)
    fetched = fetch(server.url("/a?b=c"), trust=server.trust, allow=LOOPBACK)
    assert (fetched.status, fetched.body) == (200, b"{}")
    assert fetched.headers == {"content-type": "application/json"}
    assert server.requests[0].startswith(f"GET /a?b=c HTTP/1.1\r\nHost: localhost:{server.port}\r\n".encode())
    assert b"Accept-Encoding: identity\r\n" in server.requests[0]


def test_a_chunked_document_is_put_together(server: Any) -> None:
    server.says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")
    assert fetch(server.url(), trust=server.trust, allow=LOOPBACK).body == b"{}"


def test_a_document_may_end_with_the_connection(server: Any) -> None:
    server.says(b"HTTP/1.1 200 OK\r\n\r\n{}")
    assert fetch(server.url(), trust=server.trust, allow=LOOPBACK).body == b"{}"


def test_an_error_status_is_an_answer(server: Any) -> None:
    server.says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    assert fetch(server.url(), trust=server.trust, allow=LOOPBACK).status == 404


@pytest.mark.threat("50")
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_not_followed(server: Any, status: int) -> None:
    location = f"https://127.0.0.1:{server.port}/other"
    server.says(f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
    assert "redirects" in refusal(server)
    assert len(server.requests) == 1


def test_a_length_beyond_the_cap_is_refused_unread(server: Any) -> None:
    server.says(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n")
    assert "larger than 1000 bytes" in refusal(server, max_bytes=1000)


@pytest.mark.parametrize("head", [b"", b"Transfer-Encoding: chunked\r\n"])
def test_an_unannounced_length_beyond_the_cap_is_refused(server: Any, head: bytes) -> None:
    chunk = b"3e8\r\n" + b"x" * 1000 + b"\r\n" if head else b"x" * 1000
    server.says(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + chunk * 3)
    assert "larger than 1000 bytes" in refusal(server, max_bytes=1000)


def test_a_document_of_just_the_cap_is_taken(server: Any) -> None:
    server.says(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000)
    assert len(fetch(server.url(), trust=server.trust, allow=LOOPBACK, max_bytes=1000).body) == 1000


def test_endless_headers_are_refused(server: Any) -> None:
    server.says(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 2000) for n in range(90)))
    assert "too large" in refusal(server, max_bytes=10)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"nonsense",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
    ],
    ids=["cut short", "cut in a chunk", "no HTTP", "nothing", "compressed", "switching protocols"],
)
def test_a_broken_answer_is_refused(server: Any, raw: bytes) -> None:
    server.says(raw)
    refusal(server)


def test_a_cut_connection_does_not_pass_for_the_end_of_a_document(server: Any) -> None:
    def cut(connection: ssl.SSLSocket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n{}")
        connection.shutdown(socket.SHUT_RDWR)

    server.answer = cut
    refusal(server)


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n"], ids=["header", "body"])
def test_a_dripping_server_is_left_at_the_deadline(server: Any, first: bytes) -> None:
    done = threading.Event()

    def drip(connection: ssl.SSLSocket) -> None:
        connection.sendall(first)
        for _ in range(100):
            if done.wait(0.1):
                return
            connection.sendall(b"H")

    server.answer = drip
    began = time.monotonic()
    assert "within 0.5 s" in refusal(server, timeout=0.5)
    done.set()
    assert time.monotonic() - began < 3


def test_a_silent_handshake_is_left_at_the_deadline(server: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        assert "within 0.3 s" in refusal(server, url, timeout=0.3)


def test_a_silent_resolver_is_left_at_the_deadline(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: asked.wait(5) and [])
    assert "within 0.2 s" in refusal(server, timeout=0.2)
    asked.set()


def test_a_server_with_another_root_is_refused(server: Any) -> None:
    assert "not trusted" in refusal(server, trust=ssl.create_default_context())


def test_a_trust_that_checks_nothing_is_a_mistake(server: Any) -> None:
    for changed in (False, True):
        blind = ssl.create_default_context()
        blind.check_hostname = False
        if changed:
            blind.verify_mode = ssl.CERT_NONE
        with pytest.raises(ValueError, match="trust must check"):
            fetch(server.url(), trust=blind, allow=LOOPBACK)


def test_credentials_in_a_url_stay_out_of_the_message(server: Any) -> None:
    assert "secret" not in refusal(server, "https://user:secret@localhost/")


def test_a_server_with_another_name_is_refused(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, {"other.example": ["127.0.0.1"]})
    assert "not trusted" in refusal(server, server.url(host="other.example"))


def test_trust_in_a_file_alone_or_beside_the_systems(
    server: Any, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.says(OK)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    for trust in (trust_roots(ca_file), trust_roots(ca_file, only=True)):
        assert fetch(server.url(), trust=trust, allow=LOOPBACK).status == 200
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    assert fetch(server.url(), trust=trust_roots(), allow=LOOPBACK).status == 200


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "0.0.0.1"],
)
def test_private_addresses_are_not_reached(server: Any, host: str) -> None:
    assert "no public address" in refusal(server, server.url(host=host), allow=())
    assert not server.requests


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.01", "0x7f.1", "127.0.0.1."]
)
def test_disguised_addresses_are_no_hosts(server: Any, host: str) -> None:
    assert "no dotted IPv4 address" in refusal(server, server.url(host=host))
    assert not server.requests


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "http://localhost/",
        "ftp://localhost/",
        "https:///path",
        "//localhost/",
        "https://user:pw@localhost/",
        "https://user@localhost/",
        "https://local host/",
        "https://localhost\\@evil.example/",
        "https://localhost:99999/",
        "https://localhost/\r\nHost: evil",
        "https://b\u00fccher.example/",
        "https://[::1/",
        "https://localhost/" + "a" * 3000,
        "",
    ],
)
def test_other_urls_are_refused(server: Any, url: str) -> None:
    refusal(server, url, allow=ANYWHERE)


def test_a_name_with_a_private_and_a_public_address_goes_to_the_public_one(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, {"keys.example": ["127.0.0.1", "93.184.216.34"]})
    attempts = no_connections(monkeypatch)
    refusal(server, server.url(host="keys.example"), allow=())
    assert attempts == ["93.184.216.34"]


def test_a_name_is_resolved_once_and_the_checked_address_is_reached(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolve_to(monkeypatch, {"keys.example": ["93.184.216.34"]}, then={"keys.example": ["127.0.0.1"]})
    attempts = no_connections(monkeypatch)
    refusal(server, server.url(host="keys.example"), allow=())
    assert attempts == ["93.184.216.34"]
    assert asked.count("keys.example") == 1


def test_the_name_still_decides_about_the_certificate(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server.says(OK)
    resolve_to(monkeypatch, {"keys.example": ["127.0.0.1"]})
    assert fetch(server.url(host="keys.example"), trust=server.trust, allow=LOOPBACK).status == 200


def test_the_query_stays_out_of_the_message(server: Any) -> None:
    assert "secret" not in refusal(server, "https://127.0.0.1:1/jwks?key=secret")


def resolve_to(
    monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]], then: dict[str, list[str]] | None = None
) -> list[str]:
    """Answer for `names`, after the first time with `then`; literals resolve to themselves."""
    real = socket.getaddrinfo
    asked: list[str] = []

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        answers = then if then is not None and asked.count(host) > 1 else names
        return [found for address in answers.get(host, [host]) for found in real(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def no_connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    attempts: list[str] = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        attempts.append(address[0])
        raise ConnectionRefusedError(111, "refused by the test")

    monkeypatch.setattr(socket, "create_connection", connect)
    return attempts
