from dataclasses import replace
from functools import partial

import pytest

from certbound.store import people
from certbound.store.engine import Store, StoreConflict

from .values import person


def test_every_field_comes_back_as_it_was(store: Store) -> None:
    store.write(lambda connection: people.add(connection, person(disabled=True)))
    assert store.read(lambda connection: people.load(connection, "ada")) == person(disabled=True)
    assert store.read(lambda connection: people.load_by_sub(connection, "sub-ada")) == person(disabled=True)
    assert store.read(lambda connection: people.load(connection, "ADA")) is None
    assert store.read(lambda connection: people.load_by_sub(connection, "sub-bob")) is None


def test_a_taken_name_or_sub_is_a_conflict(store: Store) -> None:
    store.write(lambda connection: people.add(connection, person()))
    with pytest.raises(StoreConflict):
        store.write(lambda connection: people.add(connection, person(sub="other")))
    with pytest.raises(StoreConflict):
        store.write(lambda connection: people.add(connection, person("bob", sub="sub-ada")))


def test_people_are_listed_by_name_page_by_page(store: Store) -> None:
    for name in ("cat", "ada", "bob"):
        store.write(partial(people.add, new=person(name)))
    first = store.read(lambda connection: people.page(connection, limit=2))
    rest = store.read(lambda connection: people.page(connection, after="bob", limit=2))
    assert [one.username for one in (*first, *rest)] == ["ada", "bob", "cat"]


def test_a_password_and_a_disablement_change_that_person_only(store: Store) -> None:
    store.write(lambda connection: people.add(connection, person()))
    store.write(lambda connection: people.add(connection, person("bob")))
    assert store.write(lambda connection: people.set_password(connection, "ada", "new"))
    assert store.write(lambda connection: people.set_disabled(connection, "ada", disabled=True))
    assert not store.write(lambda connection: people.set_password(connection, "eve", "new"))
    assert not store.write(lambda connection: people.set_disabled(connection, "eve", disabled=True))
    assert store.read(people.page) == (replace(person(), password_hash="new", disabled=True), person("bob"))


def test_a_password_hash_does_not_show_in_a_repr() -> None:
    assert "argon2" not in repr(person())
