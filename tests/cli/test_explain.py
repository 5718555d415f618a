from pathlib import Path

from .conftest import Certbound


def _register(certbound: Certbound, ca_file: Path) -> None:
    certbound.done("trust", "add", "s", ca_file)
    certbound.done(
        *("client", "create", "orders", "--id", "orders", "--auth", "tls_client_auth"),
        *("--san-dns", "orders.example", "--trust", "s"),
    )


def test_an_accepted_certificate_passes_every_check(certbound: Certbound, ca_file: Path, leaf_file: Path) -> None:
    _register(certbound, ca_file)
    decided = certbound.json("explain", "--client", "orders", "--certificate", leaf_file)
    assert set(decided) == {"accepted", "checks"}
    assert decided["accepted"] is True
    for check in decided["checks"]:
        assert set(check) == {"check", "passed", "expected", "found", "reference"}
        assert check["passed"] is True
    assert "tls_client_auth_san_dns" in [check["check"] for check in decided["checks"]]
    assert certbound.done("explain", "--client", "orders", "--certificate", leaf_file).endswith("\naccepted\n")


def test_a_refused_one_is_decided_too_and_says_why(
    certbound: Certbound, ca_file: Path, self_signed: Path, leaf_file: Path
) -> None:
    _register(certbound, ca_file)
    decided = certbound.json("explain", "--client", "orders", "--certificate", self_signed, "--chain", leaf_file)
    assert decided["accepted"] is False
    assert {check["check"] for check in decided["checks"] if not check["passed"]} == {
        "chain",
        "tls_client_auth_san_dns",
    }
    out = certbound.done("explain", "--client", "orders", "--certificate", self_signed)
    assert "FAILED  chain" in out
    assert "refused (invalid_client): 2 of" in out


def test_a_disabled_and_an_unknown_client_are_refused(certbound: Certbound, ca_file: Path, leaf_file: Path) -> None:
    _register(certbound, ca_file)
    certbound.done("client", "disable", "orders")
    for client, check in (("orders", "client_enabled"), ("nobody", "client_known")):
        decided = certbound.json("explain", "--client", client, "--certificate", leaf_file)
        assert [found["check"] for found in decided["checks"] if not found["passed"]] == [check]


def test_a_method_the_server_does_not_offer_is_refused(certbound: Certbound, ca_file: Path, leaf_file: Path) -> None:
    _register(certbound, ca_file)
    with certbound.config.open("a") as file:
        file.write("\n[lifetimes]\n")
    text = certbound.config.read_text()
    certbound.config.write_text(text.replace("[oauth]\n", '[oauth]\nclient_authentication_methods = ["none"]\n'))
    decided = certbound.json("explain", "--client", "orders", "--certificate", leaf_file)
    assert [found["check"] for found in decided["checks"] if not found["passed"]] == ["method_offered"]
