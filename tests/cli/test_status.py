import time
from pathlib import Path

from tests.certificates.openssl_ca import DAY, NOW, OpenSSLCA
from tests.store.values import sighting

from certbound.store import duties, sightings
from certbound.store.duties import Duty
from certbound.store.engine import Connection, Store
from certbound.store.upgrading import HEAD

from .conftest import Certbound


def test_status_tells_what_is_there_and_no_secret(certbound: Certbound) -> None:
    status = certbound.json("status")
    assert status["issuer"] == "https://localhost:9443"
    assert status["schema"] == "current"
    assert status["registered"] == {
        "clients": 0,
        "disabled_clients": 0,
        "trust_stores": 0,
        "trust_certificates": 0,
        "users": 1,
        "operators": 1,
    }
    [listener] = status["listeners"]
    assert (listener["bind"], listener["client_certificate"]) == ("127.0.0.1:9443", "want")
    [key] = status["signing_keys"]
    assert set(key) == {"kid", "algorithm", "state", "default", "created"}
    assert all(text.startswith("OpenSSL ") for text in status["openssl"].values())
    assert key["kid"] in certbound.done("status")


def test_status_tells_how_the_background_duties_stand(certbound: Certbound, self_signed: Path, tmp_path: Path) -> None:
    assert certbound.json("status")["duties"] == []
    ca = OpenSSLCA(tmp_path / "ca")
    certbound.done("trust", "add", "partners", ca.folder / "ca.pem")
    (tmp_path / "ca.crl").write_bytes(ca.crl(ends=NOW + DAY))
    certbound.done("trust", "crl", "add", "partners", tmp_path / "ca.crl")
    how = ("--auth", "self_signed_tls_client_auth", "--certificate", self_signed)
    certbound.done("client", "create", "orders", "--id", "orders", *how)

    def fill(connection: Connection) -> None:
        duties.record_duty(connection, Duty("crl partners http://ca.example/", 86_400, None, "no answer", 90_000))
        duties.record_duty(connection, Duty("expiry warnings", 86_400, 86_400, None, 90_000))
        sightings.record_seen(connection, [sighting(not_after=int(time.time()) + 5 * 86_400)])

    with Store(f"sqlite:///{certbound.folder / 'certbound.db'}") as store:
        store.write(fill)
    status = certbound.json("status")
    at = "1970-01-02T00:00:00Z"
    assert status["duties"] == [
        {"duty": "crl partners http://ca.example/", "last_run": at, "last_success": None, "failure": "no answer"},
        {"duty": "expiry warnings", "last_run": at, "last_success": at, "failure": None},
    ]
    assert status["certificates_expiring"] == {f"within_{days}_days": int(days >= 7) for days in (1, 7, 14, 30)}
    assert status["revocation_lists"] == [
        {
            "trust_store": "partners",
            "issuer": "CN=CA",
            "kind": "complete",
            "next_update": f"{NOW + DAY:%Y-%m-%dT%H:%M:%SZ}",
            "stale": False,
        }
    ]
    shown = certbound.done("status")
    for text in ("no answer", "certificates in use expiring within 7 days", "revocation lists", "CN=CA"):
        assert text in shown


def test_commands_that_need_the_tables_say_how_to_make_them(certbound: Certbound) -> None:
    (certbound.folder / "certbound.db").unlink()
    advice = f"run `certbound -c {certbound.config} db upgrade`"
    assert advice in certbound.refused("client", "list")
    assert advice in certbound.refused("db", "check")
    assert certbound.json("status")["schema"] == "missing"
    assert not (certbound.folder / "certbound.db").exists()
    assert certbound.json("db", "upgrade") == {"schema": "current", "known": HEAD, "changed": True}
    assert certbound.json("db", "upgrade")["changed"] is False
    assert certbound.json("db", "check")["schema"] == "current"
    assert certbound.json("client", "list") == []
