import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from certbound.certificates.files import read_certificate
from certbound.store.audit import page
from certbound.store.engine import Store

from .conftest import Certbound

SUBJECTS = {
    "--subject-dn": ("tls_client_auth_subject_dn", "CN=orders,O=Example"),
    "--san-dns": ("tls_client_auth_san_dns", "orders.example"),
    "--san-uri": ("tls_client_auth_san_uri", "spiffe://example/orders"),
    "--san-ip": ("tls_client_auth_san_ip", "192.0.2.1"),
    "--san-email": ("tls_client_auth_san_email", "orders@example.com"),
}


@pytest.fixture
def store(certbound: Certbound, ca_file: Path) -> str:
    certbound.done("trust", "add", "partners", ca_file)
    return "partners"


@pytest.mark.parametrize("flag", SUBJECTS)
def test_a_pki_client_has_one_of_the_five_subjects(certbound: Certbound, store: str, flag: str) -> None:
    member, value = SUBJECTS[flag]
    client = certbound.json("client", "create", "orders", "--auth", "tls_client_auth", flag, value, "--trust", store)
    assert client[member] == value
    assert client["certbound_trust"] == ["partners"]
    assert client["tls_client_certificate_bound_access_tokens"] is True
    assert client["grant_types"] == ["client_credentials"]
    assert "client_secret" not in client


def test_a_subject_as_openssl_prints_it_is_turned_round_with_a_note(certbound: Certbound, store: str) -> None:
    arguments = ("client", "create", "o", "--auth", "tls_client_auth", "--trust", store, "--json")
    ended = certbound(*arguments, "--subject-dn", "subject=C = SE, O = Example, CN = orders")
    assert json.loads(ended.out)["tls_client_auth_subject_dn"] == "CN=orders,O=Example,C=SE"
    assert ended.err.startswith("note: --subject-dn ")


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["tls_client_auth", "--trust", "partners"], "exactly one of"),
        (
            ["tls_client_auth", "--trust", "partners", "--subject-dn", "CN=a", "--san-dns", "a.example"],
            "exactly one of",
        ),
        (["tls_client_auth", "--subject-dn", "CN=a"], "at least one trust store"),
        (["tls_client_auth", "--subject-dn", "CN=a", "--trust", "nowhere"], "no trust store 'nowhere'"),
        (["tls_client_auth", "--subject-dn", "nonsense", "--trust", "partners"], "--subject-dn"),
        (["tls_client_auth", "--san-ip", "1.2.3", "--trust", "partners"], "address"),
        (["client_secret_basic", "--trust", "partners"], "tls_client_auth only"),
        (["client_secret_basic", "--san-dns", "a.example"], "tls_client_auth only"),
        (["self_signed_tls_client_auth"], "at least one certificate"),
        (["self_signed_tls_client_auth", "--subject-dn", "CN=a"], "tls_client_auth only"),
        (["client_secret_basic", "--grant", "magic"], "unknown grant 'magic'"),
        (["client_secret_basic", "--grant", "refresh_token"], "needs a grant"),
        (["none"], "needs its grants named"),
        (["none", "--grant", "client_credentials"], "not for method none"),
        (["client_secret_basic", "--scope", 'a"b'], "scope"),
        (["client_secret_basic", "--redirect-uri", "http://example.com"], "https"),
        (["client_secret_basic", "--resource", "orders"], "absolute URI"),
        (["client_secret_basic", "--id", "usr_1"], "usr_"),
        (["client_secret_basic", "--id", "a b"], "client id"),
    ],
)
def test_a_wrong_combination_is_refused_with_advice(
    certbound: Certbound, store: str, arguments: list[str], advice: str
) -> None:
    assert advice in certbound.refused("client", "create", "x", "--auth", *arguments)
    assert certbound.json("client", "list") == []


def test_a_self_signed_client_has_certificates_from_a_file_or_a_jwk_set(
    certbound: Certbound, self_signed: Path, tmp_path: Path
) -> None:
    create = ("client", "create", "probe", "--auth", "self_signed_tls_client_auth")
    client = certbound.json(*create, "--certificate", self_signed, "--id", "probe")
    certificate = read_certificate(self_signed.read_bytes(), "probe")
    [listed] = certbound.json("client", "certificate", "list", client["client_id"])
    assert set(listed) == {"sha256", "subject", "not_after", "added", "first_seen", "last_seen", "retired"}
    assert (listed["sha256"], listed["subject"]) == (certificate.sha256.hex(), "CN=probe")

    (tmp_path / "not.json").write_text("<html>")
    assert f"{tmp_path}/not.json: is no JSON" in certbound.refused(*create, "--jwks", tmp_path / "not.json")
    (tmp_path / "list.json").write_text("[]")
    assert "is no JWK Set" in certbound.refused(*create, "--jwks", tmp_path / "list.json")
    assert "private key" in certbound.refused(*create, "--certificate", self_signed.with_name("key.pem"))


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_secret_is_shown_once(certbound: Certbound, method: str) -> None:
    client = certbound.json("client", "create", "web", "--auth", method, "--id", "web")
    assert len(client["client_secret"]) == 43
    assert client["tls_client_certificate_bound_access_tokens"] is False
    assert client["client_secret"] not in certbound.done("client", "show", "web", "--json")
    assert client["client_secret"].encode() not in (certbound.folder / "certbound.db").read_bytes()


def test_the_line_for_people_gets_exactly_this_client_a_token(certbound: Certbound, self_signed: Path) -> None:
    out = certbound.done(
        "client", "create", "p", "--auth", "self_signed_tls_client_auth", "--certificate", self_signed, "--id", "p/1"
    )
    key = self_signed.with_name("key.pem")
    assert (
        f"curl --cacert {certbound.folder}/server.crt --cert {self_signed} --key {key} --data-urlencode client_id=p/1 "
        "-d grant_type=client_credentials https://localhost:9443/oauth2/token"
    ) in out
    out = certbound.done("client", "create", "b", "--auth", "client_secret_basic", "--id", "b:1")
    assert "--user b%3A1:" in out
    out = certbound.done("client", "create", "n", "--auth", "none", "--grant", "password", "--id", "n")
    assert "-d grant_type=password -d username=USERNAME -d password=PASSWORD" in out
    assert "--cert" not in out
    assert "The password grant is off on this server" in out


def test_scopes_can_be_given_one_by_one_or_as_oauth_writes_them(certbound: Certbound) -> None:
    client = certbound.json(
        "client", "create", "s", "--auth", "client_secret_post", "--scope", "read write", "--scope", "admin"
    )
    assert client["scope"] == "read write admin"


def test_an_id_is_taken_once(certbound: Certbound) -> None:
    certbound.done("client", "create", "a", "--auth", "client_secret_post", "--id", "a")
    assert "already" in certbound.refused("client", "create", "b", "--auth", "client_secret_post", "--id", "a")


def test_update_changes_what_is_given_and_records_before_and_after(certbound: Certbound, store: str) -> None:
    certbound.done(
        *("client", "create", "a", "--auth", "tls_client_auth", "--id", "a", "--trust", store),
        *("--subject-dn", "CN=a", "--scope", "read", "--not-bound"),
    )
    before = certbound.json("client", "show", "a")
    after = certbound.json("client", "update", "a", "--scope", "read write", "--name", "A")
    assert after == before | {"scope": "read write", "client_name": "A"}
    after = certbound.json("client", "update", "a", "--san-dns", "a.example", "--bound", "--scope", "")
    assert "tls_client_auth_subject_dn" not in after
    assert (after["tls_client_auth_san_dns"], after.get("scope")) == ("a.example", None)
    assert "exactly one" in certbound.refused("client", "update", "a", "--san-dns", "a.example", "--san-ip", "::1")
    with Store(f"sqlite:///{certbound.folder / 'certbound.db'}") as opened:
        rows = [row for row in opened.read(page) if row.action == "client.updated"]
    detail = json.loads(rows[0].detail)
    assert (detail["before"]["scope"], detail["after"]["scope"]) == ("read", "read write")
    assert rows[0].actor.startswith("cli:")


def test_another_method_leaves_nothing_of_the_one_before(certbound: Certbound, store: str, self_signed: Path) -> None:
    certbound.done(
        "client", "create", "a", "--auth", "tls_client_auth", "--id", "a", "--trust", store, "--subject-dn", "CN=a"
    )
    changed = certbound.json("client", "update", "a", "--auth", "client_secret_basic")
    assert "client_secret" in changed
    assert changed["tls_client_certificate_bound_access_tokens"] is False
    assert "certbound_trust" not in changed
    kept = certbound.json("client", "update", "a", "--auth", "client_secret_post")
    assert "client_secret" not in kept
    assert "certificate" in certbound.refused("client", "update", "a", "--auth", "self_signed_tls_client_auth")
    changed = certbound.json(
        "client", "update", "a", "--auth", "self_signed_tls_client_auth", "--certificate", self_signed
    )
    assert changed["tls_client_certificate_bound_access_tokens"] is True
    certbound.done("client", "update", "a", "--auth", "none", "--grant", "password")
    [certificate] = certbound.json("client", "certificate", "list", "a")
    assert certificate["retired"] is not None
    assert "does not come back" in certbound.refused(
        "client", "update", "a", "--auth", "self_signed_tls_client_auth", "--certificate", self_signed
    )


def test_certificates_are_added_listed_and_retired(certbound: Certbound, self_signed: Path, leaf_file: Path) -> None:
    certbound.done(
        "client", "create", "p", "--auth", "self_signed_tls_client_auth", "--certificate", self_signed, "--id", "p"
    )
    assert "already" in certbound.refused("client", "certificate", "add", "p", self_signed)
    assert len(certbound.json("client", "certificate", "add", "p", leaf_file)) == 2
    sha256 = read_certificate(self_signed.read_bytes(), "").sha256
    typed = sha256.hex(":").upper()
    listed = certbound.json("client", "certificate", "retire", "p", typed)
    assert [c["sha256"] for c in listed if c["retired"]] == [sha256.hex()]
    assert "no certificate" in certbound.refused("client", "certificate", "retire", "p", typed)
    ended = certbound("client", "certificate", "retire", "p", leaf_file)
    assert "note: no certificate means p now" in ended.err
    assert "is no SHA-256 thumbprint and no file" in certbound.refused("client", "certificate", "retire", "p", "ab:cd")


def test_a_client_without_registered_certificates_takes_none(certbound: Certbound, leaf_file: Path) -> None:
    certbound.done("client", "create", "w", "--auth", "client_secret_post", "--id", "w")
    assert "has no certificates" in certbound.refused("client", "certificate", "add", "w", leaf_file)
    assert "no certificates are registered for w" in certbound.done("client", "certificate", "list", "w")


def test_a_client_is_disabled_enabled_and_deleted(certbound: Certbound) -> None:
    certbound.done("client", "create", "a", "--auth", "client_secret_post", "--id", "a")
    assert certbound.json("client", "disable", "a")["certbound_disabled"] is True
    assert certbound.json("client", "update", "a", "--scope", "x")["certbound_disabled"] is True
    assert certbound.json("client", "enable", "a")["certbound_disabled"] is False
    assert certbound.json("client", "delete", "a") == {"client_id": "a", "deleted": True}
    for verb in ("show", "disable", "enable", "delete", "update"):
        assert "no client 'a'" in certbound.refused("client", verb, "a")
    assert "no clients yet" in certbound.done("client", "list")


def test_the_list_is_plain_text_with_whole_values(certbound: Certbound) -> None:
    name = "a [bold]name[/bold] " + "x" * 200
    certbound.done("client", "create", name, "--auth", "client_secret_post", "--id", "a")
    out = certbound.done("client", "list")
    assert name in out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 2
    assert certbound.json("client", "list", "--search", "nothing like it") == []
    assert len(certbound.json("client", "list", "--search", "BOLD")) == 1


def without_certificate(self_signed: Path) -> dict[str, Any]:
    """Give the key of a certificate as a JWK, by cryptography."""
    key = x509.load_pem_x509_certificate(self_signed.read_bytes()).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    numbers = key.public_numbers()
    coordinates = {"x": numbers.x, "y": numbers.y}
    encoded = {name: base64.urlsafe_b64encode(n.to_bytes(32, "big")).rstrip(b"=") for name, n in coordinates.items()}
    return {"kty": "EC", "crv": "P-256"} | {name: text.decode() for name, text in encoded.items()}


def test_a_client_may_publish_its_certificates_itself(certbound: Certbound, self_signed: Path) -> None:
    create = ("client", "create", "p", "--auth", "self_signed_tls_client_auth", "--id", "p")
    uri = "https://client.example/jwks"
    assert "https" in certbound.refused(*create, "--jwks-uri", "http://client.example/jwks")
    assert "either" in certbound.refused(*create, "--jwks-uri", uri, "--certificate", self_signed)
    assert certbound.json(*create, "--jwks-uri", uri)["jwks_uri"] == uri
    assert certbound.json("client", "show", "p")["jwks_uri"] == uri
    assert uri in certbound.done("client", "show", "p")
    certificate = certbound("client", "certificate", "add", "p", self_signed)
    assert "publishes its certificates itself" in certificate.err

    changed = certbound.json("client", "update", "p", "--certificate", self_signed)
    assert "jwks_uri" not in changed
    assert len(certbound.json("client", "certificate", "list", "p")) == 1
    assert certbound.json("client", "update", "p", "--jwks-uri", uri)["jwks_uri"] == uri
    [retired] = certbound.json("client", "certificate", "list", "p")
    assert retired["retired"] is not None
    assert "does not come back" in certbound.refused("client", "update", "p", "--certificate", self_signed)


def test_a_client_that_signs_is_registered_with_its_keys(
    certbound: Certbound, self_signed: Path, tmp_path: Path
) -> None:
    jwks, uri = {"keys": [without_certificate(self_signed)]}, "https://client.example/jwks"
    (tmp_path / "jwks.json").write_text(json.dumps(jwks))
    create = ("client", "create", "Signer", "--auth", "private_key_jwt", "--id", "s")
    assert "either a jwks or a jwks_uri" in certbound.refused(*create)
    assert "either" in certbound.refused(*create, "--jwks", tmp_path / "jwks.json", "--jwks-uri", uri)
    assert "no certificates" in certbound.refused(*create, "--certificate", self_signed)
    assert "use one of ES256" in certbound.refused(*create, "--jwks-uri", uri, "--auth-signing-alg", "HS256")
    assert "one for PS256" in certbound.refused(
        *create, "--jwks", tmp_path / "jwks.json", "--auth-signing-alg", "PS256"
    )
    client = certbound.json(*create, "--jwks", tmp_path / "jwks.json", "--auth-signing-alg", "ES256")
    assert (client["jwks"], client["token_endpoint_auth_signing_alg"]) == (jwks, "ES256")
    assert client["tls_client_certificate_bound_access_tokens"] is False
    assert "client_secret" not in client
    shown = certbound.done("client", "show", "s")
    assert "signs assertions with  ES256" in shown
    assert "-d client_assertion=ASSERTION" in shown
    assert "--cert " not in shown
    renamed = certbound.json("client", "update", "s", "--name", "Renamed", "--bound")
    assert renamed == client | {"client_name": "Renamed", "tls_client_certificate_bound_access_tokens": True}
    assert "--cert " in certbound.done("client", "show", "s")
    moved = certbound.json("client", "update", "s", "--jwks-uri", uri, "--auth-signing-alg", "PS256")
    assert (moved["jwks_uri"], moved["token_endpoint_auth_signing_alg"], "jwks" in moved) == (uri, "PS256", False)
    basic = ("client", "create", "b", "--auth", "client_secret_basic", "--auth-signing-alg", "ES256")
    assert "private_key_jwt only" in certbound.refused(*basic)


def test_bare_keys_mean_a_client_only_if_that_is_said(certbound: Certbound, self_signed: Path, tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [without_certificate(self_signed)]}))
    create = ("client", "create", "p", "--auth", "self_signed_tls_client_auth", "--id", "p")
    assert "at least one certificate" in certbound.refused(*create, "--jwks", tmp_path / "jwks.json")
    client = certbound.json(*create, "--jwks", tmp_path / "jwks.json", "--match-by-key")
    assert client["certbound_match_by_key"] is True
    assert client["jwks"] == {"keys": [without_certificate(self_signed)]}
    assert "matches by key" in certbound.done("client", "show", "p")
    assert "at least one certificate" in certbound.refused("client", "update", "p", "--no-match-by-key")
    renamed = certbound.json("client", "update", "p", "--name", "Renamed")
    assert renamed == certbound.json("client", "show", "p") == client | {"client_name": "Renamed"}
    off = certbound.json("client", "update", "p", "--no-match-by-key", "--certificate", self_signed)
    assert {"certbound_match_by_key", "jwks"}.isdisjoint(off)
    basic = ("client", "create", "b", "--auth", "client_secret_basic", "--match-by-key")
    assert "self_signed_tls_client_auth only" in certbound.refused(*basic)


def test_attributes_of_the_subject_stand_alone_or_beside_a_subject(certbound: Certbound, store: str) -> None:
    create = ("client", "create", "a", "--auth", "tls_client_auth", "--id", "a", "--trust", store)
    for wrong, advice in (
        (["serialNumber"], "is no NAME=VALUE"),
        (["O=a", "O=b"], "is given twice"),
        (["nonsense=1"], "no known attribute type"),
        ([f"O={'x' * 2000}"], "O"),
    ):
        options = [part for text in wrong for part in ("--subject-attribute", text)]
        assert advice in certbound.refused(*create, *options)
    attributes = ("--subject-attribute", "serialNumber=a=b, c", "--subject-attribute", "2.5.4.97=PSDSE-1")
    client = certbound.json(*create, *attributes)
    assert client["certbound_subject_attributes"] == {"serialNumber": "a=b, c", "organizationIdentifier": "PSDSE-1"}
    assert not [name for name in client if name.startswith("tls_client_auth_")]
    assert "serialNumber=a=b, c" in certbound.done("client", "show", "a")

    both = certbound.json("client", "update", "a", "--subject-dn", "CN=a")
    assert (both["tls_client_auth_subject_dn"], "certbound_subject_attributes" in both) == ("CN=a", True)
    assert certbound.json("client", "update", "a", "--subject-dn", "") == client
    assert "exactly one" in certbound.refused("client", "update", "a", "--subject-attribute", "")
    swapped = certbound.json("client", "update", "a", "--san-dns", "a.example", "--subject-attribute", "")
    assert (swapped["tls_client_auth_san_dns"], "certbound_subject_attributes" in swapped) == ("a.example", False)


def test_a_client_in_the_making_may_be_told_why_it_is_refused(certbound: Certbound) -> None:
    create = ("client", "create", "a", "--auth", "client_secret_basic", "--id", "a")
    assert certbound.json(*create, "--diagnostics")["certbound_diagnostics"] is True
    assert "diagnostics" in certbound.done("client", "show", "a")
    assert certbound.json("client", "update", "a", "--scope", "x")["certbound_diagnostics"] is True
    assert "certbound_diagnostics" not in certbound.json("client", "update", "a", "--no-diagnostics")


def test_what_concerns_a_clients_users_is_registered_and_changed(certbound: Certbound) -> None:
    create = ("client", "create", "a", "--auth", "client_secret_basic", "--id", "a", "--implicit-consent")
    made = certbound.json(*create, "--post-logout-redirect-uri", "https://a.example/bye")
    assert (made["certbound_consent"], made["post_logout_redirect_uris"]) == ("implicit", ["https://a.example/bye"])
    assert "https://a.example/bye" in certbound.done("client", "show", "a")
    asked = certbound.json("client", "update", "a", "--ask-consent", "--post-logout-redirect-uri", "")
    assert not {"certbound_consent", "post_logout_redirect_uris"} & asked.keys()
    wrong = ("--post-logout-redirect-uri", "http://a.example/")
    assert "use https" in certbound.refused("client", "update", "a", *wrong)
