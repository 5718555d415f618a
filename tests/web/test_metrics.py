"""What Prometheus is told."""

from functools import partial
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.store.values import client, crl, sighting
from tests.upkeep.scraping import scrape, scraped

from certbound.authority.expiry import DAY
from certbound.store import clients, duties, revocation, sightings, trust
from certbound.store.duties import Duty
from certbound.store.engine import Connection, Store
from certbound.web.metrics import metrics_routes

NOW = 10_000_000
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def samples(store: Store) -> Samples:
    """Scrape, and read what came with the parser of Prometheus' own client; nothing may be told twice."""
    families = text_string_to_metric_families(await scraped(metrics_routes(store, lambda: float(NOW))))
    found: Samples = {}
    for sample in (sample for family in families for sample in family.samples):
        key = (sample.name, frozenset(sample.labels.items()))
        assert key not in found
        found[key] = sample.value
    return found


def labelled(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


@pytest.fixture
def filled() -> Store:
    store = Store("sqlite://")

    def fill(connection: Connection) -> None:
        clients.add(connection, client())
        duties.record_duty(connection, Duty("crl a http://x/", 50, None, "no answer", 60))
        duties.record_duty(connection, Duty('odd "name"\\\n', 70, 70, None, 80))
        trust.create_store(connection, "partners", 1)
        for number, ends in enumerate((300, 200, 400)):
            given = crl(sha256=f"{number}", signer=f"{number}", next_update=ends, is_delta=ends == 400)
            revocation.add_crl(connection, given, b"der")
        sightings.record_seen(connection, [sighting(not_after=NOW + 10 * DAY)])

    store.write(fill)
    return store


async def test_duties_lists_and_certificates_in_use_are_told(filled: Store) -> None:
    with filled:
        found = await samples(filled)
    expiring = {
        labelled("certbound_client_certificates_expiring", within_days=days): float(days in {"14", "30"})
        for days in ("1", "7", "14", "30")
    }
    succeeded, failing = "certbound_duty_last_success_timestamp_seconds", "certbound_duty_failing"
    ends = partial(labelled, "certbound_crl_next_update_timestamp_seconds", trust_store="partners", issuer="CN=root")
    assert found == expiring | {
        labelled(succeeded, duty="crl a http://x/"): 0,
        labelled(succeeded, duty='odd "name"\\\n'): 70,
        labelled(failing, duty="crl a http://x/"): 1,
        labelled(failing, duty='odd "name"\\\n'): 0,
        ends(kind="complete"): 200,
        ends(kind="delta"): 400,
    }


async def test_a_new_server_has_something_to_tell(caplog: pytest.LogCaptureFixture) -> None:
    with Store("sqlite://") as store:
        found = await samples(store)
        answer = await scrape(metrics_routes(store, lambda: float(NOW)))
    assert set(found.values()) == {0}
    assert {name for name, _ in found} == {"certbound_client_certificates_expiring"}
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert not caplog.records


async def test_a_database_that_is_away_is_told_as_such(tmp_path: Path) -> None:
    with Store(f"sqlite:///{tmp_path / 'gone.db'}") as store:
        answer = await scrape(metrics_routes(store, lambda: float(NOW)))
    assert answer.status_code == 503
    assert "Traceback" not in answer.text
