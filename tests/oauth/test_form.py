import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certbound.oauth.errors import OAuthError
from certbound.oauth.form import MAX_LENGTH, MAX_PARAMETERS, parse_form, parse_query, printable

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("content_type", [FORM, FORM.upper(), f"{FORM}; charset=UTF-8", f" {FORM} ;x"])
def test_a_form_is_read_by_its_media_type(content_type: str) -> None:
    form = parse_form(b"client_id=a%20b&resource=x&resource=y&empty=", content_type)
    assert (form.get("client_id"), form.all("resource"), form.get("empty")) == ("a b", ("x", "y"), None)


@pytest.mark.parametrize(
    ("body", "content_type", "query", "said"),
    [
        (b"a=1&a=2", FORM, b"", "more than once"),
        (b"scope=&scope=read", FORM, b"", "more than once"),
        (b"client_id=" + b"a" * 257, FORM, b"", "too long"),
        (b"other=" + b"a" * (MAX_LENGTH + 1), FORM, b"", "too long"),
        (b"a=%00", FORM, b"", "NUL"),
        (b"a=1", None, b"", "send the parameters as"),
        (b"a=1", "multipart/form-data", b"", "send the parameters as"),
        (json.dumps({"a": 1}).encode(), "application/json", b"", "send the parameters as"),
        (b"a=1", FORM, b"client_id=b", "not in the query"),
        (b"&".join(b"p%d=1" % n for n in range(MAX_PARAMETERS + 1)), FORM, b"", "100 parameters"),
        (b"a=\xff", FORM, b"", "UTF-8"),
        (b"a=%ff", FORM, b"", "UTF-8"),
    ],
)
def test_a_form_that_could_be_read_in_two_ways_is_refused(
    body: bytes, content_type: str | None, query: bytes, said: str
) -> None:
    with pytest.raises(OAuthError, match=said) as refused:
        parse_form(body, content_type, query)
    assert refused.value.error == "invalid_request"


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(OAuthError, match="grant_type is missing"):
        parse_form(b"grant_type=", FORM).required("grant_type")


def test_the_query_of_an_authorization_request_is_read_alike() -> None:
    form = parse_query(b"client_id=a%20b&resource=x&resource=y&empty=&request=" + b"a" * 16_384)
    assert (form.get("client_id"), form.all("resource"), form.get("empty")) == ("a b", ("x", "y"), None)


@pytest.mark.threat("56")
@pytest.mark.parametrize(
    ("query", "said"),
    [
        (b"client_id=a&client_id=b", "more than once"),
        (b"client_id=a&client%5Fid=b", "more than once"),
        (b"state=&state=b", "more than once"),
        (b"redirect_uri=https://a.example&state=x&redirect_uri=https://a.example", "more than once"),
        (b"request=" + b"a" * 16_385, "too long"),
        (b"state=%00", "NUL"),
        (b"state=%ff", "query is not form-encoded UTF-8"),
        (b"state=\xff", "query is not form-encoded UTF-8"),
        (b"&".join(b"p%d=1" % n for n in range(MAX_PARAMETERS + 1)), "100 parameters"),
    ],
)
def test_a_query_that_could_be_read_in_two_ways_is_refused(query: bytes, said: str) -> None:
    with pytest.raises(OAuthError, match=said) as refused:
        parse_query(query)
    assert refused.value.error == "invalid_request"


@given(st.binary(max_size=300), st.one_of(st.just(FORM), st.text(max_size=40)), st.binary(max_size=3))
def test_whatever_is_sent_is_read_or_refused(body: bytes, content_type: str, query: bytes) -> None:
    try:
        form = parse_form(body, content_type, query)
    except OAuthError as error:
        assert printable(error.description[:64]) == error.description[:64]  # noqa: PT017 - either outcome is right
    else:
        assert all(value and "\0" not in value for values in form.values.values() for value in values)
