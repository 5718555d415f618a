"""Reloading the settings: another worker takes the place of the one behind the listeners, which stay open."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

from certbound.app.wiring import StartError, Worker
from certbound.authority.keys import MasterKeyError
from certbound.config.loading import SettingsError
from certbound.store.engine import StoreUnavailable
from certbound.tls.context import DoorError
from certbound.tls.listener import Listener

log = logging.getLogger(__name__)

RETIRE_SECONDS = 60
"""How long what was replaced still serves the requests that had begun with it."""


class Replaceable:
    """The worker that `make` makes, and after each `replace` the one it makes then.

    The listeners are those of the first: their addresses change with a restart only.
    """

    def __init__(self, make: Callable[[], Worker]) -> None:
        self._make = make
        self._worker = self._current = make()
        self._life = contextlib.AsyncExitStack()
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Give the listeners, the same objects for as long as the process lives."""
        return self._worker.listeners

    @contextlib.asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Keep the worker of the moment alive, and end all of them in the end."""
        await self._life.enter_async_context(self._worker.alive())
        try:
            yield
        finally:
            await asyncio.sleep(0)  # a task that has not begun would be cancelled without closing anything
            for retiring in self._retiring:
                retiring.cancel()
            await asyncio.gather(*self._retiring, return_exceptions=True)
            await self._life.aclose()

    async def replace(self) -> None:
        """Put a new worker behind the listeners; where it cannot be made, log why and leave everything as it is."""
        life = contextlib.AsyncExitStack()
        try:
            worker = self._make()
            await life.enter_async_context(worker.alive())
        except (SettingsError, StartError, MasterKeyError, DoorError, StoreUnavailable) as error:
            log.error("settings kept", extra={"reason": str(error)})
            return
        for listener in self.listeners:
            _take_over(listener, worker)
        self._current.retiring.set()  # else the background duties would go by the old settings for as long
        self._retire(self._life)
        self._life, self._current = life, worker
        log.info("settings reloaded")

    def _retire(self, life: contextlib.AsyncExitStack) -> None:
        async def end() -> None:
            try:
                await asyncio.sleep(RETIRE_SECONDS)
            finally:
                await life.aclose()

        task = asyncio.create_task(end(), name="retire what was replaced")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


def _take_over(listener: Listener, worker: Worker) -> None:
    """Give an open listener what its settings say now; its certificate is read right after (`Door.reload`)."""
    new = next((candidate for candidate in worker.listeners if candidate.name == listener.name), None)
    if new is None or new.bind != listener.bind:
        log.warning("listener kept as it is until a restart", extra={"listener": listener.name})
        return
    listener.app, listener.limits = new.app, new.limits
    listener.client_certificate, listener.certificate, listener.key = new.client_certificate, new.certificate, new.key
