"""The endpoint of the list of what is blocked."""

from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from certbound.web.oauth.blocked import BlockedEndpoint


class Source:
    """A list that changes when it is told to."""

    def __init__(self) -> None:
        self.now = ("a.b.c", "one")

    def signed_list(self) -> tuple[str, str]:
        return self.now


@pytest.fixture
def source() -> Source:
    return Source()


async def ask(source: Source, method: str = "GET", **how: Any) -> httpx2.Response:
    app = Starlette(routes=[Route("/oauth2/blocked", BlockedEndpoint(source).get)])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://as.example") as client:
        return await client.request(method, "/oauth2/blocked", **how)


async def test_anybody_gets_the_list_and_may_keep_it_for_a_second(source: Source) -> None:
    answer = await ask(source)
    assert (answer.status_code, answer.text) == (200, "a.b.c")
    assert answer.headers["content-type"] == "application/jwt"
    assert answer.headers["cache-control"] == "public, max-age=1"
    assert answer.headers["etag"] == '"one"'


@pytest.mark.parametrize("known", ['"one"', 'W/"one"', '"zero", "one"', '"zero",W/"one"', "*"])
async def test_who_has_the_list_does_not_get_it_again_until_it_changes(source: Source, known: str) -> None:
    answer = await ask(source, headers={"If-None-Match": known})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == '"one"'
    assert answer.headers["cache-control"] == "public, max-age=1"
    assert "content-type" not in answer.headers
    source.now = ("d.e.f", "two")
    if known != "*":
        assert (await ask(source, headers={"If-None-Match": known})).text == "d.e.f"


@pytest.mark.parametrize("unknown", ["", "one", '"ONE"', '"zero"', '"one'])
async def test_a_tag_that_is_not_the_lists_gets_the_list(source: Source, unknown: str) -> None:
    assert (await ask(source, headers={"If-None-Match": unknown})).status_code == 200


async def test_the_list_is_read_and_not_written(source: Source) -> None:
    assert (await ask(source, "HEAD")).headers["etag"] == '"one"'
    assert (await ask(source, "POST")).status_code == 405
