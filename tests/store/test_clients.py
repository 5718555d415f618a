from collections.abc import Sequence
from dataclasses import MISSING, fields
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, select

from certbound.certificates.subject import PARAMETERS, SubjectMatch
from certbound.oauth.registration import AuthenticationMethod, Client
from certbound.store import certificates, clients, schema, tokens, trust
from certbound.store.engine import Connection, Store, StoreConflict

from .values import certificate, client, full_client, refresh_token


def add(store: Store, *registered: Client) -> None:
    def work(connection: Connection) -> None:
        known = {held.name for held in trust.stores(connection)}
        for name in {name for one in registered for name in one.trust} - known:
            trust.create_store(connection, name, 1)
        for one in registered:
            clients.add(connection, one)

    store.write(work)


def load(store: Store, client_id: str) -> clients.StoredClient:
    found = store.read(lambda connection: clients.load(connection, client_id))
    assert found is not None
    return found


def test_the_full_client_of_these_tests_leaves_no_field_at_its_default() -> None:
    # So that a field added to the registration fails here until the store keeps it.
    full = full_client()
    for field in fields(Client):
        default = None if field.default is MISSING else field.default
        assert getattr(full, field.name) != default, field.name


def test_every_field_of_a_client_comes_back_as_it_was(store: Store) -> None:
    add(store, full_client())
    found = load(store, full_client().client_id)
    assert found.client == full_client()
    assert found.updated_at == full_client().created_at
    assert found.certificates == ()


@pytest.mark.parametrize("method", AuthenticationMethod)
def test_every_method_comes_back(store: Store, method: AuthenticationMethod) -> None:
    add(store, client(token_endpoint_auth_method=method))
    assert load(store, "orders").client == client(token_endpoint_auth_method=method)


def test_metadata_is_kept_under_its_wire_names_so_that_it_reads_the_same_everywhere(store: Store) -> None:
    add(store, full_client())
    kept = store.read(lambda connection: connection.execute(select(schema.client.c.metadata)).scalar_one())
    assert full_client().certificate_metadata().items() <= kept.items()
    assert set(kept) - set(full_client().as_metadata()) == set()


def test_what_is_not_registered_is_not_kept_and_comes_back_as_its_default(store: Store) -> None:
    add(store, client())
    kept = store.read(lambda connection: connection.execute(select(schema.client.c.metadata)).scalar_one())
    assert not {
        name for name in kept if name.startswith(("certbound_match", "certbound_diag", "certbound_subj", "jwks"))
    }
    assert load(store, "orders").client == client()


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_every_subject_parameter_comes_back(store: Store, parameter: str) -> None:
    subject = SubjectMatch(parameter, "value")
    add(store, client(subject=subject))
    assert load(store, "orders").client.subject == subject


def test_an_unknown_client_is_none(store: Store) -> None:
    assert store.read(lambda connection: clients.load(connection, "nobody")) is None


def test_a_taken_client_id_is_a_conflict(store: Store) -> None:
    add(store, client())
    with pytest.raises(StoreConflict):
        add(store, client(client_name="Another"))
    assert load(store, "orders").client.client_name == "Orders"


def test_a_client_is_loaded_whole_in_one_statement(store: Store) -> None:
    add(store, client(trust=("one", "two", "three")))
    hashes = [f"{number:02d}" * 32 for number in range(5)]

    def register(connection: Connection) -> None:
        for number, sha256 in enumerate(hashes):
            certificates.add(connection, certificate(sha256=sha256, added=number))

    store.write(register)
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(store._engine, "before_cursor_execute", count)
    found = load(store, "orders")
    assert len(statements) == 1
    assert found.client.trust == ("one", "two", "three")
    assert [held.sha256 for held in found.certificates] == hashes


def test_pages_follow_each_other_by_client_id_without_gap_or_repeat(store: Store) -> None:
    names = [f"client-{number:03d}" for number in range(25)]
    add(store, *(client(name) for name in reversed(names)))
    seen: list[str] = []
    for _ in range(10):
        after = seen[-1] if seen else ""
        page = store.read(partial(clients.page, after=after, limit=10))
        seen += [found.client.client_id for found in page]
    assert seen == names


def test_a_page_carries_each_clients_certificates(store: Store) -> None:
    add(store, client("a"), client("b", trust=("one", "two")), client("c"))

    def register(connection: Connection) -> None:
        certificates.add(connection, certificate("a", "aa" * 32))
        certificates.add(connection, certificate("a", "bb" * 32))
        certificates.add(connection, certificate("c", "aa" * 32))

    store.write(register)
    page = store.read(clients.page)
    assert [(found.client.client_id, len(found.certificates)) for found in page] == [("a", 2), ("b", 0), ("c", 1)]
    assert page[1].client.trust == ("one", "two")


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("ORD", ["orders", "x1"]),
        ("100%", ["x1"]),
        ("%", ["x1"]),
        ("_", ["a_b"]),
        ("\\", ["back\\slash"]),
        ("none such", []),
        ("'; --", []),
    ],
)
def test_a_search_looks_in_id_and_name_and_takes_every_character_for_itself(
    store: Store, search: str, expected: Sequence[str]
) -> None:
    add(
        store,
        client("orders", client_name="A"),
        client("x1", client_name="100% Orders"),
        client("a_b", client_name="B"),
        client("back\\slash", client_name="C"),
    )
    page = store.read(lambda connection: clients.page(connection, search=search))
    assert sorted(found.client.client_id for found in page) == sorted(expected)


def test_a_replaced_client_keeps_its_birthday_and_its_certificates(store: Store) -> None:
    add(store, full_client())
    client_id = full_client().client_id
    changed = client(client_id, client_name="Other", secret_sha256=None, trust=("alpha",), created_at=1)
    store.write(lambda connection: certificates.add(connection, certificate(client_id)))
    assert store.write(lambda connection: clients.replace(connection, changed, at=77))
    found = load(store, client_id)
    assert found.client == client(
        client_id, client_name="Other", secret_sha256=None, trust=("alpha",), created_at=full_client().created_at
    )
    assert found.updated_at == 77
    assert len(found.certificates) == 1


def test_replacing_an_unknown_client_changes_nothing(store: Store) -> None:
    assert not store.write(lambda connection: clients.replace(connection, client(), at=1))
    assert store.read(clients.page) == ()


def test_a_client_is_disabled_and_enabled(store: Store) -> None:
    add(store, client())
    assert store.write(lambda connection: clients.set_disabled(connection, "orders", 7, disabled=True))
    assert load(store, "orders").client.disabled
    assert load(store, "orders").updated_at == 7
    assert store.write(lambda connection: clients.set_disabled(connection, "orders", 8, disabled=False))
    assert not load(store, "orders").client.disabled
    assert not store.write(lambda connection: clients.set_disabled(connection, "nobody", 9, disabled=True))


def test_a_removed_client_takes_its_certificates_and_refresh_tokens_along(store: Store) -> None:
    add(store, client(trust=("one",)))

    def give(connection: Connection) -> None:
        certificates.add(connection, certificate())
        tokens.add_refresh_token(connection, refresh_token())

    store.write(give)
    assert store.write(lambda connection: clients.remove(connection, "orders"))
    assert store.read(lambda connection: clients.load(connection, "orders")) is None
    assert store.read(lambda connection: certificates.owners(connection, "aa" * 32)) == ()
    assert store.read(lambda connection: tokens.load_refresh_token(connection, b"\x00" * 32)) is None
    assert store.read(lambda connection: clients.relying_on(connection, "one")) == ()
    assert not store.write(lambda connection: clients.remove(connection, "orders"))


def test_a_client_cannot_name_a_trust_store_that_is_not_there(store: Store) -> None:
    with pytest.raises(StoreConflict):
        store.write(lambda connection: clients.add(connection, client(trust=("nowhere",))))
    assert store.read(clients.page) == ()


def test_a_trust_store_that_a_client_relies_on_cannot_go(store: Store) -> None:
    add(store, client("b", trust=("one",)), client("a", trust=("two", "one")), client("c"))
    assert store.read(lambda connection: clients.relying_on(connection, "one")) == ("a", "b")
    with pytest.raises(StoreConflict):
        store.write(lambda connection: trust.delete_store(connection, "one"))
    store.write(lambda connection: clients.remove(connection, "a"))
    store.write(lambda connection: clients.remove(connection, "b"))
    assert store.write(lambda connection: trust.delete_store(connection, "one"))
