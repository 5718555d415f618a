import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.authority.house import ROOT, House, furnish
from tests.oauth.making import dns, make

from certbound.authority.tokens.authenticating import ClientRequest
from certbound.oauth.form import parse_form
from certbound.oauth.introspection import INACTIVE
from certbound.store import audit, tokens
from certbound.store.engine import Store, StoreUnavailable

from .test_introspection import HOLDER, MINE, introspect

BILLING = make(issuer=ROOT, san=[dns("billing.example.com")])


async def revoke(house: House, token: str | None, *, by: str = "orders", shown: Any = HOLDER) -> Any:
    body = urlencode({"client_id": by, "token": token or ""}).encode()
    presented = shown.presented() if shown is not None else None
    form = parse_form(body, "application/x-www-form-urlencoded")
    return await house.answers.revocation(ClientRequest(form, None, presented, "192.0.2.1"))


async def test_a_revoked_access_token_is_not_active_and_apis_are_told(house: House) -> None:
    token = (await house.ask(HOLDER, **MINE)).access_token
    jti = (await introspect(house, token))["jti"]
    assert await revoke(house, token) == {}
    assert await introspect(house, token) == INACTIVE
    assert jti not in house.registered.blocked.tokens
    await house.registered.refresh()
    assert jti in house.registered.blocked.tokens
    rows = house.store.read(lambda connection: audit.page(connection, after=0, limit=100))
    assert rows[-1].action == "token.revoked"


async def test_revoking_forgets_no_decision_of_a_worker(house: House) -> None:
    token = (await house.ask(HOLDER, **MINE)).access_token
    snapshot = house.registered._snapshot
    await revoke(house, token)
    await house.registered.refresh()
    assert house.registered._snapshot is snapshot


async def test_with_a_refresh_token_goes_all_that_came_from_its_grant(house: House) -> None:
    first = await house.log_in("orders", HOLDER)
    other = await house.log_in("orders", HOLDER)
    await revoke(house, first.refresh_token)
    for token in (first.refresh_token, first.access_token):
        assert await introspect(house, token or "") == INACTIVE
    for token in (other.refresh_token, other.access_token):
        assert (await introspect(house, token or ""))["active"] is True


async def test_nobody_revokes_the_token_of_another(house: House) -> None:
    house.client("billing", "tls_client_auth", subject={"tls_client_auth_san_dns": "billing.example.com"})
    answer = await house.log_in("orders", HOLDER)
    for token in (answer.access_token, answer.refresh_token):
        refusal = await house.refusal(revoke(house, token, by="billing", shown=BILLING))
        assert refusal.error == "invalid_grant"
        assert (await introspect(house, token or ""))["active"] is True


async def test_what_is_no_token_any_more_is_no_error(house: House) -> None:
    answer = await house.log_in("orders", HOLDER)
    assert await revoke(house, "nonsense") == {}
    assert await revoke(house, answer.access_token) == await revoke(house, answer.access_token) == {}
    assert await revoke(house, answer.refresh_token) == await revoke(house, answer.refresh_token) == {}


async def test_a_public_client_gives_its_own_tokens_up(house: House) -> None:
    house.client("phone", "none", bound=False)
    answer = await house.log_in("phone")
    assert await revoke(house, answer.refresh_token, by="phone", shown=None) == {}
    assert (await house.refusal(house.refresh("phone", answer.refresh_token, None))).error == "invalid_grant"


async def test_a_caller_that_does_not_prove_itself_revokes_nothing(house: House) -> None:
    token = (await house.ask(HOLDER, **MINE)).access_token
    assert (await house.refusal(revoke(house, token, shown=None))).error == "invalid_client"
    assert (await introspect(house, token))["active"] is True


@pytest.mark.threat("38")
async def test_where_the_database_is_down_nothing_is_said_to_be_revoked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = (await house.ask(HOLDER, **MINE)).access_token

    async def down(_work: Any) -> Any:
        raise StoreUnavailable("down")

    with monkeypatch.context() as patched:
        patched.setattr(house.store, "writing", down)
        with pytest.raises(StoreUnavailable):
            await revoke(house, token)
    assert (await introspect(house, token))["active"] is True


@pytest.mark.threat("34")
async def test_a_replayed_refresh_token_takes_the_access_tokens_of_its_grant_with_it(shared_store: Store) -> None:
    house = await furnish(shared_store)
    house.client("phone", "none", bound=False)
    first = await house.log_in("phone")
    second = await house.refresh("phone", first.refresh_token, None)
    assert (await house.refusal(house.refresh("phone", first.refresh_token, None))).error == "invalid_grant"
    jtis = {
        row.jti for row in shared_store.read(lambda connection: tokens.issued_to_client(connection, "phone", limit=10))
    }
    await house.registered.refresh()
    assert jtis <= house.registered.blocked.tokens
    assert second.refresh_token is not None


async def test_grants_revoked_many_times_at_once_are_revoked(shared_store: Store) -> None:
    house = await furnish(shared_store)
    answers = [await house.log_in("orders", HOLDER) for _ in range(3)]
    await asyncio.gather(*(revoke(house, answer.refresh_token) for answer in answers for _ in range(5)))
    for answer in answers:
        assert await introspect(house, answer.refresh_token or "") == INACTIVE
