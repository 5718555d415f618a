"""An API on certbound.resource with its defaults, on certbound's own door: api.py PORT ISSUER FOLDER."""

import asyncio
import sys
from pathlib import Path

from certbound.playground import api
from certbound.tls.door import Door
from certbound.tls.listener import Listener
from certbound.tls.serving import running


async def serve(port: str, issuer: str, folder: Path) -> None:
    certificate, key = folder / "server.crt", folder / "server.key"
    app = api.protected(issuer=issuer, audience=issuer, ca_file=certificate)
    door = Door([Listener(name="api", bind=f"127.0.0.1:{port}", app=app, certificate=certificate, key=key)])
    async with running(door):
        print("listening", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
