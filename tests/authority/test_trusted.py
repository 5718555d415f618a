"""What trust stores vouch for: read once, shared, and in force in every worker soon after a change."""

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from tests.authority.assembling import new_registered
from tests.authority.house import ROOT, House, furnish, orders
from tests.oauth.making import NOW, Identity, authority, dns, make
from tests.oauth.revoking import crl_der

from certbound.authority import clients, revocation_lists, trust, trust_policies, trusted
from certbound.authority.registered import POLL_SECONDS, Registered
from certbound.certificates.crl import read_crl
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.oauth.trust import TrustStore
from certbound.store.engine import Store

LEAF = orders()
ON_TIME = 2.0
"""Seconds in which a change is in force in every worker."""


def publish(house: House, *revoked: Identity, number: int) -> str:
    """Add a CRL of ROOT to the store `partners`, and give its id."""
    read = revocation_lists.read(crl_der(ROOT, *revoked, number=number), [ROOT.certificate], now=house.now)
    return house.store.write(partial(revocation_lists.add, name="partners", verified=read, **house.by)).sha256


async def failed(worker: Registered, identity: Identity = LEAF, client_id: str = "orders") -> list[str]:
    decision = await worker.decide(Credentials(client_id, ShownMethod.NOTHING, identity.presented()), NOW)
    return [check.check for check in decision.failed]


@asynccontextmanager
async def polling(*workers: Registered) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(worker.keep_current()) for worker in workers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_lists_that_come_and_go_are_in_force_in_every_worker_soon(shared_store: Store) -> None:
    house = await furnish(shared_store)
    workers = [house.registered, new_registered(shared_store, house.master_key, house.policy.methods)]
    await workers[1].refresh()
    assert [await failed(worker) for worker in workers] == [[], []]
    async with polling(*workers):
        for wanted, change in (
            (["revocation"], partial(publish, house, LEAF, number=1)),
            ([], partial(publish, house, number=2)),
            (["revocation"], partial(remove, house)),
        ):
            await asyncio.to_thread(change)
            began = time.monotonic()
            async with asyncio.timeout(20):
                while [await failed(worker) for worker in workers] != [wanted, wanted]:
                    await asyncio.sleep(0.02)
            assert time.monotonic() - began < 5 * ON_TIME
    assert POLL_SECONDS < ON_TIME


def remove(house: House) -> None:
    for listed in house.store.read(partial(revocation_lists.listed, name="partners")):
        house.store.write(partial(revocation_lists.remove, name="partners", sha256=listed.sha256, **house.by))


async def test_a_trust_store_is_read_once_for_all_its_clients_and_anew_after_a_change(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def load_trust(connection: Any, names: Any) -> tuple[TrustStore, ...]:
        read.extend(names)
        return trusted.load_trust(connection, names)

    monkeypatch.setattr(clients, "load_trust", load_trust)
    house.trust("others", authority("CN=Other"))
    for name, stores in (("a", ("partners",)), ("b", ("others", "partners")), ("c", ("partners", "others"))):
        house.client(name, "tls_client_auth", trust=stores)
    await house.registered.refresh()
    for name in ("orders", "a", "b", "c"):
        assert await failed(house.registered, client_id=name) == []
    assert read == ["partners", "others"]
    known = house.registered._snapshot.clients
    assert len({id(store) for registered in known.values() for store in registered.trust}) == 2
    assert [store.name for store in known["b"].trust] == ["others", "partners"]
    house.rotate()
    await house.registered.refresh()
    assert await failed(house.registered) == []
    assert read == ["partners", "others", "partners"]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The lists that are read, as nothing is remembered at first."""
    read: list[bytes] = []

    def reading(der: bytes, issuers: Any) -> Any:
        read.append(der)
        time.sleep(0.02)
        return read_crl(der, issuers)

    monkeypatch.setattr(trusted, "read_crl", reading)
    monkeypatch.setattr(trusted, "_crls", type(trusted._crls)())
    return read


async def test_a_list_stays_read_from_one_revision_to_the_next(house: House, reads: list[bytes]) -> None:
    publish(house, LEAF, number=1)
    for _ in range(3):
        house.rotate()
        await house.registered.refresh()
        assert await failed(house.registered) == ["revocation"]
    assert len(reads) == 1
    publish(house, number=2)
    await house.registered.refresh()
    assert await failed(house.registered) == []
    assert len(reads) == 2


def test_a_list_that_many_need_at_once_is_read_once(shared_store: Store, reads: list[bytes]) -> None:
    house = House(shared_store)
    house.trust("partners", ROOT)
    publish(house, LEAF, number=1)
    with ThreadPoolExecutor(4) as threads:
        work = partial(shared_store.read, partial(trusted.load_trust, names=["partners"]))
        stores = [future.result(30) for future in [threads.submit(work) for _ in range(8)]]
    assert len({id(store.crls[0]) for [store] in stores}) == 1
    assert len(reads) == 1


async def test_a_list_is_held_against_the_authorities_as_they_are_now(
    house: House, reads: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    publish(house, LEAF, number=1)
    house.trust("partners", authority("CN=Second"))
    root = ROOT.certificate.sha256.hex()
    change = partial(trust.set_disabled, name="partners", certificate_id=root, **house.by)
    house.store.write(partial(change, disabled=True))
    [store] = house.store.read(partial(trusted.load_trust, names=["partners"]))
    assert store.crls == ()
    assert "revocation list not used" in caplog.text
    house.store.write(partial(change, disabled=False))
    [store] = house.store.read(partial(trusted.load_trust, names=["partners"]))
    assert len(store.crls) == 1


def test_what_stays_read_is_bounded(house: House, reads: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trusted, "MAX_CRLS", 2)
    roots = [authority(f"CN=Root {number}") for number in range(4)]
    house.trust("many", *roots)
    for root in roots:
        read = revocation_lists.read(crl_der(root), [root.certificate], now=house.now)
        house.store.write(partial(revocation_lists.add, name="many", verified=read, **house.by))
    [store] = house.store.read(partial(trusted.load_trust, names=["many"]))
    assert (len(store.crls), len(trusted._crls)) == (4, 2)


async def test_lists_are_left_alone_where_a_store_does_not_ask_for_them(house: House, reads: list[bytes]) -> None:
    publish(house, LEAF, number=1)
    for mode in ("off", "ocsp"):
        changes = trust_policies.PolicyChanges(revocation=mode)
        house.store.write(partial(trust_policies.update, name="partners", changes=changes, **house.by))
        [store] = house.store.read(partial(trusted.load_trust, names=["partners"]))
        assert (store.crls, store.revocation.mode) == ((), mode)
    assert reads == []


async def test_what_is_disabled_vouches_for_nobody_also_where_a_client_presents_it(house: House) -> None:
    middle = authority("CN=Middle", issuer=ROOT)
    below = make(issuer=middle, san=[dns("orders.example.com")])
    shown = Credentials("orders", ShownMethod.NOTHING, below.presented(middle))
    add = partial(trust.add, name="partners", certificates=[middle.certificate], intermediate=True)
    house.store.write(partial(add, **house.by))
    change = partial(trust.set_disabled, name="partners", certificate_id=middle.certificate.sha256.hex())
    for disabled in (False, True, False):
        house.store.write(partial(change, disabled=disabled, **house.by))
        await house.registered.refresh()
        decision = await house.registered.decide(shown, NOW)
        assert [check.check for check in decision.failed] == (["chain"] if disabled else [])


async def test_a_disabled_authority_that_took_a_new_certificate_vouches_by_that(house: House) -> None:
    old = authority("CN=Middle", issuer=ROOT)
    new = authority("CN=Middle", issuer=ROOT, key=old.key)
    below = make(issuer=old, san=[dns("orders.example.com")])
    add = partial(trust.add, name="partners", intermediate=True)
    house.store.write(partial(add, certificates=[old.certificate], **house.by))
    change = partial(trust.set_disabled, name="partners", certificate_id=old.certificate.sha256.hex(), disabled=True)
    house.store.write(partial(change, **house.by))
    for held, is_good in ((False, False), (True, True)):
        if held:
            house.store.write(partial(add, certificates=[new.certificate], **house.by))
        await house.registered.refresh()
        shown = Credentials("orders", ShownMethod.NOTHING, below.presented(new))
        assert ((await house.registered.decide(shown, NOW)).client is not None) is is_good


def test_stores_come_in_the_order_asked_for_with_all_that_is_set(house: House) -> None:
    house.trust("a", authority("CN=A"))
    changes = trust_policies.PolicyChanges(
        revocation="crl+ocsp",
        on_unavailable="accept",
        grace_seconds=60,
        extended_key_usage="require",
        ocsp_url="http://ocsp.example/",
    )
    house.store.write(partial(trust_policies.update, name="a", changes=changes, **house.by))
    partners, a = house.store.read(partial(trusted.load_trust, names=["partners", "gone", "a"]))
    assert (partners.name, a.name) == ("partners", "a")
    assert partners == TrustStore("partners", (ROOT.certificate,))
    assert (a.extended_key_usage, a.ocsp_url, a.trust_domain) == ("require", "http://ocsp.example/", None)
    assert (a.revocation.mode, a.revocation.on_unavailable, a.revocation.grace_seconds) == ("crl+ocsp", "accept", 60)
