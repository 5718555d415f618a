import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text
from tests.authority.house import House, furnish, orders

from certbound.authority import records
from certbound.authority.records import chain_hash, record
from certbound.store import audit, tokens
from certbound.store.engine import Connection, Store, StoreUnavailable

CREDENTIALS: dict[str, Any] = {"grant_type": "client_credentials", "client_id": "orders"}


def broken_links(connection: Connection) -> list[int]:
    """Walk the chain as an auditor does, from the content and the head alone."""
    previous, wrong, expected = bytes(32), [], 1
    for row in audit.page(connection, limit=1000):
        content = {"at": row.at, "actor": row.actor, "action": row.action, "target": row.target, "detail": row.detail}
        found = chain_hash(previous, sequence=row.sequence, **content)  # type: ignore[arg-type]
        if (row.sequence, row.previous, row.hash) != (expected, previous, found):
            wrong.append(row.sequence)
        previous, expected = row.hash, row.sequence + 1
    head = audit.head(connection)
    return wrong if (head.sequence, head.hash) == (expected - 1, previous) else [*wrong, -1]


async def test_the_audit_chain_of_everything_done_holds(house: House) -> None:
    await house.ask(orders(), **CREDENTIALS)
    await house.trail.flush()
    assert house.store.read(broken_links) == []
    actions = [row.action for row in house.store.read(lambda connection: audit.page(connection, limit=1000))]
    assert actions[-1] == "tokens.issued"
    assert {"key.rotated", "trust.added", "client.created", "user.created"} <= set(actions)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE sequence = 2", [2]),
        ("UPDATE audit SET detail = '{}' WHERE sequence = 3", [3]),
        ("DELETE FROM audit WHERE sequence = 2", [3]),
        ("DELETE FROM audit WHERE sequence = (SELECT max(sequence) FROM audit)", [-1]),
    ],
    ids=["another actor", "another detail", "removed", "removed at the end"],
)
async def test_an_edited_or_removed_row_is_found(house: House, statement: str, found: list[int]) -> None:
    def tamper(connection: Connection) -> None:
        # Whoever owns the file owns its triggers too.
        for name in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text(statement))

    house.store.write(tamper)
    assert house.store.read(broken_links) == found


async def test_a_batch_is_one_audit_row(house: House) -> None:
    before = house.store.read(audit.head).sequence
    for _ in range(5):
        await house.ask(orders(), **CREDENTIALS)
    await house.trail.flush()
    await house.trail.flush()
    assert house.store.read(audit.head).sequence == before + 1
    written = house.store.read(lambda connection: tokens.issued_to_client(connection, "orders", limit=10))
    assert len({issued.jti for issued in written}) == 5


async def test_rows_wait_while_the_store_is_away_and_issuing_stops_until_it_is_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(work: Callable[..., Any]) -> Any:
        raise StoreUnavailable("away")

    back: Callable[..., Awaitable[Any]] = house.store.writing
    await house.ask(orders(), **CREDENTIALS)
    monkeypatch.setattr(house.store, "writing", away)
    for _ in range(house.trail.MAX_FAILURES):
        assert house.trail.is_open, "closed too early"
        await house.trail.flush()
    assert (await house.refusal(house.ask(orders(), **CREDENTIALS))).error == "temporarily_unavailable"
    monkeypatch.setattr(house.store, "writing", back)
    await house.trail.flush()
    reopened = house.trail.is_open
    assert reopened
    written = house.store.read(lambda connection: tokens.issued_to_client(connection, "orders", limit=10))
    assert len(written) == 1


async def test_the_trail_is_closed_while_too_many_rows_wait(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.trail, "MAX_WAITING", 2)
    for _ in range(2):
        await house.ask(orders(), **CREDENTIALS)
    assert not house.trail.is_open
    await house.trail.flush()
    assert house.trail.is_open


async def test_a_batch_whose_commit_had_an_unknown_outcome_is_written_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = house.store.writing

    async def forgetful(work: Callable[..., Any]) -> Any:
        await writing(work)
        raise StoreUnavailable("the connection broke during the commit")

    await house.ask(orders(), **CREDENTIALS)
    with monkeypatch.context() as broken:
        broken.setattr(house.store, "writing", forgetful)
        await house.trail.flush()
    await house.ask(orders(), **CREDENTIALS)
    await house.trail.flush()
    written = house.store.read(lambda connection: tokens.issued_to_client(connection, "orders", limit=10))
    assert len({issued.jti for issued in written}) == len(written) == 2
    assert house.trail._waiting == []
    assert house.store.read(broken_links) == []


async def test_what_is_issued_while_a_batch_is_written_waits_for_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = house.store.writing

    async def slow(work: Callable[..., Any]) -> Any:
        await house.ask(orders(), **CREDENTIALS)
        return await writing(work)

    await house.ask(orders(), **CREDENTIALS)
    with monkeypatch.context() as held_up:
        held_up.setattr(house.store, "writing", slow)
        await house.trail.flush()
    assert len(house.trail._waiting) == 1
    await house.trail.flush()
    written = house.store.read(lambda connection: tokens.issued_to_client(connection, "orders", limit=10))
    assert len(written) == 2


async def test_the_trail_is_flushed_whatever_happens_and_once_more_at_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "FLUSH_SECONDS", 0.001)
    writing, failed, ending = house.store.writing, asyncio.Event(), asyncio.Event()

    async def odd(work: Callable[..., Any]) -> Any:
        failed.set()
        raise KeyError("whatever")

    await house.ask(orders(), **CREDENTIALS)
    monkeypatch.setattr(house.store, "writing", odd)
    flushing = asyncio.create_task(records.keep_flushing([house.trail.flush], ending))
    async with asyncio.timeout(10):
        await failed.wait()
        assert not flushing.done()
        monkeypatch.setattr(house.store, "writing", writing)
        ending.set()
        await flushing
    written = house.store.read(lambda connection: tokens.issued_to_client(connection, "orders", limit=10))
    assert len(written) == 1


@pytest.mark.parametrize("parts", [("a", "bc"), ("ab", "c"), ('a","b', "c"), ("", "abc")])
def test_no_two_contents_have_one_hash(parts: tuple[str, str]) -> None:
    actor, action = parts
    given = {"sequence": 1, "at": 1, "target": "", "detail": "{}"}
    others = {("a", "bc"), ("ab", "c"), ('a","b', "c"), ("", "abc")} - {parts}
    mine = chain_hash(bytes(32), actor=actor, action=action, **given)  # type: ignore[arg-type]
    assert mine not in {chain_hash(bytes(32), actor=one, action=two, **given) for one, two in others}  # type: ignore[arg-type]


async def test_parallel_changes_make_one_unbroken_chain(shared_store: Store) -> None:
    house = await furnish(shared_store)

    def change(number: int) -> Callable[[Connection], None]:
        return lambda connection: record(connection, at=1, actor="a", action="b", target=str(number))

    await asyncio.gather(*(shared_store.writing(change(number)) for number in range(30)))
    assert house.store.read(broken_links) == []
    assert house.store.read(audit.head).sequence >= 30
