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
    assert set(key) == {"kid", "algorithm", "state", "created"}
    assert all(text.startswith("OpenSSL ") for text in status["openssl"].values())
    assert key["kid"] in certbound.done("status")


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
