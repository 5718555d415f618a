"""A stolen key: who is refused, what is revoked, what is denied, and what is on record of it."""

import asyncio
import json
import threading
import time
from base64 import b64encode, urlsafe_b64decode
from collections.abc import AsyncIterator
from functools import partial
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import pytest_asyncio
from tests.authority.assembling import new_registered
from tests.authority.house import House, furnish, orders
from tests.oauth.making import NOW, Identity

from certbound.authority import blocks, clients, registered
from certbound.authority.blocks import UNSETTLED_SECONDS, BlockError, Blocking
from certbound.authority.tokens.authenticating import ClientRequest
from certbound.oauth.access_token import TokenResponse
from certbound.oauth.authentication import Decision
from certbound.oauth.blocking import Blocked
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import parse_form
from certbound.store import audit, refusals, tokens
from certbound.store import blocks as stored_blocks
from certbound.store.blocks import BlockKind
from certbound.store.engine import Connection, Store

KINDS: tuple[BlockKind, ...] = get_args(BlockKind)
STOLEN = orders()
RENEWED = orders(key=STOLEN.key)
OTHER = orders()
METHODS = ("tls_client_auth", "self_signed_tls_client_auth", "client_secret_post", "client_secret_basic", "none")


def digest(kind: BlockKind, identity: Identity) -> str:
    certificate = identity.certificate
    return (certificate.sha256 if kind == "certificate" else certificate.spki_sha256).hex()


def block(house: House, kind: BlockKind, identity: Identity = STOLEN, reason: str = "laptop stolen") -> Blocking:
    work = partial(blocks.block, kind=kind, sha256=digest(kind, identity), reason=reason, **house.by)
    return house.store.write(work)


def lift(house: House, block_id: str) -> stored_blocks.Block:
    return house.store.write(partial(blocks.lift, block_id=block_id, **house.by))


def known(house: House) -> tuple[Blocked, bool]:
    return house.store.read(partial(blocks.load_blocked, now=house.now))


def living(store: Store, **by: Any) -> list[tokens.RefreshToken]:
    found = store.read(partial(tokens.refresh_tokens_with, limit=100, **by))
    return [token for token in found if token.revoked_at is None]


@pytest_asyncio.fixture
async def house(store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A house in which the worker's clock is the house's."""
    made = await furnish(store)
    monkeypatch.setattr(registered, "time", SimpleNamespace(time=lambda: made.now, monotonic=time.monotonic))
    made.client("own", "self_signed_tls_client_auth", certificates=(STOLEN.certificate, RENEWED.certificate))
    made.client("unbound", "tls_client_auth", bound=False)
    await made.registered.refresh()
    yield made


@pytest_asyncio.fixture
async def shared_house(shared_store: Store) -> House:
    return await furnish(shared_store)


class Asking:
    """Token requests of a client of some method, over connections with or without certificates."""

    def __init__(self, house: House, method: str) -> None:
        self._house, self._method = house, method
        if method == "client_secret_basic":
            self._client_id, self._secret = "basic", house.client("basic", method, bound=False)
        elif method == "client_secret_post":
            self._client_id, self._secret = "post", house.client("post", method, bound=False)
        else:
            self._client_id, self._secret = {"none": "app", "tls_client_auth": "orders"}.get(method, "own"), None

    async def __call__(self, identity: Identity | None) -> TokenResponse:
        house = self._house
        if self._method == "none":
            return await house.log_in("app", identity)
        if self._method == "client_secret_basic":
            header = "Basic " + b64encode(f"{self._client_id}:{self._secret}".encode()).decode()
            form = parse_form(b"grant_type=client_credentials", "application/x-www-form-urlencoded")
            presented = identity.presented() if identity else None
            return await house.answers.issuer.answer(ClientRequest(form, header, presented, "192.0.2.1"))
        secret: dict[str, Any] = {"client_secret": self._secret} if self._secret else {}
        return await house.ask(identity, grant_type="client_credentials", client_id=self._client_id, **secret)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
async def test_nobody_gets_a_token_over_a_connection_with_what_is_blocked(
    house: House, method: str, kind: BlockKind
) -> None:
    ask = Asking(house, method)
    await house.registered.refresh()
    assert (await ask(STOLEN)).access_token
    made = block(house, kind).block
    await house.registered.refresh()
    for _ in range(2):
        error = await house.refusal(ask(STOLEN))
        assert (error.error, error.status) == ("invalid_client", 401)
        assert "block" not in error.description
    await house.refusals.flush()
    kept = house.store.read(partial(refusals.newest, limit=1))[0]
    assert [check["check"] for check in kept.checks if not check["passed"]] == ["not_blocked"]
    if method == "self_signed_tls_client_auth":
        work = partial(clients.add_certificate, client_id="own", certificate=OTHER.certificate, **house.by)
        house.store.write(work)
        await house.registered.refresh()
    assert (await ask(OTHER)).access_token
    if "secret" in method or method == "none":
        assert (await ask(None)).access_token
    lift(house, made.id)
    await house.registered.refresh()
    assert (await ask(STOLEN)).access_token


async def test_no_reason_keeps_a_block_from_being_made(shared_house: House) -> None:
    reasons = ("a\0\x1b[2J\udcff\u202eb", "a??[2J??b"), ("x" * 5000, "x" * 1000)
    for kind, (reason, kept) in zip(KINDS, reasons, strict=True):
        made = block(shared_house, kind, reason=reason)
        assert made.block.reason == kept
        assert shared_house.store.read(partial(blocks.existing, block_id=made.block.id)) == made.block


@pytest.mark.parametrize("method", METHODS)
async def test_a_renewed_certificate_of_a_blocked_key_is_blocked_and_of_a_blocked_certificate_is_not(
    house: House, method: str
) -> None:
    ask = Asking(house, method)
    made = block(house, "certificate").block
    await house.registered.refresh()
    assert (await ask(RENEWED)).access_token
    block(house, "public_key")
    lift(house, made.id)
    await house.registered.refresh()
    for one in (STOLEN, RENEWED):
        assert (await house.refusal(ask(one))).error == "invalid_client"


async def test_a_blocked_key_buys_no_fetch_of_the_keys_that_the_client_publishes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.client("away", "self_signed_tls_client_auth", jwks_uri="https://keys.example.com/jwks")
    block(house, "public_key")
    await house.registered.refresh()
    fetched: list[str] = []

    async def get(_self: object, uri: str) -> None:
        fetched.append(uri)

    monkeypatch.setattr("certbound.authority.client_keys.ClientKeySets.get", get)

    async def decide(identity: Identity) -> Decision:
        return await house.registered.decide(Credentials("away", ShownMethod.NOTHING, identity.presented()), NOW)

    for one in (STOLEN, RENEWED):
        assert (await decide(one)).client is None
    assert fetched == []
    assert (await decide(OTHER)).client is None
    assert fetched


async def test_a_certificate_that_cannot_be_read_is_refused_once_a_key_is_blocked(house: House) -> None:
    unreadable = Identity(b"0\x82", STOLEN.key)
    before = await house.refusal(house.log_in("app", unreadable))
    assert before.error == "invalid_request"
    block(house, "public_key")
    await house.registered.refresh()
    error = await house.refusal(house.log_in("app", unreadable))
    assert error.error == "invalid_client"


@pytest.mark.parametrize("kind", KINDS)
async def test_refresh_tokens_it_obtained_are_revoked_at_once_and_others_are_not(house: House, kind: BlockKind) -> None:
    house.client("phone", "none", bound=True)
    await house.registered.refresh()
    stolen = [await house.log_in("orders", STOLEN), await house.log_in("phone", STOLEN)]
    rotated = await house.refresh("app", (await house.log_in("app", STOLEN)).refresh_token, None)
    kept = [await house.log_in("orders", OTHER), await house.log_in("phone", OTHER), await house.log_in("app")]
    assert block(house, kind).revoked == 4
    for client_id, token, identity in (
        ("orders", stolen[0], OTHER),
        ("phone", stolen[1], STOLEN),
        ("app", rotated, None),
    ):
        error = await house.refusal(house.refresh(client_id, token.refresh_token, identity))
        assert error.error == "invalid_grant"
    for client_id, token, identity in zip(("orders", "phone", "app"), kept, (OTHER, OTHER, None), strict=True):
        assert (await house.refresh(client_id, token.refresh_token, identity)).access_token


async def test_blocking_a_key_revokes_what_every_certificate_of_it_obtained(house: House) -> None:
    first, second = await house.log_in("orders", STOLEN), await house.log_in("orders", RENEWED)
    assert block(house, "certificate").revoked == 1
    assert (await house.refresh("orders", second.refresh_token, OTHER)).access_token
    assert block(house, "public_key").revoked == 1
    for token in (first, second):
        assert (await house.refusal(house.refresh("orders", token.refresh_token, OTHER))).error == "invalid_grant"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refresh_token_that_escaped_is_refused_and_does_not_come_to_life_when_the_block_is_lifted(
    house: House, kind: BlockKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    for client_id in ("orders", "app"):
        await house.log_in(client_id, STOLEN)
    escaped = await house.log_in("orders", STOLEN), await house.log_in("app", STOLEN)
    with monkeypatch.context() as patched:
        patched.setattr(tokens, "revoke_obtained_with", lambda *_, **__: 0)
        made = block(house, kind)
    assert made.revoked == 0
    await house.registered.refresh()

    async def refused() -> list[OAuthError]:
        return [
            await house.refusal(house.refresh("orders", escaped[0].refresh_token, OTHER)),
            await house.refusal(house.refresh("app", escaped[1].refresh_token, None)),
        ]

    errors = await refused()
    assert [(error.error, error.detail) for error in errors] == [
        ("invalid_grant", "obtained with a certificate that is blocked")
    ] * 2
    lift(house, made.block.id)
    await house.registered.refresh()
    assert [error.error for error in await refused()] == ["invalid_grant"] * 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("client_id", ["orders", "app"])
async def test_a_worker_that_does_not_know_of_the_block_yet_records_no_refresh_token(
    house: House, kind: BlockKind, client_id: str
) -> None:
    block(house, kind)
    error = await house.refusal(house.log_in(client_id, STOLEN))
    assert error.error == "invalid_grant"
    assert living(house.store, spki_sha256=digest("public_key", STOLEN)) == []


async def test_a_worker_that_does_not_know_of_the_block_yet_does_not_rotate_a_refresh_token_to_what_is_blocked(
    house: House,
) -> None:
    first = await house.log_in("app")
    block(house, "public_key")
    assert (await house.refusal(house.refresh("app", first.refresh_token, STOLEN))).error == "invalid_grant"
    assert (await house.refresh("app", first.refresh_token, None)).refresh_token


async def test_a_grant_that_is_being_recorded_while_the_block_is_made_is_worth_nothing(
    shared_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that looked before the block was there, and recorded its token after."""
    house = shared_house
    looked, blocked = threading.Event(), threading.Event()
    look = blocks.obtained_by_blocked

    def slowly(connection: Connection, token: tokens.RefreshToken) -> bool:
        found = look(connection, token)
        looked.set()
        blocked.wait(1)  # SQLite lets nobody write meanwhile: there the block comes after
        return found

    with monkeypatch.context() as patched:
        patched.setattr(blocks, "obtained_by_blocked", slowly)
        logging_in = asyncio.create_task(house.log_in("orders", STOLEN))
        assert await asyncio.to_thread(looked.wait, 10)
        made = await asyncio.to_thread(block, house, "public_key")
        blocked.set()
        token = (await logging_in).refresh_token
    await house.registered.refresh()
    assert (await house.refusal(house.refresh("orders", token, OTHER))).error == "invalid_grant"
    lift(house, made.block.id)
    await house.registered.refresh()
    assert living(house.store, spki_sha256=digest("public_key", STOLEN)) == []
    assert (await house.refusal(house.refresh("orders", token, OTHER))).error == "invalid_grant"


@pytest.mark.parametrize("kind", KINDS)
async def test_tokens_bound_to_nothing_are_denied_one_by_one_while_they_live(house: House, kind: BlockKind) -> None:
    credentials: dict[str, Any] = {"grant_type": "client_credentials"}
    mine = [await house.ask(STOLEN, client_id="unbound", **credentials) for _ in range(2)]
    await house.ask(STOLEN, client_id="orders", **credentials)
    await house.ask(OTHER, client_id="unbound", **credentials)
    await house.trail.flush()
    made = block(house, kind).block
    blocked, _ = known(house)
    assert blocked.tokens == {jti(token) for token in mine}
    hashes = frozenset({bytes.fromhex(digest(kind, STOLEN))})
    nothing = frozenset[bytes]()
    assert (blocked.certificates, blocked.keys) == ((hashes, nothing) if kind == "certificate" else (nothing, hashes))
    house.now += 299
    assert known(house)[0].tokens == blocked.tokens
    house.now += 1
    assert known(house)[0] == Blocked(blocked.certificates, blocked.keys)
    house.now -= 300
    lift(house, made.id)
    assert known(house) == (Blocked(), True)


async def test_a_token_that_was_under_way_when_the_block_came_turns_up_though_nothing_else_changes(
    house: House,
) -> None:
    block(house, "public_key")
    late = await house.ask(STOLEN, client_id="unbound", grant_type="client_credentials")
    await house.registered.refresh()
    assert house.registered.blocked.tokens == frozenset()
    house.now += UNSETTLED_SECONDS
    await house.trail.flush()
    await house.registered.refresh()
    assert house.registered.blocked.tokens == {jti(late)}


async def test_what_is_blocked_settles_and_is_not_read_again(house: House) -> None:
    block(house, "public_key")
    unsettled = []
    for _ in range(3):
        await house.registered.refresh()
        unsettled.append(house.registered.blocked)
    assert len({id(one) for one in unsettled}) == 3
    house.now += UNSETTLED_SECONDS + 1
    await house.registered.refresh()
    settled = house.registered.blocked
    await house.registered.refresh()
    assert house.registered.blocked is settled


async def test_of_too_many_tokens_those_that_live_longest_are_denied_and_the_log_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = []
    for _ in range(5):
        found.append(await house.ask(STOLEN, client_id="unbound", grant_type="client_credentials"))
        house.now += 1
    await house.trail.flush()
    monkeypatch.setattr(blocks, "MAX_UNBOUND", 5)
    first = block(house, "certificate").block
    assert known(house)[0].tokens == {jti(token) for token in found}
    assert not caplog.records
    monkeypatch.setattr(blocks, "MAX_UNBOUND", 3)
    assert known(house)[0].tokens == {jti(token) for token in found[2:]}
    assert [record.__dict__["block"] for record in caplog.records] == [first.id]
    for room, denied in ((4, 3), (3, 2), (2, 1), (1, 0), (0, 0)):
        monkeypatch.setattr(blocks, "MAXIMUM_ENTRIES", room)
        blocked, _ = known(house)
        assert (len(blocked.certificates), len(blocked.tokens)) == (1, denied)


async def test_where_there_is_not_room_for_all_the_newest_block_has_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [await house.ask(one, client_id="unbound", grant_type="client_credentials") for one in (STOLEN, OTHER)]
    await house.trail.flush()
    for identity in (STOLEN, OTHER):
        block(house, "public_key", identity)
        house.now += 1
    monkeypatch.setattr(blocks, "MAXIMUM_ENTRIES", 3)
    assert known(house)[0].tokens == {jti(found[1])}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_blocked_already_is_not_blocked_again_until_that_is_lifted(house: House, kind: BlockKind) -> None:
    first = block(house, kind).block
    with pytest.raises(BlockError, match=f"blocked already, by {first.id}"):
        block(house, kind)
    lift(house, first.id)
    second = block(house, kind).block
    assert second.id != first.id
    assert [one.id for one in house.store.read(stored_blocks.in_force)] == [second.id]


async def test_of_two_blocks_at_once_one_is_made(shared_house: House) -> None:
    house = shared_house
    made = await asyncio.gather(
        *(asyncio.to_thread(block, house, "public_key") for _ in range(8)), return_exceptions=True
    )
    assert len([one for one in made if isinstance(one, Blocking)]) == 1
    assert len([one for one in made if isinstance(one, BlockError)]) == 7
    assert len(house.store.read(stored_blocks.in_force)) == 1


async def test_certificate_and_key_are_blocked_and_lifted_apart(house: House) -> None:
    of_key, of_certificate = block(house, "public_key").block, block(house, "certificate").block
    lift(house, of_key.id)
    await house.registered.refresh()
    assert (await house.refusal(house.log_in("app", STOLEN))).error == "invalid_client"
    assert (await house.log_in("app", RENEWED)).access_token
    lift(house, of_certificate.id)
    await house.registered.refresh()
    assert (await house.log_in("app", STOLEN)).access_token


async def test_a_lifted_block_is_out_of_force_with_the_next_look_at_the_revision(house: House) -> None:
    made = block(house, "certificate").block
    house.now += UNSETTLED_SECONDS + 1
    await house.registered.refresh()
    assert (await house.refusal(house.log_in("app", STOLEN))).error == "invalid_client"
    lift(house, made.id)
    await house.registered.refresh()
    assert (await house.log_in("app", STOLEN)).access_token


async def test_a_block_is_lifted_once_and_only_if_it_is_there(house: House) -> None:
    made = block(house, "certificate").block
    assert lift(house, made.id) == made
    for block_id, told in ((made.id, f"block {made.id} was lifted before"), ("f00d", "there is no block 'f00d'")):
        with pytest.raises(BlockError, match=told):
            lift(house, block_id)
    kept = house.store.read(partial(blocks.existing, block_id=made.id))
    assert (kept.lifted_at, kept.lifted_by) == (house.now, "tester")


@pytest.mark.parametrize("kind", KINDS)
async def test_refresh_tokens_stay_revoked_when_the_block_is_lifted(house: House, kind: BlockKind) -> None:
    token = await house.log_in("orders", STOLEN)
    lift(house, block(house, kind).block.id)
    await house.registered.refresh()
    assert (await house.refusal(house.refresh("orders", token.refresh_token, STOLEN))).error == "invalid_grant"
    fresh = await house.log_in("orders", STOLEN)
    assert (await house.refresh("orders", fresh.refresh_token, STOLEN)).access_token


async def test_making_and_lifting_are_in_the_audit_and_what_failed_is_not(house: House) -> None:
    await house.log_in("orders", STOLEN)
    made = block(house, "public_key").block
    with pytest.raises(BlockError):
        block(house, "public_key")
    lift(house, made.id)
    with pytest.raises(BlockError):
        lift(house, made.id)
    rows = [row for row in house.store.read(partial(audit.page, limit=100)) if row.action.startswith("block")]
    what = {"kind": "public_key", "sha256": digest("public_key", STOLEN)}
    assert [(row.at, row.actor, row.action, row.target, json.loads(row.detail)) for row in rows] == [
        (
            house.now,
            "tester",
            "block.made",
            made.id,
            {**what, "reason": "laptop stolen", "refresh_tokens_revoked": 1},
        ),
        (house.now, "tester", "block.lifted", made.id, what),
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_it_obtained_is_listed_with_when_and_from_where(house: House, kind: BlockKind) -> None:
    at = house.now
    await house.ask(STOLEN, client_id="orders", grant_type="client_credentials", scope="read")
    house.now += 10
    await house.log_in("app", STOLEN)
    await house.log_in("app", OTHER)
    await house.log_in("app")
    await house.trail.flush()
    obtained = block(house, kind).obtained
    assert [(one.client_id, one.scope, one.issued_at, one.address) for one in obtained.access_tokens] == [
        ("app", "read write", at + 10, "192.0.2.1"),
        ("orders", "read", at, "192.0.2.1"),
    ]
    assert [(one.client_id, one.issued_at, one.address) for one in obtained.refresh_tokens] == [
        ("app", at + 10, "192.0.2.1")
    ]
    assert [one.revoked_at for one in obtained.refresh_tokens] == [house.now]


async def test_what_it_obtained_is_listed_as_far_as_it_is_on_record(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = block(house, "public_key")
    assert (made.obtained.access_tokens, made.obtained.refresh_tokens) == ((), ())
    await house.ask(STOLEN, client_id="orders", grant_type="client_credentials")
    await house.ask(STOLEN, client_id="orders", grant_type="client_credentials")
    await house.trail.flush()

    def obtained() -> int:
        return len(house.store.read(partial(blocks.obtained, of=made.block)).access_tokens)

    assert obtained() == 2
    monkeypatch.setattr(blocks, "MAX_OBTAINED", 1)
    assert obtained() == 1
    house.store.write(partial(tokens.delete_expired_issued_tokens, now=house.now + 300, limit=10))
    assert obtained() == 0


async def test_a_block_is_made_whole_or_not_at_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await house.log_in("orders", STOLEN)

    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("no audit, no block")

    with monkeypatch.context() as patched:
        patched.setattr(blocks, "record", failing)
        with pytest.raises(RuntimeError):
            block(house, "certificate")
    await house.registered.refresh()
    assert house.store.read(stored_blocks.all_blocks) == ()
    assert (await house.refresh("orders", token.refresh_token, STOLEN)).access_token


async def test_a_decision_under_way_when_the_block_is_learned_of_is_made_anew(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = house.store.reading

    async def slow(work: Any) -> Any:
        found = await reading(work)
        if "client_id" in work.keywords:
            monkeypatch.undo()
            block(house, "public_key")
            await house.registered.refresh()
        return found

    monkeypatch.setattr(house.store, "reading", slow)
    assert (await house.refusal(house.log_in("orders", STOLEN))).error == "invalid_client"


async def test_a_remembered_acceptance_is_forgotten_with_the_block(house: House) -> None:
    credentials = Credentials("orders", ShownMethod.NOTHING, STOLEN.presented())
    first = await house.registered.decide(credentials, NOW)
    assert await house.registered.decide(credentials, NOW) is first
    block(house, "certificate")
    await house.registered.refresh()
    assert (await house.registered.decide(credentials, NOW)).client is None


async def test_what_is_blocked_is_known_before_anything_else_of_a_worker_that_starts(house: House) -> None:
    block(house, "public_key")
    worker = new_registered(house.store, house.master_key, house.policy.methods)
    with pytest.raises(OAuthError, match="cannot confirm"):
        worker.require_current()
    await worker.refresh()
    decision = await worker.decide(Credentials("orders", ShownMethod.NOTHING, STOLEN.presented()), NOW)
    assert [check.check for check in decision.failed] == ["not_blocked"]


def jti(token: TokenResponse) -> str:
    payload = token.access_token.split(".")[1]
    return str(json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])
