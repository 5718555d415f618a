"""Fetch the SPIFFE bundles of trust stores, as often as each asks for; the old set stays while its source is down."""

from functools import partial

from certbound.authority.trust import TrustError
from certbound.authority.trust_bundles import DEFAULT_REFRESH, replace_bundle
from certbound.certificates.spiffe import MAXIMUM_BUNDLE, SpiffeBundle, SpiffeError, parse_bundle
from certbound.fetch.document import FetchError
from certbound.store import trust as stored_trust
from certbound.store.engine import Connection, Store
from certbound.upkeep.aside import aside
from certbound.upkeep.naming import duty_name
from certbound.upkeep.running import DutyFailedError, Fetch, Task

FETCH_SECONDS = 10.0
LEAST_SECONDS = 10
MOST_SECONDS = 3600
_OK = 200


def refresh_bundle(store: Store, fetch: Fetch, trust_store: str, url: str) -> Task:
    """Make the duty for one trust store (SPIFFE Trust Domain and Bundle section 4.1.3: `spiffe_refresh_hint`)."""

    async def run(now: int) -> int:
        try:
            answer = await aside(
                partial(fetch, url, timeout=FETCH_SECONDS, max_bytes=MAXIMUM_BUNDLE, accept="application/json")
            )
            if answer.status != _OK:
                raise DutyFailedError(f"{url.partition('?')[0]} answered with status {answer.status}")
            bundle = parse_bundle(answer.body)
            await store.writing(partial(_replace, trust_store=trust_store, url=url, bundle=bundle, now=now))
        except (FetchError, SpiffeError, TrustError) as error:
            raise DutyFailedError(str(error)) from error
        return min(MOST_SECONDS, max(LEAST_SECONDS, bundle.refresh_hint or DEFAULT_REFRESH))

    return Task(duty_name("bundle", trust_store, url), run)


def _replace(connection: Connection, trust_store: str, url: str, bundle: SpiffeBundle, now: int) -> None:
    named = stored_trust.policies(connection, [trust_store]).get(trust_store)
    if named is None or named.bundle_url != url:
        raise DutyFailedError("another source was named while this one was asked")
    replace_bundle(connection, trust_store, bundle, actor="certbound", now=now)
