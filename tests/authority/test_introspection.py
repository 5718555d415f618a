from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.authority.house import API, ISSUER, ROOT, House, orders
from tests.oauth.making import dns, make

from certbound.authority import blocks
from certbound.authority.tokens.authenticating import ClientRequest
from certbound.oauth.binding import certificate_thumbprint
from certbound.oauth.form import parse_form
from certbound.oauth.introspection import INACTIVE
from certbound.store import people

pytestmark = pytest.mark.req("7662-02")
MINE: dict[str, Any] = {"grant_type": "client_credentials", "client_id": "orders"}
HOLDER = orders()
BILLING = make(issuer=ROOT, san=[dns("billing.example.com")])


async def introspect(house: House, token: str, *, by: str = "orders", shown: Any = HOLDER, **form: str) -> Any:
    body = urlencode({"client_id": by, "token": token, **form}).encode()
    request = ClientRequest(
        parse_form(body, "application/x-www-form-urlencoded"),
        None,
        shown.presented() if shown is not None else None,
        "192.0.2.1",
    )
    return await house.answers.introspection(request)


@pytest.mark.req("7662-04", "8705-29")
async def test_a_client_is_told_of_the_tokens_issued_to_it_and_of_their_binding(house: House) -> None:
    token = (await house.ask(HOLDER, scope="read", **MINE)).access_token
    answer = await introspect(house, token)
    assert answer == {
        "active": True,
        "iss": ISSUER,
        "sub": "orders",
        "aud": API,
        "client_id": "orders",
        "iat": house.now,
        "exp": house.now + 300,
        "jti": answer["jti"],
        "scope": "read",
        "token_type": "Bearer",
        "cnf": {"x5t#S256": certificate_thumbprint(HOLDER.der)},
    }


@pytest.mark.req("7662-04", "7662-05", "7662-07")
@pytest.mark.threat("39")
async def test_nobody_else_is_told_anything(house: House) -> None:
    house.client("billing", "tls_client_auth", subject={"tls_client_auth_san_dns": "billing.example.com"})
    token = (await house.ask(HOLDER, **MINE)).access_token
    assert await introspect(house, token, by="billing", shown=BILLING) == INACTIVE == {"active": False}


async def test_the_api_that_the_audience_names_is_told(house: House) -> None:
    house.client(API, "tls_client_auth", subject={"tls_client_auth_san_dns": "billing.example.com"})
    token = (await house.ask(HOLDER, **MINE)).access_token
    assert (await introspect(house, token, by=API, shown=BILLING))["client_id"] == "orders"


@pytest.mark.req("7662-06")
@pytest.mark.parametrize("token", ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
async def test_a_token_that_is_none_is_no_error(house: House, token: str) -> None:
    assert await introspect(house, token) == INACTIVE


@pytest.mark.req("7662-02", "7662-06")
async def test_a_caller_that_does_not_prove_itself_gets_an_error(house: House) -> None:
    token = (await house.ask(HOLDER, **MINE)).access_token
    assert (await house.refusal(introspect(house, token, shown=None))).error == "invalid_client"
    house.client("phone", "none", bound=False)
    assert (await house.refusal(introspect(house, token, by="phone", shown=None))).error == "invalid_client"


@pytest.mark.req("7662-03")
@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "nonsense"])
async def test_a_wrong_hint_hides_nothing(house: House, hint: str) -> None:
    answer = await house.log_in("orders", HOLDER)
    for token in (answer.access_token, answer.refresh_token or ""):
        assert (await introspect(house, token, token_type_hint=hint))["active"] is True


async def test_a_persons_token_names_the_person(house: House) -> None:
    answer = await house.log_in("orders", HOLDER)
    told = await introspect(house, answer.access_token)
    assert told["username"] == "ada"
    refresh = await introspect(house, answer.refresh_token or "")
    assert (refresh["username"], refresh["sub"]) == ("ada", told["sub"])
    assert "token_type" not in refresh


@pytest.mark.req("7662-07")
async def test_what_was_stopped_counts_at_once_and_without_any_worker_having_looked(house: House) -> None:
    answer = await house.log_in("orders", HOLDER)
    house.store.write(partial(people.set_disabled, username="ada", disabled=True))
    for token in (answer.access_token, answer.refresh_token or ""):
        assert await introspect(house, token) == INACTIVE
    house.store.write(partial(people.set_disabled, username="ada", disabled=False))
    assert (await introspect(house, answer.access_token))["active"] is True
    house.client(API, "tls_client_auth", subject={"tls_client_auth_san_dns": "billing.example.com"})
    assert (await introspect(house, answer.access_token, by=API, shown=BILLING))["active"] is True
    key = HOLDER.certificate.spki_sha256.hex()
    house.store.write(partial(blocks.block, kind="public_key", sha256=key, reason="", **house.by))
    assert await introspect(house, answer.access_token, by=API, shown=BILLING) == INACTIVE


@pytest.mark.req("7662-07")
async def test_a_token_of_the_past_is_not_active(house: House) -> None:
    token = (await house.ask(HOLDER, **MINE)).access_token
    house.now += 300
    assert await introspect(house, token) == INACTIVE
