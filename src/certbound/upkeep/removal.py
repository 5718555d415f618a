"""Remove what is past keeping: tokens, codes and sessions that have run out, old refusals and sightings."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from certbound.store import codes, once, refusals, registration_tokens, revoked, sessions, sightings, tokens
from certbound.store.engine import Connection, Store
from certbound.upkeep.running import Task

EVERY_SECONDS = 300
BATCH = 1000
"""Rows removed in one transaction, so that nobody waits long for it."""
MAX_BATCHES = 100
SOON_SECONDS = 5
"""When it goes on where there was more than it removes in one run."""
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept: `refusals` are rows, the others days after which a record goes."""

    refusals: int
    refusal_days: int
    issued_token_days: int
    sighting_days: int


def remove_the_past(store: Store, retention: Retention) -> Task:
    """Make the duty."""

    async def run(now: int) -> int:
        done = [await _remove(store, removal) for removal in _removals(retention, now)]
        return EVERY_SECONDS if all(done) else SOON_SECONDS

    return Task("removal of old records", run)


async def _remove(store: Store, removal: Callable[[Connection], int]) -> bool:
    """Remove batch by batch; False if there may be more."""
    for _ in range(MAX_BATCHES):
        if await store.writing(removal) < BATCH:
            return True
    return False


def _removals(retention: Retention, now: int) -> tuple[Callable[[Connection], int], ...]:
    return (
        partial(tokens.delete_expired_refresh_tokens, now=now, limit=BATCH),
        partial(revoked.delete_expired, now=now, limit=BATCH),
        partial(once.delete_expired, now=now, limit=BATCH),
        # Longer than a code is good for: one that turns up a second time revokes what came from it.
        partial(codes.delete_expired_codes, now=now - DAY, limit=BATCH),
        partial(codes.delete_expired_pushed_requests, now=now, limit=BATCH),
        partial(sessions.delete_expired, now=now, limit=BATCH),
        partial(registration_tokens.delete_expired, now=now, limit=BATCH),
        # The trail says what a stolen certificate obtained, so it outlives the tokens.
        partial(tokens.delete_expired_issued_tokens, now=now - retention.issued_token_days * DAY, limit=BATCH),
        partial(
            refusals.delete_beyond, rows=retention.refusals, before=now - retention.refusal_days * DAY, limit=BATCH
        ),
        partial(sightings.delete_before, moment=now - retention.sighting_days * DAY, limit=BATCH),
    )
