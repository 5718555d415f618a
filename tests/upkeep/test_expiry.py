"""Warnings before the certificate that a client really uses runs out."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from tests.store.values import client
from tests.upkeep.duties import Clock, of_a_server, round_of
from tests.upkeep.scraping import scraped

from certbound.authority.expiry import DAY, SHORT_LIVED, WARNING_DAYS, days_left, ending_text, warning_days
from certbound.store import clients, sightings
from certbound.store.engine import Connection, Store
from certbound.store.sightings import Sighting
from certbound.upkeep import expiry
from certbound.upkeep.running import Fetch, Upkeep
from certbound.web.metrics import metrics_routes

YEAR, HOUR = 365 * DAY, 3600


class Watched:
    """Clients whose certificates are seen, and the worker that warns."""

    def __init__(self, store: Store, clock: Clock, upkeep: Upkeep, caplog: pytest.LogCaptureFixture) -> None:
        self.store, self.clock, self.upkeep, self._caplog = store, clock, upkeep, caplog

    def sees(self, client_id: str, sha256: str, *, left: int, lifetime: int = YEAR) -> Sighting:
        """Let a client use a certificate that is good for `left` seconds more."""
        now = self.clock.now
        ends = now + left
        seen = Sighting(client_id, sha256, f"CN={client_id}", "dd" * 32, ends - lifetime, ends, now, now)
        self.store.write(partial(sightings.record_seen, sightings=(seen,)))
        return seen

    async def warned(self, after: int = 0) -> list[tuple[str, str, int]]:
        """Let time pass and the worker look; give of whom it warned."""
        self.clock.now += after
        self._caplog.clear()
        await round_of(self.upkeep)
        found = [record.__dict__ for record in self._caplog.records if record.levelname == "WARNING"]
        assert {one["message"] for one in found} <= {"client certificate runs out"}
        return [(one["client_id"], one["sha256"], one["days_left"]) for one in found]

    async def expiring(self) -> dict[int, int]:
        """Give what the metrics say."""
        text = await scraped(metrics_routes(self.store, self.clock))
        name = "certbound_client_certificates_expiring"
        return {days: int(float(text.split(f'{name}{{within_days="{days}"}} ')[1].split()[0])) for days in WARNING_DAYS}


@pytest.fixture
def watched(shared_store: Store, clock: Clock, fetching: Fetch, caplog: pytest.LogCaptureFixture) -> Watched:
    def register(connection: Connection) -> None:
        for name in ("orders", "billing", "mesh"):
            clients.add(connection, client(name))

    shared_store.write(register)
    return Watched(shared_store, clock, of_a_server(shared_store, fetching, clock), caplog)


async def test_each_mark_is_warned_about_once(watched: Watched) -> None:
    watched.sees("orders", "old", left=31 * DAY)
    assert await watched.warned() == []
    assert await watched.expiring() == {1: 0, 7: 0, 14: 0, 30: 0}
    for mark, (passes, left) in {30: (DAY, 30), 14: (16 * DAY, 14), 7: (7 * DAY, 7), 1: (6 * DAY, 1)}.items():
        assert await watched.warned(passes) == [("orders", "old", left)]
        assert await watched.expiring() == {days: int(days >= mark) for days in WARNING_DAYS}
        assert await watched.warned(60) == []
        watched.clock.now -= 60
    assert await watched.warned(DAY) == [], "it has run out, which is no news"
    assert await watched.expiring() == {1: 0, 7: 0, 14: 0, 30: 0}


async def test_a_certificate_first_seen_near_its_end_is_warned_about_once(watched: Watched) -> None:
    watched.sees("orders", "late", left=6 * DAY)
    assert await watched.warned() == [("orders", "late", 6)]
    assert await watched.warned(60) == []


async def test_a_certificate_that_was_renewed_is_not_warned_about(watched: Watched) -> None:
    watched.sees("orders", "old", left=31 * DAY)
    watched.clock.now += 60
    watched.sees("orders", "new", left=YEAR)
    assert await watched.warned(2 * DAY) == []
    assert (await watched.expiring())[30] == 0
    watched.sees("orders", "old", left=29 * DAY)
    assert await watched.warned(60) == [("orders", "old", 28)], "a part of the client still uses it"


async def test_short_lived_certificates_are_warned_about_in_their_last_third_only(watched: Watched) -> None:
    watched.sees("mesh", "svid", left=HOUR, lifetime=HOUR)
    assert await watched.warned() == []
    assert await watched.expiring() == {1: 0, 7: 0, 14: 0, 30: 0}
    assert await watched.warned(HOUR * 2 // 3) == [("mesh", "svid", 0)]
    assert await watched.expiring() == {1: 1, 7: 1, 14: 1, 30: 1}
    assert await watched.warned(60) == []


async def test_a_client_that_is_gone_or_disabled_is_not_warned_about(watched: Watched) -> None:
    watched.sees("orders", "old", left=DAY)
    watched.sees("billing", "old", left=DAY)
    watched.sees("mesh", "old", left=DAY)
    watched.store.write(partial(clients.remove, client_id="orders"))
    watched.store.write(partial(clients.set_disabled, client_id="billing", disabled=True, at=1))
    assert await watched.warned() == [("mesh", "old", 1)]
    assert await watched.expiring() == {1: 1, 7: 1, 14: 1, 30: 1}


async def test_of_two_workers_one_warns(watched: Watched, fetching: Fetch) -> None:
    watched.sees("orders", "old", left=DAY)
    assert len(await watched.warned()) == 1
    watched.upkeep = of_a_server(watched.store, fetching, watched.clock)
    assert await watched.warned(YEAR) == []
    watched.sees("orders", "next", left=7 * DAY)
    assert len(await watched.warned(60)) == 1


async def test_what_is_too_much_for_one_run_is_warned_about_in_the_next(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "_BATCH", 2)
    for client_id, left in (("orders", 29), ("billing", 13), ("mesh", 6)):
        watched.sees(client_id, "old", left=left * DAY)
    assert [client_id for client_id, _, _ in await watched.warned()] == ["mesh", "billing"]
    assert [client_id for client_id, _, _ in await watched.warned(60)] == ["orders"]
    assert await watched.warned(60) == []


SEEN = Sighting("orders", "aa", "CN=orders", "dd", 0, YEAR, 0, 0)


@pytest.mark.parametrize(
    ("left", "days", "text"),
    [
        (31 * DAY, None, "31 days left"),
        (30 * DAY + 1, None, "30 days left"),
        (30 * DAY, 30, "30 days left: RENEW"),
        (14 * DAY, 14, "14 days left: RENEW"),
        (DAY + 1, 7, "1 day left: RENEW"),
        (DAY, 1, "1 day left: RENEW"),
        (2 * HOUR, 1, "2 h left: RENEW"),
        (-1, 1, "EXPIRED"),
    ],
)
def test_how_long_a_certificate_is_good_is_said_in_words(left: int, days: int | None, text: str) -> None:
    assert (warning_days(SEEN, YEAR - left), ending_text(SEEN, YEAR - left)) == (days, text)
    assert days_left(SEEN, YEAR - left) == left // DAY


@pytest.mark.parametrize(
    ("lifetime", "left", "days"),
    [
        (HOUR, HOUR // 3, 1),
        (HOUR, HOUR // 3 + 1, None),
        (SHORT_LIVED, SHORT_LIVED // 3, 1),
        (SHORT_LIVED, SHORT_LIVED, None),
        (SHORT_LIVED + 1, SHORT_LIVED, 7),
    ],
)
def test_a_short_life_is_warned_about_in_its_last_third(lifetime: int, left: int, days: Any) -> None:
    assert warning_days(replace(SEEN, not_after=lifetime), lifetime - left) == days
