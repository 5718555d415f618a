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


def test_names_that_differ_are_shown_beside_each_other(certbound: Certbound, ca_file: Path, tmp_path: Path) -> None:
    subject = "CN=orders,OU=Sales,O=Acme,C=SE"
    made = tmp_path / "made"
    certbound.done("cert", "new", "--cn", "orders", "--subject", subject, "--self-signed", "--out", made)
    certbound.done("trust", "add", "s", ca_file)
    certbound.done(
        *("client", "create", "orders", "--id", "orders", "--auth", "tls_client_auth", "--trust", "s"),
        *("--subject-dn", "CN=Orders,OU=Purchase,O=Acme"),
    )
    arguments = ("explain", "--client", "orders", "--certificate", made / "certificate.pem")
    out = certbound.done(*arguments).splitlines()
    start = next(number for number, line in enumerate(out) if line.startswith("FAILED  tls_client_auth_subject_dn"))
    assert out[start + 1 : start + 8] == [
        "        expected  CN=Orders,OU=Purchase,O=Acme",
        "        found     CN=orders,OU=Sales,O=Acme,C=SE (at position 2 OU=Sales where OU=Purchase is registered)",
        "        registered   certificate",
        "     =  CN=Orders    CN=orders",
        "     !  OU=Purchase  OU=Sales  <- first difference",
        "     =  O=Acme       O=Acme",
        "     !  (nothing)    C=SE",
    ]
    for check in certbound.json(*arguments)["checks"]:
        assert set(check) == {"check", "passed", "expected", "found", "reference"}


def test_a_name_that_matches_is_not_taken_apart(certbound: Certbound, ca_file: Path, leaf_file: Path) -> None:
    certbound.done("trust", "add", "s", ca_file)
    certbound.done(
        *("client", "create", "orders", "--id", "orders", "--auth", "tls_client_auth", "--trust", "s"),
        *("--subject-dn", certbound.json("cert", "show", leaf_file)[0]["subject"]),
    )
    out = certbound.done("explain", "--client", "orders", "--certificate", leaf_file)
    assert out.endswith("\naccepted\n")
    assert "first difference" not in out


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
