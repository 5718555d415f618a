"""SPIFFE bundles that are fetched: as often as their publisher says, and the old set stays while it is away."""

import json
import socket
from functools import partial
from typing import Any

import pytest
from tests.fetch.peers import Server
from tests.oauth.making import Identity, authority, uri
from tests.upkeep.duties import Clock, of_a_server, recorded, round_of

from certbound.authority import trust, trust_policies
from certbound.authority.trust_policies import PolicyChanges
from certbound.store.duties import Duty
from certbound.store.engine import Store
from certbound.upkeep.bundles import LEAST_SECONDS, MOST_SECONDS
from certbound.upkeep.running import RETRY_SECONDS, Fetch, Upkeep

ONE, TWO = (authority(f"CN={name}", san=[uri("spiffe://example.org")]) for name in ("one", "two"))


class Mesh:
    """A trust store that a bundle fills, and the worker that fetches it."""

    def __init__(self, store: Store, clock: Clock, fetching: Fetch) -> None:
        self.store, self.clock = store, clock
        self.upkeep: Upkeep = of_a_server(store, fetching, clock)
        self._by: dict[str, Any] = {"actor": "tester", "now": clock.now}

    def fetch_from(self, url: str) -> None:
        changes = PolicyChanges(bundle_url=url, trust_domain="example.org")
        self.store.write(partial(trust_policies.update, name="mesh", changes=changes, **self._by))

    async def later(self, seconds: int = RETRY_SECONDS) -> None:
        self.clock.now += seconds
        await round_of(self.upkeep)

    @property
    def anchors(self) -> set[str]:
        held, _ = self.store.read(partial(trust.show, name="mesh"))
        return {certificate.subject for certificate in held}

    @property
    def duty(self) -> Duty:
        [duty] = (duty for name, duty in recorded(self.store).items() if name.startswith("bundle "))
        return duty


@pytest.fixture
def mesh(shared_store: Store, clock: Clock, fetching: Fetch) -> Mesh:
    return Mesh(shared_store, clock, fetching)


@pytest.fixture
def quick(store: Store, clock: Clock, fetching: Fetch) -> Mesh:
    """The same on a store in memory."""
    return Mesh(store, clock, fetching)


def bundle(*anchors: Identity, **members: Any) -> bytes:
    body = json.dumps({"keys": [anchor.jwk(use="x509-svid") for anchor in anchors], **members}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.threat("R11")
async def test_a_bundle_is_fetched_by_its_hint_and_the_old_set_stays_while_its_source_is_away(
    mesh: Mesh, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.says(bundle(ONE, spiffe_refresh_hint=100, spiffe_sequence=1))
    mesh.fetch_from(server.url("/bundle"))
    await round_of(mesh.upkeep)
    assert mesh.anchors == {"CN=one"}
    begun = mesh.clock.now
    assert mesh.duty == Duty(f"bundle mesh {server.url('/bundle')}", begun, begun, None, begun + 100)
    server.says(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    await mesh.later(99)
    assert len(server.requests) == 1
    await mesh.later(1)
    assert mesh.anchors == {"CN=one"}
    assert (mesh.duty.last_success, "status 503" in (mesh.duty.failure or "")) == (begun, True)
    assert caplog.messages.count("duty failed") == 1
    server.says(bundle(TWO, spiffe_refresh_hint=100, spiffe_sequence=2))
    await mesh.later()
    assert (mesh.anchors, mesh.duty.failure) == ({"CN=two"}, None)


@pytest.mark.threat("R11")
@pytest.mark.parametrize(
    ("says", "told"),
    [
        (bundle(TWO, spiffe_sequence=4), "older than the one"),
        (bundle(), "holds no CA certificate"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n", "redirect"),
        (bundle(TWO)[:-9], "https://localhost"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "bytes"),
        (b"", "https://localhost"),
    ],
    ids=["older", "empty", "page", "list", "redirect", "half", "huge", "down"],
)
async def test_what_is_no_bundle_leaves_the_old_set(quick: Mesh, server: Server, says: bytes, told: str) -> None:
    server.says(bundle(ONE, spiffe_sequence=5))
    quick.fetch_from(server.url())
    await round_of(quick.upkeep)
    server.says(says)
    await quick.later(300)
    assert quick.anchors == {"CN=one"}
    assert quick.duty.failure
    assert told in quick.duty.failure


async def test_a_bundle_is_only_taken_from_a_server_that_proves_its_name(quick: Mesh, server: Server) -> None:
    server.says(bundle(ONE))
    quick.fetch_from(server.url(host="127.0.0.1"))
    await round_of(quick.upkeep)
    assert quick.anchors == set()
    assert "certificate is not trusted" in (quick.duty.failure or "")


@pytest.mark.parametrize(
    ("hint", "due_in"), [(1, LEAST_SECONDS), (60, 60), (86_400, MOST_SECONDS), (2**62, MOST_SECONDS), (None, 300)]
)
async def test_a_hint_holds_within_bounds(quick: Mesh, server: Server, hint: int | None, due_in: int) -> None:
    server.says(bundle(ONE, **({} if hint is None else {"spiffe_refresh_hint": hint})))
    quick.fetch_from(server.url())
    await round_of(quick.upkeep)
    assert quick.duty.next_run - quick.clock.now == due_in


async def test_another_url_is_asked_at_once(quick: Mesh, server: Server) -> None:
    server.says(bundle(ONE, spiffe_refresh_hint=3600, spiffe_sequence=9))
    quick.fetch_from(server.url("/one"))
    await round_of(quick.upkeep)
    server.says(bundle(TWO, spiffe_sequence=1))
    quick.fetch_from(server.url("/two"))
    await round_of(quick.upkeep)
    assert quick.anchors == {"CN=two"}
    assert quick.duty.name.endswith("/two")


async def test_an_answer_of_a_source_that_was_replaced_meanwhile_is_not_taken(quick: Mesh, server: Server) -> None:
    def say(connection: socket.socket) -> None:
        quick.fetch_from(server.url("/two"))
        connection.sendall(bundle(ONE))

    server.answer = say
    quick.fetch_from(server.url("/one"))
    await round_of(quick.upkeep)
    assert quick.anchors == set()
    server.says(bundle(TWO))
    await round_of(quick.upkeep)
    assert quick.anchors == {"CN=two"}
