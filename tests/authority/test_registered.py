from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from tests.authority.house import House, orders
from tests.oauth.making import DAY, NOW

from certbound.authority import keys, registered
from certbound.oauth.credentials import Credentials, ShownMethod

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


async def test_a_retired_key_is_published_no_more_and_the_one_that_signs_cannot_retire(house: House) -> None:
    before = house.registered.signing_key.kid
    with pytest.raises(keys.SigningKeyError, match="rotate"):
        house.store.write(partial(keys.retire, kid=before, **house.by))
    house.rotate()
    house.store.write(partial(keys.retire, kid=before, **house.by))
    await house.registered.refresh()
    assert before not in {key["kid"] for key in house.registered.public_jwks}


async def test_the_wrong_master_key_opens_nothing(house: House) -> None:
    with pytest.raises(keys.MasterKeyError):
        house.store.read(partial(keys.load_ring, master_key=bytes(32)))
