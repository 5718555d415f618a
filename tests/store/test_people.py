import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from certbound.store import people
from certbound.store.engine import Connection, Store, StoreConflict

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


def changed(store: Store, **changes: Any) -> bool:
    """Whether ada is as she was but for these changes, and bob as he was."""
    return store.read(people.page) == (replace(person(), **changes), person("bob"))


@pytest.fixture
def ada_and_bob(store: Store) -> Store:
    for name in ("ada", "bob"):
        store.write(partial(people.add, new=person(name)))
    return store


def test_what_is_kept_for_signing_in_comes_back_as_it_was(store: Store) -> None:
    full = person(
        attributes={"name": "Ada Ü", "address": {"country": "GB"}, "email_verified": True, "updated_at": 1.5},
        sealed_totp=b"\x00\xff",
        totp_step=2**33,
        failures=7,
        locked_until=2**33,
    )
    store.write(partial(people.add, new=full))
    assert store.read(partial(people.load, username="ada")) == full
    assert store.write(partial(people.lock, username="ada")) == full
    assert store.write(partial(people.lock, username="nobody")) is None


def test_attributes_are_replaced_whole(ada_and_bob: Store) -> None:
    for attributes in ({"name": "Ada", "nickname": "a"}, {"name": "Ada L."}):
        assert ada_and_bob.write(partial(people.set_attributes, username="ada", attributes=attributes))
    assert changed(ada_and_bob, attributes={"name": "Ada L."})
    assert not ada_and_bob.write(partial(people.set_attributes, username="eve", attributes={}))


def test_a_new_second_factor_forgets_what_was_used_of_the_one_before(ada_and_bob: Store) -> None:
    set_totp = partial(people.set_totp, username="ada")
    assert ada_and_bob.write(partial(set_totp, sealed=b"one"))
    assert ada_and_bob.write(partial(people.use_totp_step, username="ada", step=9))
    assert changed(ada_and_bob, sealed_totp=b"one", totp_step=9)
    assert ada_and_bob.write(partial(set_totp, sealed=b"two"))
    assert changed(ada_and_bob, sealed_totp=b"two")
    assert ada_and_bob.write(partial(set_totp, sealed=None))
    assert changed(ada_and_bob)
    assert not ada_and_bob.write(partial(people.set_totp, username="eve", sealed=None))


def test_a_step_uses_up_itself_and_all_before_it(ada_and_bob: Store) -> None:
    steps = [(5, True), (5, False), (4, False), (7, True), (6, False)]
    for step, used in steps:
        assert ada_and_bob.write(partial(people.use_totp_step, username="ada", step=step)) is used
    assert ada_and_bob.write(partial(people.use_totp_step, username="bob", step=5))


def test_of_fifty_at_once_on_two_workers_exactly_one_uses_a_step(
    ada_and_bob: Store, opened: Callable[[], Store]
) -> None:
    workers = (ada_and_bob, opened())
    use = partial(people.use_totp_step, username="ada", step=5)

    async def all_at_once() -> list[bool]:
        return await asyncio.gather(*(workers[number % 2].writing(use) for number in range(50)))

    assert asyncio.run(all_at_once()).count(True) == 1


def test_attempts_on_two_workers_are_counted_one_after_the_other(
    ada_and_bob: Store, opened: Callable[[], Store]
) -> None:
    workers = (ada_and_bob, opened())

    def count(connection: Connection) -> None:
        found = people.lock(connection, "ada")
        assert found is not None
        people.record_attempts(connection, "ada", failures=found.failures + 1, locked_until=found.failures)

    async def all_at_once() -> None:
        await asyncio.gather(*(workers[number % 2].writing(count) for number in range(50)))

    asyncio.run(all_at_once())
    assert changed(ada_and_bob, failures=50, locked_until=49)
    ada_and_bob.write(partial(people.record_attempts, username="ada", failures=0, locked_until=None))
    assert changed(ada_and_bob)


def test_a_sealed_secret_does_not_show_in_a_repr() -> None:
    assert "sealed" not in repr(person(sealed_totp=b"sealed"))
