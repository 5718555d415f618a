import base64
from pathlib import Path

import pytest
import trustme

from certbound.certificates.export import write_jks, write_pkcs12
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
    several = certbound.json("trust", "add", "t", *opened, "--alias", "one", "--alias", "two")["added"]
    assert sorted(added["alias"] for added in several) == ["one", "two"]
    assert f"{store}: " in certbound.refused("trust", "add", "s", store)


def test_a_disabled_authority_stays_in_its_store_and_vouches_for_nobody(certbound: Certbound, ca_file: Path) -> None:
    [added] = certbound.json("trust", "add", "partners", ca_file)["added"]
    who = ("--auth", "tls_client_auth", "--subject-dn", "CN=a", "--trust", "partners")
    certbound.done("client", "create", "a", *who)
    ended = certbound("trust", "disable", "partners", added["id"].upper())
    assert "nobody vouches for" in ended.err
    assert certbound.json("trust", "show", "partners")["certificates"] == [added | {"disabled": True}]
    assert "disabled" in certbound.done("trust", "show", "partners")
    assert certbound.json("trust", "enable", "partners", added["id"]) == {"store": "partners"} | added
    assert "holds no certificate" in certbound.refused("trust", "disable", "other", added["id"])


@pytest.fixture
def bad(authority: trustme.CA, ca_file: Path, leaf_file: Path, tmp_path: Path) -> Path:
    """A folder of files that nobody can be trusted by, and a password that opens none of them."""
    pem, certificate = authority.cert_pem.bytes(), read_certificate(ca_file.read_bytes(), "")
    files = {
        "empty": b"\n",
        "truncated": pem[: len(pem) // 2],
        "truncated.der": certificate.der[:-7],
        "key": authority.private_key_pem.bytes(),
        "page.html": b"<!DOCTYPE html><html><body>Sign in</body></html>",
        "store.p12": write_pkcs12([("one", certificate)], "changeit"),
        "store.jks": write_jks([("one", certificate)], "changeit", now=0),
        "leaf": leaf_file.read_bytes(),
        "password": b"wrong",
    }
    folder = tmp_path / "bad"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.threat("18", "R11")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty", "is empty"),
        ("truncated", "is cut off"),
        ("truncated.der", "is cut off"),
        ("key", "holds a private key and no certificate"),
        ("page.html", "is a web page"),
        ("store.p12", "password is wrong"),
        ("store.jks", "password is wrong"),
        ("missing", "No such file"),
        ("leaf", "is not a CA's certificate"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_by_name_and_the_old_set_stays(
    certbound: Certbound, ca_file: Path, bad: Path, name: str, reason: str
) -> None:
    certbound.done("trust", "add", "partners", ca_file)
    before = certbound.json("trust", "show", "partners")
    refused = certbound.refused("trust", "add", "partners", bad / name, "--password-file", bad / "password")
    assert reason in refused
    assert name == "leaf" or str(bad / name) in refused
    assert certbound.json("trust", "show", "partners") == before


def test_a_store_that_is_not_there_is_named(certbound: Certbound) -> None:
    assert "no trust store 'x'" in certbound.refused("trust", "show", "x")
    assert "--" not in certbound.done("trust", "list")


def test_a_thumbprint_that_is_none_is_misuse(certbound: Certbound) -> None:
    assert "no SHA-256 thumbprint" in certbound.refused("trust", "remove", "x", "abc", code=2)


@pytest.mark.parametrize("start", ["-h", "--", "-", ""])
def test_a_thumbprint_in_base64url_is_no_option_however_it_begins(certbound: Certbound, start: str) -> None:
    x5t = start + "A" * (43 - len(start))
    sha256 = base64.urlsafe_b64decode(x5t + "=").hex()
    for command in ("remove", "disable", "enable"):
        assert f"holds no certificate {sha256}" in certbound.refused("trust", command, "x", x5t)
    assert "holds no CRL" in certbound.refused("trust", "crl", "remove", "x", x5t)
    assert "no such option" in certbound.refused("trust", "remove", "x", "-nothing", code=2)
