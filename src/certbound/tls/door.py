"""The listeners of one process, and what lives as long as they are open."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from certbound.tls.context import DoorError
from certbound.tls.listener import Listener

logger = logging.getLogger(__name__)

_WATCH_SECONDS = 1


class Door:
    """What a server process opens: its listeners, and the application's life around them.

    `lifespan` makes an async context manager that is entered before the first connection and left after the last;
    an exception from it keeps the door shut and comes out of `serve` and `running`. `reload` is awaited on SIGHUP,
    before the certificate files are read again; what it raises is logged and changes nothing.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        *,
        lifespan: Callable[[], contextlib.AbstractAsyncContextManager[Any]] = contextlib.nullcontext,
        reload: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.listeners = {listener.name: listener for listener in listeners}
        if len(self.listeners) != len(listeners):
            raise DoorError("two listeners have the same name; give each its own")
        self._lifespan = lifespan
        self._reload = reload
        self.handles_sighup = False
        """Set by `serve`: an embedded door leaves the process's signals alone."""
        self.failure: Exception | None = None
        """What kept the door from opening."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Speak the ASGI lifespan protocol; requests go to the listeners' own applications."""
        if scope["type"] != "lifespan":
            raise DoorError("the door itself serves no requests")
        await receive()
        async with contextlib.AsyncExitStack() as stack:
            try:
                await self._open(stack)
            except Exception as error:  # noqa: BLE001
                self.failure = error
                await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def reload(self) -> None:
        """Reload the application, as far as it wants to, and every listener's certificate."""
        if self._reload is not None:
            try:
                await self._reload()
            except Exception:
                logger.exception("reload_failed")
        for listener in self.listeners.values():
            listener.reload()

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        await stack.enter_async_context(self._lifespan())
        watcher = asyncio.create_task(self._watch_certificates())
        stack.push_async_callback(_end, watcher)
        if self.handles_sighup:
            loop = asyncio.get_running_loop()
            reloads: set[asyncio.Task[None]] = set()

            def reload() -> None:
                task = loop.create_task(self.reload())
                reloads.add(task)
                task.add_done_callback(reloads.discard)

            loop.add_signal_handler(signal.SIGHUP, reload)
            stack.callback(loop.remove_signal_handler, signal.SIGHUP)

    async def _watch_certificates(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            for listener in self.listeners.values():
                listener.reload_if_changed()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
