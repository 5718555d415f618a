"""Who runs the background duties, when, and what becomes of one that fails."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial

import pytest
from tests.upkeep.duties import Clock, Duties, recorded, round_of

from certbound.store import duties as stored_duties
from certbound.store.duties import Duty
from certbound.store.engine import Connection, Store, StoreUnavailable
from certbound.upkeep import running
from certbound.upkeep.aside import aside
from certbound.upkeep.running import LEASE, LEASE_SECONDS, RETRY_SECONDS, DutyFailedError, Upkeep

Opened = Callable[[], Store]


@pytest.fixture
def two(opened: Opened, clock: Clock) -> tuple[Upkeep, Upkeep, Duties]:
    """The upkeep of two workers on one database, and the duty that both would run."""
    duties = Duties({"a": 60})
    return Upkeep(opened(), duties, clock), Upkeep(opened(), duties, clock), duties


async def test_of_two_workers_one_runs_the_duties_until_its_lease_ends(
    two: tuple[Upkeep, Upkeep, Duties], clock: Clock
) -> None:
    first, second, duties = two
    await round_of(first)
    await round_of(second)
    assert duties.ran == ["a"]
    clock.now += LEASE_SECONDS - 1
    await round_of(second)
    clock.now += 60
    await round_of(second)
    assert duties.ran == ["a", "a"]
    clock.now += 1
    await round_of(first)
    clock.now += 60
    await round_of(second)
    assert duties.ran == ["a"] * 3


async def test_workers_that_look_at_the_same_moment_run_a_duty_once(
    two: tuple[Upkeep, Upkeep, Duties], clock: Clock
) -> None:
    first, second, duties = two
    for runs in range(1, 6):
        await asyncio.gather(round_of(first), round_of(second))
        assert duties.ran == ["a"] * runs
        clock.now += 60


async def test_a_lease_is_renewed_while_a_duty_takes_long(two: tuple[Upkeep, Upkeep, Duties], clock: Clock) -> None:
    first, second, duties = two
    done = asyncio.Event()

    async def take_long(_name: str) -> None:
        await done.wait()

    duties.work = take_long
    begun = await first.tick()
    for _ in range(10):
        clock.now += LEASE_SECONDS - 1
        assert await first.tick() == begun, "the duty is under way, and not begun again"
        assert await second.tick() == ()
    done.set()
    await asyncio.gather(*begun)
    assert duties.ran == ["a"]


async def test_a_worker_whose_lease_is_another_ones_leaves_what_it_had_begun(
    two: tuple[Upkeep, Upkeep, Duties], clock: Clock
) -> None:
    first, second, duties = two
    begun, never = asyncio.Event(), asyncio.Event()

    async def hang(_name: str) -> None:
        begun.set()
        await never.wait()

    duties.work = hang
    [hanging] = await first.tick()
    await begun.wait()
    clock.now += LEASE_SECONDS  # it was stopped for so long
    duties.work = None
    await round_of(second)
    assert await first.tick() == ()
    assert hanging.cancelled()
    assert duties.ran == ["a", "a"]


async def test_nothing_is_written_by_a_worker_that_has_nothing_to_do(
    two: tuple[Upkeep, Upkeep, Duties], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _ = two
    await round_of(first)

    async def refuse(_store: Store, _work: object) -> None:
        raise AssertionError("it was written")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "writing", refuse)
        for worker in (first, second):
            await round_of(worker)
        clock.now += LEASE_SECONDS // 2 - 1
        for worker in (first, second):
            await round_of(worker)
    clock.now += 1
    await round_of(first)
    clock.now += LEASE_SECONDS - 1
    await round_of(second)
    assert await first.tick() == ()


async def test_at_the_end_the_lease_is_given_up_and_what_is_under_way_is_left(
    two: tuple[Upkeep, Upkeep, Duties],
) -> None:
    first, second, duties = two
    begun, ending, never = asyncio.Event(), asyncio.Event(), threading.Event()

    async def ask_a_dead_source(_name: str) -> None:
        begun.set()
        await aside(partial(never.wait, 60))

    duties.work = ask_a_dead_source
    keeping = asyncio.create_task(first.keep_running(ending))
    await asyncio.wait_for(begun.wait(), 30)
    ending.set()
    await asyncio.wait_for(keeping, 30)
    assert not never.is_set()
    assert all(not thread.name.startswith("upkeep") or thread.daemon for thread in threading.enumerate())
    never.set()
    duties.work = None
    await round_of(second)
    assert duties.ran == ["a", "a"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DutyFailedError("ca.example is gone"), "ca.example is gone"),
        (StoreUnavailable("locked"), "locked"),
        (ZeroDivisionError("secret"), "unexpected ZeroDivisionError"),
        (RecursionError(), "unexpected RecursionError"),
        (TimeoutError(), "unexpected TimeoutError"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_duty_that_fails_is_told_and_run_again_and_does_not_end_the_others(
    store: Store, clock: Clock, caplog: pytest.LogCaptureFixture, error: Exception, told: str
) -> None:
    duties = Duties({"bad": 3600, "good": 3600})
    upkeep = Upkeep(store, duties, clock)
    await round_of(upkeep)
    last = clock.now
    clock.now += 3600

    async def fail(name: str) -> None:
        if name == "bad":
            raise error

    duties.work = fail
    await round_of(upkeep)
    assert recorded(store)["bad"] == Duty("bad", clock.now, last, told, clock.now + RETRY_SECONDS)
    assert recorded(store)["good"].failure is None
    [alarm] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (alarm.message, alarm.__dict__["duty"]) == ("duty failed", "bad")
    duties.work = None
    clock.now += RETRY_SECONDS - 1
    await round_of(upkeep)
    assert duties.ran.count("bad") == 2
    clock.now += 1
    await round_of(upkeep)
    assert recorded(store)["bad"] == Duty("bad", clock.now, clock.now, None, clock.now + 3600)
    assert duties.ran.count("good") == 2


async def test_a_database_that_is_away_ends_nothing(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    duties, ending, looked = Duties({"a": 60}), asyncio.Event(), asyncio.Semaphore(0)
    reading = store.reading

    async def away(_work: object) -> None:
        looked.release()
        raise StoreUnavailable("away")

    async def back(work: Callable[[Connection], object]) -> object:
        looked.release()
        return await reading(work)

    monkeypatch.setattr(running, "TICK_SECONDS", 0.001)
    monkeypatch.setattr(store, "reading", away)
    keeping = asyncio.create_task(Upkeep(store, duties, clock).keep_running(ending))
    for _ in range(3):
        await asyncio.wait_for(looked.acquire(), 30)
    monkeypatch.setattr(store, "reading", back)
    while not duties.ran:
        await asyncio.wait_for(looked.acquire(), 30)
    ending.set()
    await asyncio.wait_for(keeping, 30)
    assert "upkeep waits for the database" in caplog.messages


async def test_a_plan_that_cannot_be_made_does_not_end_the_upkeep(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ending, tried = asyncio.Event(), asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()

    def broken(_connection: Connection) -> list[running.Task]:
        loop.call_soon_threadsafe(tried.release)
        raise ValueError("broken")

    monkeypatch.setattr(running, "TICK_SECONDS", 0.001)
    keeping = asyncio.create_task(Upkeep(store, broken, clock).keep_running(ending))
    for _ in range(3):
        await asyncio.wait_for(tried.acquire(), 30)
    ending.set()
    await asyncio.wait_for(keeping, 30)
    assert "upkeep failed" in caplog.messages


async def test_a_duty_that_there_is_no_more_is_forgotten(shared_store: Store, clock: Clock) -> None:
    duties = Duties({"stays": 3600, "goes": 3600})
    upkeep = Upkeep(shared_store, duties, clock)
    await round_of(upkeep)
    del duties.every["goes"]
    await round_of(upkeep)
    assert recorded(shared_store).keys() == {"stays"}
    duties.every["goes"] = 3600
    await round_of(upkeep)
    assert duties.ran == ["stays", "goes", "goes"]


async def test_sources_that_do_not_answer_hold_up_no_other(store: Store, clock: Clock) -> None:
    duties = Duties({f"dead {number}": 60 for number in range(running.AT_ONCE - 1)})
    dead = asyncio.Event()

    async def hang(name: str) -> None:
        if name.startswith("dead"):
            await dead.wait()

    duties.work = hang
    upkeep = Upkeep(store, duties, clock)
    waiting = await upkeep.tick()
    duties.every["new"] = 60
    begun = set(await upkeep.tick()) - set(waiting)
    await asyncio.wait_for(asyncio.gather(*begun), 30)
    assert recorded(store).keys() == {"new"}
    dead.set()
    await asyncio.gather(*waiting)


async def test_a_clock_that_was_far_ahead_for_a_while_stops_no_duty(
    two: tuple[Upkeep, Upkeep, Duties], clock: Clock
) -> None:
    first, second, duties = two
    clock.now += 10**8
    await round_of(first)
    clock.now -= 10**8
    await round_of(second)
    assert duties.ran == ["a", "a"], "neither the lease of the dead worker nor its last run stands in the way"
    await round_of(first)
    assert duties.ran == ["a", "a"]


async def test_workers_whose_clocks_differ_a_little_do_not_take_the_lease_from_each_other(
    opened: Opened, clock: Clock
) -> None:
    ahead = Clock(clock.now + LEASE_SECONDS)
    duties = Duties({"a": 1})
    first, second = Upkeep(opened(), duties, ahead), Upkeep(opened(), duties, clock)
    await round_of(first)
    for _ in range(3):
        ahead.now += 1
        clock.now += 1
        await round_of(second)
    assert duties.ran == ["a"]


def test_a_lease_is_read_as_it_was_taken(shared_store: Store) -> None:
    assert shared_store.read(partial(stored_duties.read_lease, name=LEASE)) is None
    take = partial(stored_duties.take_lease, name=LEASE, holder="one", now=100, seconds=30)
    assert shared_store.write(take)
    lease = shared_store.read(partial(stored_duties.read_lease, name=LEASE))
    assert lease == stored_duties.Lease("one", 130)
    assert [lease.is_free(now, 30) for now in (-(10**8), 39, 40, 129, 130)] == [True, True, False, False, True]
