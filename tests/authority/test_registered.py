import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from tests.authority.house import ROOT, House, orders
from tests.oauth.making import DAY, NOW, dns, make

from certbound.authority import keys, registered
from certbound.jose.keys import generate_signing_key
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.oauth.errors import OAuthError
from certbound.store import keys as stored_keys
from certbound.store.engine import Store, StoreUnavailable

CREDENTIALS: dict[str, Any] = {"grant_type": "client_credentials", "client_id": "orders"}


async def test_a_remembered_decision_does_not_outlive_its_certificate(house: House) -> None:
    short = orders(not_after=NOW + timedelta(hours=1))
    credentials = Credentials("orders", ShownMethod.NOTHING, short.presented())
    first = await house.registered.decide(credentials, NOW)
    assert await house.registered.decide(credentials, NOW + timedelta(minutes=59)) is first
    late = await house.registered.decide(credentials, NOW + timedelta(hours=1, seconds=1))
    assert (late.client, {check.check for check in late.failed} != set()) == (None, True)


async def test_a_remembered_decision_does_not_outlive_its_authority(house: House) -> None:
    long = orders(not_after=NOW + 30 * DAY)
    credentials = Credentials("orders", ShownMethod.NOTHING, long.presented())
    assert (await house.registered.decide(credentials, NOW)).client is not None
    assert (await house.registered.decide(credentials, NOW + 2 * DAY)).client is None


async def test_a_change_is_seen_after_the_next_refresh(house: House) -> None:
    credentials = Credentials("orders", ShownMethod.NOTHING, orders().presented())
    assert (await house.registered.decide(credentials, NOW)).client is not None
    house.disable("orders")
    await house.registered.refresh()
    assert [c.check for c in (await house.registered.decide(credentials, NOW)).failed] == ["client_enabled"]


async def test_a_new_client_is_seen_after_the_next_refresh_though_it_was_unknown(house: House) -> None:
    credentials = Credentials("late", ShownMethod.NOTHING, None)
    assert (await house.registered.decide(credentials, NOW)).client is None
    house.client("late", "none")
    await house.registered.refresh()
    assert (await house.registered.decide(credentials, NOW)).client is not None


async def test_a_worker_that_cannot_confirm_what_it_knows_stops_answering(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.registered, "_confirmed_at", house.registered._confirmed_at - 31)
    assert not house.registered.is_current
    assert (await house.refusal(house.ask(orders(), **CREDENTIALS))).error == "temporarily_unavailable"
    await house.registered.refresh()
    assert (await house.ask(orders(), **CREDENTIALS)).access_token


async def test_unknown_clients_fill_bounded_memory(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "MAX_UNKNOWN", 10)
    for number in range(30):
        credentials = Credentials(f"nobody-{number}", ShownMethod.NOTHING, None)
        await house.registered.decide(credentials, datetime.now(UTC))
    assert len(house.registered._snapshot.unknown) == 10
    assert not house.registered._snapshot.clients


async def test_rotating_signs_with_the_new_key_and_publishes_both(house: House) -> None:
    before = house.registered.signing_key.kid
    house.rotate()
    assert house.registered.signing_key.kid == before
    await house.registered.refresh()
    after = house.registered.signing_key.kid
    assert after != before
    assert [key["kid"] for key in house.registered.public_jwks] == [after, before]
    assert not any("d" in key for key in house.registered.public_jwks)


async def test_the_wrong_master_key_opens_nothing(house: House) -> None:
    with pytest.raises(keys.MasterKeyError):
        house.store.read(partial(keys.load_ring, master_key=bytes(32)))


async def test_what_was_read_before_a_change_is_not_kept_after_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision under way while the revision moves on must not bring its old registration into the new knowledge."""
    credentials = Credentials("orders", ShownMethod.NOTHING, orders().presented())
    reading = house.store.reading

    async def slow(work: Any) -> Any:
        found = await reading(work)
        if "client_id" in work.keywords:
            monkeypatch.undo()
            house.disable("orders")
            await house.registered.refresh()
        return found

    monkeypatch.setattr(house.store, "reading", slow)
    await house.registered.decide(credentials, NOW)
    assert (await house.registered.decide(credentials, NOW)).client is None


async def test_what_a_client_sends_along_does_not_fill_the_memory(house: House) -> None:
    padded = make(issuer=ROOT, san=[dns(f"name-{number}.{'x' * 40}.example.com") for number in range(400)], ca=True)
    for others in ((), (padded,)):
        credentials = Credentials("orders", ShownMethod.NOTHING, orders().presented(*others))
        assert (await house.registered.decide(credentials, NOW)).client is not None
    assert len(padded.der) > registered.MAX_REMEMBERED_CHAIN
    assert len(house.registered._snapshot._decisions) == 1


async def test_remembered_certificates_are_bounded_in_bytes_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    chains = [orders().presented(make(f"CN=padding {number}", ca=True)) for number in range(6)]
    sizes = [len(chain.leaf) + len(chain.intermediates[0]) for chain in chains]
    monkeypatch.setattr(registered, "MAX_REMEMBERED_BYTES", sum(sizes[-3:]))
    for chain in (*chains, chains[-1]):
        assert (
            await house.registered.decide(Credentials("orders", ShownMethod.NOTHING, chain), NOW)
        ).client is not None
    snapshot = house.registered._snapshot
    assert [credentials.presented for credentials in snapshot._decisions] == chains[-3:]
    # What is decided anew takes the place of what it was before.
    for credentials, decided in list(snapshot._decisions.items()):
        snapshot.remember(credentials, decided)
    assert (snapshot._size, len(snapshot._decisions)) == (sum(sizes[-3:]), 3)


async def test_decisions_and_clients_fill_bounded_memory(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "MAX_DECISIONS", 3)
    monkeypatch.setattr(registered, "MAX_CLIENTS", 3)
    for number in range(6):
        house.client(f"client-{number}", "tls_client_auth")
        await house.registered.refresh()
    for number in range(6):
        credentials = Credentials(f"client-{number}", ShownMethod.NOTHING, orders().presented())
        assert (await house.registered.decide(credentials, NOW)).client is not None
    assert len(house.registered._snapshot._decisions) == 3
    assert list(house.registered._snapshot.clients) == ["client-3", "client-4", "client-5"]


async def test_secrets_are_never_remembered_and_refusals_are_decided_anew(house: House) -> None:
    secret = house.client("s", "client_secret_post", bound=False)
    await house.registered.refresh()
    shown = [
        Credentials("s", ShownMethod.SECRET_POST, orders().presented(), secret),
        Credentials("s", ShownMethod.SECRET_POST, None, "wrong"),
        Credentials("orders", ShownMethod.NOTHING, make("CN=stranger").presented()),
    ]
    for credentials in shown:
        await house.registered.decide(credentials, NOW)
    assert not house.registered._snapshot._decisions


@pytest.mark.parametrize("failure", [StoreUnavailable("away"), keys.MasterKeyError("another"), KeyError("whatever")])
async def test_the_revision_is_polled_whatever_happens(
    house: House, monkeypatch: pytest.MonkeyPatch, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(registered, "POLL_SECONDS", 0.001)
    reading = house.store.reading
    failures = iter([failure, failure])
    confirmed = asyncio.Event()

    async def failing(work: Any) -> Any:
        for error in failures:
            raise error
        confirmed.set()
        return await reading(work)

    monkeypatch.setattr(house.store, "reading", failing)
    polling = asyncio.create_task(house.registered.keep_current())
    try:
        async with asyncio.timeout(10):
            await confirmed.wait()
        assert not polling.done()
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 2


async def test_a_server_without_a_signing_key_issues_nothing(store: Store) -> None:
    house = House(store)
    house.client("s", "client_secret_post", bound=False)
    await house.registered.refresh()
    assert house.registered.public_jwks == ()
    with pytest.raises(OAuthError, match="no signing key is available"):
        _ = house.registered.signing_key
    with pytest.raises(keys.SigningKeyError, match="no key x in use"):
        store.write(partial(keys.retire, kid="x", **house.by))


async def test_of_two_keys_made_in_one_second_the_second_signs(house: House) -> None:
    for _ in range(3):
        house.rotate()
    house.now += 3
    made = house.store.read(stored_keys.load_all)
    await house.registered.refresh()
    assert house.registered.signing_key.kid == made[-1].kid
    assert len({key.created_at for key in made}) == 4


def test_no_kid_is_taken_for_an_option_by_a_command_line(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    good = generate_signing_key()
    made = [replace(generate_signing_key(), kid="-option"), good]
    monkeypatch.setattr(keys, "generate_signing_key", lambda _: made.pop(0))
    house.rotate()
    assert house.store.read(stored_keys.load_all)[-1].kid == good.kid
