import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certbound.oauth.claims_request import (
    ClaimRequest,
    ClaimsRequest,
    parse_claims,
    read_claims,
)
from certbound.oauth.errors import OAuthError

# OpenID Connect Core section 5.5
EXAMPLE = """
  {
   "userinfo":
    {
     "given_name": {"essential": true},
     "nickname": null,
     "email": {"essential": true},
     "email_verified": {"essential": true},
     "picture": null,
     "http://example.info/claims/groups": null
    },
   "id_token":
    {
     "auth_time": {"essential": true},
     "acr": {"values": ["urn:mace:incommon:iap:silver"] }
    }
  }
"""


def test_the_example_of_the_standard_is_read() -> None:
    asked = parse_claims(EXAMPLE)
    essential = ClaimRequest(essential=True)
    assert asked.userinfo == {
        "given_name": essential,
        "nickname": ClaimRequest(),
        "email": essential,
        "email_verified": essential,
        "picture": ClaimRequest(),
        "http://example.info/claims/groups": ClaimRequest(),
    }
    assert asked.id_token == {
        "auth_time": essential,
        "acr": ClaimRequest(values=("urn:mace:incommon:iap:silver",)),
    }


@pytest.mark.parametrize(
    ("member", "claim"),
    [
        ({"value": "a"}, ClaimRequest(values=("a",))),
        ({"values": []}, ClaimRequest()),
        ({"values": [1, 2.5, True, "ü"], "essential": True}, ClaimRequest(essential=True, values=(1, 2.5, True, "ü"))),
        ({"purpose": {"what": ["others", "define"]}}, ClaimRequest()),
    ],
)
def test_a_claim_is_asked_for_with_the_values_it_should_have(member: dict[str, Any], claim: ClaimRequest) -> None:
    assert parse_claims(json.dumps({"id_token": {"acr": member}})).id_token["acr"] == claim


@pytest.mark.parametrize("text", ["{}", '{"userinfo": null}', '{"userinfo": {}, "id_token": null}', '{"other": [[]]}'])
def test_nothing_may_be_asked_for(text: str) -> None:
    assert parse_claims(text) == ClaimsRequest()


def test_a_request_may_be_as_large_as_it_may() -> None:
    places = {"userinfo": {f"c{n}": None for n in range(100)}, "id_token": {"a" * 512: {"values": ["v"] * 50}}}
    text = json.dumps(places)
    asked = parse_claims(text + " " * (8192 - len(text)))
    assert (len(asked.userinfo), asked.id_token["a" * 512].values) == (100, ("v",) * 50)


def test_what_is_asked_for_is_written_as_the_standard_has_it() -> None:
    asked = {"id_token": {"acr": {"essential": True, "values": ["1", 2]}, "sub": {"values": ["a"]}, "name": None}}
    assert read_claims(asked | {"userinfo": {}}).as_json() == asked
    assert read_claims({"userinfo": {"a": {"essential": False}}}).as_json() == {"userinfo": {"a": None}}
    assert read_claims({"userinfo": {"a": {"essential": True}}}).as_json() == {"userinfo": {"a": {"essential": True}}}


def nested(depth: int) -> str:
    return '{"userinfo":{"a":{"value":' + "[" * depth + "]" * depth + "}}}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('"userinfo"', "not a JSON object"),
        ('{"userinfo": []}', "JSON objects"),
        ('{"id_token": "acr"}', "JSON objects"),
        ('{"id_token": {"acr": true}}', "null or a JSON object"),
        ('{"id_token": {"acr": ["a"]}}', "null or a JSON object"),
        ('{"id_token": {"acr": {"essential": "true"}}}', "essential"),
        ('{"id_token": {"acr": {"essential": null}}}', "essential"),
        ('{"id_token": {"acr": {"value": "a", "values": ["a"]}}}', "either"),
        ('{"id_token": {"acr": {"values": "a"}}}', "values is a list"),
        ('{"id_token": {"acr": {"values": null}}}', "values is a list"),
        ('{"id_token": {"acr": {"value": null}}}', "values is a list"),
        ('{"id_token": {"acr": {"value": {"a": 1}}}}', "values is a list"),
        ('{"id_token": {"acr": {"value": 1e999}}}', "values is a list"),
        ('{"id_token": {"acr": {"value": NaN}}}', "not JSON"),
        ('{"id_token": {"acr": {"value": Infinity}}}', "not JSON"),
        ('{"id_token": {"acr": {"value": "\\u0000"}}}', "values is a list"),
        ('{"id_token": {"acr": {"value": "\\ud800"}}}', "values is a list"),
        ('{"id_token": {"\\ud800": null}}', "the name of a claim"),
        ('{"id_token": {"": null}}', "the name of a claim"),
        ('{"id_token": {"a": null, "a": null}}', "every member once"),
        ('{"id_token": {}, "id_token": {}}', "every member once"),
        (json.dumps({"id_token": {f"c{n}": None for n in range(101)}}), "more than"),
        (json.dumps({"id_token": {"acr": {"values": ["a"] * 51}}}), "values is a list"),
        (json.dumps({"id_token": {"acr": {"value": "a" * 513}}}), "values is a list"),
        (json.dumps({"id_token": {"a" * 513: None}}), "the name of a claim"),
        ("{}" + " " * 8191, "longer than"),
        ('{"userinfo": {"a": 1}}', "null or a JSON object"),
        (nested(900), "values is a list|not JSON"),
        (nested(4000), "values is a list|not JSON"),
        ("[" * 8192, "not JSON"),
    ],
)
def test_what_could_not_be_kept_or_understood_is_refused(text: str, said: str) -> None:
    with pytest.raises(OAuthError, match=said) as refused:
        parse_claims(text)
    assert refused.value.error == "invalid_request"


@pytest.mark.parametrize(
    ("document", "allowed"),
    [
        ({}, True),
        ({"id_token": {"sub": None}}, True),
        ({"id_token": {"sub": {"value": "usr_1"}}}, True),
        ({"userinfo": {"sub": {"values": ["usr_2", "usr_1"]}}}, True),
        ({"id_token": {"sub": {"value": "usr_2"}}}, False),
        ({"id_token": {"sub": {"value": "usr_1"}}, "userinfo": {"sub": {"value": "usr_2"}}}, False),
        ({"id_token": {"sub": {"value": 1}}}, False),
    ],
)
def test_an_answer_may_be_asked_for_about_one_user_only(document: dict[str, Any], allowed: bool) -> None:
    assert read_claims(document).allows_subject("usr_1") is allowed


members = st.sampled_from(["userinfo", "id_token", "sub", "acr", "essential", "value", "values"]) | st.text(max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=3),
    max_leaves=10,
)
claims = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "essential": st.booleans(),
        "values": st.lists(
            st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5), max_size=3
        ),
    },
)
places = st.dictionaries(st.text(min_size=1, max_size=5), claims, max_size=3)


@given(st.text(max_size=50) | json_values.map(json.dumps) | st.fixed_dictionaries({"id_token": places}).map(json.dumps))
def test_whatever_is_asked_for_it_is_kept_as_it_was_or_refused(text: str) -> None:
    with suppress(OAuthError):
        asked = parse_claims(text)
        kept = json.dumps(asked.as_json(), allow_nan=False)
        assert read_claims(json.loads(kept)) == asked
        assert parse_claims(kept) == asked
