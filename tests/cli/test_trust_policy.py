import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.certificates.openssl_ca import DAY, NOW, OpenSSLCA

from certbound.certificates.certificate import Certificate
from certbound.cli import trust, trust_crl, trust_policy

from .conftest import Certbound


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> OpenSSLCA:
    return OpenSSLCA(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def store(certbound: Certbound, ca: OpenSSLCA) -> str:
    """A trust store with the CA in it."""
    certbound.done("trust", "add", "partners", ca.folder / "ca.pem")
    return "partners"


def crl_file(ca: OpenSSLCA, folder: Path, name: str = "ca.crl", **how: Any) -> Path:
    (folder / name).write_bytes(ca.crl(**how))
    return folder / name


def test_a_policy_is_set_shown_and_taken_away(certbound: Certbound, store: str) -> None:
    shown = certbound.json("trust", "show", store)
    assert (shown["revocation"], shown["on_unavailable"], shown["crl_urls"], shown["crls"]) == ("off", "refuse", [], [])
    asked = ("--revocation", "crl+ocsp", "--on-unavailable", "accept", "--grace", 60, "--extended-key-usage", "require")
    sources = (
        "--ocsp-url",
        "http://ocsp.example/",
        "--crl-url",
        "http://ca.example/1",
        "--crl-url",
        "https://b.example",
    )
    updated = certbound.json("trust", "update", store, *asked, *sources)
    assert updated == {
        "store": store,
        "revocation": "crl+ocsp",
        "on_unavailable": "accept",
        "grace_seconds": 60,
        "extended_key_usage": "require",
        "trust_domain": None,
        "bundle_url": None,
        "ocsp_url": "http://ocsp.example/",
        "crl_urls": ["http://ca.example/1", "https://b.example"],
    }
    assert updated.items() <= certbound.json("trust", "show", store).items()
    told = certbound.done("trust", "show", store)
    assert all(text in told for text in ("crl+ocsp", "60 s", "accept", "require", "http://ca.example/1"))
    certbound.done("trust", "update", store, "--ocsp-url", "", "--crl-url", "", "--revocation", "off")
    shown = certbound.json("trust", "show", store)
    assert (shown["ocsp_url"], shown["crl_urls"], shown["grace_seconds"]) == (None, [], 60)
    [listed] = certbound.json("trust", "list")
    assert listed["revocation"] == "off"


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ((), 2, "say what is to be changed"),
        (("--revocation", "sometimes"), 2, "'sometimes' is not one of 'off', 'crl', 'ocsp', 'crl+ocsp'"),
        (("--grace", "-1"), 2, "--grace"),
        (("--crl-url", "ldap://ca.example/"), 1, "--crl-url ldap://ca.example/: only https: and http:"),
        (("--bundle-url", "https://spire.example"), 1, "say which with --trust-domain"),
        (("--trust-domain", "a b"), 1, "--trust-domain: "),
    ],
)
def test_a_policy_that_cannot_be_is_refused(
    certbound: Certbound, store: str, arguments: tuple[str, ...], code: int, reason: str
) -> None:
    assert reason in certbound.refused("trust", "update", store, *arguments, code=code)
    assert "no trust store 'other'" in certbound.refused("trust", "update", "other", "--revocation", "crl")


def test_whoever_would_be_refused_for_want_of_a_crl_is_named(
    certbound: Certbound, store: str, ca: OpenSSLCA, tmp_path: Path
) -> None:
    def told(*arguments: object) -> str:
        ended = certbound("trust", "update", store, *arguments)
        assert ended.code == 0
        return ended.err

    everyone = "every client of this store will be refused until"
    assert (
        f"{everyone} a current CRL of every CA of its path is there: `certbound trust crl add partners FILE`"
        in told("--revocation", "crl")
    )
    assert everyone in certbound("trust", "show", store).err
    assert "until the server has fetched" in told("--crl-url", "http://ca.example/crl")
    assert not told("--on-unavailable", "accept")
    assert "revocation is off" in told("--revocation", "off", "--on-unavailable", "refuse")
    assert "whose certificate names no OCSP responder" in told("--revocation", "crl+ocsp", "--crl-url", "")
    assert "whose certificates name no OCSP responder" in told("--revocation", "ocsp")
    assert not told("--revocation", "crl+ocsp", "--ocsp-url", "http://ocsp.example")
    told("--revocation", "crl", "--ocsp-url", "")
    other = OpenSSLCA(tmp_path / "other", "Other")
    certbound.done("trust", "add", store, other.folder / "ca.pem")
    ended = certbound("trust", "crl", "add", store, crl_file(ca, tmp_path))
    assert "every client below CN=Other will be refused until" in ended.err
    assert not certbound("trust", "crl", "add", store, crl_file(other, tmp_path, "other.crl")).err
    assert "revocation is off" in told("--revocation", "off")


def test_crls_are_added_listed_and_removed(certbound: Certbound, store: str, ca: OpenSSLCA, tmp_path: Path) -> None:
    assert "no CRLs in partners" in certbound.done("trust", "crl", "list", store)
    file = crl_file(ca, tmp_path, number=10)
    ended = certbound("trust", "crl", "add", store, file)
    assert "revocation was off for partners and is `crl` from now on" in ended.err
    assert "the CRL of CN=CA, with 0 entries" in ended.out
    added = certbound.json("trust", "crl", "add", store, file)
    assert added["state"] == "current"
    assert (added["issuer"], added["number"], added["delta"], added["url"]) == ("CN=CA", "10", False, None)
    assert added["next_update"] == f"{NOW + DAY:%Y-%m-%dT%H:%M:%SZ}"
    listed = certbound.json("trust", "crl", "list", store)
    assert listed == [{name: value for name, value in added.items() if name != "store"}]
    shown = certbound.json("trust", "show", store)
    assert (shown["crls"], shown["revocation"]) == (listed, "crl")
    assert added["id"] in certbound.done("trust", "show", store)
    assert added["id"] in certbound.done("trust", "crl", "list", store)
    removed = certbound("trust", "crl", "remove", store, added["id"])
    assert "will be refused until" in removed.err
    assert certbound.json("trust", "crl", "list", store) == []
    assert "holds no CRL" in certbound.refused("trust", "crl", "remove", store, added["id"])


def test_a_crl_that_was_not_renewed_is_shown_as_stale(
    certbound: Certbound, store: str, ca: OpenSSLCA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certbound.done("trust", "crl", "add", store, crl_file(ca, tmp_path, number=15))
    for module in (trust, trust_crl, trust_policy):
        monkeypatch.setattr(module, "now", lambda: int((NOW + 2 * DAY).timestamp()))
    [crl] = certbound.json("trust", "crl", "list", store)
    assert crl["state"] == "stale"
    ended = certbound("trust", "show", store, "--json")
    assert json.loads(ended.out)["crls"] == [crl]
    assert "every client of this store will be refused" in ended.err


def test_a_crl_that_may_not_be_used_is_refused_by_name_and_the_old_one_stays(
    certbound: Certbound, store: str, ca: OpenSSLCA, tmp_path: Path
) -> None:
    """Row R11 of the threats, for CRLs."""
    kept = certbound.json("trust", "crl", "add", store, crl_file(ca, tmp_path, number=20))
    stranger = OpenSSLCA(tmp_path / "stranger", "Stranger")
    ended = NOW - DAY
    page = tmp_path / "page.crl"
    page.write_text("<html>Sign in</html>")
    for file, reason in (
        (crl_file(ca, tmp_path, "stale", begins=ended - DAY, ends=ended), f"is stale: .* {ended:%Y-%m-%dT%H:%M:%SZ}"),
        (crl_file(stranger, tmp_path, "foreign"), "belongs to another issuer: CN=Stranger"),
        (page, "is a web page"),
        (ca.folder / "ca.pem", "no CRL"),
        (tmp_path / "missing", "No such file"),
    ):
        refused = certbound.refused("trust", "crl", "add", store, file)
        assert refused.startswith(f"{file}: ")
        assert re.search(reason, refused)
    older = certbound.refused("trust", "crl", "add", store, crl_file(ca, tmp_path, "older", number=19))
    assert "number 19 and is older" in older
    assert [crl["id"] for crl in certbound.json("trust", "crl", "list", store)] == [kept["id"]]
    assert "no trust store 'x'" in certbound.refused("trust", "crl", "add", "x", page)


def bundle_file(folder: Path, *certificates: Certificate, name: str = "bundle.json", **members: Any) -> Path:
    keys = [
        {"kty": "EC", "use": "x509-svid", "x5c": [base64.b64encode(certificate.der).decode()]}
        for certificate in certificates
    ]
    (folder / name).write_text(json.dumps({"keys": keys, **members}))
    return folder / name


def test_a_spiffe_bundle_is_a_trust_store(certbound: Certbound, ca: OpenSSLCA, tmp_path: Path) -> None:
    next_ca = OpenSSLCA(tmp_path / "next", "Next")
    file = bundle_file(tmp_path, ca.certificate, spiffe_sequence=1, spiffe_refresh_hint=600)
    domain = ("--trust-domain", "example.org")
    assert "say with --trust-domain" in certbound.refused("trust", "add", "mesh", file)
    added = certbound.json("trust", "add", "mesh", file, *domain)
    assert [one["subject"] for one in added["added"]] == ["CN=CA"]
    assert (added["trust_domain"], added["removed"]) == ("example.org", [])
    shown = certbound.json("trust", "show", "mesh")
    assert (shown["trust_domain"], shown["bundle_refresh"], shown["bundle_sequence"]) == ("example.org", 600, 1)
    assert "example.org" in certbound.done("trust", "show", "mesh")
    renewed = bundle_file(tmp_path, next_ca.certificate, name="renewed.json", spiffe_sequence=2)
    assert "removed from mesh: CN=CA" in certbound.done("trust", "add", "mesh", renewed)
    assert "spiffe_sequence is 1, after 2" in certbound.refused("trust", "add", "mesh", file)
    assert "give this one a trust store of its own" in certbound.refused("trust", "add", "mesh", ca.folder / "ca.pem")
    [held] = certbound.json("trust", "show", "mesh")["certificates"]
    assert held["subject"] == "CN=Next"
    assert "trust disable mesh" in certbound.refused("trust", "remove", "mesh", held["id"])


def test_a_bundle_that_is_none_is_refused_by_name(
    certbound: Certbound, store: str, ca: OpenSSLCA, tmp_path: Path
) -> None:
    domain = ("--trust-domain", "example.org")
    for text, reason in (
        ('{"keys": [', "is no JSON"),
        ('{"a": 1}', "no SPIFFE bundle"),
        ('{"keys": []}', "holds no CA certificate"),
    ):
        (tmp_path / "bad.json").write_text(text)
        refused = certbound.refused("trust", "add", "mesh", tmp_path / "bad.json", *domain)
        assert refused.startswith(f"{tmp_path / 'bad.json'}: ")
        assert reason in refused
    bundle = bundle_file(tmp_path, ca.certificate)
    assert "which came in no bundle" in certbound.refused("trust", "add", store, bundle, *domain)
    assert "as a whole" in certbound.refused("trust", "add", "mesh", bundle, *domain, "--intermediate", code=2)
    pem = ca.folder / "ca.pem"
    assert "goes with a SPIFFE bundle" in certbound.refused("trust", "add", "mesh", pem, *domain, code=2)
    assert [listed["store"] for listed in certbound.json("trust", "list")] == [store]


def test_a_store_is_made_by_where_its_bundle_comes_from(certbound: Certbound) -> None:
    source = ("--trust-domain", "example.org", "--bundle-url", "https://spire.example/bundle")
    ended = certbound("trust", "update", "mesh", *source)
    assert "mesh vouches for nobody until the server has fetched the bundle" in ended.err
    shown = certbound.json("trust", "show", "mesh")
    assert (shown["bundle_url"], shown["trust_domain"]) == ("https://spire.example/bundle", "example.org")
