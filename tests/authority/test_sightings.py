"""Which certificates clients really use, as the token path learns it."""

from functools import partial
from typing import Any

import pytest
from tests.authority.house import ROOT, House, orders
from tests.oauth.making import Identity, dns, make

from certbound.authority import clients, sightings
from certbound.authority.sightings import RECORD_SECONDS, Sightings
from certbound.store import certificates
from certbound.store import sightings as stored_sightings
from certbound.store.engine import Store, StoreUnavailable
from certbound.store.sightings import Sighting

CREDENTIALS: dict[str, Any] = {"grant_type": "client_credentials", "client_id": "orders"}


def noted(house: House) -> Sightings:
    return house.sightings


def seen(house: House, client_id: str = "orders") -> list[Sighting]:
    return list(house.store.read(partial(stored_sightings.of_client, client_id=client_id)))


async def use(house: House, identity: Identity, after: int = 0, **form: Any) -> None:
    house.now += after
    await house.ask(identity, **CREDENTIALS | form)
    await noted(house).flush()


async def test_the_certificate_of_a_pki_client_is_learned_from_its_connection(house: House) -> None:
    mine = orders()
    await use(house, mine)
    certificate = mine.certificate
    expected = Sighting(
        client_id="orders",
        sha256=certificate.sha256.hex(),
        subject="CN=orders",
        spki_sha256=certificate.spki_sha256.hex(),
        not_before=int(certificate.not_before.timestamp()),
        not_after=int(certificate.not_after.timestamp()),
        first_seen=house.now,
        last_seen=house.now,
    )
    assert seen(house) == [expected]


async def test_a_registered_certificate_has_when_it_was_seen_first_and_last(house: House) -> None:
    mine = make("CN=probe")
    house.client("probe", "self_signed_tls_client_auth", certificates=(mine.certificate,))
    await house.registered.refresh()
    begun = house.now
    await use(house, mine, client_id="probe")
    await use(house, mine, after=RECORD_SECONDS, client_id="probe")
    [registered] = house.store.read(partial(certificates.of_client, client_id="probe"))
    assert (registered.first_seen, registered.last_seen) == (begun, begun + RECORD_SECONDS)


async def test_old_and_new_overlap_while_a_certificate_is_renewed(house: House) -> None:
    old, new = orders(), orders()
    begun = house.now
    for identity, after in ((old, 0), (new, 100), (old, 100), (new, 100)):
        await use(house, identity, after)
    found = {one.sha256: (one.first_seen - begun, one.last_seen - begun) for one in seen(house)}
    assert found == {old.certificate.sha256.hex(): (0, 200), new.certificate.sha256.hex(): (100, 300)}
    in_use = house.store.read(partial(stored_sightings.latest_by_client, client_ids=["orders"]))
    assert in_use["orders"].sha256 == new.certificate.sha256.hex()


async def test_who_is_refused_or_shows_a_certificate_for_nothing_is_not_noted(house: House) -> None:
    await house.refusal(house.ask(make("CN=stranger"), **CREDENTIALS))
    await house.refusal(house.ask(orders(), **CREDENTIALS | {"client_id": "nobody"}))
    await house.log_in("app", make("CN=app"))
    assert not noted(house)._waiting


async def test_a_use_is_written_once_a_minute_and_again_after_the_clock_was_put_back(house: House) -> None:
    mine = orders()
    for after, written in ((0, True), (RECORD_SECONDS - 1, False), (1, True), (-1000, True), (1, False)):
        house.now += after
        await house.ask(mine, **CREDENTIALS)
        assert bool(noted(house)._waiting) == written
        await noted(house).flush()
    assert seen(house)[0].first_seen == house.now - 1


async def test_a_token_by_a_known_certificate_costs_no_call_to_the_database(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = orders()
    await house.ask(mine, **CREDENTIALS)

    def call(*_: object) -> None:
        raise AssertionError("the database was asked")

    for name in ("read", "write", "reading", "writing"):
        monkeypatch.setattr(Store, name, call)
    for _ in range(3):
        house.now += RECORD_SECONDS
        assert (await house.ask(mine, **CREDENTIALS)).access_token
    assert len(noted(house)._waiting) == 1


async def test_what_could_not_be_written_is_noted_with_the_next_use(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(_store: Store, _work: object) -> None:
        raise failures.pop()

    failures: list[Exception] = [StoreUnavailable("away"), ZeroDivisionError()]
    mine = orders()
    with monkeypatch.context() as patched:
        patched.setattr(Store, "writing", failing)
        for _ in range(2):
            await use(house, mine, after=1)
    assert seen(house) == []
    assert caplog.messages == ["sightings cannot be written"] * 2
    await use(house, mine, after=1)
    assert len(seen(house)) == 1


async def test_many_at_once_are_written_in_batches(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sightings, "BATCH", 2)
    for _ in range(3):
        await house.ask(make("CN=orders", issuer=ROOT, san=[dns("orders.example.com")]), **CREDENTIALS)
    counts = []
    for _ in range(3):
        await noted(house).flush()
        counts.append(len(seen(house)))
    assert counts == [2, 3, 3]


async def test_a_client_that_was_deleted_meanwhile_fails_nobody(house: House) -> None:
    house.client("other", "tls_client_auth")
    await house.registered.refresh()
    mine = orders()
    for client_id in ("orders", "other"):
        await house.ask(mine, **CREDENTIALS | {"client_id": client_id})
    house.store.write(partial(clients.delete, client_id="other", **house.by))
    await noted(house).flush()
    assert (len(seen(house)), seen(house, "other")) == (1, [])
