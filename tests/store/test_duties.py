from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from certbound.store import duties
from certbound.store.duties import Duty
from certbound.store.engine import Store


def take(store: Store, holder: str, now: int, name: str = "crls") -> bool:
    return store.write(lambda connection: duties.take_lease(connection, name, holder, now, 30))


def release(store: Store, holder: str) -> bool:
    return store.write(lambda connection: duties.release_lease(connection, "crls", holder))


def test_a_lease_is_taken_renewed_and_taken_over_when_it_has_run_out(store: Store) -> None:
    assert take(store, "one", 100)
    assert not take(store, "two", 129)
    assert take(store, "one", 120)
    assert not take(store, "two", 149)
    assert take(store, "two", 150)
    assert not take(store, "one", 151)
    assert take(store, "one", 151, name="bundles")


def test_a_lease_is_given_up_by_its_holder_only(store: Store) -> None:
    assert take(store, "one", 100)
    assert not release(store, "two")
    assert not take(store, "two", 101)
    assert release(store, "one")
    assert not release(store, "one")
    assert take(store, "two", 101)


def test_of_many_at_once_on_two_workers_exactly_one_takes_a_lease(store: Store, opened: Callable[[], Store]) -> None:
    workers = (store, opened())
    for moment in (100, 130, 160):
        holders = [f"{moment}-{number}" for number in range(16)]
        with ThreadPoolExecutor(8) as pool:
            taken = [pool.submit(take, workers[n % 2], holder, moment) for n, holder in enumerate(holders)]
            assert [one.result(20) for one in taken].count(True) == 1


def test_a_duty_keeps_its_last_success_when_it_fails(store: Store) -> None:
    good = Duty("crls", 100, 100, None, 200)
    never = Duty("bundles", 100, None, "no answer", 110)
    for run in (good, never):
        store.write(partial(duties.record_duty, run=run))
    assert store.read(duties.duties) == (never, good)
    store.write(lambda connection: duties.record_duty(connection, Duty("crls", 200, None, "no answer", 210)))
    assert store.read(duties.duties)[1] == Duty("crls", 200, 100, "no answer", 210)
    store.write(lambda connection: duties.record_duty(connection, Duty("crls", 210, 210, None, 310)))
    assert store.read(duties.duties)[1] == Duty("crls", 210, 210, None, 310)


def test_a_duty_that_there_is_no_more_is_forgotten(store: Store) -> None:
    kept = Duty("crls", 100, 100, None, 200)
    for run in (kept, Duty("bundles", 100, 100, None, 200)):
        store.write(partial(duties.record_duty, run=run))
    for _ in range(2):
        store.write(lambda connection: duties.remove_duty(connection, "bundles"))
    assert store.read(duties.duties) == (kept,)
