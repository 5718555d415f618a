import ipaddress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from certbound.certificates.files import read_certificate, read_certificates
from certbound.certificates.issue import (
    KEYS,
    IssuedCertificate,
    LeafRequest,
    issue,
    new_authority,
    self_signed,
    subject_of,
)
from certbound.certificates.policy import check_pki_leaf, check_self_signed


def _write(folder: Path, issued: IssuedCertificate, name: str) -> Path:
    (folder / f"{name}.key").write_bytes(issued.key_pem)
    path = folder / f"{name}.pem"
    path.write_bytes(issued.certificate_pem)
    return path


@pytest.mark.parametrize("key", KEYS)
def test_what_is_issued_is_verified_by_openssl_for_both_purposes(openssl: Any, now: datetime, key: str) -> None:
    authority = new_authority("CN=Development CA,O=Acme\\, Inc.", now=now, key=key)
    request = LeafRequest("CN=api,O=Acme,C=SE", san_dns=["api.example"], purposes=["client", "server"], key=key)
    leaf = issue(request, authority, now=now)
    ca, path = _write(openssl.folder, authority, "ca"), _write(openssl.folder, leaf, "leaf")
    at = str(int(now.timestamp()))
    for purpose in ("sslclient", "sslserver"):
        openssl("verify", "-x509_strict", "-attime", at, "-purpose", purpose, "-CAfile", ca, path)
    private, public = openssl("pkey", "-in", "leaf.key", "-pubout"), openssl("x509", "-in", path, "-noout", "-pubkey")
    assert private == public
    assert openssl("x509", "-in", path, "-noout", "-subject", "-nameopt", "rfc2253") == b"subject=CN=api,O=Acme,C=SE\n"
    assert read_certificates(leaf.chain_pem, "chain") == read_certificates(authority.certificate_pem, "ca")
    assert all(check.passed for check in check_pki_leaf(read_certificate(leaf.certificate_pem, "leaf"), now))


def test_every_kind_of_name_is_issued_as_it_would_be_registered(now: datetime) -> None:
    request = LeafRequest(
        subject_of("a + b, c"),
        san_dns=["API.example"],
        san_uri=["spiffe://example.org/api"],
        san_ip=["192.0.2.1", "2001:DB8::1"],
        san_email=["Api@Example.ORG"],
    )
    certificate = read_certificate(issue(request, new_authority("CN=CA", now=now), now=now).certificate_pem, "leaf")
    assert certificate.subject.text == "CN=a \\+ b\\, c"
    assert certificate.san.dns == ("api.example",)
    assert certificate.san.uri == ("spiffe://example.org/api",)
    assert certificate.san.ip == tuple(ipaddress.ip_address(ip).packed for ip in ("192.0.2.1", "2001:db8::1"))
    assert certificate.san.email == ("Api@example.org",)
    assert certificate.extended_key_usage == ("1.3.6.1.5.5.7.3.2",)


def test_a_self_signed_certificate_signs_itself_and_is_no_ca(openssl: Any, now: datetime) -> None:
    issued = self_signed(LeafRequest("CN=api", days=30), now=now)
    path = _write(openssl.folder, issued, "leaf")
    openssl("verify", "-attime", str(int(now.timestamp())), "-CAfile", path, path)
    certificate = read_certificate(issued.certificate_pem, "leaf")
    assert not certificate.is_ca
    assert certificate.is_self_issued
    assert certificate.not_before == now - timedelta(minutes=5)
    assert certificate.not_after == now + timedelta(days=30)
    assert all(check.passed for check in check_self_signed(certificate, now))
    assert issued.chain_pem == b""


def test_the_authority_may_issue_leaves_but_no_further_authority(now: datetime) -> None:
    certificate = read_certificate(new_authority("CN=CA", now=now).certificate_pem, "ca")
    assert (certificate.is_ca, certificate.path_length) == (True, 0)
    assert set(certificate.key_usage or ()) == {"key_cert_sign", "crl_sign"}


def test_serial_numbers_are_random_positive_and_of_20_octets(now: datetime) -> None:
    serials = {
        read_certificate(self_signed(LeafRequest("CN=a"), now=now).certificate_pem, "a").serial_number
        for _ in range(20)
    }
    assert len(serials) == 20
    assert all(serial.bit_length() == 159 for serial in serials)


def test_a_leaf_never_outlives_its_authority(now: datetime) -> None:
    authority = new_authority("CN=CA", now=now, days=10)
    leaf = read_certificate(issue(LeafRequest("CN=a", days=100), authority, now=now).certificate_pem, "a")
    assert leaf.not_after == now + timedelta(days=10)
    with pytest.raises(ValueError, match="expired"):
        issue(LeafRequest("CN=a"), authority, now=now + timedelta(days=10))


def test_a_leaf_without_subject_has_a_critical_alternative_name(now: datetime) -> None:
    issued = self_signed(LeafRequest("", san_uri=["spiffe://example.org/api"]), now=now)
    assert "2.5.29.17" in read_certificate(issued.certificate_pem, "a").critical_extensions


@pytest.mark.parametrize(
    ("request_", "advice"),
    [
        (LeafRequest(""), "subject or an alternative name"),
        (LeafRequest("api"), "TYPE=value"),
        (LeafRequest("CN=a", key="rsa1024"), "rsa2048"),
        (LeafRequest("CN=a", days=0), "one day"),
        (LeafRequest("CN=a", days=10**9), "calendar"),
        (LeafRequest("CN=a", purposes=["email"]), "client, server"),
        (LeafRequest("CN=a", purposes=[]), "client, server"),
        (LeafRequest("CN=a", san_ip=["x"]), "IP address"),
        (LeafRequest("CN=a", san_dns=["bücher"]), "xn--"),
        (LeafRequest("CN=#030200aa"), "no text"),
        (LeafRequest("C=SWE"), "length"),
    ],
)
def test_what_cannot_be_issued_is_refused_with_advice(now: datetime, request_: LeafRequest, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        self_signed(request_, now=now)


def test_another_key_than_the_authority_s_is_refused(now: datetime) -> None:
    one, other = new_authority("CN=CA", now=now), new_authority("CN=CA", now=now)
    mixed = IssuedCertificate(one.certificate_pem, other.key_pem)
    with pytest.raises(ValueError, match="does not belong"):
        issue(LeafRequest("CN=a"), mixed, now=now)
