"""The sample API: a plain ASGI application that never sees a request without a good token."""

import json
from pathlib import Path
from typing import Any

from certbound.resource import BoundToken, CertificateBoundMiddleware

PATH = "/orders"
SCOPE = "orders.read"
ORDERS = ({"order": 1001, "item": "tea"}, {"order": 1002, "item": "a teapot"})


async def orders(scope: Any, _receive: Any, send: Any) -> None:
    """Answer with the orders, and with the client that asked, as its token names it."""
    if scope["type"] != "http" or scope["path"] != PATH:
        await _send(send, 404, {"error": "not_found"})
        return
    token: BoundToken = scope["certbound"]
    await _send(send, 200, {"client_id": token.client_id, "orders": ORDERS})


def protected(*, issuer: str, audience: str, ca_file: Path) -> CertificateBoundMiddleware:
    """Put the API behind the binding check: the one line that an API has to write."""
    return CertificateBoundMiddleware(orders, issuer=issuer, audience=audience, verify=ca_file)


async def _send(send: Any, status: int, members: Any) -> None:
    body = json.dumps(members).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
