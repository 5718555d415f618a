import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from certbound.store import clients, tokens
from certbound.store.engine import Connection, Store, StoreConflict
from certbound.store.tokens import IssuedToken, RefreshToken

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


def test_revoking_what_a_client_has_for_a_person_leaves_others_alone(with_clients: Store) -> None:
    add(
        with_clients,
        refresh_token(digest(1)),
        refresh_token(digest(2), family="other"),
        refresh_token(digest(3), sub="sub-bob"),
        refresh_token(digest(4), client_id="billing"),
        refresh_token(digest(5), revoked_at=4),
    )
    assert with_clients.write(lambda connection: tokens.revoke_person(connection, "orders", "sub-ada", 9)) == 2
    found = [load(with_clients, number) for number in range(1, 6)]
    assert [token.revoked_at for token in found if token is not None] == [9, 9, None, None, 4]


@pytest.mark.parametrize(
    "revoke",
    [
        lambda connection: tokens.revoke_family(connection, "family-1", 9),
        lambda connection: tokens.revoke_client(connection, "orders", 9),
        lambda connection: tokens.revoke_person(connection, "orders", "sub-ada", 9),
        lambda connection: tokens.revoke_obtained_with(connection, certificate_sha256="cc" * 32, at=9),
        lambda connection: tokens.revoke_obtained_with(connection, spki_sha256="dd" * 32, at=9),
    ],
    ids=["family", "client", "person", "certificate", "key"],
)
def test_a_rotation_in_progress_does_not_save_its_successor_from_a_revocation(
    with_clients: Store, opened: Callable[[], Store], revoke: Callable[[Connection], int]
) -> None:
    add(with_clients, refresh_token(digest(1)))
    recorded, revoking = threading.Event(), threading.Event()

    def rotate(connection: Connection) -> bool:
        won = tokens.mark_used(connection, digest(1), 5)
        elsewhere = refresh_token(digest(2), certificate_sha256=None, spki_sha256=None)
        tokens.add_refresh_token(connection, elsewhere)
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


def test_revoking_what_a_certificate_or_key_obtained_takes_whole_families_and_no_others(with_clients: Store) -> None:
    add(
        with_clients,
        refresh_token(digest(1), certificate_sha256=None, spki_sha256=None, used_at=3),
        refresh_token(digest(2)),
        refresh_token(digest(3), family="two", client_id="billing", certificate_sha256="renewed"),
        refresh_token(digest(4), family="three", certificate_sha256="other", spki_sha256="other"),
        refresh_token(digest(5), family="four", certificate_sha256=None, spki_sha256=None),
        refresh_token(digest(6), family="two", revoked_at=4),
    )

    def revoke(**by: str) -> int:
        return with_clients.write(lambda connection: tokens.revoke_obtained_with(connection, at=9, **by))

    def revoked() -> list[int | None]:
        found = [load(with_clients, number) for number in range(1, 7)]
        return [token.revoked_at for token in found if token is not None]

    assert revoke(certificate_sha256="unknown") == 0
    assert revoke(certificate_sha256="cc" * 32) == 3
    assert revoked() == [9, 9, 9, None, None, 4]
    assert revoke(spki_sha256="dd" * 32) == 0
    assert revoke(spki_sha256="other") == 1
    assert revoked() == [9, 9, 9, 9, None, 4]


def test_revoking_by_key_takes_what_every_certificate_of_it_obtained(with_clients: Store) -> None:
    add(with_clients, refresh_token(digest(1), family="one"))
    add(with_clients, refresh_token(digest(2), family="two", certificate_sha256="renewed"))
    assert with_clients.write(partial(tokens.revoke_obtained_with, spki_sha256="dd" * 32, at=9)) == 2


def test_more_than_one_statement_revokes_is_revoked_whole(with_clients: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_REVOKED_AT_ONCE", 3)
    add(with_clients, *(refresh_token(digest(number), family=str(number // 2)) for number in range(10)))
    assert with_clients.write(partial(tokens.revoke_obtained_with, certificate_sha256="cc" * 32, at=9)) == 10


def test_what_a_certificate_or_key_obtained_is_listed_newest_first(with_clients: Store) -> None:
    refreshes = [refresh_token(digest(number), issued_at=number) for number in range(4)]
    renewed = refresh_token(digest(9), issued_at=9, certificate_sha256="renewed", revoked_at=10)
    add(with_clients, *refreshes, renewed)
    trail = [issued_token(f"jti-{number}", issued_at=number, x5t_s256=None) for number in range(4)]
    odd = issued_token("odd", issued_at=9, certificate_sha256="renewed")
    nobody = issued_token("nobody", certificate_sha256=None, spki_sha256=None)
    with_clients.write(lambda connection: tokens.add_issued_tokens(connection, [*trail, odd, nobody]))

    def refresh_tokens(limit: int = 9, **by: str) -> list[RefreshToken]:
        return list(with_clients.read(lambda connection: tokens.refresh_tokens_with(connection, limit=limit, **by)))

    def issued(limit: int = 9, **by: str) -> list[IssuedToken]:
        return list(with_clients.read(lambda connection: tokens.issued_with(connection, limit=limit, **by)))

    assert refresh_tokens(certificate_sha256="cc" * 32, limit=3) == refreshes[:0:-1]
    assert refresh_tokens(spki_sha256="dd" * 32) == [renewed, *reversed(refreshes)]
    assert issued(certificate_sha256="cc" * 32, limit=3) == trail[:0:-1]
    assert issued(spki_sha256="dd" * 32) == [odd, *reversed(trail)]
    assert issued(spki_sha256="unknown") == []


def test_living_tokens_that_are_bound_to_nothing_are_named(store: Store) -> None:
    unbound = [issued_token(f"jti-{n}", x5t_s256=None, expires_at=n) for n in range(10)]
    bound = issued_token("bound", expires_at=9)
    other = issued_token("other", x5t_s256=None, expires_at=9, certificate_sha256="other")
    store.write(lambda connection: tokens.add_issued_tokens(connection, [*unbound, bound, other]))

    def living(limit: int = 100, **by: str) -> tuple[str, ...]:
        return store.read(lambda connection: tokens.living_unbound_with(connection, now=5, limit=limit, **by))

    assert living(certificate_sha256="cc" * 32) == ("jti-9", "jti-8", "jti-7", "jti-6")
    assert living(certificate_sha256="cc" * 32, limit=2) == ("jti-9", "jti-8")
    assert living(spki_sha256="dd" * 32) == ("jti-9", "other", "jti-8", "jti-7", "jti-6")
    assert living(spki_sha256="other") == ()


def test_neither_or_both_of_certificate_and_key_is_an_error_and_revokes_nothing(with_clients: Store) -> None:
    add(with_clients, refresh_token(digest(1)))
    for given in (None, "cc" * 32):
        wrong = partial(tokens.revoke_obtained_with, certificate_sha256=given, spki_sha256=given, at=9)
        with pytest.raises(ValueError, match="not both"):
            with_clients.write(wrong)
    assert load(with_clients, 1) == refresh_token(digest(1))


def test_issued_tokens_are_recorded_in_batches_and_found_by_client(store: Store) -> None:
    batch = [issued_token(f"jti-{number:04d}", issued_at=number) for number in range(1000)]
    odd = issued_token("odd", client_id="billing", x5t_s256=None, address=None, audience=())
    store.write(lambda connection: tokens.add_issued_tokens(connection, [*batch, odd]))
    store.write(lambda connection: tokens.add_issued_tokens(connection, []))
    newest = tuple(reversed(batch))[:10]
    assert store.read(lambda connection: tokens.issued_to_client(connection, "orders", limit=10)) == newest
    assert store.read(lambda connection: tokens.issued_to_client(connection, "billing", limit=10)) == (odd,)


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


def test_families_with_a_revoked_token_are_told_from_others(with_clients: Store) -> None:
    add(
        with_clients,
        refresh_token(digest(1), family="one", revoked_at=5),
        refresh_token(digest(2), family="one"),
        refresh_token(digest(3), family="two"),
    )
    asked = partial(tokens.revoked_families, families=["one", "two", "three"])
    assert with_clients.write(asked) == {"one"}
    assert with_clients.write(partial(tokens.revoked_families, families=[])) == frozenset()
