import asyncio
import json
import logging
import math
import socket
import ssl
import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest
import pytest_asyncio
import trustme
from tests.fetch.peers import Proxy, Server, proxying, serving
from tests.oauth.making import make

from certbound.authority import client_keys, outbound
from certbound.authority.client_keys import ClientKeySets, KnownKeys
from certbound.authority.outbound import Outbound

LOOPBACK = ("127.0.0.0/8",)
OLD, NEW = make("CN=old"), make("CN=new")


class Clock:
    """The seconds that `client_keys` sees; what is under way keeps the real ones."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.passed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(client_keys, "monotonic", clock)
    return clock


@pytest_asyncio.fixture
async def sets(trust: ssl.SSLContext) -> Any:
    fetching = Outbound(trust, allow=LOOPBACK)
    yield ClientKeySets(fetching)
    fetching.close()


def answer(*identities: Any, headers: str = "", status: str = "200 OK") -> bytes:
    body = json.dumps({"keys": [identity.jwk() for identity in identities]}).encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/jwk-set+json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def held(known: KnownKeys) -> list[bytes]:
    return [certificate.der for certificate in known.keys.certificates] if known.keys else []


async def test_a_set_is_fetched_once_and_kept_while_it_is_fresh(sets: ClientKeySets, server: Server) -> None:
    server.says(answer(OLD))
    first = await sets.get(server.url())
    assert held(first) == [OLD.der]
    assert first.failure is None
    assert await sets.get(server.url()) is first
    assert len(server.requests) == 1
    assert b"Accept: application/jwk-set+json, application/json\r\n" in server.requests[0]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ("", 300),
        ("Cache-Control: max-age=900\r\n", 900),
        ("Cache-Control: max-age=1\r\n", 60),
        ("Cache-Control: no-store\r\n", 60),
        ("Cache-Control: max-age=99999999\r\n", 86_400),
    ],
)
async def test_a_set_is_fresh_for_as_long_as_its_headers_say_within_bounds(
    sets: ClientKeySets, server: Server, clock: Clock, headers: str, seconds: int
) -> None:
    server.says(answer(OLD, headers=headers))
    known = await sets.get(server.url())
    assert known.fresh_until - known.fetched_at == pytest.approx(seconds)
    clock.passed = seconds - 5
    await sets.get(server.url())
    assert len(server.requests) == 1
    clock.passed = seconds + 1
    await sets.get(server.url())
    assert len(server.requests) == 2


async def test_a_certificate_taken_out_stops_working_once_the_set_is_stale(
    sets: ClientKeySets, server: Server, clock: Clock
) -> None:
    server.says(answer(OLD, NEW))
    await sets.get(server.url())
    server.says(answer(NEW))
    clock.passed = 301
    assert held(await sets.get(server.url())) == [NEW.der]


@pytest.mark.req("8705-20")
async def test_an_unknown_certificate_has_the_set_fetched_again(
    sets: ClientKeySets, server: Server, clock: Clock
) -> None:
    server.says(answer(OLD))
    lacking = await sets.get(server.url())
    server.says(answer(OLD, NEW))
    clock.passed = 31
    assert held(await sets.refetch(server.url(), lacking)) == [OLD.der, NEW.der]
    assert len(server.requests) == 2


async def test_unknown_certificates_have_a_set_fetched_once_in_thirty_seconds(
    sets: ClientKeySets, server: Server, clock: Clock
) -> None:
    server.says(answer(OLD))
    lacking = await sets.get(server.url())
    for clock.passed in range(0, 61, 1):
        known = await sets.refetch(server.url(), lacking)
        lacking = known
    assert len(server.requests) == 3


async def test_after_a_failure_too_a_set_is_fetched_once_in_thirty_seconds(
    sets: ClientKeySets, server: Server, clock: Clock
) -> None:
    server.says(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")
    for clock.passed in range(0, 61, 1):
        known = await sets.get(server.url())
        known = await sets.refetch(server.url(), known)
        assert known.keys is None
        assert "status 500" in str(known.failure)
    assert len(server.requests) == 3


async def test_who_lacks_an_older_set_is_given_the_newer_one_unfetched(
    sets: ClientKeySets, server: Server, clock: Clock
) -> None:
    server.says(answer(OLD))
    lacking = await sets.get(server.url())
    server.says(answer(NEW))
    clock.passed = 301
    await sets.get(server.url())
    clock.passed = 340
    assert held(await sets.refetch(server.url(), lacking)) == [NEW.der]
    assert len(server.requests) == 2


async def test_all_who_wait_share_one_fetch(sets: ClientKeySets, server: Server, clock: Clock) -> None:
    server.says(answer(OLD))
    known = await asyncio.gather(*(sets.get(server.url()) for _ in range(50)))
    assert all(one is known[0] for one in known)
    clock.passed = 31
    server.says(answer(NEW))
    renewed = await asyncio.gather(*(sets.refetch(server.url(), known[0]) for _ in range(50)))
    assert all(held(one) == [NEW.der] for one in renewed)
    assert len(server.requests) == 2


async def test_a_caller_that_gives_up_does_not_end_the_fetch_of_the_others(sets: ClientKeySets, server: Server) -> None:
    go = threading.Event()

    def wait(connection: socket.socket) -> None:
        go.wait(2)
        connection.sendall(answer(OLD))

    server.answer = wait
    first, second = (asyncio.create_task(sets.get(server.url())) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    go.set()
    assert held(await second) == [OLD.der]


async def test_the_last_good_set_serves_while_the_source_fails_for_a_day_and_no_longer(
    sets: ClientKeySets, server: Server, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    server.says(answer(OLD))
    first = await sets.get(server.url("/jwks?secret"))
    server.says(b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n")
    for clock.passed in (301, 3600, 86_000):
        known = await sets.get(server.url("/jwks?secret"))
        assert held(known) == [OLD.der]
        assert known.fetched_at == first.fetched_at
        assert "status 503" in str(known.failure)
    clock.passed = 86_401
    known = await sets.get(server.url("/jwks?secret"))
    assert known.keys is None
    assert "status 503" in str(known.failure)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        clock.passed = 86_500
        await sets.get(server.url("/jwks?secret"))
    [record] = [record for record in caplog.records if record.name == client_keys.__name__]
    assert (record.getMessage(), record.__dict__["old_set_serves"]) == ("client_keys_not_fetched", False)
    assert "secret" not in str(record.__dict__)
    server.says(answer(NEW))
    clock.passed = 86_600
    assert held(await sets.get(server.url("/jwks?secret"))) == [NEW.der]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "not JSON"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 200_000, "not JSON"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "not a JWK Set"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"keys": []}', "no key of the set can be used"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"keys": [{"kty": "oct", "k": "AA"}]}', "holds a private key"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 262145\r\n\r\n", "larger than 262144 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 10_000_000, "larger than 262144 bytes"),
        (b"HTTP/1.1 302 Found\r\nLocation: https://localhost/\r\nContent-Length: 0\r\n\r\n", "redirects"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "status 204"),
        (b"", "localhost"),
    ],
    ids=[
        *("html", "deep", "no set", "empty set", "private key", "announced too large", "10 MB", "redirect"),
        *("not found", "no content", "nothing"),
    ],
)
async def test_a_bad_answer_is_a_failure_and_the_old_set_stays(
    sets: ClientKeySets, server: Server, clock: Clock, raw: bytes, reason: str
) -> None:
    server.says(raw)
    known = await sets.get(server.url())
    assert known.keys is None
    assert known.fetched_at == -math.inf
    assert reason in str(known.failure)
    server.says(answer(OLD))
    clock.passed = 31
    assert held(await sets.get(server.url())) == [OLD.der]
    server.says(raw)
    clock.passed = 400
    known = await sets.get(server.url())
    assert held(known) == [OLD.der]
    assert reason in str(known.failure)


async def test_a_source_that_sends_a_byte_a_second_is_left_within_three_seconds(
    sets: ClientKeySets, server: Server
) -> None:
    done = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(100):
            if done.wait(1):
                return
            connection.sendall(b"{")

    server.answer = drip
    began = time.monotonic()
    known = await sets.get(server.url())
    took = time.monotonic() - began
    done.set()
    assert known.keys is None
    assert "no complete answer within 2." in str(known.failure)
    assert took < 5


@pytest.mark.threat("49", "52")
async def test_a_private_address_is_reached_only_by_allowance(trust: ssl.SSLContext, server: Server) -> None:
    server.says(answer(OLD))
    fetching = Outbound(trust)
    known = await ClientKeySets(fetching).get(server.url())
    fetching.close()
    assert "no public address" in str(known.failure)
    assert not server.requests


@pytest.mark.threat("49", "52")
@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.100.100.200"),
        *("0.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1.", "user@127.0.0.1"),
        *("[::1]", "[::ffff:10.0.0.1]", "[::ffff:127.0.0.1]", "[fd00::1]", "[fe80::1]", "[64:ff9b::7f00:1]", "[::]"),
    ],
)
async def test_no_spelling_of_a_private_address_is_connected_to(
    trust: ssl.SSLContext, server: Server, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    reached: list[Any] = []
    monkeypatch.setattr(socket, "create_connection", lambda *args, **_: reached.append(args))
    fetching = Outbound(trust)
    known = await ClientKeySets(fetching).get(server.url(host=host))
    fetching.close()
    assert known.keys is None
    assert not reached


@pytest.mark.parametrize("uri", ["http://localhost/jwks", "file:///etc/passwd", "https://", "", "https://[::1"])
async def test_only_https_is_fetched(sets: ClientKeySets, uri: str) -> None:
    known = await sets.get(uri)
    assert known.keys is None
    assert "not fetched" in str(known.failure)


async def test_a_server_with_another_certificate_is_not_believed(sets: ClientKeySets, trust: ssl.SSLContext) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with serving(trust, context) as stranger:
        stranger.says(answer(OLD))
        known = await sets.get(stranger.url())
    assert "not trusted" in str(known.failure)
    assert not stranger.requests


@pytest.mark.threat("49", "52")
async def test_the_connection_goes_to_the_address_that_was_checked(
    trust: ssl.SSLContext, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    addresses = iter(["93.184.216.34", "127.0.0.1"])
    reached: list[str] = []

    def resolve(host: str, *args: Any, **kwargs: Any) -> Any:
        return real(next(addresses) if host == "keys.example" else host, *args, **kwargs)

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        reached.append(address[0])
        raise ConnectionRefusedError(111, "refused by the test")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    fetching = Outbound(trust)
    known = await ClientKeySets(fetching).get(server.url(host="keys.example"))
    fetching.close()
    assert known.keys is None
    assert reached == ["93.184.216.34"]


async def test_sets_come_through_the_proxy(trust: ssl.SSLContext, server: Server) -> None:
    server.says(answer(OLD))
    proxy: Proxy
    with proxying() as proxy:
        fetching = Outbound(trust, proxy=proxy.url)
        known = await ClientKeySets(fetching).get(server.url(host="keys.example"))
        fetching.close()
    assert held(known) == [OLD.der]
    assert proxy.heads[0].startswith(b"CONNECT keys.example:")


async def test_a_slow_host_leaves_threads_to_the_others(
    sets: ClientKeySets, server: Server, trust: ssl.SSLContext, server_context: ssl.SSLContext
) -> None:
    done = threading.Event()

    def hang(_: socket.socket) -> None:
        done.wait(5)

    server.answer = hang
    slow = [asyncio.create_task(sets.get(server.url(f"/{number}"))) for number in range(3 * outbound.THREADS)]
    while len(server.requests) < outbound.HOST_THREADS:
        await asyncio.sleep(0.01)
    with serving(trust, server_context) as quick:
        quick.says(answer(NEW))
        assert held(await sets.get(quick.url(host="127.0.0.1"))) == [NEW.der]
    assert not any(task.done() and task.result().keys for task in slow)
    known = await asyncio.gather(*slow)
    done.set()
    assert sum("too many fetches" in str(one.failure) for one in known) == len(slow) - outbound.HOST_THREADS
    assert len(server.requests) == outbound.HOST_THREADS


async def test_a_client_for_whom_no_thread_was_free_is_tried_again_at_once(
    sets: ClientKeySets, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "WAIT_SECONDS", 0.05)
    go = threading.Event()

    def wait(connection: socket.socket) -> None:
        go.wait(5)
        connection.sendall(answer(OLD))

    server.answer = wait
    slow = [asyncio.create_task(sets.get(server.url(f"/{number}"))) for number in range(outbound.HOST_THREADS)]
    while len(server.requests) < outbound.HOST_THREADS:
        await asyncio.sleep(0.01)
    known = await sets.get(server.url("/late"))
    assert "too many fetches" in str(known.failure)
    go.set()
    assert all(held(one) == [OLD.der] for one in await asyncio.gather(*slow))
    assert held(await sets.get(server.url("/late"))) == [OLD.der]


async def test_clients_that_all_come_at_once_wait_for_a_thread(
    sets: ClientKeySets, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WAIT_SECONDS", "FETCH_SECONDS"):
        monkeypatch.setattr(outbound, name, 60.0)
    server.says(answer(OLD))
    known = await asyncio.gather(*(sets.get(server.url(f"/{number}")) for number in range(60)))
    assert all(held(one) == [OLD.der] for one in known)
    assert len(server.requests) == 60


async def test_memory_is_bounded_in_sets_and_in_bytes(
    sets: ClientKeySets, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.says(answer(OLD))
    monkeypatch.setattr(client_keys, "MAX_URIS", 3)
    for number in range(5):
        await sets.get(server.url(f"/{number}"))
    assert [uri.rsplit("/", 1)[1] for uri in sets._sources] == ["2", "3", "4"]
    size = sets._size // 3
    monkeypatch.setattr(client_keys, "MAX_KEPT_BYTES", 2 * size)
    await sets.get(server.url("/2"))
    await sets.get(server.url("/5"))
    assert [uri.rsplit("/", 1)[1] for uri in sets._sources] == ["2", "5"]
    assert sets._size == 2 * size
    assert len(server.requests) == 6


async def test_all_threads_end(trust: ssl.SSLContext, server: Server) -> None:
    server.says(answer(OLD))
    with ExitStack() as stack:
        fetching = Outbound(trust, allow=LOOPBACK)
        stack.callback(fetching.close)
        await ClientKeySets(fetching).get(server.url())
        threads = list(fetching._threads._threads)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
