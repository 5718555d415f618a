import pytest

from certbound.store import trust
from certbound.store.engine import Connection, Store, StoreConflict
from certbound.store.trust import TrustCertificate, TrustStore

from .values import trusted


@pytest.fixture
def filled(store: Store) -> Store:
    def work(connection: Connection) -> None:
        trust.create_store(connection, "partners", 5)
        trust.create_store(connection, "devices", 6)
        trust.create_store(connection, "empty", 7)
        trust.add(connection, trusted("partners", "aa", added=2))
        trust.add(connection, trusted("partners", "bb", kind="intermediate", alias=None, added=1))
        trust.add(connection, trusted("devices", "aa", disabled=True))

    store.write(work)
    return store


def listed(store: Store, name: str) -> tuple[TrustCertificate, ...]:
    return store.read(lambda connection: trust.certificates(connection, name))


def test_every_field_comes_back_as_it_was(filled: Store) -> None:
    assert listed(filled, "partners") == (
        trusted("partners", "bb", kind="intermediate", alias=None, added=1),
        trusted("partners", "aa", added=2),
    )
    assert listed(filled, "devices") == (trusted("devices", "aa", disabled=True),)


def test_stores_are_listed_with_what_they_hold(filled: Store) -> None:
    assert filled.read(trust.stores) == (
        TrustStore("devices", 6, 1, 0),
        TrustStore("empty", 7, 0, 0),
        TrustStore("partners", 5, 1, 1),
    )


def test_several_stores_load_at_once_without_what_is_disabled(filled: Store) -> None:
    found = filled.read(lambda connection: trust.load_enabled(connection, ("partners", "devices", "empty", "nowhere")))
    assert found == {"partners": listed(filled, "partners"), "devices": (), "empty": ()}
    assert filled.read(lambda connection: trust.load_enabled(connection, ())) == {}


def test_a_name_or_a_certificate_that_is_taken_is_a_conflict(filled: Store) -> None:
    with pytest.raises(StoreConflict):
        filled.write(lambda connection: trust.create_store(connection, "partners", 9))
    with pytest.raises(StoreConflict):
        filled.write(lambda connection: trust.add(connection, trusted("partners", "aa", kind="intermediate")))
    with pytest.raises(StoreConflict):
        filled.write(lambda connection: trust.add(connection, trusted("nowhere", "aa")))


def test_a_certificate_is_disabled_enabled_and_removed(filled: Store) -> None:
    assert filled.write(lambda connection: trust.set_disabled(connection, "devices", "aa", disabled=False))
    assert listed(filled, "devices") == (trusted("devices", "aa"),)
    assert filled.write(lambda connection: trust.remove(connection, "devices", "aa"))
    assert not filled.write(lambda connection: trust.remove(connection, "devices", "aa"))
    assert not filled.write(lambda connection: trust.set_disabled(connection, "devices", "aa", disabled=True))
    assert len(listed(filled, "partners")) == 2


def test_a_deleted_store_takes_its_certificates_along(filled: Store) -> None:
    assert filled.write(lambda connection: trust.delete_store(connection, "partners"))
    assert not filled.write(lambda connection: trust.delete_store(connection, "partners"))
    filled.write(lambda connection: trust.create_store(connection, "partners", 9))
    assert listed(filled, "partners") == ()
