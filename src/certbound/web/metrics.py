"""GET /metrics: how the background duties stand, for Prometheus."""

from collections.abc import Callable, Iterable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from certbound.store.engine import Store, StoreUnavailable
from certbound.store.revocation import StoredCRL
from certbound.upkeep.standing import Standing, read_standing


def metrics_routes(store: Store, clock: Callable[[], float]) -> list[Route]:
    """Make the route; what it tells is read from the store, so that every worker tells the same."""

    async def get(_request: Request) -> Response:
        try:
            standing = await store.reading(lambda connection: read_standing(connection, int(clock())))
        except StoreUnavailable:
            return Response("# the database is not there just now\n", status_code=503, media_type="text/plain")
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_StandingCollector(standing))
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [Route("/metrics", get)]


class _StandingCollector(Collector):
    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def collect(self) -> Iterable[Metric]:
        succeeded = GaugeMetricFamily(
            "certbound_duty_last_success_timestamp_seconds",
            "When a background duty last succeeded; 0 if it never did.",
            labels=["duty"],
        )
        failing = GaugeMetricFamily(
            "certbound_duty_failing", "Whether the last run of a background duty failed.", labels=["duty"]
        )
        for duty in self._standing.duties:
            succeeded.add_metric([duty.name], float(duty.last_success or 0))
            failing.add_metric([duty.name], float(duty.failure is not None))
        ends = GaugeMetricFamily(
            "certbound_crl_next_update_timestamp_seconds",
            "When a revocation list goes stale; the first of several that an issuer has for a trust store.",
            labels=["trust_store", "issuer", "kind"],
        )
        for labels, next_update in _first_ends(self._standing.crls).items():
            ends.add_metric(labels, float(next_update))
        expiring = GaugeMetricFamily(
            "certbound_client_certificates_expiring",
            "Certificates that clients really use and that run out within so many days.",
            labels=["within_days"],
        )
        for days, count in self._standing.expiring.items():
            expiring.add_metric([str(days)], float(count))
        return [succeeded, failing, ends, expiring]


def _first_ends(crls: Iterable[StoredCRL]) -> dict[tuple[str, str, str], int]:
    """Give one end for each set of labels, which may stand once only: an issuer may have several keys and scopes."""
    ends: dict[tuple[str, str, str], int] = {}
    for crl in crls:
        labels = (crl.store, crl.issuer, "delta" if crl.is_delta else "complete")
        ends[labels] = min(crl.next_update, ends.get(labels, crl.next_update))
    return ends
