"""One key follows another: published before it signs, kept until what it signed has run out."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from tests.authority.house import House

from certbound.authority import keys
from certbound.authority.key_states import MARGIN_SECONDS, KeyState, signs_by_default, standings
from certbound.authority.keys import AHEAD_SECONDS
from certbound.authority.registered import POLL_SECONDS
from certbound.jose.keys import load_signing_key
from certbound.oauth.access_token import LONGEST_LIFETIME
from certbound.oauth.errors import OAuthError
from certbound.resource.keys import UNKNOWN_KEY_SECONDS
from certbound.store import keys as stored_keys
from certbound.store.engine import Store
from certbound.store.keys import StoredSigningKey
from certbound.web.oauth.discovery import CACHE_SECONDS

KEPT = LONGEST_LIFETIME + MARGIN_SECONDS
A, B, C = (StoredSigningKey(name, "ES256", {}, b"", at, at) for at, name in enumerate("abc", 100))


def states(house: House) -> dict[str, str]:
    found = standings(house.store.read(stored_keys.load_all), house.now)
    return {standing.key.kid: standing.state.value for standing in found}


def retire(house: House, kid: str, **how: Any) -> None:
    house.store.write(partial(keys.retire, kid=kid, **how, **house.by))


def published(house: House) -> list[str]:
    return [jwk["kid"] for jwk in house.registered.public_jwks]


@pytest.mark.threat("R12")
async def test_a_new_key_is_published_before_it_signs(house: House) -> None:
    old = house.registered.signing_key.kid
    new = house.rotate(ahead=AHEAD_SECONDS)
    await house.registered.refresh()
    assert (published(house), states(house)) == ([new, old], {old: "signing", new: "published"})
    house.now += AHEAD_SECONDS - 1
    assert house.registered.signing_key.kid == old
    house.now += 1  # no change is registered at this moment: it comes by itself
    assert house.registered.signing_key.kid == new
    assert (published(house), states(house)) == ([new, old], {old: "superseded", new: "signing"})


@pytest.mark.threat("R12")
def test_it_is_published_for_longer_than_anybody_goes_without_it() -> None:
    assert AHEAD_SECONDS > CACHE_SECONDS + 4 * POLL_SECONDS + UNKNOWN_KEY_SECONDS


async def test_the_first_key_of_all_signs_at_once_and_another_one_only_if_that_is_wanted(store: Store) -> None:
    house = House(store)
    first = house.rotate(ahead=AHEAD_SECONDS)
    await house.registered.refresh()
    assert house.registered.signing_key.kid == first
    house.now += 1
    urgent = house.rotate(ahead=0)
    await house.registered.refresh()
    assert house.registered.signing_key.kid == urgent


async def test_a_key_that_signs_at_once_goes_before_one_that_was_to_sign_soon(house: House) -> None:
    old = house.registered.signing_key.kid
    soon = house.rotate(ahead=AHEAD_SECONDS)
    urgent = house.rotate()
    await house.registered.refresh()
    house.now += AHEAD_SECONDS + 1
    assert house.registered.signing_key.kid == urgent
    assert states(house) == {old: "superseded", soon: "superseded", urgent: "signing"}


async def test_the_newest_key_of_each_algorithm_signs_for_it_and_the_newest_of_all_by_default(house: House) -> None:
    made = {algorithm: house.rotate(algorithm) for algorithm in ("RS256", "EdDSA", "ES256", "RS256")}
    await house.registered.refresh()
    for algorithm, kid in made.items():
        key = house.registered.signing_key_for(algorithm)
        assert (key.kid, key.algorithm) == (kid, algorithm)
    assert house.registered.signing_key.kid == house.registered.signing_key_for(None).kid == made["RS256"]
    with pytest.raises(OAuthError, match="no signing key is available") as refused:
        house.registered.signing_key_for("PS256")
    assert "keys rotate --algorithm PS256" in (refused.value.detail or "")


async def test_a_setting_says_what_is_signed_by_where_nobody_asks(house: House) -> None:
    es256, _ = house.registered.signing_key.kid, house.rotate("EdDSA")
    house.registered._signing_algorithm = "ES256"
    await house.registered.refresh()
    assert house.registered.signing_key.kid == es256
    assert house.registered.signing_key_for("EdDSA").algorithm == "EdDSA"
    retire_default = partial(keys.retire, kid=es256, default_algorithm="ES256", force=True, **house.by)
    with pytest.raises(keys.SigningKeyError, match="make its successor first"):
        house.store.write(retire_default)


async def test_keys_are_opened_once_and_not_with_every_change(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    load = load_signing_key

    def counting(algorithm: str, private: bytes) -> Any:
        opened.append(algorithm)
        return load(algorithm, private)

    monkeypatch.setattr(keys, "load_signing_key", counting)
    house.rotate("RS256")
    for number in range(3):
        house.client(f"client-{number}", "none")
        await house.registered.refresh()
    assert opened == ["RS256"]


async def test_a_key_is_kept_until_the_last_token_it_signed_has_run_out(house: House) -> None:
    old = house.registered.signing_key.kid
    house.rotate(ahead=60)
    house.now += 60
    with pytest.raises(keys.SigningKeyError, match=r"may be about until \d{4}-\d\d-\d\dT.*--force"):
        retire(house, old)
    house.now += KEPT - 1
    with pytest.raises(keys.SigningKeyError, match="may be about"):
        retire(house, old)
    house.now += 1
    retire(house, old)
    await house.registered.refresh()
    assert old not in published(house)
    with pytest.raises(keys.SigningKeyError, match="no key"):
        retire(house, old)


async def test_a_key_in_the_wrong_hands_is_published_no_more_though_its_tokens_are_about(house: House) -> None:
    old = house.registered.signing_key.kid
    house.rotate()
    retire(house, old, force=True)
    await house.registered.refresh()
    assert old not in published(house)


async def test_the_key_that_signs_by_default_is_not_retired_whatever_is_said(house: House) -> None:
    kid = house.registered.signing_key.kid
    house.rotate(ahead=60)
    for force in (False, True):
        with pytest.raises(keys.SigningKeyError, match="make its successor first"):
            retire(house, kid, force=force)


async def test_an_algorithm_is_given_up_by_force_only(house: House) -> None:
    rs256 = house.rotate("RS256")
    house.rotate("ES256")
    with pytest.raises(keys.SigningKeyError, match="signs by RS256: `--force`"):
        retire(house, rs256)
    retire(house, rs256, force=True)
    await house.registered.refresh()
    with pytest.raises(OAuthError):
        house.registered.signing_key_for("RS256")


async def test_a_key_that_never_signed_can_be_taken_back_and_then_follows_nobody(house: House) -> None:
    old = house.registered.signing_key.kid
    mistaken = house.rotate(ahead=60)
    retire(house, mistaken)
    house.now += 60
    await house.registered.refresh()
    assert house.registered.signing_key.kid == old
    assert states(house) == {old: "signing", mistaken: "retired"}


async def test_keys_whose_tokens_have_run_out_are_retired_together(house: House) -> None:
    first = house.registered.signing_key.kid
    second = house.rotate(ahead=60)
    third = house.rotate(ahead=120)
    rs256 = house.rotate("RS256", ahead=0)

    def due() -> tuple[str, ...]:
        return house.store.write(partial(keys.retire_superseded, **house.by))

    house.now += 60 + KEPT - 1
    assert due() == ()
    house.now += 1
    assert due() == (first,)
    assert due() == ()
    house.now += 60
    assert due() == (second,)
    assert states(house) == {first: "retired", second: "retired", third: "signing", rs256: "signing"}


@pytest.mark.parametrize(
    ("given", "now", "expected"),
    [
        ([A], 99, [(KeyState.PUBLISHED, None)]),
        ([A], 100, [(KeyState.SIGNING, None)]),
        ([A, B], 100, [(KeyState.SIGNING, 101), (KeyState.PUBLISHED, None)]),
        ([A, replace(B, algorithm="EdDSA")], 101, [(KeyState.SIGNING, None)] * 2),
        ([A, replace(B, retired_at=101)], 200, [(KeyState.SIGNING, None), (KeyState.RETIRED, None)]),
        ([A, replace(B, retired_at=102)], 200, [(KeyState.SUPERSEDED, 101), (KeyState.RETIRED, None)]),
        (
            [A, B, C],
            102,
            [(KeyState.SUPERSEDED, 101), (KeyState.SUPERSEDED, 102), (KeyState.SIGNING, None)],
        ),
        (
            [A, replace(B, signs_from=300), C],
            400,
            [(KeyState.SUPERSEDED, 102), (KeyState.SUPERSEDED, 102), (KeyState.SIGNING, None)],
        ),
    ],
)
def test_a_keys_state_follows_from_it_and_the_newer_ones(
    given: list[StoredSigningKey], now: int, expected: list[tuple[KeyState, int | None]]
) -> None:
    assert [(standing.state, standing.superseded_at) for standing in standings(given, now)] == expected


def test_no_key_signs_by_default_where_none_signs_by_the_algorithm_that_is_set() -> None:
    assert signs_by_default(standings([A, B], 101), None) == B
    assert signs_by_default(standings([A, B], 101), "RS256") is None
