import pytest

from certbound.oauth.audience import MAX_RESOURCES, is_resource_indicator, narrow_audience
from certbound.oauth.errors import OAuthError
from certbound.oauth.scope import narrow_scope

ALLOWED = ("read", "write", "certbound.admin")
APIS = ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (None, ("read", "write")),
        ("", ()),
        ("read  read", ("read",)),
        ("certbound.admin read", ("certbound.admin", "read")),
    ],
)
def test_scope_is_what_was_asked_for_once_each(asked: str | None, granted: tuple[str, ...]) -> None:
    assert narrow_scope(asked, ALLOWED) == granted


@pytest.mark.parametrize("asked", ["delete", "read delete", 'a"b', "a\\b", "read\twrite", "lüfter"])
def test_a_scope_not_allowed_or_malformed_is_refused(asked: str) -> None:
    with pytest.raises(OAuthError) as refused:
        narrow_scope(asked, ALLOWED)
    assert refused.value.error == "invalid_scope"
    assert refused.value.description.isascii()
    assert not set('"\\') & set(refused.value.description)


def test_the_audience_is_what_was_asked_for_or_the_default() -> None:
    assert narrow_audience((), APIS, "default") == ("default",)
    assert narrow_audience((APIS[1], APIS[0], APIS[1]), APIS, "default") == (APIS[1], APIS[0])


@pytest.mark.parametrize("asked", [("https://c.example",), ("https://a.example/",), APIS[:1] * (MAX_RESOURCES + 1)])
def test_a_resource_not_allowed_is_an_invalid_target(asked: tuple[str, ...]) -> None:
    with pytest.raises(OAuthError) as refused:
        narrow_audience(asked, APIS, "default")
    assert refused.value.error == "invalid_target"


@pytest.mark.parametrize("uri", ["https://a.example", "urn:example:api"])
def test_an_absolute_uri_names_a_resource(uri: str) -> None:
    assert is_resource_indicator(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "a.example",
        "/api",
        "https://a.example/#",
        "https://a b",
        "https://ä.example",
        "https://a\n",
        "urn:\0",
        "https://[a",
    ],
)
def test_anything_else_names_none(uri: str) -> None:
    assert not is_resource_indicator(uri)
