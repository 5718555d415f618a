import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from certbound.store import clients, codes
from certbound.store.codes import AuthorizationCode, PushedRequest
from certbound.store.engine import Store, StoreConflict

from .values import client, code
from .values import pushed_request as pushed

DIGEST = bytes(range(32))


@pytest.fixture
def with_clients(store: Store) -> Store:
    store.write(lambda connection: clients.add(connection, client("orders")))
    store.write(lambda connection: clients.add(connection, client("billing")))
    return store


def add(store: Store, *new: AuthorizationCode | PushedRequest) -> None:
    for one in new:
        if isinstance(one, AuthorizationCode):
            store.write(partial(codes.add_code, code=one))
        else:
            store.write(partial(codes.add_pushed_request, request=one))


def load(store: Store, digest: bytes = DIGEST) -> AuthorizationCode | None:
    return store.read(partial(codes.load_code, code_sha256=digest))


def load_pushed(store: Store, digest: bytes = DIGEST) -> PushedRequest | None:
    return store.read(partial(codes.load_pushed_request, uri_sha256=digest))


def test_every_field_of_a_code_comes_back_as_it_was(with_clients: Store) -> None:
    bare = code(bytes(32), session=None, amr=(), request={}, used_at=5)
    add(with_clients, code(), bare)
    assert load(with_clients) == code()
    assert load(with_clients, bytes(32)) == bare
    assert load(with_clients, b"\xff" * 32) is None


def test_every_field_of_a_pushed_request_comes_back_as_it_was(with_clients: Store) -> None:
    add(with_clients, pushed(), pushed(bytes(32), parameters={}, used_at=5))
    assert load_pushed(with_clients) == pushed()
    assert load_pushed(with_clients, bytes(32)) == pushed(bytes(32), parameters={}, used_at=5)
    assert load_pushed(with_clients, b"\xff" * 32) is None


@pytest.mark.threat("33")
def test_a_code_is_no_pushed_request_and_a_pushed_request_no_code(with_clients: Store) -> None:
    add(with_clients, code(), pushed(bytes(32)))
    assert load_pushed(with_clients, DIGEST) is None
    assert load(with_clients, bytes(32)) is None
    assert not with_clients.write(partial(codes.use_pushed_request, uri_sha256=DIGEST, at=1))
    assert not with_clients.write(partial(codes.use_code, code_sha256=bytes(32), at=1))


@pytest.mark.parametrize("one", [code(), pushed()], ids=["code", "pushed request"])
def test_what_a_client_that_is_gone_asks_for_is_a_conflict(
    store: Store, one: AuthorizationCode | PushedRequest
) -> None:
    with pytest.raises(StoreConflict):
        add(store, one)


def test_a_digest_is_taken_once(with_clients: Store) -> None:
    add(with_clients, code(), pushed())
    with pytest.raises(StoreConflict):
        add(with_clients, code(client_id="billing"))
    with pytest.raises(StoreConflict):
        add(with_clients, pushed(client_id="billing"))


def test_with_a_client_go_its_codes_and_pushed_requests(with_clients: Store) -> None:
    add(with_clients, code(), pushed())
    with_clients.write(lambda connection: clients.remove(connection, "orders"))
    assert (load(with_clients), load_pushed(with_clients)) == (None, None)


@pytest.mark.threat("34")
@pytest.mark.parametrize(
    ("use", "one"),
    [
        (partial(codes.use_code, code_sha256=DIGEST), code()),
        (partial(codes.use_pushed_request, uri_sha256=DIGEST), pushed()),
    ],
    ids=["code", "pushed request"],
)
def test_of_fifty_at_once_on_two_workers_exactly_one_uses_it_up(
    with_clients: Store, opened: Callable[[], Store], use: Callable[..., bool], one: AuthorizationCode | PushedRequest
) -> None:
    add(with_clients, one)
    workers = (with_clients, opened())

    async def all_at_once() -> list[bool]:
        return await asyncio.gather(*(workers[at % 2].writing(partial(use, at=at)) for at in range(50)))

    won = asyncio.run(all_at_once())
    assert won.count(True) == 1
    stored = load(with_clients) or load_pushed(with_clients)
    assert stored is not None
    assert stored.used_at == won.index(True)


def test_all_codes_that_a_client_has_for_a_person_are_used_up_and_no_others(with_clients: Store) -> None:
    digests = [number.to_bytes(32) for number in range(5)]
    add(
        with_clients,
        code(digests[0]),
        code(digests[1]),
        code(digests[2], used_at=3),
        code(digests[3], sub="sub-bob"),
        code(digests[4], client_id="billing"),
    )
    assert with_clients.write(partial(codes.use_codes_of, client_id="orders", sub="sub-ada", at=9)) == 2
    found = [load(with_clients, digest) for digest in digests]
    assert [one.used_at for one in found if one is not None] == [9, 9, 3, None, None]


def test_what_has_expired_is_deleted_in_batches(with_clients: Store) -> None:
    digests = [number.to_bytes(32) for number in range(4)]
    add(with_clients, *(code(digest, expires_at=100 + number) for number, digest in enumerate(digests)))
    add(with_clients, *(pushed(digest, expires_at=100 + number, used_at=1) for number, digest in enumerate(digests)))
    for delete in (codes.delete_expired_codes, codes.delete_expired_pushed_requests):
        assert with_clients.write(partial(delete, now=102, limit=2)) == 2
        assert with_clients.write(partial(delete, now=102, limit=2)) == 1
        assert with_clients.write(partial(delete, now=102, limit=2)) == 0
    assert load(with_clients, digests[2]) is None
    assert load(with_clients, digests[3]) is not None
    assert load_pushed(with_clients, digests[3]) is not None


def test_no_digest_shows_in_a_repr() -> None:
    assert "code_sha256" not in repr(code())
    assert "uri_sha256" not in repr(pushed())
