"""Which duty is due, and whether it is this worker's to run."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial

from certbound.fetch.document import Fetched
from certbound.store import duties as stored_duties
from certbound.store.duties import Duty
from certbound.store.engine import Connection, Store, StoreUnavailable

log = logging.getLogger(__name__)

LEASE = "upkeep"
LEASE_SECONDS = 30
TICK_SECONDS = 5.0
RETRY_SECONDS = 60
"""How long after a failure a duty is run again."""
AT_ONCE = 4
"""Duties that run at one time, so that a source that does not answer holds up no other."""


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


@dataclass(frozen=True, slots=True)
class _Outlook:
    """What there is to do for the holder of the lease; `lease_ends` is None where it is not this worker's yet."""

    lease_ends: int | None
    due: tuple[Task, ...]
    gone: Collection[str]


class Upkeep:
    """Runs what is due while this worker holds the lease.

    `plan` lists the duties as they are registered now, since trust stores come and go. `clock` gives epoch seconds.
    """

    def __init__(self, store: Store, plan: Callable[[Connection], Iterable[Task]], clock: Callable[[], float]) -> None:
        self._store = store
        self._plan = plan
        self._clock = clock
        self._holder = secrets.token_hex(8)
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    async def keep_running(self, ending: asyncio.Event) -> None:
        """Look every few seconds until the event is set; then leave what is under way, and give the lease up."""
        while not ending.is_set():
            await self._guarded(self.tick())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), TICK_SECONDS)
        await self._leave()
        await self._guarded(self._store.writing(partial(stored_duties.release_lease, name=LEASE, holder=self._holder)))

    async def tick(self) -> Collection["asyncio.Task[None]"]:
        """Begin every duty that is due, if the lease is this worker's or free, and give all that is under way.

        Nothing is written where there is nothing to do: on SQLite every worker's look would wait for every other's.
        """
        outlook = await self._store.reading(self._look)
        if outlook is None:
            await self._leave()
            return ()
        lease_holds = outlook.lease_ends is not None and outlook.lease_ends - self._now > LEASE_SECONDS // 2
        if outlook.due or outlook.gone or not lease_holds:
            if not await self._store.writing(partial(self._take, gone=outlook.gone)):
                return ()
            for task in outlook.due:
                self._begin(task)
        return tuple(self._under_way.values())

    @property
    def _now(self) -> int:
        return int(self._clock())

    def _look(self, connection: Connection) -> _Outlook | None:
        """See what there is to do; None while another worker holds the lease."""
        now, lease = self._now, stored_duties.read_lease(connection, LEASE)
        is_mine = lease is not None and lease.holder == self._holder
        if lease is not None and not is_mine and not lease.is_free(now, LEASE_SECONDS):
            return None
        tasks = {task.name: task for task in self._plan(connection)}
        known = {duty.name: duty for duty in stored_duties.duties(connection)}
        waiting = [task for name, task in tasks.items() if name not in self._under_way]
        return _Outlook(
            lease_ends=lease.expires_at if lease is not None and is_mine else None,
            due=tuple(task for task in waiting if task.name not in known or _is_due(known[task.name], now)),
            gone=known.keys() - tasks.keys(),
        )

    def _take(self, connection: Connection, gone: Collection[str]) -> bool:
        if not stored_duties.take_lease(connection, LEASE, self._holder, self._now, LEASE_SECONDS):
            return False
        for name in gone:
            stored_duties.remove_duty(connection, name)
        return True

    def _begin(self, task: Task) -> None:
        running = asyncio.create_task(self._guarded(self._run(task)), name=task.name)
        self._under_way[task.name] = running
        running.add_done_callback(lambda _: self._under_way.pop(task.name, None))

    async def _leave(self) -> None:
        """Begin nothing more, and wait for nobody's answer."""
        left = tuple(self._under_way.values())
        for running in left:
            running.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _run(self, task: Task) -> None:
        async with self._places:
            now = self._now
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


def _is_due(duty: Duty, now: int) -> bool:
    """Whether it is time, or the last run was by a clock that was ahead."""
    return duty.next_run <= now or duty.last_run > now
