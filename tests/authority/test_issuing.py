from functools import partial
from threading import BoundedSemaphore
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.authority.house import API, PASSWORD, House, furnish, orders
from tests.oauth.making import make

from certbound.authority import people
from certbound.store.engine import Store

CREDENTIALS: dict[str, Any] = {"grant_type": "client_credentials", "client_id": "orders"}
WRONG: dict[str, Any] = {"username": "ada", "password": "not the password"}


@pytest.mark.parametrize(
    ("username", "password"),
    [("ada", "not the password"), ("nobody", PASSWORD), ("root", PASSWORD), ("gone", PASSWORD)],
    ids=["wrong password", "unknown", "operator", "disabled"],
)
async def test_everyone_else_than_an_enabled_resource_owner_gets_the_same_answer(
    house: House, username: str, password: str
) -> None:
    house.person("root", operator=True)
    house.person("gone")
    house.store.write(partial(people.disable, username="gone", disabled=True, **house.by))
    error = await house.refusal(house.log_in("app", username=username, password=password))
    assert (error.error, error.description) == ("invalid_grant", "user name or password is wrong")


async def test_the_password_grant_is_off_unless_the_server_switches_it_on(store: Store) -> None:
    house = await furnish(store, password_grant=False)
    assert (await house.refusal(house.log_in("app"))).error == "unsupported_grant_type"


async def test_the_password_grant_is_off_for_a_client_not_registered_for_it(house: House) -> None:
    house.client("plain", "tls_client_auth")
    assert (await house.refusal(house.log_in("plain", orders()))).error == "unauthorized_client"


async def test_an_unknown_user_costs_the_same_hashing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []

    class Recording:
        hash = staticmethod(people._hasher.hash)

        def verify(self, stored: str, password: str) -> bool:
            verified.append(stored)
            return False

    monkeypatch.setattr(people, "_hasher", Recording())
    for username in ("ada", "nobody"):
        await house.refusal(house.log_in("app", username=username))
    known, unknown = verified
    assert known != unknown
    assert known.rsplit("$", 2)[0] == unknown.rsplit("$", 2)[0]  # algorithm, version, memory, time and lanes


async def test_passwords_beyond_what_is_taken_on_are_turned_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    full = BoundedSemaphore(1)
    full.acquire()
    monkeypatch.setattr(people, "_PLACES", full)
    assert (await house.refusal(house.log_in("app", **WRONG))).error == "temporarily_unavailable"
    monkeypatch.undo()
    assert (await house.refusal(house.log_in("app", **WRONG))).error == "invalid_grant"


@pytest.mark.parametrize(
    ("asked", "granted"), [(None, ("read", "write")), ("read", ("read",)), ("write read", ("write", "read"))]
)
async def test_scope_is_narrowed_to_what_is_asked(house: House, asked: str | None, granted: tuple[str, ...]) -> None:
    form = CREDENTIALS if asked is None else CREDENTIALS | {"scope": asked}
    assert (await house.ask(orders(), **form)).scopes == granted


async def test_a_scope_or_resource_that_the_client_may_not_have_is_refused(house: House) -> None:
    assert (await house.refusal(house.ask(orders(), **CREDENTIALS, scope="read admin"))).error == "invalid_scope"
    asking = house.ask(orders(), resource=("https://other.example.com",), **CREDENTIALS)
    assert (await house.refusal(asking)).error == "invalid_target"


async def test_the_trail_says_whom_a_token_is_for(house: House) -> None:
    await house.ask(orders(), **CREDENTIALS)
    await house.ask(orders(), resource=(API,), **CREDENTIALS)
    assert [issued.audience for issued in house.trail._waiting] == [(API,), (API,)]
    assert {issued.client_id for issued in house.trail._waiting} == {"orders"}


async def test_administrative_scopes_are_given_by_name_only(house: House) -> None:
    house.update("orders", scopes=("read", "certbound.admin"))
    await house.registered.refresh()
    assert (await house.ask(orders(), **CREDENTIALS)).scopes == ("read",)
    named = await house.ask(orders(), **CREDENTIALS, scope="certbound.admin")
    assert named.scopes == ("certbound.admin",)


async def test_a_disabled_client_is_answered_as_an_unknown_one(house: House) -> None:
    house.disable("orders")
    await house.registered.refresh()
    disabled = await house.refusal(house.ask(orders(), **CREDENTIALS))
    unknown = await house.refusal(house.ask(orders(), **CREDENTIALS | {"client_id": "nobody"}))
    assert disabled.error == unknown.error
    assert disabled.description.partition(" (reference ")[0] == unknown.description.partition(" (reference ")[0]
    assert disabled.status == 401


async def test_a_bound_client_without_a_certificate_gets_no_token(house: House) -> None:
    house.client("phone", "none", bound=True)
    assert (await house.refusal(house.log_in("phone"))).error == "invalid_request"


async def test_no_token_is_bound_to_a_weak_key(house: House) -> None:
    house.client("phone", "none", bound=True)
    weak = make("CN=app", key=rsa.generate_private_key(65537, 1024))  # noqa: S505 - that it is weak is the point
    error = await house.refusal(house.log_in("phone", weak))
    assert (error.error, "too weak" in error.description) == ("invalid_request", True)


async def test_a_closed_token_endpoint_takes_no_connection_without_a_certificate(store: Store) -> None:
    house = await furnish(store, token_endpoint_without_certificate=False)
    assert (await house.refusal(house.log_in("app"))).error == "invalid_client"
    assert (await house.log_in("app", make("CN=app"))).access_token


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"client_secret": "x"}, "invalid_request"),
    ],
)
async def test_malformed_requests_get_the_error_of_the_rfc(house: House, form: dict[str, Any], error: str) -> None:
    assert (await house.refusal(house.ask(orders(), **CREDENTIALS | form))).error == error


async def test_nothing_is_issued_while_the_trail_is_closed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.trail, "_failures", house.trail.MAX_FAILURES)
    assert (await house.refusal(house.ask(orders(), **CREDENTIALS))).error == "temporarily_unavailable"
