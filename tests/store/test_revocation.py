from functools import partial

import pytest

from certbound.store import revocation, trust
from certbound.store.engine import Connection, Store, StoreConflict
from certbound.store.revocation import CRLSource, StoredCRL

from .values import crl


@pytest.fixture
def with_stores(store: Store) -> Store:
    def work(connection: Connection) -> None:
        for name in ("partners", "devices", "empty"):
            trust.create_store(connection, name, 1)

    store.write(work)
    return store


def add(store: Store, *new: StoredCRL) -> None:
    def work(connection: Connection) -> None:
        for one in new:
            revocation.add_crl(connection, one, one.sha256.encode())

    store.write(work)


def replace(store: Store, new: StoredCRL, der: bytes = b"new") -> bool:
    return store.write(lambda connection: revocation.replace_crl(connection, new, der))


def held(store: Store, name: str | None = None) -> set[StoredCRL]:
    return set(store.read(lambda connection: revocation.crls(connection, name)))


def test_every_field_comes_back_as_it_was_and_the_content_is_loaded_apart(with_stores: Store) -> None:
    fetched, given = crl(), crl("devices", is_delta=True, number=None, url=None)
    add(with_stores, fetched, given)
    assert held(with_stores) == {fetched, given}
    assert held(with_stores, "devices") == {given}
    content = with_stores.read(lambda connection: revocation.load_der(connection, "partners", fetched.sha256))
    assert content == fetched.sha256.encode()
    assert with_stores.read(lambda connection: revocation.load_der(connection, "empty", fetched.sha256)) is None


def test_several_stores_are_listed_at_once(with_stores: Store) -> None:
    older, newer, delta = crl(sha256="01", this_update=1), crl(sha256="02", this_update=2), crl("devices", "03")
    add(with_stores, newer, older, delta)
    found = with_stores.read(lambda connection: revocation.crls_of(connection, ("partners", "empty")))
    assert found == {"partners": (older, newer), "empty": ()}
    assert with_stores.read(lambda connection: revocation.crls_of(connection, ())) == {}


def test_a_crl_twice_or_in_no_store_is_a_conflict(with_stores: Store) -> None:
    add(with_stores, crl())
    for wrong in (crl(), crl("nowhere")):
        with pytest.raises(StoreConflict):
            add(with_stores, wrong)


def test_a_newer_crl_takes_the_place_of_the_older_and_of_no_other(with_stores: Store) -> None:
    others = {
        crl(sha256="01", issuer="CN=other"),
        crl(sha256="02", is_delta=True),
        crl(sha256="03", scope="cas"),
        crl(sha256="04", signer="other"),
        crl("devices", "05"),
    }
    add(with_stores, crl(sha256="06"), crl(sha256="07"), *others)
    newer = crl(sha256="08", this_update=101)
    assert replace(with_stores, newer)
    assert held(with_stores) == {newer, *others}
    assert with_stores.read(lambda connection: revocation.load_der(connection, "partners", "08")) == b"new"


def test_an_older_crl_takes_no_place(with_stores: Store) -> None:
    add(with_stores, crl())
    assert not replace(with_stores, crl(sha256="01", this_update=99))
    assert held(with_stores) == {crl()}


def test_wherever_a_crl_came_from_it_takes_the_place_of_the_older(with_stores: Store) -> None:
    add(with_stores, crl(sha256="01", url=None), crl(sha256="02"))
    newer = crl(sha256="03", url="http://other.example.com/", this_update=101)
    assert replace(with_stores, newer)
    assert held(with_stores) == {newer}


def test_the_same_crl_again_or_from_elsewhere_is_held_once(with_stores: Store) -> None:
    add(with_stores, crl(url=None))
    for again in (crl(url=None, added=300), crl(added=400)):
        assert replace(with_stores, again)
        assert held(with_stores) == {again}


def test_a_crl_in_the_place_of_one_in_no_store_is_a_conflict(with_stores: Store) -> None:
    with pytest.raises(StoreConflict):
        replace(with_stores, crl("nowhere"))


def test_a_crl_is_removed_once(with_stores: Store) -> None:
    add(with_stores, crl(), crl("devices"))
    assert with_stores.write(lambda connection: revocation.remove_crl(connection, "partners", crl().sha256))
    assert not with_stores.write(lambda connection: revocation.remove_crl(connection, "partners", crl().sha256))
    assert held(with_stores) == {crl("devices")}


def test_a_crl_of_the_greatest_size_is_kept_whole(with_stores: Store) -> None:
    der = bytes(range(256)) * (50 * 4096)
    assert replace(with_stores, crl(), der)
    assert with_stores.read(lambda connection: revocation.load_der(connection, "partners", crl().sha256)) == der


def test_sources_are_added_listed_and_removed(with_stores: Store) -> None:
    first, second = CRLSource("devices", "http://b.example.com/"), CRLSource("partners", "http://a.example.com/")
    for new in (second, first):
        with_stores.write(partial(revocation.add_source, new=new))
    for wrong in (first, CRLSource("nowhere", "http://a.example.com/")):
        with pytest.raises(StoreConflict):
            with_stores.write(partial(revocation.add_source, new=wrong))
    assert with_stores.read(revocation.sources) == (first, second)
    assert with_stores.read(lambda connection: revocation.sources(connection, "partners")) == (second,)
    assert with_stores.write(lambda connection: revocation.remove_source(connection, "partners", second.url))
    assert not with_stores.write(lambda connection: revocation.remove_source(connection, "partners", second.url))
    assert with_stores.read(revocation.sources) == (first,)


def test_a_deleted_store_takes_its_crls_and_sources_along(with_stores: Store) -> None:
    add(with_stores, crl())
    with_stores.write(lambda connection: revocation.add_source(connection, CRLSource("partners", "http://a/")))
    assert with_stores.write(lambda connection: trust.delete_store(connection, "partners"))
    assert held(with_stores) == set()
    assert with_stores.read(revocation.sources) == ()
