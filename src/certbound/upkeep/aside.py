"""Run what blocks for long in a thread that nobody waits for: the end of a process comes when it is asked for."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """Run `work`, which waits for a network and changes nothing; it goes on where the caller is cancelled.

    Executors are joined when a process ends, so that a source that does not answer would hold up every shutdown.
    """
    outcome = Future[T]()

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:  # noqa: BLE001 - it is the caller's, whatever it is
            outcome.set_exception(error)

    outcome.set_running_or_notify_cancel()  # a running one cannot be cancelled, so that its thread may always set it
    threading.Thread(target=run, name="upkeep", daemon=True).start()
    return await asyncio.wrap_future(outcome)
