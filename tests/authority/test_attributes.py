from functools import partial
from typing import Any

import pytest
from tests.authority.house import House

from certbound.authority import attributes, people
from certbound.authority.people import PersonError
from certbound.store import audit


def set_attributes(house: House, given: dict[str, Any], username: str = "ada") -> None:
    house.store.write(partial(attributes.set_attributes, username=username, attributes=given, **house.by))


STANDARD: dict[str, Any] = {
    "name": "Ada \N{SNOWMAN}",
    "email": "ada@example.com",
    "email_verified": True,
    "phone_number_verified": False,
    "updated_at": 1700000000,
    "address": {"country": "GB"},
}


def test_standard_claims_and_others_are_kept(house: House) -> None:
    given = STANDARD | {"https://example.com/roles": ["one", 2, None, {"three": 3.5}], "department": "x"}
    set_attributes(house, given)
    assert house.store.read(partial(people.existing, username="ada")).attributes == given
    set_attributes(house, {})
    assert house.store.read(partial(people.existing, username="ada")).attributes == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("email_verified", "true"),
        ("email_verified", 1),
        ("updated_at", True),
        ("updated_at", "2020"),
        ("address", "London"),
        ("name", None),
        ("birthdate", 1815),
    ],
)
def test_a_standard_claim_of_another_type_is_refused(house: House, name: str, value: Any) -> None:
    with pytest.raises(PersonError, match=f"the attribute {name} must be"):
        set_attributes(house, {name: value})


@pytest.mark.parametrize("name", ["sub", "iss", "aud", "amr", "acr", "auth_time", "nonce", "cnf", "scope", "client_id"])
def test_nobody_is_given_what_the_server_says_itself(house: House, name: str) -> None:
    with pytest.raises(PersonError, match="the server says it itself"):
        set_attributes(house, {name: "x"})


@pytest.mark.parametrize("name", ["", "a b", "ü", "a\n", "x" * 256])
def test_what_is_no_name_is_refused(house: House, name: str) -> None:
    with pytest.raises(PersonError, match="no name of an attribute"):
        set_attributes(house, {name: "x"})


@pytest.mark.parametrize("given", [{"x": "y" * 20_000}, {f"x{number}": "y" for number in range(101)}])
def test_no_more_is_kept_of_a_person_than_tokens_can_carry(house: House, given: dict[str, Any]) -> None:
    with pytest.raises(PersonError, match="at most 100 attributes with 16384 characters"):
        set_attributes(house, given)


def test_somebody_unknown_has_no_attributes(house: House) -> None:
    with pytest.raises(PersonError, match="no user 'nobody'"):
        set_attributes(house, {}, "nobody")


def test_the_audit_names_attributes_and_not_what_they_say(house: House) -> None:
    set_attributes(house, STANDARD)
    row = house.store.read(lambda connection: audit.page(connection, limit=100))[-1]
    assert row.action == "user.attributes_changed"
    assert '"email_verified"' in row.detail
    assert "example.com" not in row.detail
