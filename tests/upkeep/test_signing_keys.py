"""Signing keys that were followed by others are retired by themselves, when nothing they signed can be about."""

import os
from functools import partial
from typing import Any

import pytest
from tests.upkeep.duties import Clock, of_a_server, recorded, round_of

from certbound.authority import keys
from certbound.authority.key_states import MARGIN_SECONDS
from certbound.oauth.access_token import LONGEST_LIFETIME
from certbound.store import audit, revision
from certbound.store import keys as stored_keys
from certbound.store.engine import Store
from certbound.upkeep.running import Fetch
from certbound.upkeep.signing_keys import EVERY_SECONDS

NAME = "retirement of signing keys"


async def test_a_followed_key_is_retired_when_its_tokens_have_run_out(
    shared_store: Store, clock: Clock, fetching: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "certbound.upkeep.signing_keys")
    upkeep = of_a_server(shared_store, fetching, clock)

    def rotate() -> str:
        how: dict[str, Any] = {"master_key": os.urandom(32), "algorithm": "ES256", "actor": "tester", "now": clock.now}
        return shared_store.write(partial(keys.rotate, **how)).kid

    first, second = rotate(), rotate()
    clock.now += keys.AHEAD_SECONDS + LONGEST_LIFETIME + MARGIN_SECONDS - 1
    before = shared_store.read(revision.read)
    await round_of(upkeep)
    assert shared_store.read(revision.read) == before
    assert recorded(shared_store)[NAME].next_run == clock.now + EVERY_SECONDS
    clock.now += EVERY_SECONDS
    await round_of(upkeep)
    assert {key.kid: key.retired_at for key in shared_store.read(stored_keys.load_all)} == {
        first: clock.now,
        second: None,
    }
    assert shared_store.read(revision.read) == before + 1
    [said] = [record.__dict__ for record in caplog.records if record.message == "signing key retired"]
    assert said["kid"] == first
    assert shared_store.read(audit.head).sequence == 3
