from typing import Any

import pytest

from certbound.fetch.document import FetchError, fetch

LOOPBACK = ("127.0.0.0/8",)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\nContent-Length: 2\r\n\r\n\x30\x00"


def bring(server: Any, **options: Any) -> Any:
    return fetch(server.url("/ocsp"), trust=server.trust, **{"allow": LOOPBACK, "signed_content": True, **options})


def test_signed_content_comes_over_plain_http(plain_server: Any) -> None:
    plain_server.says(OK)
    fetched = bring(plain_server, accept="application/ocsp-response")
    assert (fetched.status, fetched.body) == (200, b"\x30\x00")
    assert plain_server.requests[0].startswith(b"GET /ocsp HTTP/1.1\r\n")


def test_anything_else_never_comes_over_plain_http(plain_server: Any) -> None:
    with pytest.raises(FetchError, match="only https: may be fetched"):
        bring(plain_server, signed_content=False)
    assert not plain_server.requests


def test_signed_content_also_comes_over_https(server: Any) -> None:
    server.says(OK)
    assert bring(server).body == b"\x30\x00"


@pytest.mark.parametrize(
    "url", ["ftp://localhost/crl", "ldap://localhost/crl", "file:///etc/passwd", "//localhost/crl"]
)
def test_signed_content_comes_by_http_and_no_other_way(plain_server: Any, url: str) -> None:
    with pytest.raises(FetchError, match="only https: and http: may be fetched"):
        fetch(url, trust=plain_server.trust, allow=LOOPBACK, signed_content=True)


def test_private_addresses_are_not_reached_over_plain_http_either(plain_server: Any) -> None:
    with pytest.raises(FetchError, match="no public address"):
        bring(plain_server, allow=())
    assert not plain_server.requests


def test_a_body_is_posted(plain_server: Any) -> None:
    plain_server.says(OK)
    body = bytes(range(256)) * 300
    assert bring(plain_server, body=body, content_type="application/ocsp-request").status == 200
    head, _, sent = plain_server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /ocsp HTTP/1.1\r\n")
    assert b"Content-Type: application/ocsp-request\r\nContent-Length: 76800" in head
    assert sent == body


def test_an_empty_body_is_posted_too(server: Any) -> None:
    server.says(OK)
    assert bring(server, body=b"").status == 200
    assert server.requests[0].startswith(b"POST /ocsp HTTP/1.1\r\n")


def test_a_document_cut_short_on_a_plain_connection_is_refused(plain_server: Any) -> None:
    plain_server.says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n\x30\x00")
    with pytest.raises(FetchError, match=r"cut short|IncompleteRead"):
        bring(plain_server)
