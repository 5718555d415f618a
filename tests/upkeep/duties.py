"""Duties and workers as the tests make them: a clock of their own, and what is recorded of each run."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from tests.certificates.openssl_ca import NOW

from certbound.store import duties as stored_duties
from certbound.store.duties import Duty
from certbound.store.engine import Connection, Store
from certbound.upkeep.plan import plan
from certbound.upkeep.removal import Retention
from certbound.upkeep.running import Fetch, Task, Upkeep

RETENTION = Retention(refusals=10, refusal_days=1, issued_token_days=2, sighting_days=60)


@dataclass
class Clock:
    """Epoch seconds that pass when a test says so; they begin now, as openssl takes the time from the machine."""

    now: int = int(NOW.timestamp())

    def __call__(self) -> float:
        return float(self.now)


@dataclass
class Duties:
    """Duties that note when they ran: `every` are the seconds until each is due again."""

    every: dict[str, int]
    ran: list[str] = field(default_factory=list)
    work: Callable[[str], Awaitable[None]] | None = None

    def __call__(self, _connection: Connection) -> Iterable[Task]:
        return [Task(name, partial(self._run, name)) for name in self.every]

    async def _run(self, name: str, _now: int) -> int:
        self.ran.append(name)
        if self.work is not None:
            await self.work(name)
        return self.every[name]


async def round_of(upkeep: Upkeep) -> None:
    """Let a worker look once, and wait for what it began."""
    await asyncio.wait_for(asyncio.gather(*await upkeep.tick()), 60)


def of_a_server(store: Store, fetch: Fetch, clock: Clock) -> Upkeep:
    """Make the upkeep of a worker as the server's wiring does."""
    duties = partial(plan, store=store, fetch=fetch, retention=RETENTION, reading=asyncio.Lock())
    return Upkeep(store, duties, clock)


def recorded(store: Store) -> dict[str, Duty]:
    return {duty.name: duty for duty in store.read(stored_duties.duties)}
