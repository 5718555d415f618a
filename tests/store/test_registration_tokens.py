import asyncio
from dataclasses import replace
from functools import partial

import pytest

from certbound.store import clients, revoked, tokens
from certbound.store import registration_tokens as stored
from certbound.store.engine import Store, StoreConflict
from certbound.store.registration_tokens import RegistrationToken

from .values import client, issued_token

INITIAL = RegistrationToken(
    token_sha256=bytes(32),
    id="i1",
    created_at=100,
    scopes=("read", "write"),
    trust=("partners",),
    uses_left=2,
    expires_at=1000,
)
OWN = RegistrationToken(
    token_sha256=b"\xff" * 32,
    id="o1",
    created_at=100,
    client_id="orders",
    scopes=("read",),
    statement="a.b.c",
    software="software",
)


@pytest.fixture
def filled(store: Store) -> Store:
    store.write(lambda connection: clients.add(connection, client("orders")))
    for token in (INITIAL, OWN):
        store.write(partial(stored.add, new=token))
    return store


def load(store: Store, token: RegistrationToken, now: int = 500) -> RegistrationToken | None:
    return store.read(partial(stored.load, token_sha256=token.token_sha256, now=now))


def use(store: Store, token: RegistrationToken, now: int = 500) -> bool:
    return store.write(partial(stored.use, token_sha256=token.token_sha256, now=now))


def test_every_field_comes_back_as_it_was(filled: Store) -> None:
    assert load(filled, INITIAL) == INITIAL
    assert load(filled, OWN) == OWN
    assert filled.read(stored.initial) == (INITIAL,)


def test_a_token_runs_out(filled: Store) -> None:
    assert load(filled, INITIAL, now=999) == INITIAL
    assert load(filled, INITIAL, now=1000) is None
    assert not use(filled, INITIAL, now=1000)
    assert filled.write(partial(stored.delete_expired, now=999, limit=9)) == 0
    assert filled.write(partial(stored.delete_expired, now=1000, limit=9)) == 1
    assert load(filled, OWN, now=10**12) == OWN


def test_an_initial_token_is_used_up_and_one_of_a_client_is_no_initial_one(filled: Store) -> None:
    assert [use(filled, INITIAL) for _ in range(3)] == [True, True, False]
    assert load(filled, INITIAL) == replace(INITIAL, uses_left=0)
    assert not use(filled, OWN)
    assert not filled.write(partial(stored.remove_initial, token_id="o1"))
    assert filled.write(partial(stored.remove_initial, token_id="i1"))
    assert load(filled, INITIAL) is None


@pytest.mark.req("7591-06")
async def test_of_many_who_use_a_token_at_once_no_more_succeed_than_it_has_uses(filled: Store) -> None:
    work = partial(stored.use, token_sha256=INITIAL.token_sha256, now=500)
    assert sum(await asyncio.gather(*(filled.writing(work) for _ in range(20)))) == 2


@pytest.mark.req("7592-05")
def test_the_token_of_a_client_goes_with_it(filled: Store) -> None:
    filled.write(partial(clients.remove, client_id="orders"))
    assert load(filled, OWN) is None
    with pytest.raises(StoreConflict):
        filled.write(partial(stored.add, new=OWN))


def test_a_statement_is_kept_and_its_software_found(filled: Store) -> None:
    filled.write(partial(stored.keep_statement, token_sha256=OWN.token_sha256, statement="d.e.f", software="new"))
    assert load(filled, OWN) == replace(OWN, statement="d.e.f", software="new")
    found = partial(stored.others_have_software, token_sha256=INITIAL.token_sha256)
    assert filled.read(partial(found, software="new"))
    assert not filled.read(partial(found, software="software"))
    assert not filled.read(partial(stored.others_have_software, token_sha256=OWN.token_sha256, software="new"))


@pytest.mark.req("7592-03")
def test_the_living_tokens_of_a_client_are_revoked_and_those_of_others_are_not(filled: Store) -> None:
    issued = [
        issued_token("living", client_id="orders", expires_at=600),
        issued_token("past", client_id="orders", expires_at=500),
        issued_token("foreign", client_id="billing", expires_at=600),
    ]
    filled.write(partial(tokens.add_issued_tokens, tokens=issued))
    assert filled.write(partial(revoked.revoke_client, client_id="orders", at=500)) == 1
    is_revoked = [filled.read(partial(revoked.is_revoked, jti=token.jti)) for token in issued]
    assert is_revoked == [True, False, False]
