"""Fetch the revocation lists of trust stores from the URLs their operator configured."""

import asyncio
from functools import partial

from certbound.authority import revocation_lists
from certbound.authority.trust import TrustError
from certbound.certificates.crl import MAXIMUM_CRL, CRLError
from certbound.fetch.document import FetchError
from certbound.store.engine import Store
from certbound.store.revocation import StoredCRL
from certbound.upkeep.aside import aside
from certbound.upkeep.naming import duty_name
from certbound.upkeep.running import DutyFailedError, Fetch, Task

FETCH_SECONDS = 20.0
LEAST_SECONDS = 60
MOST_SECONDS = 3600
"""A list is fetched at least hourly, as revocations are published before the old list ends."""
_OK = 200


def refresh_crl(store: Store, fetch: Fetch, reading: asyncio.Lock, trust_store: str, url: str) -> Task:
    """Make the duty for one URL; what is wrong with what comes from there leaves the list there was in place.

    `reading` is held while a list is read: the largest takes 250 MB for that.
    """

    async def run(now: int) -> int:
        try:
            answer = await aside(
                partial(
                    fetch,
                    url,
                    timeout=FETCH_SECONDS,
                    max_bytes=MAXIMUM_CRL,
                    accept="application/pkix-crl, */*",
                    signed_content=True,
                )
            )
            if answer.status != _OK:
                raise DutyFailedError(f"{url.partition('?')[0]} answered with status {answer.status}")
            authorities = await store.reading(partial(revocation_lists.issuers, name=trust_store))
            async with reading:
                verified = await asyncio.to_thread(revocation_lists.read, answer.body, authorities, now=now)
            added = await store.writing(
                partial(revocation_lists.add, name=trust_store, verified=verified, url=url, actor="certbound", now=now)
            )
        except (FetchError, CRLError, TrustError) as error:
            raise DutyFailedError(str(error)) from error
        return _due_in(added, now)

    return Task(duty_name("crl", trust_store, url), run)


def _due_in(crl: StoredCRL, now: int) -> int:
    """Come back when half of what is left of the list has passed, within bounds."""
    return min(MOST_SECONDS, max(LEAST_SECONDS, (crl.next_update - now) // 2))
