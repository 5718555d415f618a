"""Decisions that rest on what lies outside the store: sets at a `jwks_uri` on a server, answers of `openssl ocsp`."""

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from tests.authority.assembling import new_registered
from tests.authority.house import House
from tests.certificates.openssl_ca import OpenSSLCA
from tests.fetch.peers import Server, serving
from tests.oauth.making import ISSUER, NOW, Identity, make, new_key

from certbound.authority import blocks, client_keys, ocsp_answers, outbound, trust, trust_policies
from certbound.authority.client_keys import ClientKeySets
from certbound.authority.deciding import Decider, decide_once
from certbound.authority.ocsp_answers import OCSPAnswers
from certbound.authority.outbound import Outbound
from certbound.authority.registered import Registered
from certbound.certificates.revocation import ACCEPTED_UNKNOWING
from certbound.oauth.authentication import Decision
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.oauth.errors import OAuthError
from certbound.oauth.registration import AuthenticationMethod

LOOPBACK = ("127.0.0.0/8",)
KEY = new_key()
OLD, NEW, STRANGER = make("CN=old"), make("CN=new"), make("CN=stranger")
KEYED, RENEWED = make("CN=keyed", key=KEY), make("CN=keyed", key=KEY)
DOWN = b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n"


class Clock:
    """How much later it is than it is."""

    def __init__(self) -> None:
        self.passed = timedelta()

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.passed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(client_keys, "monotonic", lambda: time.monotonic() + clock.passed.total_seconds())
    monkeypatch.setattr(ocsp_answers, "_now", lambda: clock.now)
    return clock


@pytest_asyncio.fixture
async def worker(house: House, trust: ssl.SSLContext) -> Any:
    """What one worker knows, that may ask servers on loopback."""
    outbound = Outbound(trust, allow=LOOPBACK)
    registered = new_registered(house.store, house.master_key, house.policy.methods, outbound)
    await registered.refresh()
    yield registered
    outbound.close()


async def decide(worker: Registered, identity: Identity, now: datetime = NOW) -> Decision:
    return await worker.decide(Credentials("publisher", ShownMethod.NOTHING, identity.presented()), now)


def failed(decision: Decision) -> list[str]:
    assert (decision.client is None) == bool(decision.failed)
    return [check.check for check in decision.failed]


# --- published keys


def published(*keys: dict[str, Any]) -> bytes:
    body = json.dumps({"keys": keys}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def bare(identity: Identity) -> dict[str, Any]:
    return {name: value for name, value in identity.jwk().items() if name != "x5c"}


@pytest.fixture
def publisher(house: House, server: Server) -> Server:
    """A client that publishes OLD, to be changed at will."""
    house.client("publisher", "self_signed_tls_client_auth", jwks_uri=server.url())
    server.says(published(OLD.jwk()))
    return server


async def test_the_first_use_of_a_client_fetches_its_set_and_the_next_ones_do_not(
    worker: Registered, publisher: Server
) -> None:
    first = await decide(worker, OLD)
    assert first.client is not None
    assert first.good_until == OLD.certificate.not_after
    assert await decide(worker, OLD) is first
    assert len(publisher.requests) == 1


@pytest.mark.req("8705-20")
async def test_a_certificate_published_just_now_is_known_after_one_more_fetch(
    worker: Registered, publisher: Server, clock: Clock
) -> None:
    assert (await decide(worker, OLD)).client is not None
    publisher.says(published(OLD.jwk(), NEW.jwk()))
    assert failed(await decide(worker, NEW)) == ["certificate_registered"]  # so soon nobody is asked again
    clock.passed = timedelta(seconds=31)
    assert (await decide(worker, NEW)).client is not None
    assert (await decide(worker, OLD)).client is not None
    assert len(publisher.requests) == 2


async def test_strangers_have_a_set_fetched_once_in_thirty_seconds(
    worker: Registered, publisher: Server, clock: Clock
) -> None:
    for second in range(0, 61, 5):
        clock.passed = timedelta(seconds=second)
        assert failed(await decide(worker, STRANGER)) == ["certificate_registered"]
    assert len(publisher.requests) == 3


async def test_a_certificate_taken_out_stops_once_the_set_is_stale_also_where_it_is_remembered(
    worker: Registered, publisher: Server, clock: Clock
) -> None:
    assert (await decide(worker, OLD)).client is not None
    publisher.says(published(NEW.jwk()))
    clock.passed = timedelta(seconds=299)
    assert (await decide(worker, OLD)).client is not None
    clock.passed = timedelta(seconds=301)
    assert failed(await decide(worker, OLD)) == ["certificate_registered"]
    assert (await decide(worker, NEW)).client is not None
    assert len(publisher.requests) == 2


async def test_a_certificate_taken_out_stops_as_soon_as_the_set_is_fetched_for_whatever_reason(
    worker: Registered, publisher: Server, clock: Clock
) -> None:
    assert (await decide(worker, OLD)).client is not None
    publisher.says(published(NEW.jwk()))
    clock.passed = timedelta(seconds=31)
    assert (await decide(worker, NEW)).client is not None
    assert failed(await decide(worker, OLD)) == ["certificate_registered"]


async def test_the_last_good_set_serves_while_its_source_is_down_for_a_day_and_no_longer(
    worker: Registered, publisher: Server, clock: Clock
) -> None:
    assert (await decide(worker, OLD)).client is not None
    publisher.says(DOWN)
    for hours in (1, 12, 23.9):
        clock.passed = timedelta(hours=hours)
        assert (await decide(worker, OLD)).client is not None
        assert failed(await decide(worker, STRANGER)) == ["certificate_registered"]
    clock.passed = timedelta(hours=24.1)
    [check] = (await decide(worker, OLD)).failed
    assert "none registered" in check.expected
    assert "status 503" in check.expected


async def test_a_refusal_says_why_a_set_could_not_be_had(worker: Registered, publisher: Server) -> None:
    publisher.says(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")
    decision = await decide(worker, OLD)
    assert (decision.error, failed(decision), decision.needs) == (
        "invalid_client",
        ["certificate_registered"],
        None,
    )
    assert "not JSON" in decision.failed[0].expected
    assert len(publisher.requests) == 1


async def test_a_client_for_whom_there_is_no_thread_waits_for_one_once(
    worker: Registered, publisher: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "HOST_THREADS", 0)
    monkeypatch.setattr(outbound, "WAIT_SECONDS", 0.05)
    tried: list[str] = []
    bring = Outbound.bring

    async def counted(self: Outbound, url: str, *how: Any, **options: Any) -> Any:
        tried.append(url)
        return await bring(self, url, *how, **options)

    monkeypatch.setattr(Outbound, "bring", counted)
    [check] = (await decide(worker, OLD)).failed
    assert "too many fetches are under way" in check.expected
    assert tried == [publisher.url()]
    monkeypatch.undo()
    assert (await decide(worker, OLD)).client is not None


async def test_a_published_key_without_certificate_means_a_client_that_is_registered_so(
    house: House, worker: Registered, publisher: Server
) -> None:
    publisher.says(published(OLD.jwk(), bare(KEYED)))
    assert failed(await decide(worker, KEYED)) == ["certificate_registered"]
    house.update("publisher", match_by_key=True)
    await worker.refresh()
    for identity in (KEYED, RENEWED, OLD):
        assert (await decide(worker, identity)).client is not None
    assert len(publisher.requests) == 1


async def test_a_client_that_is_wrong_in_anything_else_has_nothing_fetched(
    house: House, worker: Registered, publisher: Server
) -> None:
    late = make("CN=late", not_before=NOW - timedelta(days=2), not_after=NOW - timedelta(days=1))
    assert "validity" in failed(await decide(worker, late))
    shown = Credentials("publisher", ShownMethod.SECRET_POST, OLD.presented(), "x")
    assert "method_used" in failed(await worker.decide(shown, NOW))
    await block(house, OLD)
    await worker.refresh()
    assert "not_blocked" in failed(await decide(worker, OLD))
    assert not publisher.requests


async def block(house: House, identity: Identity) -> None:
    work = partial(blocks.block, kind="public_key", sha256=identity.certificate.spki_sha256.hex(), reason="")
    house.store.write(partial(work, **house.by))


async def test_one_that_explains_decides_the_same_by_the_same_means(
    house: House, publisher: Server, trust: ssl.SSLContext
) -> None:
    outbound = Outbound(trust, allow=LOOPBACK)
    decider = Decider(ClientKeySets(outbound), OCSPAnswers(outbound))
    once = partial(decide_once, house.store, decider, enabled=set(AuthenticationMethod), issuer=ISSUER, now=NOW)
    good = await once(Credentials("publisher", ShownMethod.NOTHING, OLD.presented()))
    assert good.client is not None
    assert failed(await once(Credentials("nobody", ShownMethod.NOTHING, None))) == ["client_known"]
    outbound.close()


# --- changes while something is gathered


class Held:
    """A server that answers only when it is let go."""

    def __init__(self, server: Server, raw: bytes) -> None:
        self._go = threading.Event()
        self._raw = raw
        self._server = server
        server.answer = self._answer

    def _answer(self, connection: socket.socket) -> None:
        self._go.wait(5)
        connection.sendall(self._raw)

    async def reached(self) -> None:
        async with asyncio.timeout(5):
            while not self._server.requests:
                await asyncio.sleep(0.005)

    def let_go(self) -> None:
        self._go.set()


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        (lambda house: block(house, OLD), "not_blocked"),
        (lambda house: asyncio.to_thread(house.disable, "publisher"), "client_enabled"),
    ],
    ids=["a block", "disabling"],
)
async def test_what_changes_while_a_set_is_fetched_is_honoured(
    house: House, worker: Registered, publisher: Server, change: Callable[[House], Any], failing: str
) -> None:
    held = Held(publisher, published(OLD.jwk()))
    deciding = asyncio.create_task(decide(worker, OLD))
    await held.reached()
    await change(house)
    await worker.refresh()
    held.let_go()
    for decision in (await deciding, await decide(worker, OLD)):
        assert failed(decision) == [failing, "certificate_registered"]
        assert "its jwks_uri was not asked" in decision.failed[1].expected
    assert len(publisher.requests) == 1


async def test_another_uri_registered_while_the_old_one_is_fetched_is_the_one_that_counts(
    house: House, worker: Registered, publisher: Server
) -> None:
    held = Held(publisher, published(OLD.jwk()))
    deciding = asyncio.create_task(decide(worker, OLD))
    await held.reached()
    publisher.says(published(NEW.jwk()))
    await asyncio.to_thread(house.update, "publisher", jwks_uri=publisher.url("/other"))
    await worker.refresh()
    held.let_go()
    assert failed(await deciding) == ["certificate_registered"]
    assert [request.split(b" ")[1] for request in publisher.requests] == [b"/jwks", b"/other"]


async def test_where_everything_changes_all_the_time_nobody_is_let_in_by_what_was(
    house: House, worker: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.client("publisher", "self_signed_tls_client_auth", certificates=(OLD.certificate,))
    await worker.refresh()
    reading = house.store.reading

    async def restless(work: Any) -> Any:
        found = await reading(work)
        if "client_id" in work.keywords:
            house.rotate()
            await worker.refresh()
        return found

    monkeypatch.setattr(house.store, "reading", restless)
    with pytest.raises(OAuthError) as refused:
        await decide(worker, OLD)
    assert refused.value.error == "temporarily_unavailable"


# --- OCSP, by openssl, which keeps the real time


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> OpenSSLCA:
    ca = OpenSSLCA(tmp_path_factory.mktemp("deciding"))
    for name in ("good", "bad", "elsewhere"):
        ca.issue(name)
    ca.revoke("bad")
    return ca


@pytest.fixture
def responder(ca: OpenSSLCA) -> Iterator[Server]:
    """`openssl ocsp` behind a server on loopback, whose answers hold for an hour."""
    with serving(ssl.create_default_context(), None) as running:

        def respond(connection: socket.socket) -> None:
            body = ca.answer(running.requests[-1].partition(b"\r\n\r\n")[2], "-nmin", "60")
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

        running.answer = respond
        yield running


@pytest.fixture
def asks(house: House, ca: OpenSSLCA) -> Callable[..., None]:
    """Have a trust store of this CA with a policy, on which the clients `good` and `bad` rely."""
    add = partial(trust.add, name="openssl", certificates=[ca.certificate], intermediate=False)
    house.store.write(partial(add, **house.by))
    for name in ("good", "bad"):
        subject = {"tls_client_auth_subject_dn": f"CN={name}"}
        house.client(name, "tls_client_auth", subject=subject, trust=("openssl",))

    def set_policy(**policy: Any) -> None:
        changes = trust_policies.PolicyChanges(**{"revocation": "ocsp"} | policy)
        house.store.write(partial(trust_policies.update, name="openssl", changes=changes, **house.by))

    return set_policy


async def show(worker: Registered, ca: OpenSSLCA, clock: Clock, client_id: str, file: str | None = None) -> Decision:
    der = ca.read(f"{file or client_id}.pem").der
    identity = Identity(der, KEY)
    return await worker.decide(Credentials(client_id, ShownMethod.NOTHING, identity.presented()), clock.now)


async def test_openssl_is_asked_once_and_its_answer_holds_until_the_next_update(
    house: House, worker: Registered, ca: OpenSSLCA, responder: Server, *, asks: Any, clock: Clock
) -> None:
    asks(ocsp_url=responder.url("/ocsp"))
    await worker.refresh()
    first = await show(worker, ca, clock, "good")
    assert first.client is not None, first.failed
    assert first.good_until is not None
    assert timedelta(minutes=59) < first.good_until - clock.now <= timedelta(minutes=60)
    assert await show(worker, ca, clock, "good") is first
    house.rotate()  # a new revision: the decision is forgotten, the answer is not
    await worker.refresh()
    clock.passed = timedelta(minutes=58)
    again = await show(worker, ca, clock, "good")
    assert (again.client is not None, again is first) == (True, False)
    assert len(responder.requests) == 1
    clock.passed = timedelta(minutes=62)
    await show(worker, ca, clock, "good")
    assert len(responder.requests) == 2


async def test_what_openssl_calls_revoked_is_refused(
    worker: Registered, ca: OpenSSLCA, responder: Server, *, asks: Any, clock: Clock
) -> None:
    asks(ocsp_url=responder.url("/ocsp"), on_unavailable="accept")
    await worker.refresh()
    decision = await show(worker, ca, clock, "bad")
    assert failed(decision) == ["revocation"]
    assert "keyCompromise" in decision.failed[0].found
    assert "OCSP" in decision.failed[0].found


@pytest.mark.threat("28")
async def test_what_openssl_called_revoked_stays_refused_while_it_is_away(
    worker: Registered, ca: OpenSSLCA, responder: Server, *, asks: Any, clock: Clock
) -> None:
    asks(ocsp_url=responder.url("/ocsp"), on_unavailable="accept")
    await worker.refresh()
    assert failed(await show(worker, ca, clock, "bad")) == ["revocation"]
    responder.says(DOWN)
    clock.passed = timedelta(minutes=90)
    assert failed(await show(worker, ca, clock, "bad")) == ["revocation"]
    assert len(responder.requests) == 2


@pytest.mark.threat("28")
async def test_a_responder_that_is_away_harms_no_other_store_of_the_same_authority(
    house: House, worker: Registered, ca: OpenSSLCA, responder: Server, *, asks: Any, clock: Clock
) -> None:
    asks(ocsp_url="http://127.0.0.1:1/ocsp")
    add = partial(trust.add, name="twin", certificates=[ca.certificate], intermediate=False)
    house.store.write(partial(add, **house.by))
    changes = trust_policies.PolicyChanges(revocation="ocsp", ocsp_url=responder.url("/ocsp"))
    house.store.write(partial(trust_policies.update, name="twin", changes=changes, **house.by))
    subject = {"tls_client_auth_subject_dn": "CN=good"}
    house.client("twin", "tls_client_auth", subject=subject, trust=("twin",))
    house.client("both", "tls_client_auth", subject=subject, trust=("twin", "openssl"))
    await worker.refresh()
    assert failed(await show(worker, ca, clock, "good")) == ["revocation"]
    for client_id in ("twin", "both"):
        decision = await show(worker, ca, clock, client_id, "good")
        assert decision.client is not None, decision.failed


async def test_nobody_is_asked_about_a_certificate_that_means_another_client(
    worker: Registered, ca: OpenSSLCA, responder: Server, *, asks: Any, clock: Clock
) -> None:
    asks(ocsp_url=responder.url("/ocsp"))
    await worker.refresh()
    assert "tls_client_auth_subject_dn" in failed(await show(worker, ca, clock, "good", "elsewhere"))
    assert not responder.requests


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:1/ocsp"], ids=["no responder", "none there"])
@pytest.mark.parametrize("on_unavailable", ["refuse", "accept"])
async def test_without_an_answer_the_store_says_what_happens(
    worker: Registered, ca: OpenSSLCA, *, asks: Any, clock: Clock, url: str | None, on_unavailable: str
) -> None:
    asks(ocsp_url=url, on_unavailable=on_unavailable)
    await worker.refresh()
    decision = await show(worker, ca, clock, "good")
    assert (decision.client is not None) == (on_unavailable == "accept")
    assert decision.needs is None
    [check] = [check for check in decision.checks if check.check == "revocation"]
    assert ("names a responder" if url is None else "Connection refused") in check.found
    if decision.good_until is not None:
        assert decision.good_until - clock.now <= ACCEPTED_UNKNOWING


@pytest.mark.parametrize(
    ("policy", "right"),
    [
        ({}, False),
        ({"grace_seconds": 3600}, True),
        ({"grace_seconds": 60}, False),
        ({"on_unavailable": "accept"}, True),
    ],
    ids=["refuse", "grace", "too little grace", "accept"],
)
async def test_an_answer_that_has_ended_while_its_responder_is_away_counts_as_the_store_says(
    worker: Registered,
    ca: OpenSSLCA,
    responder: Server,
    *,
    asks: Any,
    clock: Clock,
    policy: dict[str, Any],
    right: bool,
) -> None:
    asks(ocsp_url=responder.url("/ocsp"), **policy)
    await worker.refresh()
    assert (await show(worker, ca, clock, "good")).client is not None
    responder.says(DOWN)
    clock.passed = timedelta(minutes=90)
    for _ in range(2):
        decision = await show(worker, ca, clock, "good")
        assert (decision.client is not None, decision.needs) == (right, None), decision.failed
    assert len(responder.requests) == 2


async def test_a_block_that_comes_while_openssl_is_asked_is_honoured(
    house: House, worker: Registered, ca: OpenSSLCA, responder: Server, *, asks: Any, clock: Clock
) -> None:
    asks(ocsp_url=responder.url("/ocsp"))
    await worker.refresh()
    answers, go = responder.answer, threading.Event()
    assert answers is not None

    def respond(connection: socket.socket) -> None:
        go.wait(5)
        answers(connection)

    responder.answer = respond
    deciding = asyncio.create_task(show(worker, ca, clock, "good"))
    async with asyncio.timeout(5):
        while not responder.requests:
            await asyncio.sleep(0.005)
    await block(house, Identity(ca.read("good.pem").der, KEY))
    await worker.refresh()
    go.set()
    assert failed(await deciding) == ["not_blocked"]
