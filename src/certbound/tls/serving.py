"""Run a door: until SIGTERM in one process or several, or inside an event loop that already runs."""

import asyncio
import contextlib
import functools
import logging
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.importer import import_from_string
from uvicorn.supervisors import Multiprocess

from certbound.tls.address import Address, local_address
from certbound.tls.connection import Connection
from certbound.tls.context import DoorError
from certbound.tls.door import Door

logger = logging.getLogger(__name__)

_WORKER_SECONDS = 15
"""How long a new worker may take to be ready, and a busy one to give a sign of life."""


def serve(
    factory: str | Callable[[], Door],
    sockets: Mapping[str, Sequence[socket.socket]],
    *,
    workers: int = 1,
    graceful_seconds: int = 30,
    loop: str = "uvloop",
) -> None:
    """Serve until SIGTERM or SIGINT, then let requests under way finish for `graceful_seconds`.

    `sockets` are bound ones by their listeners' names (`address.bind`); they are closed at the end. SIGHUP reloads
    in place; with several workers it replaces them one by one. For those, `factory` is an import string
    (`"module:function"`) or can be pickled. Raises what kept the door from opening, or DoorError.
    """
    every = [one for bound in sockets.values() for one in bound]
    with _closing(every):
        if workers == 1:
            door = _make(factory)
            door.handles_sighup = True
            _serve_here(door, _config(door, sockets, graceful_seconds, loop=loop), every)
        else:
            make = functools.partial(_make_in_worker, factory)
            config = _config(make, sockets, graceful_seconds, loop=loop, workers=workers)
            _supervise(Multiprocess(config, sockets=every))


@contextlib.asynccontextmanager
async def running(
    door: Door,
    sockets: Mapping[str, Sequence[socket.socket]] | None = None,
    *,
    graceful_seconds: int = 5,
) -> AsyncIterator[dict[str, Address]]:
    """Serve in the running event loop for as long as the context lasts; signals are left alone.

    Yields the address of each listener by its name: host and real port, or path and 0. Without `sockets` the
    listeners' own addresses are bound. Raises what kept the door from opening, or DoorError.
    """
    with contextlib.ExitStack() as stack:
        bound: dict[str, Sequence[socket.socket]] = dict(sockets or {})
        if sockets is None:
            for listener in door.listeners.values():
                bound[listener.name] = listener.bind_sockets()
                stack.enter_context(_closing(bound[listener.name]))
        every = [one for several in bound.values() for one in several]
        config = _config(door, bound, graceful_seconds)
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        with _failure_of(door):
            await server.startup(sockets=every)
        addresses = {name: local_address(several[0].getsockname()) for name, several in bound.items()}
        ticking = asyncio.create_task(server.main_loop())
        try:
            yield addresses
        finally:
            ticking.cancel()
            await server.shutdown(sockets=every)


def _config(
    app: Any,
    sockets: Mapping[str, Sequence[socket.socket]],
    graceful_seconds: int,
    *,
    loop: str = "uvloop",
    workers: int = 1,
) -> uvicorn.Config:
    addresses = {local_address(one.getsockname()): name for name, several in sockets.items() for one in several}
    return uvicorn.Config(
        app,
        factory=not isinstance(app, Door),
        interface="asgi3",
        http=functools.partial(Connection, addresses=addresses),  # type: ignore[arg-type]
        loop=loop,
        lifespan="on",
        ws="none",
        workers=workers,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=graceful_seconds,
        timeout_worker_healthcheck=_WORKER_SECONDS,
    )


def _serve_here(door: Door, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
    # uvicorn raises the signal again once it has ended gracefully; as an exit it lets everybody clean up.
    previous = signal.signal(signal.SIGTERM, _exit) if _in_main_thread() else None
    try:
        with _failure_of(door), contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=sockets)
    except SystemExit as exit_:
        if exit_.code:
            raise DoorError("the server could not start; the log says why") from None
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def _supervise(supervisor: Multiprocess) -> None:
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise DoorError("a worker could not start; the log says why")


def _make(factory: str | Callable[[], Door]) -> Door:
    make = import_from_string(factory) if isinstance(factory, str) else factory
    door = make()
    if not isinstance(door, Door):
        raise DoorError(f"{factory}: gave no Door")
    return door


def _make_in_worker(factory: str | Callable[[], Door]) -> Door:
    """Make a worker's door, or end it so that its parent does not try for ever."""
    try:
        door = _make(factory)
    except Exception as error:
        logger.critical("worker_not_started", extra={"reason": str(error)}, exc_info=not isinstance(error, DoorError))
        sys.exit(STARTUP_FAILURE)
    door.handles_sighup = True
    return door


@contextlib.contextmanager
def _failure_of(door: Door) -> Iterator[None]:
    """Turn uvicorn's exit into the exception that kept the door from opening."""
    try:
        yield
    except SystemExit:
        if door.failure is not None:
            raise door.failure from None
        raise


def _exit(_signal: int, _frame: Any) -> NoReturn:
    sys.exit(0)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def _closing(sockets: Sequence[socket.socket]) -> Iterator[None]:
    """Close sockets in the end, and remove those in the file system."""
    paths = [Path(one.getsockname()) for one in sockets if one.family == socket.AF_UNIX]
    try:
        yield
    finally:
        for one in sockets:
            one.close()
        for path in paths:
            path.unlink(missing_ok=True)
