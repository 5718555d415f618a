from functools import partial

import pytest

from certbound.store import clients, people, sessions
from certbound.store.engine import Store, StoreConflict
from certbound.store.sessions import Consent, Session

from .values import client, consent, person, session

ID = "ab" * 32


@pytest.fixture
def with_people(store: Store) -> Store:
    for name in ("ada", "bob"):
        store.write(partial(people.add, new=person(name)))
    for name in ("orders", "billing"):
        store.write(partial(clients.add, new=client(name)))
    return store


def add(store: Store, *new: Session) -> None:
    for one in new:
        store.write(partial(sessions.add, new=one))


def give(store: Store, *given: Consent) -> None:
    for one in given:
        store.write(partial(sessions.give_consent, given=one))


def load(store: Store, id_sha256: str = ID) -> Session | None:
    return store.read(partial(sessions.load, id_sha256=id_sha256))


def load_consent(store: Store, client_id: str = "orders") -> Consent | None:
    return store.read(partial(sessions.load_consent, sub="sub-ada", client_id=client_id))


def test_every_field_of_a_session_comes_back_as_it_was(with_people: Store) -> None:
    bare = session("cd" * 32, amr=(), ended_at=5)
    add(with_people, session(), bare)
    assert load(with_people) == session()
    assert load(with_people, "cd" * 32) == bare
    assert load(with_people, "ef" * 32) is None


def test_a_session_of_somebody_unknown_is_a_conflict(store: Store) -> None:
    with pytest.raises(StoreConflict):
        add(store, session())


def test_a_persons_sessions_are_listed_newest_first_without_those_that_ended(with_people: Store) -> None:
    kept = [session(f"{number:064x}", auth_time=number) for number in range(3)]
    add(with_people, *kept, session("e" * 64, ended_at=5), session("b" * 64, sub="sub-bob"))
    assert with_people.read(partial(sessions.of_person, sub="sub-ada", limit=9)) == tuple(reversed(kept))
    assert with_people.read(partial(sessions.of_person, sub="sub-ada", limit=1)) == (kept[2],)


def test_a_session_ends_once(with_people: Store) -> None:
    add(with_people, session(), session("cd" * 32))
    assert with_people.write(partial(sessions.end, id_sha256=ID, at=7))
    assert not with_people.write(partial(sessions.end, id_sha256=ID, at=8))
    assert not with_people.write(partial(sessions.end, id_sha256="ef" * 32, at=8))
    assert load(with_people) == session(ended_at=7)
    assert load(with_people, "cd" * 32) == session("cd" * 32)


def test_all_sessions_of_one_person_end_together(with_people: Store) -> None:
    add(with_people, session(), session("cd" * 32), session("ef" * 32, ended_at=3), session("b" * 64, sub="sub-bob"))
    assert with_people.write(partial(sessions.end_all, sub="sub-ada", at=7)) == 2
    found = [load(with_people, id_sha256) for id_sha256 in (ID, "cd" * 32, "ef" * 32, "b" * 64)]
    assert [one.ended_at for one in found if one is not None] == [7, 7, 3, None]


def test_what_has_expired_is_deleted_in_batches(with_people: Store) -> None:
    add(with_people, *(session(f"{number:064x}", expires_at=100 + number) for number in range(4)))
    delete = partial(sessions.delete_expired, now=102, limit=2)
    assert [with_people.write(delete) for _ in range(3)] == [2, 1, 0]
    assert load(with_people, f"{3:064x}") is not None


def test_a_consent_takes_the_place_of_the_one_before(with_people: Store) -> None:
    give(with_people, consent(), consent("billing", scopes=()))
    assert load_consent(with_people) == consent()
    give(with_people, consent(scopes=("read", "ü"), given_at=200))
    assert load_consent(with_people) == consent(scopes=("read", "ü"), given_at=200)
    assert load_consent(with_people, "nobody") is None
    listed = with_people.read(partial(sessions.consents, sub="sub-ada"))
    assert [one.client_id for one in listed] == ["billing", "orders"]
    assert with_people.read(partial(sessions.consents, sub="sub-bob")) == []


@pytest.mark.parametrize("given", [consent("nobody"), consent(sub="nobody")], ids=["client", "person"])
def test_a_consent_of_or_for_somebody_unknown_is_a_conflict(with_people: Store, given: Consent) -> None:
    with pytest.raises(StoreConflict):
        give(with_people, given)


def test_a_consent_is_taken_back_once_and_no_other_with_it(with_people: Store) -> None:
    give(with_people, consent(), consent("billing"), consent(sub="sub-bob"))
    take_back = partial(sessions.take_back_consent, sub="sub-ada", client_id="orders")
    assert [with_people.write(take_back) for _ in range(2)] == [True, False]
    assert load_consent(with_people) is None
    assert load_consent(with_people, "billing") == consent("billing")
    assert len(with_people.read(partial(sessions.consents, sub="sub-bob"))) == 1


def test_with_a_client_go_the_consents_it_was_given(with_people: Store) -> None:
    give(with_people, consent(), consent("billing"))
    with_people.write(lambda connection: clients.remove(connection, "orders"))
    assert with_people.read(partial(sessions.consents, sub="sub-ada")) == [consent("billing")]
