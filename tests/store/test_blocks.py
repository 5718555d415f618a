from functools import partial

import pytest

from certbound.store import blocks
from certbound.store.blocks import Block
from certbound.store.engine import Store, StoreConflict

from .values import block


def add(store: Store, *new: Block) -> None:
    for one in new:
        store.write(partial(blocks.add, new=one))


def lift(store: Store, block_id: str, at: int = 9) -> bool:
    return store.write(lambda connection: blocks.lift(connection, block_id, at, "bob"))


def test_every_field_comes_back_as_it_was(store: Store) -> None:
    full = block(lifted_at=1, lifted_by="bob")
    add(store, full)
    assert store.read(lambda connection: blocks.load(connection, "b1")) == full
    assert store.read(lambda connection: blocks.load(connection, "b2")) is None


def test_a_second_block_of_the_same_is_a_conflict_until_the_first_is_lifted(store: Store) -> None:
    key = block("b2", kind="public_key")
    add(store, block("b1"), key)
    for wrong in (block("b3"), block("b1", sha256="other")):
        with pytest.raises(StoreConflict):
            add(store, wrong)
    assert lift(store, "b1")
    add(store, block("b3"))
    assert lift(store, "b3")
    add(store, block("b4"))
    assert store.read(blocks.in_force) == (key, block("b4"))


def test_a_block_is_lifted_once_and_stays_on_record(store: Store) -> None:
    add(store, block("b1"), block("b2", sha256="other", created_at=2**33 + 1))
    assert lift(store, "b1")
    assert not lift(store, "b1", at=10)
    assert not lift(store, "nowhere")
    assert store.read(blocks.in_force) == (block("b2", sha256="other", created_at=2**33 + 1),)
    assert [(one.id, one.lifted_at, one.lifted_by) for one in store.read(blocks.all_blocks)] == [
        ("b2", None, None),
        ("b1", 9, "bob"),
    ]
    assert len(store.read(lambda connection: blocks.all_blocks(connection, limit=1))) == 1


def test_the_block_in_force_is_found_by_kind_and_digest(store: Store) -> None:
    add(store, block("b1", lifted_at=1), block("b2"))
    assert store.read(lambda connection: blocks.find_in_force(connection, "certificate", "cc" * 32)) == block("b2")
    assert store.read(lambda connection: blocks.find_in_force(connection, "public_key", "cc" * 32)) is None
    assert store.read(lambda connection: blocks.find_in_force(connection, "certificate", "other")) is None
