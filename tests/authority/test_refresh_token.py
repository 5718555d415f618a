import asyncio
import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from tests.authority.house import House, furnish, orders
from tests.oauth.making import make

from certbound.oauth.access_token import TokenResponse
from certbound.oauth.errors import OAuthError
from certbound.store.engine import Store

MINE = make("CN=app")


async def test_a_public_client_gets_a_new_refresh_token_each_time(house: House) -> None:
    first = await house.log_in("app")
    second = await house.refresh("app", first.refresh_token, None)
    third = await house.refresh("app", second.refresh_token, None)
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3


async def test_using_a_refresh_token_twice_revokes_its_whole_family(house: House) -> None:
    first = await house.log_in("app")
    other_family = await house.log_in("app")
    second = await house.refresh("app", first.refresh_token, None)
    for dead in (first, second):
        error = await house.refusal(house.refresh("app", dead.refresh_token, None))
        assert error.error == "invalid_grant"
    assert (await house.refresh("app", other_family.refresh_token, None)).refresh_token


@pytest.mark.threat("34")
async def test_one_of_50_parallel_redemptions_succeeds(shared_store: Store) -> None:
    house = await furnish(shared_store)
    first = await house.log_in("app")
    outcomes = await asyncio.gather(
        *(house.refresh("app", first.refresh_token, None) for _ in range(50)), return_exceptions=True
    )
    won = [outcome for outcome in outcomes if isinstance(outcome, TokenResponse)]
    lost = [outcome for outcome in outcomes if isinstance(outcome, OAuthError)]
    assert len(won) == 1
    assert [error.error for error in lost] == ["invalid_grant"] * 49
    # What 49 others had too is in the wrong hands: the one that won is worth nothing either.
    assert (await house.refusal(house.refresh("app", won[0].refresh_token, None))).error == "invalid_grant"


@pytest.mark.threat("6")
@pytest.mark.parametrize("other", [make("CN=app"), None], ids=["another certificate", "no certificate"])
async def test_a_bound_refresh_token_is_good_with_its_certificate_only(house: House, other: object) -> None:
    house.client("phone", "none", bound=True)
    first = await house.log_in("phone", MINE)
    error = await house.refusal(house.refresh("phone", first.refresh_token, other))  # type: ignore[arg-type]
    assert error.error == ("invalid_grant" if other else "invalid_request")
    assert (await house.refresh("phone", first.refresh_token, MINE)).refresh_token


@pytest.mark.threat("30")
async def test_a_refresh_token_from_before_binding_was_switched_on_is_refused(house: House) -> None:
    first = await house.log_in("app", MINE)
    house.update("app", bound=True)
    await house.registered.refresh()
    assert (await house.refusal(house.refresh("app", first.refresh_token, MINE))).error == "invalid_grant"


async def test_a_bound_refresh_token_stays_bound_when_binding_is_switched_off(house: House) -> None:
    house.client("phone", "none", bound=True)
    first = await house.log_in("phone", MINE)
    house.update("phone", bound=False)
    await house.registered.refresh()
    error = await house.refusal(house.refresh("phone", first.refresh_token, make("CN=app")))
    assert error.error == "invalid_grant"


async def test_a_confidential_clients_refresh_token_survives_a_renewed_certificate_and_is_not_rotated(
    house: House,
) -> None:
    first = await house.log_in("orders", orders())
    renewed = orders()
    for _ in range(2):
        again = await house.refresh("orders", first.refresh_token, renewed)
        assert again.refresh_token is None


@pytest.mark.threat("31")
async def test_another_client_cannot_use_a_refresh_token_and_does_not_revoke_it(house: House) -> None:
    house.client("other", "none")
    first = await house.log_in("app")
    assert (await house.refusal(house.refresh("other", first.refresh_token, None))).error == "invalid_grant"
    assert (await house.refresh("app", first.refresh_token, None)).refresh_token


async def test_a_refresh_token_ends_with_its_lifetime(house: House) -> None:
    first = await house.log_in("app")
    house.now += 1000
    assert (await house.refusal(house.refresh("app", first.refresh_token, None))).error == "invalid_grant"


async def test_disabling_a_client_ends_its_refresh_tokens_before_the_worker_has_seen_it(house: House) -> None:
    first = await house.log_in("app")
    house.disable("app")
    assert (await house.refusal(house.refresh("app", first.refresh_token, None))).error == "invalid_grant"
    assert (await house.refusal(house.log_in("app"))).error == "invalid_grant"


async def test_a_refresh_narrows_the_scope_and_never_widens_it(house: House) -> None:
    first = await house.log_in("app", scope="read")
    error = await house.refusal(house.refresh("app", first.refresh_token, None, scope="read write"))
    assert error.error == "invalid_scope"
    assert (await house.refresh("app", first.refresh_token, None)).scopes == ("read",)


async def test_a_scope_taken_from_the_client_is_gone_from_its_refresh_tokens(house: House) -> None:
    first = await house.log_in("app")
    house.update("app", scopes=("write",))
    await house.registered.refresh()
    assert (await house.refresh("app", first.refresh_token, None)).scopes == ("write",)


def audience(answer: TokenResponse) -> Any:
    payload = answer.access_token.split(".")[1]
    return json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["aud"]


async def test_a_narrow_refresh_takes_nothing_from_the_next_one(house: House) -> None:
    house.client("wide", "none", resources=("https://one.example", "https://two.example"))
    await house.registered.refresh()
    first = await house.log_in("wide", resource=("https://one.example", "https://two.example"))
    narrow = await house.refresh("wide", first.refresh_token, None, scope="read", resource=("https://one.example",))
    assert narrow.scopes == ("read",)
    again = await house.refresh("wide", narrow.refresh_token, None)
    assert again.scopes == ("read", "write")
    assert [audience(answer) for answer in (narrow, again)] == [
        "https://one.example",
        ["https://one.example", "https://two.example"],
    ]


async def test_a_resource_taken_from_the_client_is_gone_from_its_refresh_tokens(house: House) -> None:
    house.client("wide", "none", resources=("https://one.example", "https://two.example"))
    await house.registered.refresh()
    first = await house.log_in("wide", resource=("https://one.example", "https://two.example"))
    house.update("wide", resources=("https://two.example",))
    await house.registered.refresh()
    second = await house.refresh("wide", first.refresh_token, None)
    assert audience(second) == "https://two.example"
    house.update("wide", resources=())
    await house.registered.refresh()
    error = await house.refusal(house.refresh("wide", second.refresh_token, None))
    assert error.error == "invalid_target"


async def test_a_token_that_cannot_be_signed_costs_no_refresh_token(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await house.log_in("app")

    def failing(*_: object, **__: object) -> str:
        raise RuntimeError("no signature")

    monkeypatch.setattr("certbound.authority.tokens.issuing.sign", failing)
    with pytest.raises(RuntimeError, match="no signature"):
        await house.refresh("app", first.refresh_token, None)
    monkeypatch.undo()
    assert (await house.refresh("app", first.refresh_token, None)).refresh_token
