from dataclasses import replace

from certbound.store import refusals
from certbound.store.engine import Store
from certbound.store.refusals import Refusal

from .values import refusal


def add(store: Store, *new: Refusal) -> None:
    store.write(lambda connection: refusals.add_refusals(connection, new))


def load(store: Store, reference: str) -> Refusal | None:
    return store.read(lambda connection: refusals.load(connection, reference))


def references(store: Store, client_id: str | None = None, limit: int = 100) -> list[str]:
    found = store.read(lambda connection: refusals.newest(connection, client_id=client_id, limit=limit))
    return [one.reference for one in found]


def delete(store: Store, *, rows: int = 1000, before: int = 0, limit: int = 1000) -> int:
    return store.write(lambda connection: refusals.delete_beyond(connection, rows=rows, before=before, limit=limit))


def test_every_field_comes_back_as_it_was(store: Store) -> None:
    bare = refusal("R-2", address=None, certificate=None, checks=[])
    add(store, refusal(), bare)
    for expected in (refusal(), bare):
        assert load(store, expected.reference) == expected
    assert load(store, "r-1") is None


def test_what_was_sent_with_nul_characters_and_lone_surrogates_is_kept_in_the_trace(store: Store) -> None:
    odd = refusal(certificate={"subject": "CN=\x00\ud800"}, checks=[{"found": "\x00"}])
    add(store, odd)
    assert load(store, "R-1") == odd


def test_a_reference_that_is_taken_is_passed_over(store: Store) -> None:
    add(store, refusal())
    add(store, replace(refusal(), error="other"), refusal("R-2"))
    add(store)
    assert load(store, "R-1") == refusal()
    assert sorted(references(store)) == ["R-1", "R-2"]


def test_the_newest_come_first_of_everybody_or_of_one(store: Store) -> None:
    add(store, *(refusal(f"R-{number}", at=number, client_id=("a", "b")[number % 2]) for number in range(6)))
    assert references(store, limit=3) == ["R-5", "R-4", "R-3"]
    assert references(store, "a") == ["R-4", "R-2", "R-0"]
    assert references(store, "nobody") == []


def test_what_is_too_old_or_too_much_goes_in_bounded_batches(store: Store) -> None:
    add(store, *(refusal(f"R-{number}", at=number) for number in range(10)))
    assert delete(store, rows=100, before=3, limit=2) == 2
    assert references(store)[-2:] == ["R-3", "R-2"]
    assert delete(store, rows=6, before=3, limit=100) == 2
    assert references(store) == ["R-9", "R-8", "R-7", "R-6", "R-5", "R-4"]
    assert delete(store, rows=2, before=0, limit=3) == 3
    assert delete(store, rows=2, before=0, limit=3) == 1
    assert delete(store, rows=2, before=0, limit=3) == 0
    assert references(store) == ["R-9", "R-8"]
