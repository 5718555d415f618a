import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import text

from certbound.store import audit, clients, people, revision
from certbound.store.engine import Connection, Store, StoreConflict, StoreUnavailable

from .values import client, person


def names(store: Store) -> list[str]:
    return [one.username for one in store.read(people.page)]


def test_what_a_unit_returned_is_committed_for_every_worker(store: Store, opened: Callable[[], Store]) -> None:
    other = opened()
    store.write(lambda connection: people.add(connection, person()))
    assert names(other) == ["ada"]


def test_a_unit_that_fails_is_undone_whole(store: Store) -> None:
    def work(connection: Connection) -> None:
        people.add(connection, person())
        revision.bump(connection)
        raise LookupError("of the caller's own")

    with pytest.raises(LookupError, match="of the caller's own"):
        store.write(work)
    assert names(store) == []
    assert store.read(revision.read) == 0


def test_a_conflict_undoes_what_came_before_it(store: Store) -> None:
    store.write(lambda connection: people.add(connection, person("bob")))

    def work(connection: Connection) -> None:
        people.add(connection, person("ada"))
        people.add(connection, person("bob"))

    with pytest.raises(StoreConflict):
        store.write(work)
    assert names(store) == ["bob"]


def test_a_reader_is_not_held_up_by_a_writer_and_sees_nothing_half_done(
    store: Store, opened: Callable[[], Store]
) -> None:
    other = opened()

    def work(connection: Connection) -> list[str]:
        people.add(connection, person())
        return names(other)

    assert store.write(work) == []
    assert names(other) == ["ada"]


def test_what_goes_wrong_shows_no_values(store: Store) -> None:
    secret = "not-for-the-log"
    with pytest.raises(Exception, match="no_such_table") as caught:
        store.write(lambda connection: connection.execute(text("INSERT INTO no_such_table VALUES (:x)"), {"x": secret}))
    assert secret not in str(caught.value)
    assert not isinstance(caught.value, StoreUnavailable)


async def test_the_asynchronous_pair_does_the_same_off_the_event_loop(store: Store) -> None:
    def work(connection: Connection) -> int:
        people.add(connection, person())
        return threading.get_ident()

    assert await store.writing(work) != threading.get_ident()
    assert await store.reading(lambda connection: people.load(connection, "ada")) == person()
    with pytest.raises(StoreConflict):
        await store.writing(work)


async def test_many_units_at_once_all_come_through(store: Store) -> None:
    await asyncio.gather(*(store.writing(revision.bump) for _ in range(100)))
    assert set(await asyncio.gather(*(store.reading(revision.read) for _ in range(100)))) == {100}


async def test_a_unit_whose_caller_gave_up_is_undone_or_not_begun(url: str) -> None:
    waiting = threading.Event()
    begun: list[str] = []

    def slow(connection: Connection) -> None:
        people.add(connection, person("slow"))
        begun.append("slow")
        waiting.wait(10)

    def queued(connection: Connection) -> None:
        begun.append("queued")
        people.add(connection, person("queued"))

    with Store(url, patience=0.3) as store:
        # PostgreSQL has several threads to fill before a unit waits for its turn.
        filling = [store.writing(slow) for _ in range(store._writers._max_workers)]
        outcomes = await asyncio.gather(*filling, store.writing(queued), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * len(outcomes)
        waiting.set()
    assert "queued" not in begun
    with Store(url) as store:
        assert names(store) == []


def test_a_store_is_not_carried_over_a_fork(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(RuntimeError, match="fork"):
        store.read(revision.read)


def test_a_database_in_memory_is_born_with_its_schema_and_serves_every_thread() -> None:
    with Store("sqlite://") as store:
        store.write(lambda connection: clients.add(connection, client()))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: store.write(revision.bump), range(80)))
        assert store.read(revision.read) == 80
        assert store.read(audit.head).sequence == 0
        assert asyncio.run(store.reading(lambda connection: clients.load(connection, "orders"))) is not None
        with pytest.raises(StoreConflict):
            store.write(lambda connection: clients.add(connection, client()))


def test_another_database_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="mysql is not supported"):
        Store("mysql://localhost/x")


def rivals(url: str, unit: Callable[[int, Connection], None]) -> None:
    """Run one unit on each of two workers at once."""
    with Store(url) as one, Store(url) as two, ThreadPoolExecutor(2) as pool:
        units = [pool.submit(store.write, partial(unit, number)) for number, store in enumerate((one, two))]
        for future in units:
            future.result(20)


def test_a_deadlock_is_tried_again(migrated_postgres_url: str) -> None:
    with Store(migrated_postgres_url) as store:
        for name in ("ada", "bob"):
            store.write(partial(people.add, new=person(name)))
    met = threading.Barrier(2, timeout=10)
    attempts = [0, 0]

    def unit(number: int, connection: Connection) -> None:
        attempts[number] += 1
        connection.execute(text("SET LOCAL deadlock_timeout = '20ms'"))
        first, second = ("ada", "bob") if number == 0 else ("bob", "ada")
        people.set_password(connection, first, f"first-{number}")
        if attempts[number] == 1:
            met.wait()
        people.set_password(connection, second, f"second-{number}")

    rivals(migrated_postgres_url, unit)
    assert sorted(attempts) == [1, 2]


def test_a_serialization_failure_is_tried_again(migrated_postgres_url: str) -> None:
    met = threading.Barrier(2, timeout=10)
    attempts = [0, 0]

    def unit(number: int, connection: Connection) -> None:
        attempts[number] += 1
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
        before = len(people.page(connection))
        if attempts[number] == 1:
            met.wait()
        people.add(connection, person(f"{number}", password_hash=str(before)))

    rivals(migrated_postgres_url, unit)
    assert sum(attempts) >= 3
    with Store(migrated_postgres_url) as store:
        assert sorted(one.password_hash for one in store.read(people.page)) == ["0", "1"]


def test_trying_again_has_an_end(migrated_postgres_url: str) -> None:
    attempts = []

    def unit(connection: Connection) -> None:
        attempts.append(1)
        connection.execute(text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))

    with Store(migrated_postgres_url) as store, pytest.raises(StoreUnavailable, match="40001"):
        store.write(unit)
    assert len(attempts) == 6


def test_a_connection_cut_in_mid_transaction_costs_one_repetition(migrated_postgres_url: str) -> None:
    attempts = []

    def unit(connection: Connection) -> None:
        attempts.append(1)
        people.add(connection, person())
        if len(attempts) == 1:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with Store(migrated_postgres_url) as store:
        store.write(unit)
        assert len(attempts) == 2
        assert names(store) == ["ada"]


def test_a_connection_cut_during_the_commit_is_not_repeated(altered_postgres_url: str) -> None:
    attempts = []

    def unit(connection: Connection) -> None:
        attempts.append(1)
        people.add(connection, person())

    with Store(altered_postgres_url) as store:
        store.write(lambda connection: connection.execute(text(_CUT_AT_COMMIT)))
        with pytest.raises(StoreUnavailable, match="outcome is unknown"):
            store.write(unit)
        assert len(attempts) == 1


_CUT_AT_COMMIT = """
CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON person DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION cut();
"""
