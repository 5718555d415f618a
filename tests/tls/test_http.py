"""HTTP on the wire: one request in, one request seen; deadlines, caps, flow control, endings."""

import contextlib
import hashlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from certbound.tls.http import framing_problem

from .conftest import SECONDS, Application, OpenDoor, everything, read_response

HOST = b"Host: localhost\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SECOND = b"GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n"

MALFORMED = {
    "CL.TE": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 6\r\n" + CHUNKED + b"\r\n0\r\n\r\nG",
    "TE.CL": b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"Content-Length: 4\r\n\r\n5c\r\n" + SECOND + b"\r\n0\r\n\r\n",
    "TE.TE": b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"Transfer-Encoding: x\r\n\r\n0\r\n\r\n" + SECOND,
    "TE identity, chunked": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: identity\r\n"
    + CHUNKED
    + b"\r\n0\r\n\r\n",
    "TE unknown": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SECOND,
    "TE gzip": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "TE in 1.0": b"POST / HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n0\r\n\r\n" + SECOND,
    "TE with a space": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "TE with a vertical tab": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"
    + SECOND,
    "CL twice": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + SECOND,
    "CL twice, the same": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "CL list": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 1\r\n\r\na",
    "CL sign": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\na",
    "CL empty": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length:\r\n\r\na",
    "CL overflow": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 18446744073709551617\r\n\r\na",
    "obs-fold": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "obs-fold in TE": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "bare LF": b"GET / HTTP/1.1\nHost: localhost\n\n",
    "bare LF in headers": b"GET / HTTP/1.1\r\n" + HOST + b"A: b\nX: y\r\n\r\n",
    "bare LF at the end": b"GET / HTTP/1.1\r\n" + HOST + b"\n",
    "bare CR": b"GET / HTTP/1.1\r\n" + HOST + b"A: b\rX: y\r\n\r\n",
    "bare LF in a chunk": b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n1\nx\r\n0\r\n\r\n",
    "chunk size 0x": b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n0x1\r\nx\r\n0\r\n\r\n",
    "chunk size overflow": b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\nfffffffffffffffff\r\nx\r\n0\r\n\r\n",
    "chunk longer than said": b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n1\r\nxyz\r\n0\r\n\r\n",
    "empty header name": b"GET / HTTP/1.1\r\n" + HOST + b": x\r\n\r\n",
    "header without colon": b"GET / HTTP/1.1\r\n" + HOST + b"Client-Cert\r\n\r\n",
    "space before a header": b"GET / HTTP/1.1\r\n Client-Cert: x\r\n" + HOST + b"\r\n",
    "NUL in a name": b"GET / HTTP/1.1\r\n" + HOST + b"X\0: a\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "control in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x01b\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "lower-case method": b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT localhost:1 HTTP/1.1\r\n" + HOST + b"\r\n" + SECOND,
    "no path": b"GET http://localhost HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes in the path": b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "upgrade with a body": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 44\r\n\r\n"
    + SECOND,
}


@contextlib.contextmanager
def exchanged(door: OpenDoor, listener: str, app: Application) -> Iterator[None]:
    """Put another application behind a listener for a while."""
    there = door.door.listeners[listener]
    kept, there.app = there.app, app
    try:
        yield
    finally:
        there.app = kept


def exchange(door: OpenDoor, *requests: bytes, listener: str = "want") -> bytes:
    with door.tls(listener) as connection:
        for request in requests:
            connection.sendall(request)
        return everything(connection)


def disconnects_after(door: OpenDoor, before: int) -> int:
    """Wait until the application, in the server's thread, was told once more."""
    until = time.monotonic() + SECONDS
    while door.app.disconnects == before and time.monotonic() < until:
        time.sleep(0.01)
    return door.app.disconnects


def bodies(received: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in received.replace(b"}HTTP", b"}\nHTTP").split(b"\n") if line.startswith(b"{")]


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_or_ambiguous_gets_one_400_and_no_second_request(door: OpenDoor, request_: bytes) -> None:
    received = exchange(door, request_)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1 ") == 1
    assert "/second" not in [call["path"] for call in door.app.calls]
    assert len(door.app.calls) <= ("chunk" in str(request_) and request_.startswith(b"POST"))


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
def test_the_same_in_single_bytes(shared_door: OpenDoor, request_: bytes) -> None:
    door = shared_door
    door.app.calls.clear()
    with door.tls() as connection:
        try:
            for byte in request_:
                connection.sendall(bytes([byte]))
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass
        received = everything(connection)
    assert received.count(b"HTTP/1.1 ") <= 1
    assert b"200 OK" not in received
    assert "/second" not in [call["path"] for call in door.app.calls]


def test_bytes_behind_connection_close_are_no_request(door: OpenDoor) -> None:
    received = exchange(door, b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n" + SECOND)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"HTTP/1.1 ") == len(door.app.calls) == 1


def test_an_error_behind_a_good_request_never_overtakes_its_answer(door: OpenDoor) -> None:
    received = exchange(door, GET + GET + b"GET / HTTP/1.1\nbad\n\n")
    assert received.count(b"HTTP/1.1 200 ") == received.count(b"HTTP/1.1 ") == 2


def test_an_upgrade_is_served_as_plain_http_and_ends_the_connection(door: OpenDoor) -> None:
    request = (
        b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    received = exchange(door, request + SECOND)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"HTTP/1.1 ") == len(door.app.calls) == 1


def test_trailers_do_not_become_headers(door: OpenDoor) -> None:
    body = b"3\r\nabc\r\n0\r\nClient-Cert: forged\r\n\r\n"
    received = exchange(door, b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"Connection: close\r\n\r\n" + body)
    (seen,) = bodies(received)
    assert seen["length"] == 3
    assert "client-cert" not in dict(seen["headers"])
    assert b"client-cert" not in dict(door.app.calls[0]["headers"])


def test_header_names_reach_the_application_as_they_came(door: OpenDoor) -> None:
    (seen,) = bodies(exchange(door, b"GET / HTTP/1.1\r\n" + HOST + b"Client_Cert: a\r\nConnection: close\r\n\r\n"))
    assert ["client_cert", "a"] in seen["headers"]


@pytest.mark.parametrize(
    "bomb",
    [
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 10_000_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 10_000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 1000) for n in range(70)) + b"\r\n",
        b"\r\n" * 100_000,
    ],
    ids=["one header", "many headers", "request line", "many large headers", "empty lines"],
)
def test_header_bombs_get_431(door: OpenDoor, bomb: bytes) -> None:
    with door.tls() as connection:
        try:
            connection.sendall(bomb)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass
        received = everything(connection)
    assert received.startswith(b"HTTP/1.1 431 ")
    assert door.app.calls == []


@pytest.mark.parametrize("endless", [b"0\r\n" + b"X: " + b"a" * 1_000_000, b"1;" + b"a" * 1_000_000])
def test_endless_trailers_and_chunk_extensions_are_cut(door: OpenDoor, endless: bytes) -> None:
    with door.tls() as connection:
        try:
            connection.sendall(b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + endless)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass
        assert everything(connection).startswith(b"HTTP/1.1 431 ")


def test_headers_just_below_the_cap_pass(door: OpenDoor) -> None:
    headers = b"".join(b"X-%d: %s\r\n" % (n, b"a" * 950) for n in range(60))
    assert bodies(exchange(door, b"GET / HTTP/1.1\r\n" + HOST + headers + b"Connection: close\r\n\r\n"))


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHost", b"HTTP/1.1 408 "),
        (GET[:-1], b"HTTP/1.1 408 "),
        (b"\r\n", b"HTTP/1.1 408 "),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nabc", b"HTTP/1.1 408 "),
        (b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n3\r\nabc", b"HTTP/1.1 408 "),
    ],
)
def test_what_is_not_sent_in_time_is_closed(door: OpenDoor, sent: bytes, status: bytes) -> None:
    received = exchange(door, sent, listener="hurried")
    assert received.startswith(status)
    assert bool(received) == bool(status)
    assert door.ask("hurried")["listener"] == "hurried"


def test_a_body_not_sent_in_time_is_a_disconnect_to_the_application(door: OpenDoor) -> None:
    before = door.app.disconnects
    exchange(door, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nabc", listener="hurried")
    assert disconnects_after(door, before) == before + 1


@pytest.mark.parametrize("dripped", [b"", b"\r\n"])
def test_an_idle_kept_connection_is_closed_in_time(door: OpenDoor, dripped: bytes) -> None:
    received = exchange(door, GET, dripped, listener="hurried")
    assert received.startswith(b"HTTP/1.1 200 ")


def test_a_request_in_pieces_each_in_time_is_served_though_the_sum_is_not(door: OpenDoor) -> None:
    with door.tls("hurried") as connection:
        stream = connection.makefile("rb")
        for _ in range(5):
            for piece in (b"POST / HTTP/1.1\r\n" + HOST, b"Content-Length: 3\r\n\r\n", b"abc"):
                connection.sendall(piece)
                time.sleep(0.03)
            assert read_response(stream)[0] == 200


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_megabyte_goes_in_and_five_come_out(door: OpenDoor, framing: str) -> None:
    body = bytes(range(256)) * 4096
    if framing == "length":
        request = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    else:
        chunks = b"".join(b"2000\r\n" + body[at : at + 0x2000] + b"\r\n" for at in range(0, len(body), 0x2000))
        request = b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + chunks + b"0\r\n\r\n"
    with door.tls() as connection:
        stream = connection.makefile("rb")
        connection.sendall(request)
        status, _, answer = read_response(stream)
        seen = json.loads(answer)
        assert (status, seen["length"], seen["sha256"]) == (200, len(body), hashlib.sha256(body).hexdigest())
        assert seen["pieces"] > 1
        connection.sendall(b"GET /large?5000000 HTTP/1.1\r\n" + HOST + b"\r\n")
        status, _, answer = read_response(stream)
        assert (status, answer) == (200, b"x" * 5_000_000)


def test_a_peer_that_reads_slowly_holds_the_application_back(door: OpenDoor) -> None:
    size = 50_000_000
    with door.tls(rcvbuf=4096) as connection:
        connection.sendall(b"GET /large?%d HTTP/1.1\r\n" % size + HOST + b"\r\n")
        stream = connection.makefile("rb")
        stream.readline()
        transport = next(iter(door.app.calls))
        assert transport["path"] == "/large"
        door.still_serves()
        while stream.readline() != b"\r\n":
            pass
        left = size
        while left:
            left -= len(stream.read(min(left, 1_000_000)))


def test_an_application_that_does_not_read_holds_the_peer_back(door: OpenDoor) -> None:
    with door.tls() as connection:
        connection.settimeout(0.5)
        connection.sendall(b"POST /wait HTTP/1.1\r\n" + HOST + b"Content-Length: 100000000\r\n\r\n")
        sent = 0
        with pytest.raises((TimeoutError, ssl.SSLError)):
            while True:
                sent += connection.send(b"x" * 65536)
        assert sent < 20_000_000
        door.app.release.set()


def test_pipelined_requests_are_answered_in_order(door: OpenDoor) -> None:
    requests = [b"GET /%d HTTP/1.1\r\n" % n + HOST + b"\r\n" for n in range(49)]
    last = b"GET /49 HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    received = exchange(door, b"".join([*requests, last]))
    assert [seen["path"] for seen in bodies(received)] == [f"/{n}" for n in range(50)]


@pytest.mark.parametrize("how", ["reset", "closed"])
def test_a_pipelining_peer_that_leaves_disconnects_the_request_at_work(door: OpenDoor, how: str) -> None:
    at_work, left = threading.Event(), threading.Event()

    class Waiting(Application):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            at_work.set()
            while (await receive())["type"] != "http.disconnect":
                pass
            left.set()

    # A closed side alone may be a peer that still waits for its answers: there, the deadline says that it is not.
    listener = {"reset": "want", "closed": "hurried"}[how]
    with exchanged(door, listener, Waiting()):
        with door.tls(listener) as connection:
            connection.sendall(GET + GET)
            assert at_work.wait(SECONDS)
            if how == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert left.wait(SECONDS)


def test_a_kept_connection_reaches_an_exchanged_application(door: OpenDoor) -> None:
    with door.tls() as connection:
        stream = connection.makefile("rb")
        connection.sendall(GET)
        assert json.loads(read_response(stream)[2])["app"] == "first"
        with exchanged(door, "want", Application(name="second")):
            connection.sendall(GET)
            assert json.loads(read_response(stream)[2])["app"] == "second"


def test_an_early_answer_leaves_the_connection_in_order(door: OpenDoor) -> None:
    with door.tls() as connection:
        stream = connection.makefile("rb")
        connection.sendall(b"POST /early HTTP/1.1\r\n" + HOST + b"Content-Length: 500000\r\n\r\n" + b"x" * 500_000)
        assert read_response(stream)[0] == 413
        connection.sendall(GET)
        assert read_response(stream)[0] == 200


def test_100_continue_is_given_when_the_application_reads(door: OpenDoor) -> None:
    with door.tls() as connection:
        stream = connection.makefile("rb")
        connection.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert stream.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert stream.readline() == b"\r\n"
        connection.sendall(b"abc")
        assert json.loads(read_response(stream)[2])["length"] == 3


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_peer_that_is_done_with_sending_still_gets_its_answer(door: OpenDoor, version: ssl.TLSVersion) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = door.pki.client_context()
    context.minimum_version = context.maximum_version = version
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with door.connect() as raw:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                incoming.write(raw.recv(65536))
        client.write(b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n")
        raw.sendall(outgoing.read())
        raw.shutdown(1)
        assert door.app.entered.wait(SECONDS)
        door.app.release.set()
        received = b""
        while b"/wait" not in received:
            try:
                received += client.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(raw.recv(65536))
    assert received.startswith(b"HTTP/1.1 200 ")


def test_a_peer_that_leaves_in_the_middle_of_a_body_is_a_disconnect(door: OpenDoor) -> None:
    before = door.app.disconnects
    with door.tls() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nabc")
        connection.unwrap()
    door.still_serves()
    assert disconnects_after(door, before) == before + 1


def test_a_closed_connection_says_so(door: OpenDoor) -> None:
    with door.tls() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        while connection.recv(65536):  # an end without close_notify would be an SSLEOFError
            pass


def test_a_listener_for_a_proxy_speaks_plain_http_and_shows_no_certificate(door: OpenDoor) -> None:
    with door.connect("plain") as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"Client-Cert: :AAAA:\r\nConnection: close\r\n\r\n")
        (seen,) = bodies(everything(connection))
    assert (seen["scheme"], seen["source"], seen["leaf"], seen["tls"]) == ("http", "none", None, None)


def test_framing_is_judged_by_headers_alone() -> None:
    host = (b"host", b"a")
    assert framing_problem("1.1", [host], upgrade=False) is None
    assert framing_problem("1.0", [], upgrade=False) is None
    assert framing_problem("1.1", [host, (b"transfer-encoding", b"chunked")], upgrade=False) is None
    assert framing_problem("1.1", [host, (b"content-length", b"0")], upgrade=True) is None
    assert framing_problem("1.1", [host, (b"content-length", b"1")], upgrade=True) is not None
    assert framing_problem("2.0", [host], upgrade=False) is not None
