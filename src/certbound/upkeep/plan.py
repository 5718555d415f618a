"""Which duties there are, by what is registered now."""

import asyncio
from collections.abc import Iterator

from certbound.store import revocation as stored_revocation
from certbound.store import trust as stored_trust
from certbound.store.engine import Connection, Store
from certbound.upkeep.bundles import refresh_bundle
from certbound.upkeep.crls import refresh_crl
from certbound.upkeep.expiry import warn_of_expiry
from certbound.upkeep.removal import Retention, remove_the_past
from certbound.upkeep.running import Fetch, Task
from certbound.upkeep.signing_keys import retire_signing_keys


def plan(
    connection: Connection, *, store: Store, fetch: Fetch, retention: Retention, reading: asyncio.Lock
) -> Iterator[Task]:
    """List the duties: three that always are, one for each URL that a trust store names.

    `reading` is the lock under which one list at a time is read.
    """
    yield warn_of_expiry(store)
    yield remove_the_past(store, retention)
    yield retire_signing_keys(store)
    for source in stored_revocation.sources(connection):
        yield refresh_crl(store, fetch, reading, source.store, source.url)
    for trust_store in stored_trust.stores(connection):
        if trust_store.bundle_url is not None:
            yield refresh_bundle(store, fetch, trust_store.name, trust_store.bundle_url)
