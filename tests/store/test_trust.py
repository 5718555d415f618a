from dataclasses import replace

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


def test_what_is_disabled_is_told_by_store(filled: Store) -> None:
    filled.write(lambda connection: trust.set_disabled(connection, "partners", "bb", disabled=True))
    names = ("partners", "devices", "empty", "nowhere")
    found = filled.read(lambda connection: trust.load_disabled(connection, names))
    assert found == {"partners": (trusted("partners", "bb").der,), "devices": (trusted("devices", "aa").der,)}
    assert filled.read(lambda connection: trust.load_disabled(connection, ("empty",))) == {}


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


POLICY = TrustStore(
    "partners",
    5,
    1,
    1,
    revocation="crl+ocsp",
    on_unavailable="accept",
    grace_seconds=3600,
    extended_key_usage="require",
    trust_domain="example.org",
    bundle_url="https://example.org/bundle",
    bundle_refresh=300,
    bundle_sequence=2**33,
    ocsp_url="http://ocsp.example.org/",
)


def test_a_policy_comes_back_as_it_was_set_and_is_the_one_stores(filled: Store) -> None:
    assert filled.write(lambda connection: trust.set_policy(connection, POLICY))
    found = filled.read(lambda connection: trust.policies(connection, ("partners", "empty", "nowhere")))
    assert found == {"partners": POLICY, "empty": TrustStore("empty", 7, 0, 0)}
    assert POLICY in filled.read(trust.stores)
    plain = TrustStore("partners", 5, 1, 1)
    assert filled.write(lambda connection: trust.set_policy(connection, plain))
    assert filled.read(lambda connection: trust.policies(connection, ["partners"])) == {"partners": plain}
    assert filled.read(lambda connection: trust.policies(connection, ())) == {}


def test_a_policy_of_no_store_changes_nothing(filled: Store) -> None:
    assert not filled.write(lambda connection: trust.set_policy(connection, replace(POLICY, name="nowhere")))
    assert filled.read(lambda connection: trust.policies(connection, ["partners"]))["partners"].revocation == "off"
