import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from certbound.store import clients, tokens
from certbound.store.engine import Connection, Store, StoreConflict
from certbound.store.tokens import RefreshToken

from .values import client, issued_token, refresh_token


@pytest.fixture
def with_clients(store: Store) -> Store:
    def work(connection: Connection) -> None:
        clients.add(connection, client("orders"))
        clients.add(connection, client("billing"))

    store.write(work)
    return store


def add(store: Store, *new: RefreshToken) -> None:
    for token in new:
        store.write(partial(tokens.add_refresh_token, token=token))


def load(store: Store, number: int) -> RefreshToken | None:
    return store.read(lambda connection: tokens.load_refresh_token(connection, digest(number)))


def digest(number: int) -> bytes:
    return number.to_bytes(32)


def test_every_field_of_a_refresh_token_comes_back_as_it_was(with_clients: Store) -> None:
    full = refresh_token(digest(1), used_at=1, revoked_at=2)
    bare = refresh_token(digest(2), x5t_s256=None, resources=())
    add(with_clients, full, bare)
    assert load(with_clients, 1) == full
    assert load(with_clients, 2) == bare
    assert load(with_clients, 3) is None


def test_a_refresh_token_of_a_client_that_is_gone_is_a_conflict(store: Store) -> None:
    with pytest.raises(StoreConflict):
        add(store, refresh_token())


def test_of_fifty_at_once_on_two_workers_exactly_one_uses_a_refresh_token(
    with_clients: Store, opened: Callable[[], Store]
) -> None:
    add(with_clients, refresh_token(digest(1)))
    workers = (with_clients, opened())

    async def attempt(number: int) -> bool:
        return await workers[number % 2].writing(lambda connection: tokens.mark_used(connection, digest(1), number))

    async def all_at_once() -> list[bool]:
        return await asyncio.gather(*(attempt(number) for number in range(50)))

    won = asyncio.run(all_at_once())
    assert won.count(True) == 1
    stored = load(with_clients, 1)
    assert stored is not None
    assert stored.used_at == won.index(True)


def test_a_revoked_or_unknown_refresh_token_is_not_used(with_clients: Store) -> None:
    add(with_clients, refresh_token(digest(1), revoked_at=5))
    assert not with_clients.write(lambda connection: tokens.mark_used(connection, digest(1), 9))
    assert not with_clients.write(lambda connection: tokens.mark_used(connection, digest(2), 9))
    assert load(with_clients, 1) == refresh_token(digest(1), revoked_at=5)


def test_revoking_a_family_leaves_others_and_earlier_revocations_alone(with_clients: Store) -> None:
    add(
        with_clients,
        refresh_token(digest(1), used_at=3),
        refresh_token(digest(2)),
        refresh_token(digest(3), revoked_at=4),
        refresh_token(digest(4), family="other"),
    )
    assert with_clients.write(lambda connection: tokens.revoke_family(connection, "family-1", 9)) == 2
    found = [load(with_clients, number) for number in range(1, 5)]
    assert [token.revoked_at for token in found if token is not None] == [9, 9, 4, None]


def test_revoking_a_client_leaves_other_clients_alone(with_clients: Store) -> None:
    add(
        with_clients,
        refresh_token(digest(1)),
        refresh_token(digest(2), family="other"),
        refresh_token(digest(3), client_id="billing"),
    )
    assert with_clients.write(lambda connection: tokens.revoke_client(connection, "orders", 9)) == 2
    assert load(with_clients, 3) == refresh_token(digest(3), client_id="billing")


@pytest.mark.parametrize(
    "revoke",
    [
        lambda connection: tokens.revoke_family(connection, "family-1", 9),
        lambda connection: tokens.revoke_client(connection, "orders", 9),
    ],
    ids=["family", "client"],
)
def test_a_rotation_in_progress_does_not_save_its_successor_from_a_revocation(
    with_clients: Store, opened: Callable[[], Store], revoke: Callable[[Connection], int]
) -> None:
    add(with_clients, refresh_token(digest(1)))
    recorded, revoking = threading.Event(), threading.Event()

    def rotate(connection: Connection) -> bool:
        won = tokens.mark_used(connection, digest(1), 5)
        tokens.add_refresh_token(connection, refresh_token(digest(2)))
        recorded.set()
        # Long enough for the revocation to arrive at the lock; were it quicker or slower, the result must not change.
        revoking.wait(5)
        threading.Event().wait(0.1)
        return won

    def revoke_now(connection: Connection) -> int:
        revoking.set()
        return revoke(connection)

    other = opened()
    with ThreadPoolExecutor(2) as pool:
        rotation = pool.submit(with_clients.write, rotate)
        assert recorded.wait(5)
        revocation = pool.submit(other.write, revoke_now)
        # SQLite lets the second writer begin after the first one's commit only.
        if with_clients._engine.name == "sqlite":
            revoking.set()
        assert rotation.result(10)
        assert revocation.result(10) == 2
    successor = load(with_clients, 2)
    assert successor is not None
    assert successor.revoked_at == 9


def test_issued_tokens_are_recorded_in_batches_and_found_by_certificate_and_client(store: Store) -> None:
    batch = [issued_token(f"jti-{number:04d}", issued_at=number) for number in range(1000)]
    odd = issued_token("odd", client_id="billing", x5t_s256=None, address=None, audience=())
    store.write(lambda connection: tokens.add_issued_tokens(connection, [*batch, odd]))
    store.write(lambda connection: tokens.add_issued_tokens(connection, []))
    newest = tuple(reversed(batch))[:10]
    assert store.read(lambda connection: tokens.issued_to_certificate(connection, "thumbprint", limit=10)) == newest
    assert store.read(lambda connection: tokens.issued_to_client(connection, "orders", limit=10)) == newest
    assert store.read(lambda connection: tokens.issued_to_client(connection, "billing", limit=10)) == (odd,)
    assert store.read(lambda connection: tokens.issued_to_certificate(connection, "other", limit=10)) == ()


def test_a_batch_given_again_with_more_is_recorded_once_as_it_was(store: Store) -> None:
    first, second = issued_token("first"), issued_token("second", issued_at=50)
    store.write(lambda connection: tokens.add_issued_tokens(connection, [first]))
    again = [replace(first, sub="other"), second]
    store.write(lambda connection: tokens.add_issued_tokens(connection, again))
    assert store.read(lambda connection: tokens.issued_to_client(connection, "orders", limit=10)) == (first, second)


def test_expired_rows_go_in_bounded_batches_oldest_first(with_clients: Store) -> None:
    add(with_clients, *(refresh_token(digest(number), expires_at=number) for number in range(1, 8)))
    trail = [issued_token(str(number), issued_at=number, expires_at=number) for number in range(1, 8)]
    with_clients.write(lambda connection: tokens.add_issued_tokens(connection, trail))
    for delete in (tokens.delete_expired_refresh_tokens, tokens.delete_expired_issued_tokens):
        removed = [with_clients.write(partial(delete, now=5, limit=3)) for _ in range(3)]
        assert removed == [3, 2, 0]
    assert [number for number in range(1, 8) if load(with_clients, number) is not None] == [6, 7]
    left = with_clients.read(lambda connection: tokens.issued_to_client(connection, "orders", limit=10))
    assert left == (replace(trail[6]), replace(trail[5]))


def test_a_digest_does_not_show_in_a_repr() -> None:
    assert "token_sha256" not in repr(refresh_token())
