"""The open store and its unit of work: one transaction, committed before the answer, tried again where that is safe."""

import asyncio
import logging
import math
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from certbound.store.failures import StoreConflict, StoreUnavailable, may_be_repeated, meaning
from certbound.store.opening import POOL_SIZE, begin, for_reading, is_memory, open_engine
from certbound.store.schema import create_all

__all__ = ["Connection", "Store", "StoreConflict", "StoreUnavailable"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
#: A unit of work: it may run more than once, so it touches nothing but the connection and returns what it found.
Work = Callable[[Connection], T]

#: Seconds before the second, third, ... attempt; each is halved or kept by chance, so that rivals part.
_PAUSES = (0.005, 0.02, 0.05, 0.1, 0.2)


class Store:
    """An open database: `sqlite:///FILE`, `sqlite://` (in memory, born with its schema) or `postgresql://...`.

    Opening connects nothing. Every process opens its own: connections do not survive a fork. `busy_seconds` is how
    long SQLite waits for another process's lock, `statement_seconds` how long PostgreSQL lets one statement run, and
    `patience` how many seconds `reading` and `writing` take at most, waiting for a free connection included.
    """

    def __init__(
        self, url: str, *, busy_seconds: float = 5.0, statement_seconds: float = 5.0, patience: float = 1.9
    ) -> None:
        self._engine = open_engine(url, busy_seconds=busy_seconds, statement_seconds=statement_seconds)
        self._reader = for_reading(self._engine)
        self._patience = patience
        self._process = os.getpid()
        memory = is_memory(url)
        self._turn: AbstractContextManager[object] = threading.Lock() if memory else nullcontext()
        # SQLite has one writer at a time, and readers that it does not hold up; a memory database has one connection.
        self._readers = ThreadPoolExecutor(1 if memory else POOL_SIZE - 1, "store-read")
        self._writers = ThreadPoolExecutor(1, "store-write") if self._engine.name == "sqlite" else self._readers
        if memory:
            self.write(create_all)

    def read(self, work: Work[T]) -> T:
        """Run `work` outside any transaction: each statement sees the newest committed state.

        Raises StoreUnavailable.
        """
        return self._repeat(lambda: self._read_once(work), math.inf)

    def write(self, work: Work[T]) -> T:
        """Run `work` in one transaction and commit it before returning what it returned; undone whole on any error.

        Raises StoreUnavailable, StoreConflict, and whatever `work` raises.
        """
        return self._repeat(lambda: self._write_once(work, math.inf), math.inf)

    async def reading(self, work: Work[T]) -> T:
        """Do as `read` does on one of the store's own threads; StoreUnavailable after `patience` seconds."""
        return await self._hop(self._readers, lambda deadline: self._repeat(lambda: self._read_once(work), deadline))

    async def writing(self, work: Work[T]) -> T:
        """Do as `write` does on one of the store's own threads; StoreUnavailable after `patience` seconds.

        A unit whose caller has given up is not begun, or is undone instead of committed.
        """
        return await self._hop(
            self._writers, lambda deadline: self._repeat(lambda: self._write_once(work, deadline), deadline)
        )

    def close(self) -> None:
        """Finish what is running and close every connection."""
        for executor in (self._writers, self._readers):
            executor.shutdown(wait=True, cancel_futures=True)
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_once(self, work: Work[T]) -> T:
        with self._reader.connect() as connection:
            return work(connection)

    def _write_once(self, work: Work[T], deadline: float) -> T:
        with self._engine.connect() as connection:
            begin(connection)
            result = work(connection)
            if time.monotonic() > deadline:
                raise StoreUnavailable("the caller has given up waiting; nothing was recorded")
            try:
                connection.commit()
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise StoreUnavailable("the connection broke during the commit; its outcome is unknown") from error
                raise
            return result

    def _repeat(self, attempt: Callable[[], T], deadline: float) -> T:
        if os.getpid() != self._process:
            raise RuntimeError("a store does not survive a fork: open one in each process")
        attempts = 0
        while True:
            try:
                with self._turn:
                    return attempt()
            except SQLAlchemyError as error:
                pause = _PAUSES[attempts] if attempts < len(_PAUSES) else math.inf
                if not may_be_repeated(error) or time.monotonic() + pause >= deadline or pause == math.inf:
                    failure = meaning(error)
                    if failure is None:
                        raise
                    raise failure from error
                attempts += 1
                logger.info("store_unit_repeated", extra={"attempt": attempts, "error": type(error).__name__})
                time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter is no secret

    async def _hop(self, executor: ThreadPoolExecutor, unit: Callable[[float], T]) -> T:
        future = executor.submit(unit, time.monotonic() + self._patience)
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise StoreUnavailable("the database did not answer in time") from None
