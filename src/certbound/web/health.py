"""GET /healthz and /readyz, on every listener."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from certbound.authority.registered import Registered


def health_routes(registered: Registered) -> list[Route]:
    """Make the two routes: whether this process lives, and whether it may be sent requests."""

    async def alive(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    async def ready(_request: Request) -> PlainTextResponse:
        if not registered.is_current:
            return PlainTextResponse("the database's revision could not be confirmed\n", status_code=503)
        if not registered.public_jwks:
            return PlainTextResponse("there is no signing key: run `certbound keys rotate`\n", status_code=503)
        return PlainTextResponse("ok\n")

    return [Route("/healthz", alive), Route("/readyz", ready)]
