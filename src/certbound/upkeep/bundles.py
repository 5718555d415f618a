"""Fetch the SPIFFE bundles of trust stores, as often as each asks for; the old set stays while its source is down."""

import asyncio
from functools import partial

from certbound.authority.trust import TrustError
from certbound.authority.trust_bundles import DEFAULT_REFRESH, replace_bundle
from certbound.certificates.spiffe import MAXIMUM_BUNDLE, SpiffeError, parse_bundle
from certbound.fetch.document import FetchError
from certbound.store.engine import Store
from certbound.upkeep.running import DutyFailedError, Fetch, Task

FETCH_SECONDS = 10.0
LEAST_SECONDS = 10
MOST_SECONDS = 3600
_OK = 200


def refresh_bundle(store: Store, fetch: Fetch, trust_store: str, url: str) -> Task:
    """Make the duty for one trust store (SPIFFE Trust Domain and Bundle section 4.1.3: `spiffe_refresh_hint`)."""

    async def run(now: int) -> int:
        try:
            answer = await asyncio.to_thread(
                fetch, url, timeout=FETCH_SECONDS, max_bytes=MAXIMUM_BUNDLE, accept="application/json"
            )
            if answer.status != _OK:
                raise DutyFailedError(f"{url} answered with status {answer.status}")
            bundle = parse_bundle(answer.body)
            await store.writing(partial(replace_bundle, name=trust_store, bundle=bundle, actor="certbound", now=now))
        except (FetchError, SpiffeError, TrustError) as error:
            raise DutyFailedError(str(error)) from error
        return min(MOST_SECONDS, max(LEAST_SECONDS, bundle.refresh_hint or DEFAULT_REFRESH))

    return Task(f"bundle {trust_store}", run)
