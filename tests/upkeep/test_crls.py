"""Revocation lists that are fetched: what comes from where, and what becomes of the list there was."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.certificates.openssl_ca import DAY, NOW, OpenSSLCA
from tests.fetch.peers import Server, proxying
from tests.upkeep.duties import Clock, of_a_server, recorded, round_of
from tests.upkeep.scraping import scraped

from certbound.authority import revocation_lists, trust, trust_policies
from certbound.authority.trust_policies import PolicyChanges
from certbound.fetch.document import fetch
from certbound.store.duties import Duty
from certbound.store.engine import Store
from certbound.store.revocation import StoredCRL
from certbound.upkeep.running import RETRY_SECONDS, Fetch, Upkeep
from certbound.web.metrics import metrics_routes

HOUR = timedelta(hours=1)


class Partners:
    """A trust store whose CRLs are fetched, by a worker whose clock is the test's."""

    def __init__(self, store: Store, clock: Clock, fetching: Fetch) -> None:
        self.store, self.clock = store, clock
        self.upkeep: Upkeep = of_a_server(store, fetching, clock)
        self._by: dict[str, Any] = {"actor": "tester", "now": clock.now}

    def trust(self, ca: OpenSSLCA) -> None:
        held = [ca.certificate]
        self.store.write(partial(trust.add, name="partners", certificates=held, intermediate=False, **self._by))

    def fetch_from(self, *urls: str) -> None:
        changes = PolicyChanges(revocation="crl", crl_urls=urls or ("",))
        self.store.write(partial(trust_policies.update, name="partners", changes=changes, **self._by))

    async def later(self, seconds: int = RETRY_SECONDS) -> None:
        self.clock.now += seconds
        await round_of(self.upkeep)

    @property
    def held(self) -> list[StoredCRL]:
        return list(self.store.read(partial(revocation_lists.listed, name="partners")))

    @property
    def duties(self) -> dict[str, Duty]:
        return {name: duty for name, duty in recorded(self.store).items() if name.startswith("crl ")}

    @property
    def duty(self) -> Duty:
        [duty] = self.duties.values()
        return duty


@pytest.fixture(scope="module")
def ca_of_all(tmp_path_factory: pytest.TempPathFactory) -> OpenSSLCA:
    return OpenSSLCA(tmp_path_factory.mktemp("crls") / "ca")


@pytest.fixture
def ca(ca_of_all: OpenSSLCA, tmp_path: Path) -> OpenSSLCA:
    return ca_of_all.copy(tmp_path / "ca")


@pytest.fixture
def partners(shared_store: Store, clock: Clock, fetching: Fetch, ca: OpenSSLCA) -> Partners:
    made = Partners(shared_store, clock, fetching)
    made.trust(ca)
    return made


@pytest.fixture
def quick(store: Store, clock: Clock, fetching: Fetch, ca: OpenSSLCA) -> Partners:
    """The same on a store in memory."""
    made = Partners(store, clock, fetching)
    made.trust(ca)
    return made


def answer(body: bytes, status: str = "200 OK", *fields: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields])
    return head.encode() + b"\r\n\r\n" + body


@pytest.mark.threat("R9")
async def test_a_list_is_fetched_again_before_it_ends_and_the_newer_takes_its_place(
    partners: Partners, plain_server: Server, ca: OpenSSLCA
) -> None:
    plain_server.says(answer(ca.der_crl(ca.crl(number=1, ends=NOW + HOUR))))
    partners.fetch_from(plain_server.url("/ca.crl"))
    await round_of(partners.upkeep)
    [first] = partners.held
    assert (first.number, first.url) == ("1", plain_server.url("/ca.crl"))
    begun = partners.clock.now
    assert partners.duty == Duty(f"crl partners {first.url}", begun, begun, None, begun + 1800)
    assert b"GET /ca.crl HTTP/1.1\r\n" in plain_server.requests[0]
    plain_server.says(answer(ca.crl(number=2)))
    await partners.later(1799)
    assert len(plain_server.requests) == 1
    await partners.later(1)
    assert [crl.number for crl in partners.held] == ["2"]


@pytest.mark.parametrize(("ends", "due_in"), [(NOW + 7 * DAY, 3600), (NOW + timedelta(seconds=30), 60)])
async def test_a_list_is_fetched_hourly_at_least_and_once_a_minute_at_most(
    quick: Partners, plain_server: Server, ca: OpenSSLCA, ends: Any, due_in: int
) -> None:
    plain_server.says(answer(ca.crl(ends=ends)))
    quick.fetch_from(plain_server.url())
    await round_of(quick.upkeep)
    assert quick.duty.next_run - quick.clock.now == due_in
    await quick.later(due_in - 1)
    assert len(plain_server.requests) == 1


def stale(ca: OpenSSLCA) -> bytes:
    return answer(ca.crl(begins=NOW - 2 * DAY, ends=NOW - DAY, number=8))


def of_another_issuer(ca: OpenSSLCA) -> bytes:
    return answer(OpenSSLCA(ca.folder / "other", "Other").crl(number=8))


def of_a_namesake(ca: OpenSSLCA) -> bytes:
    return answer(OpenSSLCA(ca.folder / "namesake").crl(number=8))


def tampered(ca: OpenSSLCA) -> bytes:
    der = bytearray(ca.der_crl(ca.crl(number=8)))
    der[-1] ^= 1
    return answer(bytes(der))


def older(ca: OpenSSLCA) -> bytes:
    return answer(ca.crl(number=6))


def a_page(_ca: OpenSSLCA) -> bytes:
    return answer(b"<html>Please log in</html>", "200 OK", "Content-Type: text/html")


def nothing(_ca: OpenSSLCA) -> bytes:
    return answer(b"")


def an_error(ca: OpenSSLCA) -> bytes:
    return answer(ca.crl(number=8), "500 Internal Server Error")


def a_redirect(_ca: OpenSSLCA) -> bytes:
    return answer(b"", "302 Found", "Location: https://elsewhere.example/ca.crl")


def half_of_it(ca: OpenSSLCA) -> bytes:
    return answer(ca.der_crl(ca.crl(number=8)))[:-50]


def no_http(_ca: OpenSSLCA) -> bytes:
    return b"SSH-2.0-OpenSSH_9.6\r\n"


def huge(_ca: OpenSSLCA) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n0"


@pytest.mark.threat("R9")
@pytest.mark.parametrize(
    ("says", "told"),
    [
        (stale, "the CRL is stale"),
        (of_another_issuer, "belongs to another issuer: CN=Other"),
        (of_a_namesake, "signature is not by CN=CA"),
        (tampered, "signature is not by CN=CA"),
        (older, "older than the one that is there"),
        (a_page, "a web page"),
        (nothing, "empty"),
        (an_error, "status 500"),
        (a_redirect, "redirect"),
        (half_of_it, "http://localhost"),
        (no_http, "http://localhost"),
        (huge, "bytes"),
    ],
)
async def test_what_is_no_good_leaves_the_old_list_and_is_an_alarm(
    quick: Partners,
    plain_server: Server,
    ca: OpenSSLCA,
    *,
    caplog: pytest.LogCaptureFixture,
    says: Callable[[OpenSSLCA], bytes],
    told: str,
) -> None:
    plain_server.says(answer(ca.crl(number=7)))
    quick.fetch_from(plain_server.url("/ca.crl?key=secret"))
    await round_of(quick.upkeep)
    old, fetched_at = quick.held, quick.clock.now
    assert [crl.number for crl in old] == ["7"]
    plain_server.says(says(ca))
    await quick.later(3600)
    assert quick.held == old
    failed = quick.duty
    assert (failed.last_success, failed.next_run) == (fetched_at, quick.clock.now + RETRY_SECONDS)
    assert told in (failed.failure or "")
    [alarm] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (alarm.message, alarm.__dict__["reason"]) == ("duty failed", failed.failure)
    text = await scraped(metrics_routes(quick.store, quick.clock))
    assert f'certbound_duty_failing{{duty="{failed.name}"}} 1.0' in text
    assert all("secret" not in seen for seen in (text, failed.name, failed.failure or "", repr(alarm.__dict__)))
    plain_server.says(answer(ca.crl(number=9)))
    await quick.later()
    assert [crl.number for crl in quick.held] == ["9"]
    assert quick.duty.failure is None
    assert f'certbound_duty_failing{{duty="{failed.name}"}} 0.0' in await scraped(
        metrics_routes(quick.store, quick.clock)
    )


@pytest.mark.threat("R9")
async def test_a_source_that_is_down_leaves_the_old_list(quick: Partners, plain_server: Server, ca: OpenSSLCA) -> None:
    plain_server.says(answer(ca.crl(number=7)))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        down = f"http://localhost:{closed.getsockname()[1]}/ca.crl"
    quick.fetch_from(plain_server.url(), down)
    await round_of(quick.upkeep)
    assert [crl.number for crl in quick.held] == ["7"]
    assert "refused" in (quick.duties[f"crl partners {down}"].failure or "")
    assert quick.duties[f"crl partners {plain_server.url()}"].failure is None


async def test_a_delta_is_fetched_beside_its_complete_list(
    quick: Partners, plain_server: Server, ca: OpenSSLCA
) -> None:
    ca.configure("[delta]\n2.5.29.27=critical,DER:02:01:07")
    complete, delta = ca.crl(number=7), ca.crl(number=8, extensions="delta")

    def say(connection: socket.socket) -> None:
        asked_for_delta = b"GET /delta" in plain_server.requests[-1]
        connection.sendall(answer(delta if asked_for_delta else complete))

    plain_server.answer = say
    quick.fetch_from(plain_server.url("/complete"))
    await round_of(quick.upkeep)
    quick.fetch_from(plain_server.url("/complete"), plain_server.url("/delta"))
    await round_of(quick.upkeep)
    assert [(crl.number, crl.is_delta) for crl in quick.held] == [("7", False), ("8", True)]


async def test_a_url_that_is_taken_away_is_asked_no_more_and_what_it_gave_stays(
    partners: Partners, plain_server: Server, ca: OpenSSLCA
) -> None:
    plain_server.says(answer(ca.crl(number=7)))
    partners.fetch_from(plain_server.url("/a"), plain_server.url("/b"))
    await round_of(partners.upkeep)
    partners.fetch_from(plain_server.url("/b"))
    await round_of(partners.upkeep)
    assert partners.duties.keys() == {f"crl partners {plain_server.url('/b')}"}
    partners.fetch_from()
    asked = len(plain_server.requests)
    await partners.later(3600)
    assert (partners.duties, len(plain_server.requests)) == ({}, asked)
    assert len(partners.held) == 1


async def test_urls_that_differ_in_their_query_are_two_duties(
    quick: Partners, plain_server: Server, ca: OpenSSLCA
) -> None:
    plain_server.says(answer(ca.crl()))
    quick.fetch_from(plain_server.url("/?ca=1"), plain_server.url("/?ca=2"))
    await round_of(quick.upkeep)
    assert len(quick.duties) == 2


async def test_what_outbound_does_not_allow_is_not_fetched(
    store: Store, clock: Clock, plain_server: Server, ca: OpenSSLCA
) -> None:
    closed = Partners(store, clock, partial(fetch, trust=plain_server.trust))
    closed.trust(ca)
    plain_server.says(answer(ca.crl()))
    closed.fetch_from(plain_server.url())
    await round_of(closed.upkeep)
    assert (closed.held, plain_server.requests) == ([], [])
    assert "allow" in (closed.duty.failure or "")


async def test_a_list_is_fetched_through_the_proxy(
    store: Store, clock: Clock, plain_server: Server, ca: OpenSSLCA
) -> None:
    plain_server.says(answer(ca.crl()))
    with proxying() as proxy:
        behind = Partners(store, clock, partial(fetch, trust=plain_server.trust, proxy=proxy.url))
        behind.trust(ca)
        behind.fetch_from(plain_server.url("/ca.crl", host="ca.example"))
        await round_of(behind.upkeep)
    assert len(behind.held) == 1, behind.duty
    assert proxy.heads[0].startswith(b"GET http://ca.example:")


@pytest.fixture
def silent_server(plain_server: Server) -> Iterator[tuple[Server, threading.Event]]:
    """A server that takes requests and answers nobody, and what is set once it was asked."""
    asked, over = threading.Event(), threading.Event()

    def say_nothing(_connection: socket.socket) -> None:
        asked.set()
        over.wait(60)

    plain_server.answer = say_nothing
    yield plain_server, asked
    over.set()


async def test_a_worker_ends_while_a_source_keeps_it_waiting(
    quick: Partners, silent_server: tuple[Server, threading.Event]
) -> None:
    server, asked = silent_server
    quick.fetch_from(server.url())
    ending = asyncio.Event()
    keeping = asyncio.create_task(quick.upkeep.keep_running(ending))
    assert await asyncio.to_thread(asked.wait, 30)
    ending.set()
    await asyncio.wait_for(keeping, 10)
    assert quick.duties == {}, "it was neither done nor did it fail"
