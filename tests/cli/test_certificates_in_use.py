"""Which certificate does a client really use, and how long is it good: as operators see it."""

import time
from pathlib import Path

import pytest
from tests.store.values import sighting

from certbound.certificates.files import read_certificate
from certbound.store import sightings
from certbound.store.engine import Store
from certbound.store.sightings import Sighting

from .conftest import Certbound

DAY = 86_400
AT = "2001-09-09T01:46:40Z"
SECOND = 10**9  # AT


@pytest.fixture
def orders(certbound: Certbound, ca_file: Path) -> Certbound:
    """A server with the PKI client `orders`."""
    certbound.done("trust", "add", "partners", ca_file)
    how = ("--auth", "tls_client_auth", "--trust", "partners", "--subject-dn", "CN=orders")
    certbound.done("client", "create", "Orders", "--id", "orders", *how)
    return certbound


def record(certbound: Certbound, *seen: Sighting) -> None:
    with Store(f"sqlite:///{certbound.folder / 'certbound.db'}") as store:
        store.write(lambda connection: sightings.record_seen(connection, seen))


def test_a_certificate_learned_from_a_connection_is_listed_without_having_been_added(orders: Certbound) -> None:
    assert orders.json("client", "certificate", "list", "orders") == []
    record(orders, sighting(first_seen=SECOND, last_seen=SECOND + 60, not_after=2 * SECOND))
    [listed] = orders.json("client", "certificate", "list", "orders")
    assert listed == {
        "sha256": "cc" * 32,
        "subject": "CN=orders",
        "not_after": "2033-05-18T03:33:20Z",
        "added": None,
        "first_seen": AT,
        "last_seen": "2001-09-09T01:47:40Z",
        "retired": None,
    }
    assert orders.json("client", "show", "orders")["certbound_certificates"] == [listed]
    assert f"{AT}  2001-09-09T01:47:40Z" in orders.done("client", "certificate", "list", "orders")


def test_a_registered_certificate_is_listed_once_with_its_use(certbound: Certbound, self_signed: Path) -> None:
    how = ("--auth", "self_signed_tls_client_auth", "--certificate", self_signed)
    certbound.done("client", "create", "orders", "--id", "orders", *how)
    sha256 = read_certificate(self_signed.read_bytes(), "it").sha256.hex()
    [unused] = certbound.json("client", "certificate", "list", "orders")
    assert (unused["first_seen"], unused["last_seen"]) == (None, None)
    record(certbound, sighting(sha256=sha256, first_seen=SECOND, last_seen=SECOND))
    [used] = certbound.json("client", "certificate", "list", "orders")
    assert used == unused | {"first_seen": AT, "last_seen": AT}


@pytest.mark.parametrize(
    ("left", "said", "warning"),
    [
        (40 * DAY, "40 days left", False),
        (13 * DAY, "13 days left: RENEW", True),
        (DAY // 2, "12 h left: RENEW", True),
        (-DAY, "EXPIRED", True),
    ],
)
def test_the_list_of_clients_tells_the_end_of_the_certificate_in_use(
    orders: Certbound, left: int, said: str, warning: bool
) -> None:
    [line] = orders.done("client", "list").splitlines()[1:]
    assert line.endswith("not seen yet")
    [client] = orders.json("client", "list")
    assert "certbound_certificate_in_use" not in client
    now = int(time.time()) + 1800  # so that no second that passes changes what is said
    record(
        orders,
        sighting(sha256="01", not_before=0, not_after=now + DAY, first_seen=SECOND - 9, last_seen=SECOND - 1),
        sighting(sha256="02", not_before=0, not_after=now + left, first_seen=SECOND, last_seen=SECOND),
    )
    [line] = orders.done("client", "list").splitlines()[1:]
    assert line.endswith(said)
    [client] = orders.json("client", "list")
    in_use = client["certbound_certificate_in_use"]
    assert (in_use["sha256"], in_use["last_seen"], in_use["warning"]) == ("02", AT, warning)
    assert in_use["days_left"] == left // DAY


def test_a_retired_certificate_is_in_use_no_more(certbound: Certbound, self_signed: Path) -> None:
    how = ("--auth", "self_signed_tls_client_auth", "--certificate", self_signed)
    certbound.done("client", "create", "orders", "--id", "orders", *how)
    sha256 = read_certificate(self_signed.read_bytes(), "it").sha256.hex()
    record(certbound, sighting(sha256=sha256))
    assert certbound.json("client", "list")[0]["certbound_certificate_in_use"]["sha256"] == sha256
    certbound.done("client", "certificate", "retire", "orders", self_signed)
    assert "certbound_certificate_in_use" not in certbound.json("client", "list")[0]


def test_what_was_seen_of_a_client_goes_with_it(orders: Certbound) -> None:
    record(orders, sighting())
    orders.done("client", "delete", "orders")
    how = ("--auth", "tls_client_auth", "--trust", "partners", "--subject-dn", "CN=orders")
    orders.done("client", "create", "Orders", "--id", "orders", *how)
    assert orders.json("client", "certificate", "list", "orders") == []
