from typing import Any

import pytest

from certbound.oauth.claims_request import ClaimRequest, ClaimsRequest
from certbound.oauth.userinfo import (
    CLAIMS_BY_SCOPE,
    SAID_BY_SERVER,
    claims_beside_scopes,
    claims_by_name,
    userinfo_claims,
)

ADA: dict[str, Any] = {
    "name": "Ada Lovelace",
    "name#de": "Ada Gräfin von Lovelace",
    "birthdate": "1815-12-10",
    "updated_at": 1311280970,
    "email": "ada@example.com",
    "email_verified": True,
    "phone_number": "+44 20 7946 0958",
    "address": {"locality": "London", "country": "GB"},
    "employee": "4711",
}


@pytest.mark.parametrize(
    ("scopes", "told"),
    [
        ((), set()),
        (("openid",), set()),
        (("openid", "profile"), {"name", "name#de", "birthdate", "updated_at"}),
        (("openid", "email"), {"email", "email_verified"}),
        (("openid", "phone"), {"phone_number"}),
        (("openid", "address"), {"address"}),
        (("openid", "employee", "name", "read"), set()),
        (("openid", *CLAIMS_BY_SCOPE), ADA.keys() - {"employee"}),
    ],
    ids=lambda value: " ".join(sorted(value)),
)
def test_a_scope_gives_its_claims_as_far_as_they_are_known(scopes: tuple[str, ...], told: set[str]) -> None:
    assert userinfo_claims("u1", scopes, (), ADA) == {"sub": "u1"} | {name: ADA[name] for name in told}


def test_the_claims_of_each_scope_are_those_of_the_standard() -> None:
    assert {scope: len(claims) for scope, claims in CLAIMS_BY_SCOPE.items()} == {
        "profile": 14,
        "email": 2,
        "address": 1,
        "phone": 2,
    }


def test_a_claim_asked_for_by_name_is_told_in_exactly_that_name() -> None:
    told = userinfo_claims("u1", ("openid",), ("name", "employee", "nickname"), ADA)
    assert told == {"sub": "u1", "name": "Ada Lovelace", "employee": "4711"}


@pytest.mark.parametrize("name", sorted(SAID_BY_SERVER))
def test_no_attribute_takes_the_place_of_what_the_server_says(name: str) -> None:
    assert claims_by_name([name], ("profile",)) == ()
    assert userinfo_claims("u1", ("openid",), (name,), {name: "forged"}) == {"sub": "u1"}


@pytest.mark.parametrize(
    ("scopes", "names"),
    [
        ((), ("employee",)),
        (("openid", "email"), ("email", "employee")),
        (("openid", "profile"), ("name", "name#de", "employee")),
        (("employee",), ("employee",)),
    ],
    ids=" ".join,
)
def test_what_a_scope_gives_is_not_to_be_had_around_it(scopes: tuple[str, ...], names: tuple[str, ...]) -> None:
    """A client that may not have a scope gets none of its claims by name either."""
    assert claims_by_name(["sub", "name", "name#de", "email", "employee", "acr"], scopes) == names


@pytest.mark.parametrize("name", ["", "two words", "n\u00e4me", "x" * 256, "line\nbreak"])
def test_what_no_attribute_is_called_is_not_asked_for(name: str) -> None:
    assert claims_by_name([name], ("profile",)) == ()


def test_the_user_is_asked_for_the_claims_that_no_requested_scope_brings() -> None:
    asked = ClaimsRequest(
        userinfo={"name": ClaimRequest(), "employee": ClaimRequest(), "sub": ClaimRequest()},
        id_token={"employee": ClaimRequest(), "email": ClaimRequest(), "phone_number": ClaimRequest()},
    )
    allowed = ("openid", "profile", "email")
    assert claims_beside_scopes(asked, ("openid", "profile"), allowed) == ("employee", "email")
    assert claims_beside_scopes(asked, ("openid",), allowed) == ("name", "employee", "email")
    assert claims_beside_scopes(asked, ("profile",), allowed) == ()
