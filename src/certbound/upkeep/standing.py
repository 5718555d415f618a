"""How do the duties stand, and what runs out soon: for `certbound status` and the metrics."""

from dataclasses import dataclass

from certbound.authority.expiry import DAY, SHORT_LIVED, WARNING_DAYS
from certbound.store import duties, sightings
from certbound.store import revocation as stored_revocation
from certbound.store.duties import Duty
from certbound.store.engine import Connection
from certbound.store.revocation import StoredCRL


@dataclass(frozen=True, slots=True)
class Standing:
    """The last run of each duty, the revocation lists, and per mark how many certificates in use run out within it."""

    duties: tuple[Duty, ...]
    crls: tuple[StoredCRL, ...]
    expiring: dict[int, int]


def read_standing(connection: Connection, now: int) -> Standing:
    """Read it; `now` in epoch seconds."""
    return Standing(
        duties=duties.duties(connection),
        crls=stored_revocation.crls(connection),
        expiring={
            days: sightings.count_expiring(connection, before=now + days * DAY, after=now, short_lived=SHORT_LIVED)
            for days in WARNING_DAYS
        },
    )
