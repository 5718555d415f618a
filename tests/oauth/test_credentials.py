from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certbound.oauth.client_assertion import ASSERTION_TYPE
from certbound.oauth.credentials import ShownMethod, read_credentials
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form


def form(**values: str) -> Form:
    return Form({name: (value,) for name, value in values.items()})


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


def test_basic_is_form_decoded_after_it_is_split() -> None:
    found = read_credentials(form(), basic("a%3Ab:p%25+w"), None)
    assert (found.client_id, found.secret, found.shown) == ("a:b", "p% w", ShownMethod.SECRET_BASIC)
    assert "p% w" not in repr(found)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"client_id": "a"}, ShownMethod.NOTHING),
        ({"client_id": "a", "client_secret": "s"}, ShownMethod.SECRET_POST),
        ({"client_id": "a", "client_assertion": "x", "client_assertion_type": ASSERTION_TYPE}, ShownMethod.ASSERTION),
    ],
)
def test_what_the_body_shows(values: dict[str, str], shown: ShownMethod) -> None:
    assert read_credentials(form(**values), None, None).shown is shown


@pytest.mark.parametrize(
    ("values", "authorization"),
    [
        ({}, None),
        ({"client_secret": "s"}, basic("a:s")),
        ({"client_id": "a", "client_secret": "s", "client_assertion": "x"}, None),
        ({"client_id": "a", "client_assertion": "x"}, None),
        ({"client_id": "a", "client_assertion_type": ASSERTION_TYPE}, None),
        ({"client_assertion": "x", "client_assertion_type": ASSERTION_TYPE}, basic("a:s")),
        ({"client_id": "a", "client_assertion_type": ASSERTION_TYPE}, basic("a:s")),
        ({"client_id": "b"}, basic("a:s")),
        ({}, basic("a")),
        ({}, basic(":s")),
        ({}, basic("a:")),
        ({}, "Bearer x"),
        ({}, "Basic ***"),
        ({}, "Basic " + b64encode(b"\xff:s").decode()),
        ({}, basic("%ff:s")),
        ({}, basic("a%00:s")),
        ({}, basic("a" * 257 + ":s")),
    ],
)
def test_credentials_that_are_none_or_more_than_one_are_an_invalid_request(
    values: dict[str, str], authorization: str | None
) -> None:
    with pytest.raises(OAuthError) as refused:
        read_credentials(form(**values), authorization, None)
    assert refused.value.error == "invalid_request"


CLAIMING_A = "e30.eyJzdWIiOiJhIn0."


def asserting(**values: str) -> Form:
    return form(**{"client_assertion": CLAIMING_A, "client_assertion_type": ASSERTION_TYPE, **values})


def test_an_assertion_is_kept_with_the_client_that_the_request_names_or_else_the_assertion() -> None:
    named = read_credentials(asserting(client_id="b"), None, None)
    assert (named.client_id, named.assertion, named.secret) == ("b", CLAIMING_A, None)
    assert read_credentials(asserting(), None, None).client_id == "a"
    assert CLAIMING_A not in repr(named)


@pytest.mark.parametrize(
    "values",
    [
        {"client_assertion_type": ASSERTION_TYPE.upper()},
        {"client_assertion_type": ASSERTION_TYPE + " "},
        {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        {"client_assertion_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"},
        {"client_assertion": "x"},
        {"client_assertion": "e30.e30."},
    ],
)
def test_an_assertion_of_another_kind_or_of_nobody_is_an_invalid_client(values: dict[str, str]) -> None:
    with pytest.raises(OAuthError) as refused:
        read_credentials(asserting(**values), None, None)
    assert refused.value.error == "invalid_client"


@given(st.text(max_size=60))
def test_whatever_the_assertion_is_it_is_kept_or_refused(text: str) -> None:
    for assertion in (text, "e30." + text + ".", "e30." + b64encode(text.encode("utf-8", "replace")).decode() + "."):
        try:
            assert read_credentials(asserting(client_assertion=assertion), None, None).client_id
        except OAuthError as error:
            assert error.error in {"invalid_request", "invalid_client"}  # noqa: PT017 - either outcome is right


@given(st.text(max_size=60))
def test_whatever_the_header_holds_is_read_or_refused(text: str) -> None:
    for authorization in (text, "Basic " + text, basic(text.encode("utf-8", "replace").decode())):
        try:
            read_credentials(form(), authorization, None)
        except OAuthError as error:
            assert error.error == "invalid_request"  # noqa: PT017 - either outcome is right
