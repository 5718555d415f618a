"""The signed list of what is blocked, as one worker gives it out."""

from base64 import urlsafe_b64decode
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from tests.authority.assembling import new_blocked_list
from tests.authority.house import ISSUER, House, orders

from certbound.authority import blocked_list, blocks
from certbound.authority.blocked_list import MIN_LIFETIME, RENEW_SECONDS, BlockedList
from certbound.jose import jwt
from certbound.jose.jwks import parse_jwks
from certbound.oauth.blocking import LIST_TYPE, NOTHING_BLOCKED, Blocked, BlockedListError, read_blocked
from certbound.oauth.errors import OAuthError
from certbound.store.blocks import Block

STOLEN = orders()


class Clock:
    """Seconds since the list's worker started."""

    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        return self.passed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(blocked_list, "time", clock)
    return clock


@pytest.fixture
def listing(house: House, clock: Clock) -> BlockedList:
    return new_blocked_list(house.registered, house.policy, lambda: house.now + clock.passed)


def verified(house: House, signed: str) -> dict[str, Any]:
    keys = parse_jwks({"keys": list(house.registered.public_jwks)})
    return dict(jwt.verify(signed, keys, algorithms={"ES256"}, typ={LIST_TYPE}).claims)


def read(house: House, listing: BlockedList) -> Blocked:
    return read_blocked(verified(house, listing.signed_list()[0]), issuer=ISSUER, now=house.now)


async def block(house: House) -> Block:
    sha256 = STOLEN.certificate.spki_sha256.hex()
    work = partial(blocks.block, kind="public_key", sha256=sha256, reason="", **house.by)
    made = house.store.write(work).block
    await house.registered.refresh()
    return made


async def test_the_list_says_what_is_blocked_and_an_api_can_read_it(house: House, listing: BlockedList) -> None:
    assert read(house, listing) == NOTHING_BLOCKED
    made = await block(house)
    assert read(house, listing) == Blocked(keys=frozenset({STOLEN.certificate.spki_sha256}))
    house.store.write(partial(blocks.lift, block_id=made.id, **house.by))
    await house.registered.refresh()
    assert read(house, listing) == NOTHING_BLOCKED


async def test_the_list_is_good_for_as_long_as_the_access_tokens(house: House, listing: BlockedList) -> None:
    claims = verified(house, listing.signed_list()[0])
    assert (claims["iss"], claims["iat"], claims["exp"] - claims["iat"]) == (ISSUER, house.now, 300)
    short = BlockedList(house.registered, ISSUER, lifetime=10, clock=lambda: house.now)
    claims = verified(house, short.signed_list()[0])
    assert claims["exp"] - claims["iat"] == MIN_LIFETIME > RENEW_SECONDS


async def test_the_same_list_is_signed_once_and_anew_before_it_runs_out(
    house: House, listing: BlockedList, clock: Clock
) -> None:
    first = listing.signed_list()
    clock.passed = RENEW_SECONDS
    assert listing.signed_list() is not first
    assert listing.signed_list() == first
    clock.passed = RENEW_SECONDS + 1
    second = listing.signed_list()
    assert second[0] != first[0]
    assert verified(house, second[0])["iat"] == house.now + RENEW_SECONDS + 1


async def test_the_tag_changes_with_the_list_and_has_nothing_in_it_that_a_header_would_have_to_quote(
    house: House, listing: BlockedList, clock: Clock
) -> None:
    tags = [listing.signed_list()[1]]
    await block(house)
    tags.append(listing.signed_list()[1])
    clock.passed = RENEW_SECONDS + 1
    tags.append(listing.signed_list()[1])
    assert len(set(tags)) == 3
    assert all(tag.isalnum() and tag.isascii() for tag in tags)


async def test_the_list_is_signed_by_the_key_that_signs_tokens(house: House, listing: BlockedList) -> None:
    def kid() -> str:
        head = listing.signed_list()[0].split(".")[0]
        return urlsafe_b64decode(head + "=" * (-len(head) % 4)).decode()

    before = house.registered.signing_key.kid
    assert before in kid()
    house.rotate()
    await house.registered.refresh()
    assert house.registered.signing_key.kid in kid()
    assert before not in kid()


async def test_a_worker_that_does_not_know_for_sure_gives_no_list(
    house: House, listing: BlockedList, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing.signed_list()
    monkeypatch.setattr(house.registered, "_confirmed_at", house.registered._confirmed_at - 31)
    with pytest.raises(OAuthError) as raised:
        listing.signed_list()
    assert raised.value.status == 503
    await house.registered.refresh()
    assert read(house, listing) == NOTHING_BLOCKED


def test_a_list_without_a_key_to_sign_it_or_too_long_for_any_api_is_not_given(house: House) -> None:
    too_many = Blocked(tokens=frozenset(map(str, range(100_001))))
    knowing = {"require_current": lambda: None, "signing_key": house.registered.signing_key}
    long: Any = SimpleNamespace(**knowing, blocked=too_many)
    with pytest.raises(BlockedListError, match="100001 entries"):
        BlockedList(long, ISSUER, lifetime=300, clock=lambda: 0).signed_list()
