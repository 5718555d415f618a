"""Retire signing keys that another one has followed, once no token that they signed can be about any more."""

import logging
from functools import partial

from certbound.authority.keys import due_for_retirement, retire_superseded
from certbound.store.engine import Store
from certbound.upkeep.running import Task

log = logging.getLogger(__name__)

EVERY_SECONDS = 300


def retire_signing_keys(store: Store) -> Task:
    """Make the duty; nothing is written where no key is due."""

    async def run(now: int) -> int:
        if await store.reading(partial(due_for_retirement, now=now)):
            for kid in await store.writing(partial(retire_superseded, actor="certbound", now=now)):
                log.info("signing key retired", extra={"kid": kid})
        return EVERY_SECONDS

    return Task("retirement of signing keys", run)
