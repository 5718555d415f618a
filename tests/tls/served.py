"""A server to start as a process, `python served.py WORKERS`; the environment tells the rest."""

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from certbound.tls.address import bind
from certbound.tls.context import DoorError
from certbound.tls.door import Door
from certbound.tls.listener import Listener
from certbound.tls.serving import serve

reloads = 0


def note(event: str) -> None:
    (Path(os.environ["NOTES"]) / event).write_text(str(os.getpid()))


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/slow":
        note("busy")
        await asyncio.sleep(0.5)
    body = json.dumps({"pid": os.getpid(), "reloads": reloads}).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def life() -> AsyncIterator[None]:
    if os.environ.get("FAIL") == "lifespan":
        raise DoorError("the store is not there")
    yield
    note("ended")


async def reload() -> None:
    global reloads  # noqa: PLW0603
    reloads += 1


def create() -> Door:
    if os.environ.get("FAIL") == "factory":
        raise DoorError("the settings are wrong")
    certificate, key = Path(os.environ["CERTIFICATE"]), Path(os.environ["KEY"])
    listener = Listener(name="main", bind="127.0.0.1:0", app=app, certificate=certificate, key=key)
    return Door([listener], lifespan=life, reload=reload)


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    sockets = {"main": bind("main", "127.0.0.1:0")}
    sys.stdout.write(f"{sockets['main'][0].getsockname()[1]}\n")
    sys.stdout.flush()
    try:
        serve("served:create", sockets, workers=int(sys.argv[1]), graceful_seconds=5)
    except DoorError as error:
        sys.exit(f"refused: {error}")


if __name__ == "__main__":
    main()
