"""Which certificate does a client really use: learned from accepted requests, PKI clients included."""

import logging
from collections import OrderedDict
from functools import partial
from itertools import islice

from certbound.certificates.certificate import Certificate
from certbound.store import sightings
from certbound.store.engine import Store, StoreUnavailable
from certbound.store.sightings import Sighting

log = logging.getLogger(__name__)

RECORD_SECONDS = 60
"""How exact the last sighting of a certificate is: it is written at most that often by a worker."""
MAX_REMEMBERED = 10_000
BATCH = 1000
"""Written in one transaction, so that the issue trail, which is written by turns with it, waits for no more."""


class Sightings:
    """What one worker saw since it last wrote; the token path pays a look into a dictionary."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recorded: OrderedDict[tuple[str, bytes], int] = OrderedDict()
        self._waiting: dict[tuple[str, bytes], Sighting] = {}

    def saw(self, client_id: str, certificate: Certificate, now: int) -> None:
        """Note that a client authenticated with a certificate at `now` (epoch seconds)."""
        key = (client_id, certificate.sha256)
        before = self._recorded.get(key)
        if before is not None and 0 <= now - before < RECORD_SECONDS:  # a clock that was put back ends it too
            return
        self._recorded[key] = now
        self._recorded.move_to_end(key)
        if len(self._recorded) > MAX_REMEMBERED:
            self._recorded.popitem(last=False)
        if len(self._waiting) < MAX_REMEMBERED:
            self._waiting[key] = _sighting(client_id, certificate, now)

    async def flush(self) -> None:
        """Write what waits, a batch at most.

        Where that fails it is seen again within a minute, if the client is still there.
        """
        batch = {key: self._waiting.pop(key) for key in list(islice(self._waiting, BATCH))}
        if not batch:
            return
        try:
            await self._store.writing(partial(sightings.record_seen, sightings=tuple(batch.values())))
        except StoreUnavailable as error:
            self._forget(batch)
            log.error("sightings cannot be written", extra={"count": len(batch), "reason": str(error)})
        except Exception:  # a duty that ended would never run again
            self._forget(batch)
            log.exception("sightings cannot be written", extra={"count": len(batch)})

    def _forget(self, batch: dict[tuple[str, bytes], Sighting]) -> None:
        for key in batch:
            self._recorded.pop(key, None)


def _sighting(client_id: str, certificate: Certificate, now: int) -> Sighting:
    return Sighting(
        client_id=client_id,
        sha256=certificate.sha256.hex(),
        subject=certificate.subject.text,
        spki_sha256=certificate.spki_sha256.hex(),
        not_before=int(certificate.not_before.timestamp()),
        not_after=int(certificate.not_after.timestamp()),
        first_seen=now,
        last_seen=now,
    )
