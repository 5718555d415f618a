"""The list of what is blocked, for APIs that accept this server's tokens."""

from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response

CACHE_SECONDS: Final = 1
"""How long the list may be kept on its way to an API: no longer, as a stolen key is in use meanwhile."""


class ListSource(Protocol):
    """Who signs the list: the worker's own authority."""

    def signed_list(self) -> tuple[str, str]:
        """Give the list of this moment as a compact JWS, and a tag that changes whenever it does (no quotes)."""
        ...


class BlockedEndpoint:
    """GET /oauth2/blocked."""

    def __init__(self, source: ListSource) -> None:
        self._source = source

    async def get(self, request: Request) -> Response:
        """Answer with the list, or with 304 to who has it (RFC 9110 section 13.1.2)."""
        signed, tag = self._source.signed_list()
        headers = {"ETag": f'"{tag}"', "Cache-Control": f"public, max-age={CACHE_SECONDS}"}
        if _has(request.headers.getlist("if-none-match"), tag):
            return Response(status_code=304, headers=headers)
        return Response(signed, media_type="application/jwt", headers=headers)


def _has(fields: list[str], tag: str) -> bool:
    """Compare weakly, as caches may weaken a tag that they pass on; a tag of ours has no comma in it."""
    tags = {one.strip().removeprefix("W/") for field in fields for one in field.split(",")}
    return "*" in tags or f'"{tag}"' in tags
