import socket
import ssl
import time
from typing import Any

import pytest
import trustme
from tests.fetch.peers import proxying

from certbound.fetch.document import FetchError, fetch

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def bring(server: Any, proxy: Any, host: str = "keys.example", **options: Any) -> Any:
    """Fetch by a name that only the proxy can resolve, with no private network allowed."""
    return fetch(server.url(host=host), trust=server.trust, proxy=proxy.url, **options)


def refusal(server: Any, proxy: Any, **options: Any) -> str:
    with pytest.raises(FetchError) as caught:
        bring(server, proxy, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_https_document_comes_through_a_tunnel(server: Any, proxy: Any) -> None:
    server.says(OK)
    assert bring(server, proxy).body == b"{}"
    name = f"keys.example:{server.port}".encode()
    assert proxy.heads == [b"CONNECT " + name + b" HTTP/1.1\r\nHost: " + name + b"\r\n\r\n"]
    assert server.requests[0].startswith(b"GET /jwks HTTP/1.1\r\nHost: " + name)


def test_the_proxy_may_speak_tls_itself(server: Any, secure_proxy: Any) -> None:
    body = b"x" * 200_000
    server.says(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + body)
    assert bring(server, secure_proxy).body == body


def test_an_http_document_is_asked_for_by_its_whole_url(plain_server: Any, proxy: Any, secure_proxy: Any) -> None:
    plain_server.says(OK)
    for one in (proxy, secure_proxy):
        assert bring(plain_server, one, signed_content=True, body=b"", accept="*/*").body == b"{}"
        name = f"keys.example:{plain_server.port}"
        assert one.heads[0].startswith(f"POST http://{name}/jwks HTTP/1.1\r\nHost: {name}\r\n".encode())


def test_behind_the_tunnel_the_server_must_still_prove_its_name(server: Any, proxy: Any) -> None:
    assert "the server's certificate is not trusted" in refusal(server, proxy, host="other.example")
    assert not server.requests


def test_a_proxy_with_a_certificate_of_another_root_is_refused(server: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with proxying(context) as stranger:
        assert "the certificate of the proxy" in refusal(server, stranger)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "localhost",
        "a.localhost",
        "localhost.",
    ],
)
def test_an_address_that_is_not_public_is_not_asked_of_the_proxy(server: Any, proxy: Any, host: str) -> None:
    assert "no public address" in refusal(server, proxy, host=host)
    assert not proxy.heads


def test_an_address_that_is_allowed_is_asked_of_the_proxy(server: Any, proxy: Any) -> None:
    server.says(OK)
    assert bring(server, proxy, host="127.0.0.1", allow=["127.0.0.0/8"]).status == 200


def test_only_the_proxys_name_is_resolved_and_once(server: Any, proxy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        return real(host, *args, **kwargs)

    server.says(OK)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert bring(server, proxy).status == 200
    assert [host for host in asked if host != "127.0.0.1"] == ["localhost"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "it opens no tunnel (status 407)"),
        (b"HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\n\r\n", "it opens no tunnel (status 302)"),
        (b"SSH-2.0-x\r\n\r\n", "no answer that HTTP knows"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n", "no answer that HTTP knows"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000, "no answer that HTTP knows"),
        (b"", "no answer that HTTP knows"),
    ],
    ids=["asks for a password", "redirects", "no HTTP", "more than an answer", "endless", "nothing"],
)
def test_a_proxy_that_opens_no_tunnel_is_named(server: Any, proxy: Any, answer: bytes, said: str) -> None:
    proxy.refuses = answer
    text = refusal(server, proxy)
    assert f"the proxy {proxy.url}" in text
    assert said in text
    assert not server.requests


def test_a_proxy_that_is_not_there_is_named(server: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(FetchError, match=f"the proxy http://127.0.0.1:{port}/: Connection refused"):
        fetch(server.url(), trust=server.trust, proxy=f"http://127.0.0.1:{port}", allow=["127.0.0.0/8"])


def test_a_silent_proxy_is_left_at_the_deadline(server: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(FetchError, match=r"within 0\.3 s"):
            fetch(server.url(host="keys.example"), trust=server.trust, proxy=url, timeout=0.3)
        assert time.monotonic() - began < 3


@pytest.mark.parametrize("url", ["proxy:3128", "http://localhost", "http://u:p@localhost:1", "socks5://localhost:1"])
def test_what_is_no_proxy_is_not_used(server: Any, url: str) -> None:
    with pytest.raises(FetchError, match="not fetched"):
        fetch(server.url(), trust=server.trust, proxy=url)
