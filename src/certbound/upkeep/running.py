"""Which duty is due, and whether it is this worker's to run."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

from certbound.fetch.document import Fetched
from certbound.store import duties as stored_duties
from certbound.store.duties import Duty
from certbound.store.engine import Connection, Store, StoreUnavailable

log = logging.getLogger(__name__)

LEASE = "upkeep"
LEASE_SECONDS = 60
TICK_SECONDS = 5.0
RETRY_SECONDS = 60
"""How long after a failure a duty is run again, if it would not be earlier anyway."""


Fetch = Callable[..., Fetched]
"""`fetch.document.fetch` under the operator's `[outbound]` settings."""


class DutyFailedError(Exception):
    """A duty could not be done; the text says why in one line, and is an alarm in the log, the status and metrics."""


@dataclass(frozen=True, slots=True)
class Task:
    """A duty: `run` does it, at `now` in epoch seconds, and gives the seconds until it is due again.

    It raises DutyFailedError or StoreUnavailable; what was there before it then stays as it was.
    """

    name: str
    run: Callable[[int], Awaitable[int]]


class Upkeep:
    """Runs what is due while this worker holds the lease.

    `plan` lists the duties as they are registered now, since trust stores come and go. `clock` gives epoch seconds.
    """

    def __init__(self, store: Store, plan: Callable[[Connection], Iterable[Task]], clock: Callable[[], float]) -> None:
        self._store = store
        self._plan = plan
        self._clock = clock
        self._holder = secrets.token_hex(8)

    async def keep_running(self, ending: asyncio.Event) -> None:
        """Look every few seconds until the event is set; then give the lease up."""
        while not ending.is_set():
            await self._guarded(self.tick())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), TICK_SECONDS)
        await self._guarded(self._store.writing(partial(stored_duties.release_lease, name=LEASE, holder=self._holder)))

    async def tick(self) -> None:
        """Run every duty that is due, one after the other, if the lease is this worker's."""
        for task in await self._store.writing(self._due):
            await self._run(task)
            if not await self._store.writing(self._renew_lease):
                return

    def _renew_lease(self, connection: Connection) -> bool:
        return stored_duties.take_lease(connection, LEASE, self._holder, int(self._clock()), LEASE_SECONDS)

    def _due(self, connection: Connection) -> list[Task]:
        if not self._renew_lease(connection):
            return []
        tasks = {task.name: task for task in self._plan(connection)}
        known = {duty.name: duty for duty in stored_duties.duties(connection)}
        for name in known.keys() - tasks.keys():
            stored_duties.remove_duty(connection, name)
        now = int(self._clock())
        return [task for name, task in tasks.items() if name not in known or known[name].next_run <= now]

    async def _run(self, task: Task) -> None:
        now = int(self._clock())
        try:
            delay = await task.run(now)
            done = Duty(task.name, now, now, None, now + delay)
        except (DutyFailedError, StoreUnavailable) as error:
            log.error("duty failed", extra={"duty": task.name, "reason": str(error)})
            done = Duty(task.name, now, None, str(error), now + RETRY_SECONDS)
        except Exception as error:  # one duty that fails in a new way must not end the others
            log.exception("duty failed", extra={"duty": task.name})
            done = Duty(task.name, now, None, f"unexpected {type(error).__name__}", now + RETRY_SECONDS)
        await self._store.writing(partial(stored_duties.record_duty, run=done))

    async def _guarded(self, work: Awaitable[object]) -> None:
        try:
            await work
        except StoreUnavailable as error:
            log.error("upkeep waits for the database", extra={"reason": str(error)})
        except Exception:  # a duty that ended would never run again
            log.exception("upkeep failed")
