import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from certbound.store import audit
from certbound.store.audit import AuditHead, AuditRow
from certbound.store.engine import Connection, Store, StoreConflict


def row(head: AuditHead, action: str) -> AuditRow:
    link = hashlib.sha256(head.hash + action.encode()).digest()
    return AuditRow(
        sequence=head.sequence + 1,
        at=2**33,
        actor="ada",
        action=action,
        target="orders",
        detail='{"ü": null}',
        previous=head.hash,
        hash=link,
    )


def append(connection: Connection, action: str) -> None:
    audit.append(connection, [row(audit.locked_head(connection), action)])


def test_the_trail_begins_at_nothing(store: Store) -> None:
    assert store.read(audit.head) == AuditHead(0, bytes(32))
    assert store.read(audit.page) == ()
    store.write(lambda connection: audit.append(connection, []))
    assert store.read(audit.head) == AuditHead(0, bytes(32))


def test_every_field_comes_back_as_it_was_page_by_page(store: Store) -> None:
    head = AuditHead(0, bytes(32))
    rows = []
    for number in range(5):
        rows.append(row(head, f"action-{number}"))
        head = AuditHead(rows[-1].sequence, rows[-1].hash)
    store.write(lambda connection: audit.append(connection, rows[:3]))
    store.write(lambda connection: audit.append(connection, rows[3:]))
    assert store.read(audit.head) == head
    assert store.read(lambda connection: audit.page(connection, limit=2)) == tuple(rows[:2])
    assert store.read(lambda connection: audit.page(connection, after=2, limit=10)) == tuple(rows[2:])


def test_a_sequence_cannot_be_taken_twice(store: Store) -> None:
    store.write(lambda connection: append(connection, "first"))
    with pytest.raises(StoreConflict):
        store.write(lambda connection: audit.append(connection, [row(AuditHead(0, bytes(32)), "fork")]))
    assert store.read(audit.head).sequence == 1


def test_eight_threads_on_two_workers_make_one_unbroken_chain(store: Store, opened: Callable[[], Store]) -> None:
    workers = (store, opened())

    def work(thread: int) -> None:
        for number in range(25):
            workers[thread % 2].write(partial(append, action=f"{thread}-{number}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    rows = store.read(lambda connection: audit.page(connection, limit=1000))
    assert [one.sequence for one in rows] == list(range(1, 201))
    head = AuditHead(0, bytes(32))
    for one in rows:
        assert one == row(head, one.action)
        head = AuditHead(one.sequence, one.hash)
    assert store.read(audit.head) == head
