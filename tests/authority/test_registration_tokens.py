from functools import partial
from typing import Any

import pytest
from tests.authority.house import House

from certbound.authority import registration_tokens
from certbound.authority.registration_tokens import InitialTokenError, IssuedInitialToken
from certbound.authority.secrets import digest
from certbound.store import audit
from certbound.store import registration_tokens as stored


def issue(house: House, **how: Any) -> IssuedInitialToken:
    given: dict[str, Any] = {"scopes": ("read",), "trust": ("partners",), "uses": 2, "days": 7} | how
    return house.store.write(partial(registration_tokens.issue_initial, **given, **house.by))


def test_a_token_is_kept_as_a_digest_with_what_it_is_good_for(house: House) -> None:
    issued = issue(house, scopes=("read", "write", "read"))
    assert len(issued.value) == 43 + 4
    [kept] = house.store.read(stored.initial)
    assert kept == issued.token
    assert (kept.token_sha256, kept.scopes, kept.uses_left) == (digest(issued.value), ("read", "write"), 2)
    assert kept.expires_at == house.now + 7 * 86_400
    assert issued.value not in repr(issued)
    [*_, row] = house.store.read(lambda connection: audit.page(connection, limit=100))
    assert (row.action, row.target) == ("initial_token.created", kept.id)
    assert issued.value not in row.detail
    assert issue(house).value != issued.value


@pytest.mark.threat("51")
@pytest.mark.parametrize(
    "asked",
    [
        {"scopes": ("certbound.admin",)},
        {"scopes": ("read", "certbound.read")},
        {"scopes": ('a"b',)},
        {"trust": ("nobody",)},
        {"uses": 0},
        {"uses": -1},
        {"uses": 10**9},
        {"days": 0},
    ],
)
def test_a_token_that_would_allow_too_much_or_nothing_is_not_made(house: House, asked: dict[str, Any]) -> None:
    with pytest.raises(InitialTokenError):
        issue(house, **asked)
    assert house.store.read(stored.initial) == ()


def test_a_revoked_token_is_gone_and_that_is_on_record(house: House) -> None:
    issued = issue(house)
    revoke = partial(registration_tokens.revoke_initial, token_id=issued.token.id, **house.by)
    house.store.write(revoke)
    assert house.store.read(stored.initial) == ()
    [*_, row] = house.store.read(lambda connection: audit.page(connection, limit=100))
    assert (row.action, row.target) == ("initial_token.revoked", issued.token.id)
    with pytest.raises(InitialTokenError, match="there is no initial access token"):
        house.store.write(revoke)
