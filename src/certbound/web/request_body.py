"""The body of a request, read once and no further than allowed."""

from starlette.requests import Request


async def read_body(request: Request, most: int) -> bytes | None:
    """Read the body, or give None as soon as it is longer than `most` bytes. Raises ClientDisconnect."""
    if int(request.headers.get("content-length", "0")) > most:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)
