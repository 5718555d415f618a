from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from certbound.store import revision
from certbound.store.engine import Connection, Store


def test_the_revision_rises_by_one_and_other_workers_see_it(store: Store, opened: Callable[[], Store]) -> None:
    other = opened()
    assert other.read(revision.read) == 0
    store.write(revision.bump)
    assert other.read(revision.read) == 1


def test_no_raise_is_lost(store: Store, opened: Callable[[], Store]) -> None:
    other = opened()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: (store, other)[number % 2].write(revision.bump), range(80)))
    assert store.read(revision.read) == 80


def test_an_undone_change_is_not_announced(store: Store) -> None:
    def work(connection: Connection) -> None:
        revision.bump(connection)
        raise LookupError

    try:
        store.write(work)
    except LookupError:
        assert store.read(revision.read) == 0
    else:
        raise AssertionError
