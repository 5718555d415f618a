import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from tests.authority.house import House
from tests.oauth.making import make

from certbound.authority import clients
from certbound.authority.clients import ClientChanges, ClientError, RegisteredNow
from certbound.authority.tokens.issuing import GRANTS
from certbound.oauth.registering import RegistrationRequest
from certbound.oauth.registration import AuthenticationMethod, RegistrationError
from certbound.store import audit, revision
from certbound.store.clients import StoredClient

FIRST, SECOND = make("CN=first"), make("CN=second")


def register(house: House, client_id: str | None, method: str, **members: Any) -> RegisteredNow:
    request = RegistrationRequest("A client", method, client_id=client_id, **members)
    return house.store.write(partial(clients.register, request=request, known_grants=GRANTS, **house.by))


def update(house: House, client_id: str, **changes: Any) -> RegisteredNow:
    given = ClientChanges(**changes)
    return house.store.write(
        partial(clients.update, client_id=client_id, changes=given, known_grants=GRANTS, **house.by)
    )


def stored(house: House, client_id: str) -> StoredClient:
    return house.store.read(partial(clients.existing, client_id=client_id))


def in_use(house: House, client_id: str) -> set[str]:
    return {c.sha256 for c in stored(house, client_id).certificates if c.retired is None}


def self_signed(house: House, client_id: str = "alone") -> None:
    register(house, client_id, "self_signed_tls_client_auth", certificates=(FIRST.certificate,))


def test_an_id_is_made_where_none_is_asked_for_and_no_two_are_the_same(house: House) -> None:
    made = {register(house, None, "client_secret_basic").client.client_id for _ in range(5)}
    assert len(made) == 5
    assert all(client_id.isalnum() for client_id in made)  # so that no command line takes one for an option
    with pytest.raises(ClientError, match="there is a client 'orders' already"):
        register(house, "orders", "client_secret_basic")


def test_a_secret_is_shown_once_and_kept_as_a_digest(house: House) -> None:
    made = register(house, "s", "client_secret_basic")
    assert made.client_secret is not None
    assert len(made.client_secret) >= 43  # 256 bits in base64url
    assert made.client_secret not in repr(made)
    assert made.client_secret.encode() != made.client.secret_sha256
    everything = house.store.read(lambda connection: audit.page(connection, limit=100))
    assert not [row for row in everything if made.client_secret in row.detail]


@pytest.mark.req("8705-44")
def test_a_trust_store_that_is_not_there_is_not_relied_on(house: House) -> None:
    subject = {"tls_client_auth_san_dns": "a.example"}
    with pytest.raises(RegistrationError, match="certbound trust add"):
        register(house, "x", "tls_client_auth", subject=subject, trust=("partners", "gone"))
    with pytest.raises(ClientError, match="no client 'x'"):
        stored(house, "x")


def test_with_another_method_what_belonged_to_the_one_before_goes(house: House) -> None:
    made = update(house, "orders", token_endpoint_auth_method="client_secret_basic")
    assert made.client_secret is not None
    after = stored(house, "orders").client
    assert after.token_endpoint_auth_method is AuthenticationMethod.CLIENT_SECRET_BASIC
    assert (after.subject, after.trust, after.tls_client_certificate_bound_access_tokens) == (None, (), False)
    back = update(
        house,
        "orders",
        token_endpoint_auth_method="self_signed_tls_client_auth",
        certificates=(FIRST.certificate,),
    )
    assert back.client_secret is None
    after = stored(house, "orders").client
    assert after.secret_sha256 is None
    assert after.tls_client_certificate_bound_access_tokens


def test_a_change_of_something_else_leaves_secret_and_certificates_as_they_are(house: House) -> None:
    before = register(house, "s", "client_secret_basic").client.secret_sha256
    assert update(house, "s", client_name="Renamed").client_secret is None
    assert stored(house, "s").client.secret_sha256 == before
    self_signed(house)
    update(house, "alone", scopes=("read",))
    assert in_use(house, "alone") == {FIRST.certificate.sha256.hex()}


def test_certificates_given_are_the_whole_set_and_a_retired_one_does_not_come_back(house: House) -> None:
    self_signed(house)
    update(house, "alone", certificates=(SECOND.certificate,))
    assert in_use(house, "alone") == {SECOND.certificate.sha256.hex()}
    with pytest.raises(ClientError, match="does not come back"):
        update(house, "alone", certificates=(FIRST.certificate, SECOND.certificate))
    assert in_use(house, "alone") == {SECOND.certificate.sha256.hex()}


def test_a_jwk_set_in_the_place_of_files_brings_its_own_certificates(house: House) -> None:
    self_signed(house)
    update(house, "alone", jwks={"keys": [SECOND.jwk()]})
    assert in_use(house, "alone") == {SECOND.certificate.sha256.hex()}
    assert stored(house, "alone").client.jwks is not None
    third = make("CN=third")
    update(house, "alone", certificates=(third.certificate,))
    assert stored(house, "alone").client.jwks is None
    assert in_use(house, "alone") == {third.certificate.sha256.hex()}


URI = "https://client.example/jwks"
KEYED = {"keys": [FIRST.jwk(), {name: value for name, value in SECOND.jwk().items() if name != "x5c"}]}
SOURCES: dict[str, dict[str, Any]] = {
    "certificates": {"certificates": (FIRST.certificate,)},
    "jwks": {"jwks": {"keys": [SECOND.jwk()]}},
    "jwks_uri": {"jwks_uri": URI},
}


@pytest.mark.parametrize(
    ("before", "after"), [(before, after) for before in SOURCES for after in SOURCES if before != after]
)
def test_certificates_come_from_one_source_and_another_takes_its_place(house: House, before: str, after: str) -> None:
    register(house, "alone", "self_signed_tls_client_auth", **SOURCES[before])
    there = in_use(house, "alone")
    update(house, "alone", client_name="Renamed", **SOURCES[after])
    client = stored(house, "alone").client
    assert (client.jwks, client.jwks_uri) == (SOURCES[after].get("jwks"), SOURCES[after].get("jwks_uri"))
    assert len(in_use(house, "alone")) == (after != "jwks_uri")
    retired = {c.sha256 for c in stored(house, "alone").certificates if c.retired is not None}
    assert retired == there
    if there:  # what was in use before is retired, and stays so
        with pytest.raises(ClientError, match="does not come back"):
            update(house, "alone", **SOURCES[before])


def test_a_change_of_something_else_keeps_the_source(house: House) -> None:
    for name, source in SOURCES.items():
        register(house, name, "self_signed_tls_client_auth", **source)
        before, used = stored(house, name).client, in_use(house, name)
        update(house, name, scopes=("read",), diagnostics=True)
        assert stored(house, name).client == replace(before, scopes=("read",), diagnostics=True)
        assert in_use(house, name) == used


def test_a_client_of_bare_keys_keeps_them_with_all_else_that_means_it(house: House) -> None:
    register(house, "keyed", "self_signed_tls_client_auth", jwks=KEYED, match_by_key=True)
    update(house, "keyed", client_name="Renamed")
    found = house.store.read(partial(clients.find_registration, client_id="keyed"))
    assert found is not None
    assert (found.certificates, found.keys) == ((FIRST.certificate,), (SECOND.certificate.spki,))
    update(house, "keyed", match_by_key=False)
    found = house.store.read(partial(clients.find_registration, client_id="keyed"))
    assert found is not None
    assert (found.certificates, found.keys) == ((FIRST.certificate,), ())


def test_a_retired_certificate_of_a_set_does_not_come_back_and_hinders_no_other_change(house: House) -> None:
    register(house, "keyed", "self_signed_tls_client_auth", jwks=KEYED, match_by_key=True)
    sha256 = FIRST.certificate.sha256.hex()
    house.store.write(partial(clients.retire_certificate, client_id="keyed", sha256=sha256, **house.by))
    update(house, "keyed", client_name="Renamed")
    found = house.store.read(partial(clients.find_registration, client_id="keyed"))
    assert found is not None
    assert (found.client.client_name, found.certificates) == ("Renamed", ())
    assert found.keys == (SECOND.certificate.spki,)


def test_a_client_that_publishes_its_certificates_is_given_none(house: House) -> None:
    register(house, "alone", "self_signed_tls_client_auth", jwks_uri=URI)
    with pytest.raises(ClientError, match="publishes its certificates itself"):
        house.store.write(
            partial(clients.add_certificate, client_id="alone", certificate=FIRST.certificate, **house.by)
        )


def test_attributes_take_the_place_of_a_subject_and_back(house: House) -> None:
    attributes = {"serialNumber": "1234"}
    update(house, "orders", subject_attributes=attributes)
    client = stored(house, "orders").client
    assert (client.subject is not None, client.certificate_metadata()["certbound_subject_attributes"]) == (
        True,
        attributes,
    )
    update(house, "orders", subject={})
    client = stored(house, "orders").client
    assert (client.subject, client.subject_attributes is not None, client.trust) == (None, True, ("partners",))
    with pytest.raises(RegistrationError, match="exactly one"):
        update(house, "orders", subject_attributes={})
    update(house, "orders", subject={"tls_client_auth_san_ip": "::1"}, subject_attributes={})
    assert stored(house, "orders").client.certificate_metadata() == {"tls_client_auth_san_ip": "::1"}


def test_with_another_method_its_keys_and_attributes_go_and_diagnostics_stay(house: House) -> None:
    register(house, "keyed", "self_signed_tls_client_auth", jwks=KEYED, match_by_key=True, diagnostics=True)
    update(house, "keyed", token_endpoint_auth_method="client_secret_basic")
    assert stored(house, "keyed").client.certificate_metadata() == {"certbound_diagnostics": True}
    assert in_use(house, "keyed") == set()
    update(house, "orders", subject_attributes={"O": "Example"})
    update(house, "orders", token_endpoint_auth_method="self_signed_tls_client_auth", jwks_uri=URI)
    assert stored(house, "orders").client.certificate_metadata() == {"jwks_uri": URI}


def test_certificates_are_added_and_retired_one_by_one(house: House) -> None:
    self_signed(house)
    add = partial(clients.add_certificate, client_id="alone", certificate=SECOND.certificate, **house.by)
    house.store.write(add)
    with pytest.raises(ClientError, match="already"):
        house.store.write(add)
    retire = partial(clients.retire_certificate, client_id="alone", sha256=FIRST.certificate.sha256.hex(), **house.by)
    house.store.write(retire)
    assert in_use(house, "alone") == {SECOND.certificate.sha256.hex()}
    with pytest.raises(ClientError, match="in use"):
        house.store.write(retire)
    with pytest.raises(ClientError, match="authenticates by tls_client_auth"):
        house.store.write(
            partial(clients.add_certificate, client_id="orders", certificate=FIRST.certificate, **house.by)
        )


@pytest.mark.parametrize("change", [clients.delete, partial(clients.set_disabled, disabled=True)])
def test_a_client_that_is_not_there_cannot_be_changed(house: House, change: Any) -> None:
    with pytest.raises(ClientError, match="no client 'gone'"):
        house.store.write(partial(change, client_id="gone", **house.by))


async def test_a_deleted_client_is_unknown_and_its_refresh_tokens_are_gone(house: House) -> None:
    first = await house.log_in("app")
    house.store.write(partial(clients.delete, client_id="app", **house.by))
    await house.registered.refresh()
    assert (await house.refusal(house.refresh("app", first.refresh_token, None))).error == "invalid_client"
    house.client("app", "none")
    await house.registered.refresh()
    assert (await house.refusal(house.refresh("app", first.refresh_token, None))).error == "invalid_grant"


def test_every_change_moves_the_revision_and_is_recorded_with_before_and_after(house: House) -> None:
    self_signed(house)
    changes: dict[str, Any] = {
        "client.updated": lambda: update(house, "alone", client_name="Renamed"),
        "client.certificate_added": lambda: house.store.write(
            partial(clients.add_certificate, client_id="alone", certificate=SECOND.certificate, **house.by)
        ),
        "client.certificate_retired": lambda: house.store.write(
            partial(clients.retire_certificate, client_id="alone", sha256=SECOND.certificate.sha256.hex(), **house.by)
        ),
        "client.disabled": lambda: house.disable("alone"),
        "client.deleted": lambda: house.store.write(partial(clients.delete, client_id="alone", **house.by)),
    }
    for action, change in changes.items():
        before = house.store.read(revision.read)
        change()
        assert house.store.read(revision.read) > before, action
        last = house.store.read(lambda connection: audit.page(connection, limit=100))[-1]
        assert (last.action, last.target, last.actor) == (action, "alone", "tester")
        if action == "client.updated":
            detail = json.loads(last.detail)
            assert detail["before"]["client_name"] == "A client"
            assert detail["after"]["client_name"] == "Renamed"


def test_an_update_that_is_refused_changes_and_records_nothing(house: House) -> None:
    before = (stored(house, "orders"), house.store.read(audit.head), house.store.read(revision.read))
    with pytest.raises(RegistrationError):
        update(house, "orders", client_name="Renamed", scopes=("a b",))
    assert (stored(house, "orders"), house.store.read(audit.head), house.store.read(revision.read)) == before
