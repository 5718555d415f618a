from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        ({"client_id": "a", "client_assertion": "x"}, ShownMethod.ASSERTION),
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


@given(st.text(max_size=60))
def test_whatever_the_header_holds_is_read_or_refused(text: str) -> None:
    for authorization in (text, "Basic " + text, basic(text.encode("utf-8", "replace").decode())):
        try:
            read_credentials(form(), authorization, None)
        except OAuthError as error:
            assert error.error == "invalid_request"  # noqa: PT017 - either outcome is right
