"""Warn 30, 14, 7 and 1 days before the certificate that a client really uses runs out."""

import logging
from functools import partial

from certbound.authority.expiry import DAY, SHORT_LIVED, WARNING_DAYS, days_left
from certbound.store import sightings
from certbound.store.engine import Connection, Store
from certbound.store.sightings import Sighting
from certbound.upkeep.running import Task

log = logging.getLogger(__name__)

EVERY_SECONDS = 60
_BATCH = 1000


def warn_of_expiry(store: Store) -> Task:
    """Make the duty: each certificate is warned about once for each of the four marks."""

    async def run(now: int) -> int:
        for seen in await store.writing(partial(_newly_expiring, now=now)):
            log.warning(
                "client certificate runs out",
                extra={
                    "client_id": seen.client_id,
                    "sha256": seen.sha256,
                    "subject": seen.subject,
                    "days_left": days_left(seen, now),
                },
            )
        return EVERY_SECONDS

    return Task("expiry warnings", run)


def _newly_expiring(connection: Connection, now: int) -> list[Sighting]:
    """Choose the certificates that crossed a mark, and mark them, so that only one worker's log has each."""
    chosen = list[Sighting]()
    for days in WARNING_DAYS:
        crossed = sightings.expiring(
            connection,
            before=now + days * DAY,
            after=now,
            short_lived=SHORT_LIVED,
            step=days,
            limit=_BATCH - len(chosen),
        )
        for seen in crossed:
            sightings.set_warned(connection, seen.client_id, seen.sha256, days)
        chosen += crossed
    return chosen
