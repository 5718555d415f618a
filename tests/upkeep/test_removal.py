"""What is past keeping goes, by the retention settings and batch by batch."""

from functools import partial

import pytest
from tests.store.values import (
    client,
    code,
    issued_token,
    person,
    pushed_request,
    refresh_token,
    refusal,
    session,
    sighting,
)
from tests.upkeep.duties import RETENTION, Clock, of_a_server, recorded, round_of

from certbound.store import clients, codes, people, refusals, registration_tokens, sessions, sightings, tokens
from certbound.store.engine import Connection, Store
from certbound.store.registration_tokens import RegistrationToken
from certbound.upkeep import removal
from certbound.upkeep.removal import DAY, EVERY_SECONDS, SOON_SECONDS
from certbound.upkeep.running import Fetch, Upkeep

NAME = "removal of old records"


@pytest.fixture
def upkeep(shared_store: Store, clock: Clock, fetching: Fetch) -> Upkeep:
    shared_store.write(lambda connection: clients.add(connection, client()))
    shared_store.write(lambda connection: people.add(connection, person()))
    return of_a_server(shared_store, fetching, clock)


def fill(connection: Connection, now: int) -> None:
    """Write of each kind one that is just kept, named `new`, and one that is just not."""
    for name, at in (("new", now + 1), ("old", now)):
        digest = name.encode().ljust(32)
        tokens.add_refresh_token(connection, refresh_token(digest, family=name, expires_at=at))
        codes.add_code(connection, code(digest, expires_at=at - DAY, used_at=1))
        codes.add_pushed_request(connection, pushed_request(digest, expires_at=at))
        sessions.add(connection, session(name, expires_at=at))
        token = RegistrationToken(digest, name, created_at=1, uses_left=1, expires_at=at)
        registration_tokens.add(connection, token)
    ended = now - RETENTION.issued_token_days * DAY
    rows = [issued_token(name, expires_at=at) for name, at in (("new", ended + 1), ("old", ended))]
    tokens.add_issued_tokens(connection, rows)
    before = now - RETENTION.refusal_days * DAY
    refusals.add_refusals(connection, [refusal(name, at=at) for name, at in (("new", before), ("old", before - 1))])
    seen = now - RETENTION.sighting_days * DAY
    found = [sighting(sha256=name, first_seen=1, last_seen=at) for name, at in (("new", seen), ("old", seen - 1))]
    sightings.record_seen(connection, found)


async def test_what_is_past_keeping_goes_and_what_is_not_stays(
    shared_store: Store, clock: Clock, upkeep: Upkeep
) -> None:
    shared_store.write(partial(fill, now=clock.now))
    await round_of(upkeep)
    duty = recorded(shared_store)[NAME]
    assert (duty.failure, duty.next_run) == (None, clock.now + EVERY_SECONDS)
    read = shared_store.read
    assert [row.jti for row in read(partial(tokens.issued_to_client, client_id="orders", limit=9))] == ["new"]
    assert [row.reference for row in read(partial(refusals.newest, limit=9))] == ["new"]
    assert [row.sha256 for row in read(partial(sightings.of_client, client_id="orders"))] == ["new"]
    new, old = b"new".ljust(32), b"old".ljust(32)
    assert read(partial(tokens.load_refresh_token, token_sha256=new)) is not None
    assert read(partial(tokens.load_refresh_token, token_sha256=old)) is None
    assert read(partial(codes.load_code, code_sha256=new)) is not None
    assert read(partial(codes.load_code, code_sha256=old)) is None
    assert read(partial(codes.load_pushed_request, uri_sha256=new)) is not None
    assert read(partial(codes.load_pushed_request, uri_sha256=old)) is None
    assert [token.id for token in read(registration_tokens.initial)] == ["new"]
    assert [one.id_sha256 for one in read(partial(sessions.of_person, sub="sub-ada", limit=9))] == ["new"]


async def test_of_refusals_so_many_are_kept_however_new(shared_store: Store, clock: Clock, upkeep: Upkeep) -> None:
    many = [refusal(f"{number:03}", at=clock.now - 100 + number) for number in range(RETENTION.refusals + 5)]
    shared_store.write(partial(refusals.add_refusals, refusals=many))
    await round_of(upkeep)
    kept = shared_store.read(partial(refusals.newest, limit=100))
    assert [row.reference for row in kept] == [one.reference for one in reversed(many)][: RETENTION.refusals]


async def test_much_goes_in_bounded_batches_and_the_rest_soon(
    shared_store: Store, clock: Clock, upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "BATCH", 3)
    monkeypatch.setattr(removal, "MAX_BATCHES", 2)
    rows = [issued_token(f"{number}", expires_at=number) for number in range(1, 9)]
    shared_store.write(partial(tokens.add_issued_tokens, tokens=rows))
    sizes: list[int] = []
    delete = tokens.delete_expired_issued_tokens

    def counted(connection: Connection, now: int, *, limit: int) -> int:
        sizes.append(delete(connection, now, limit=limit))
        return sizes[-1]

    monkeypatch.setattr(tokens, "delete_expired_issued_tokens", counted)
    await round_of(upkeep)
    assert (sizes, recorded(shared_store)[NAME].next_run - clock.now) == ([3, 3], SOON_SECONDS)
    clock.now += SOON_SECONDS
    await round_of(upkeep)
    assert (sizes, recorded(shared_store)[NAME].next_run - clock.now) == ([3, 3, 2], EVERY_SECONDS)
