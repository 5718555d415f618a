from pathlib import Path

import trustme

from certbound.certificates.export import write_pkcs12
from certbound.certificates.files import read_certificate

from .conftest import Certbound


def test_a_store_is_made_shown_listed_and_emptied(certbound: Certbound, ca_file: Path) -> None:
    added = certbound.json("trust", "add", "partners", ca_file)
    [certificate] = added["added"]
    assert (added["store"], certificate["kind"], certificate["disabled"]) == ("partners", "anchor", False)
    assert certbound.json("trust", "add", "partners", ca_file)["added"] == []
    certbound.done(
        "client", "create", "a", "--auth", "tls_client_auth", "--subject-dn", "CN=a", "--trust", "partners", "--id", "a"
    )
    shown = certbound.json("trust", "show", "partners")
    assert (shown["certificates"], shown["clients"]) == ([certificate], ["a"])
    [listed] = certbound.json("trust", "list")
    assert (listed["store"], listed["anchors"], listed["intermediates"], listed["clients"]) == ("partners", 1, 0, 1)
    x5t = read_certificate(ca_file.read_bytes(), "").x5t_s256
    ended = certbound("trust", "remove", "partners", x5t)
    assert "nobody vouches for a through it" in ended.err
    assert certbound.json("trust", "show", "partners")["certificates"] == []
    assert "holds no certificate" in certbound.refused("trust", "remove", "partners", x5t)


def test_an_intermediate_is_no_anchor(certbound: Certbound, ca_file: Path) -> None:
    [added] = certbound.json("trust", "add", "s", ca_file, "--intermediate")["added"]
    assert added["kind"] == "intermediate"
    assert "remove it first" in certbound.refused("trust", "add", "s", ca_file)


def test_only_authorities_can_be_trusted(certbound: Certbound, leaf_file: Path) -> None:
    assert "is not a CA's certificate" in certbound.refused("trust", "add", "s", leaf_file)
    assert certbound.json("trust", "list") == []


def test_entries_of_a_truststore_are_chosen_by_alias(certbound: Certbound, tmp_path: Path) -> None:
    authorities = [read_certificate(trustme.CA().cert_pem.bytes(), "") for _ in range(2)]
    store = tmp_path / "trust.p12"
    store.write_bytes(write_pkcs12(zip(["one", "two"], authorities, strict=True), "changeit"))
    (tmp_path / "password").write_text("changeit\n")
    opened = (store, "--password-file", tmp_path / "password")
    [added] = certbound.json("trust", "add", "s", *opened, "--alias", "two")["added"]
    assert (added["alias"], added["id"]) == ("two", authorities[1].sha256.hex())
    assert "no alias 'three' in it, but one, two" in certbound.refused("trust", "add", "s", *opened, "--alias", "three")
    assert len(certbound.json("trust", "add", "s", *opened)["added"]) == 1
    assert f"{store}: " in certbound.refused("trust", "add", "s", store)


def test_a_store_that_is_not_there_is_named(certbound: Certbound) -> None:
    assert "no trust store 'x'" in certbound.refused("trust", "show", "x")
    assert "--" not in certbound.done("trust", "list")


def test_a_thumbprint_that_is_none_is_misuse(certbound: Certbound) -> None:
    assert "no SHA-256 thumbprint" in certbound.refused("trust", "remove", "x", "abc", code=2)
