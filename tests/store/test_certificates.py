from dataclasses import replace
from functools import partial

import pytest

from certbound.store import certificates, clients
from certbound.store.certificates import RegisteredCertificate
from certbound.store.engine import Connection, Store, StoreConflict

from .values import certificate, client


@pytest.fixture
def registered(store: Store) -> Store:
    def work(connection: Connection) -> None:
        clients.add(connection, client("orders"))
        clients.add(connection, client("billing"))

    store.write(work)
    return store


def add(store: Store, *new: RegisteredCertificate) -> None:
    for one in new:
        store.write(partial(certificates.add, certificate=one))


def held(store: Store, client_id: str = "orders") -> tuple[RegisteredCertificate, ...]:
    return store.read(lambda connection: certificates.of_client(connection, client_id))


def test_every_field_comes_back_as_it_was(registered: Store) -> None:
    full = certificate(first_seen=1, last_seen=2, retired=3)
    add(registered, full)
    assert held(registered) == (full,)


def test_certificates_are_listed_oldest_first(registered: Store) -> None:
    add(
        registered,
        certificate(sha256="cc", added=3),
        certificate(sha256="aa", added=5),
        certificate(sha256="bb", added=3),
    )
    assert [one.sha256 for one in held(registered)] == ["bb", "cc", "aa"]
    found = registered.read(lambda connection: clients.load(connection, "orders"))
    assert found is not None
    assert found.certificates == held(registered)


def test_a_certificate_twice_for_one_client_is_a_conflict_and_for_two_clients_is_not(registered: Store) -> None:
    add(registered, certificate("orders"), certificate("billing"))
    with pytest.raises(StoreConflict):
        add(registered, certificate("orders"))
    assert registered.read(lambda connection: certificates.owners(connection, "aa" * 32)) == ("billing", "orders")


def test_a_certificate_of_nobody_is_a_conflict(registered: Store) -> None:
    with pytest.raises(StoreConflict):
        add(registered, certificate("nobody"))


def test_a_certificate_is_retired_once(registered: Store) -> None:
    add(registered, certificate())
    assert registered.write(lambda connection: certificates.retire(connection, "orders", "aa" * 32, 50))
    assert not registered.write(lambda connection: certificates.retire(connection, "orders", "aa" * 32, 60))
    assert not registered.write(lambda connection: certificates.retire(connection, "billing", "aa" * 32, 60))
    assert held(registered) == (certificate(retired=50),)


def test_uses_keep_the_first_and_the_last_in_whatever_order_they_come(registered: Store) -> None:
    add(registered, certificate(), certificate(sha256="bb" * 32))
    batch = [("orders", "aa" * 32, 20, 30), ("orders", "aa" * 32, 15, 15), ("nobody", "aa" * 32, 20, 20)]
    registered.write(lambda connection: certificates.mark_seen(connection, batch))
    registered.write(lambda connection: certificates.mark_seen(connection, [("orders", "aa" * 32, 10, 25)]))
    registered.write(lambda connection: certificates.mark_seen(connection, []))
    seen, unseen = held(registered)
    assert seen == replace(certificate(), first_seen=10, last_seen=30)
    assert unseen == certificate(sha256="bb" * 32)
