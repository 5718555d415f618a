import base64
import json
import ssl
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from certbound.certificates.certificate import Certificate, parse_certificate
from certbound.certificates.check import Check
from certbound.certificates.policy import check_pki_leaf
from certbound.certificates.spiffe import (
    MAXIMUM_BUNDLE,
    MAXIMUM_ID,
    MAXIMUM_KEYS,
    SpiffeError,
    check_svid,
    parse_bundle,
    parse_trust_domain,
)
from certbound.certificates.subject import SubjectMatch

_ID = "spiffe://example.org/ns/payments/sa/api"


class _Issuer:
    """A trust domain's authority made with openssl, issuing X.509-SVIDs as SPIRE does."""

    def __init__(self, openssl: Any) -> None:
        self.openssl = openssl
        self._key("ca.key")
        openssl(
            *("req", "-x509", "-new", "-key", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/C=SE/O=SPIFFE"),
            *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            *("-addext", "subjectAltName=URI:spiffe://example.org"),
        )
        self._key("leaf.key")

    @property
    def authority(self) -> Certificate:
        return _read(self.openssl.folder / "ca.pem")

    def issue(self, *extensions: str) -> Certificate:
        (self.openssl.folder / "svid.cnf").write_text("\n".join(extensions))
        self.openssl("req", "-new", "-key", "leaf.key", "-subj", "/", "-out", "leaf.csr")
        self.openssl(
            *("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", "1", "-extfile", "svid.cnf", "-out", "leaf.pem"),
        )
        return _read(self.openssl.folder / "leaf.pem")

    def svid(self, *uris: str, usage: str = "digitalSignature", ca: str = "FALSE", more: str = "") -> Certificate:
        names = ",".join(f"URI:{uri}" for uri in uris)
        return self.issue(
            f"subjectAltName=critical,{names}{more}",
            f"keyUsage=critical,{usage}",
            "extendedKeyUsage=serverAuth,clientAuth",
            f"basicConstraints=critical,CA:{ca}",
        )

    def _key(self, name: str) -> None:
        self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name)


def _read(path: Any) -> Certificate:
    return parse_certificate(ssl.PEM_cert_to_DER_cert(path.read_text()))


@pytest.fixture(scope="module")
def issuer(openssl_once: Any, tmp_path_factory: pytest.TempPathFactory) -> _Issuer:
    return _Issuer(type(openssl_once)(tmp_path_factory.mktemp("spiffe")))


def _found(check: Check) -> tuple[bool, str]:
    return check.passed, check.found


def test_an_svid_as_it_is_issued_passes_every_check_of_a_leaf(issuer: _Issuer) -> None:
    svid = issuer.svid(_ID)
    assert not svid.subject
    assert "2.5.29.17" in svid.critical_extensions
    assert svid.not_after - svid.not_before <= timedelta(days=1)
    assert all(check.passed for check in check_pki_leaf(svid, svid.not_before, extended_key_usage="require"))
    assert SubjectMatch.parse("tls_client_auth_san_uri", _ID).check(svid).passed
    check = check_svid(svid, "example.org")
    assert (check.check, *_found(check)) == ("spiffe_id", True, _ID)
    assert check.expected == "an X.509-SVID with one SPIFFE ID of the form spiffe://example.org/PATH"


def test_other_kinds_of_names_beside_the_spiffe_id_do_no_harm(issuer: _Issuer) -> None:
    assert check_svid(issuer.svid(_ID, more=",DNS:api.example.org,IP:192.0.2.1"), "example.org").passed


def test_an_svid_of_another_trust_domain_never_matches(issuer: _Issuer) -> None:
    svid = issuer.svid(_ID)
    for other in ("example.com", "xexample.org", "example.or", "example.org.evil.example", "sub.example.org"):
        assert _found(check_svid(svid, other)) == (False, f"{_ID} (another trust domain)")


def test_two_uri_names_are_no_svid(issuer: _Issuer) -> None:
    for uris in ((_ID, "spiffe://other.org/api"), (_ID, "https://example.org"), (_ID, _ID)):
        passed, found = _found(check_svid(issuer.svid(*uris), "example.org"))
        assert not passed
        assert found.endswith("(an X.509-SVID has exactly one URI name)")


def test_a_certificate_without_uri_is_no_svid(issuer: _Issuer) -> None:
    certificate = issuer.issue("subjectAltName=critical,DNS:example.org", "keyUsage=critical,digitalSignature")
    assert _found(check_svid(certificate, "example.org")) == (
        False,
        "no URI (an X.509-SVID has exactly one URI name)",
    )


@pytest.mark.parametrize(
    ("usage", "ca", "fault"),
    [
        ("digitalSignature", "TRUE", "a certificate of a CA"),
        ("keyEncipherment", "FALSE", "keyUsage without digitalSignature"),
        ("digitalSignature,keyCertSign", "FALSE", "keyUsage with keyCertSign"),
        ("digitalSignature,cRLSign", "FALSE", "keyUsage with cRLSign"),
        ("digitalSignature,keyEncipherment,keyAgreement", "FALSE", None),
    ],
)
def test_only_a_leaf_authenticates(issuer: _Issuer, usage: str, ca: str, fault: str | None) -> None:
    check = check_svid(issuer.svid(_ID, usage=usage, ca=ca), "example.org")
    assert _found(check) == (fault is None, f"{_ID} ({fault})" if fault else _ID)


def test_a_key_usage_must_be_there(issuer: _Issuer) -> None:
    check = check_svid(issuer.issue(f"subjectAltName=critical,URI:{_ID}"), "example.org")
    assert _found(check) == (False, f"{_ID} (keyUsage without digitalSignature)")


@pytest.mark.parametrize(
    ("uri", "fault"),
    [
        ("spiffe://example.org", "has a path"),
        ("spiffe://example.org/", "has a path"),
        ("spiffe:///api", "a trust domain has 1 to"),
        ("spiffe://example.org:8443/api", "a trust domain holds"),
        ("spiffe://me@example.org/api", "a trust domain holds"),
        ("spiffe://Example.org/api", "lower case"),
        ("spiffe://ex%61mple.org/api", "a trust domain holds"),
        ("spiffe://[::1]/api", "a trust domain holds"),
        ("spiffe://example.org?x/api", "a trust domain holds"),
        ("spiffe://example.org/api?x=1", "the path holds"),
        ("spiffe://example.org/api#x", "the path holds"),
        ("spiffe://example.org/%61pi", "the path holds"),
        ("spiffe://example.org/api/", "the path holds"),
        ("spiffe://example.org//api", "the path holds"),
        ("spiffe://example.org/a/./b", "relative"),
        ("spiffe://example.org/../b", "relative"),
        ("spiffe://example.org/a b", "the path holds"),
        ("spiffe://example.org/a:b", "the path holds"),
        ("SPIFFE://example.org/api", "begins with spiffe://"),
        ("https://example.org/api", "begins with spiffe://"),
        ("spiffe:/example.org/api", "begins with spiffe://"),
        ("", "begins with spiffe://"),
        ("spiffe://example.org/" + "a" * (MAXIMUM_ID - len("spiffe://example.org/") + 1), "2048"),
        ("spiffe://" + "a" * 256 + "/api", "255"),
    ],
)
def test_a_uri_that_is_no_spiffe_id_of_a_workload_is_refused(make: Any, uri: str, fault: str) -> None:
    passed, found = _found(check_svid(_svid(make, uri), "example.org"))
    assert not passed
    assert fault in found
    assert len(found) < 400


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "A.b-C_9/x",
        "...",
        "a" * (MAXIMUM_ID - len("spiffe://example.org/")),
        "9eebccd2-12bf-40a6-b262-65fe0487d453",
    ],
)
def test_a_path_of_letters_digits_dots_dashes_and_underscores_passes(make: Any, path: str) -> None:
    assert check_svid(_svid(make, f"spiffe://example.org/{path}"), "example.org").passed


def _svid(make: Any, uri: str) -> Certificate:
    usage = x509.KeyUsage(True, *[False] * 8)
    return parse_certificate(make(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), usage))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("example.org", "example.org"),
        ("spiffe://example.org", "example.org"),
        ("a_b-c.9", "a_b-c.9"),
        ("10.0.0.1", "10.0.0.1"),
        ("a" * 255, "a" * 255),
    ],
)
def test_a_trust_domain_is_read_with_and_without_its_scheme(text: str, name: str) -> None:
    assert parse_trust_domain(text) == name


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "spiffe://",
            "Example.org",
            "SPIFFE://example.org",
            "example.org:1",
            "a@b",
            "a%62",
            "a b",
            "bücher",
            "[::1]",
        ),
        *(
            "example.org/",
            "spiffe://example.org/api",
            "a" * 256,
            "https://example.org",
            "a\n",
            "\u0430.org",
            "a?b",
            "a#b",
        ),
    ],
)
def test_what_is_no_trust_domain_is_refused_with_advice(text: str) -> None:
    with pytest.raises(SpiffeError, match="a trust domain"):
        parse_trust_domain(text)


def _key(certificate: Certificate, **members: Any) -> dict[str, Any]:
    chain = [base64.b64encode(certificate.der).decode()]
    return {"use": "x509-svid", "kty": "EC", "crv": "P-256", "x": "", "y": "", "x5c": chain, **members}


def _bundle(*keys: object, **members: Any) -> bytes:
    return json.dumps({"keys": list(keys), **members}).encode()


def test_a_bundle_gives_its_authorities_and_its_publisher_s_hints(issuer: _Issuer) -> None:
    authority = issuer.authority
    jwt_key = {"use": "jwt-svid", "kty": "EC", "kid": "1", "crv": "P-256", "x": "x", "y": "y"}
    data = _bundle(_key(authority), jwt_key, _key(authority), spiffe_sequence=12, spiffe_refresh_hint=300)
    bundle = parse_bundle(data)
    assert bundle.certificates == (authority,)
    assert (bundle.refresh_hint, bundle.sequence) == (300, 12)
    bundle = parse_bundle(_bundle(_key(authority)))
    assert (bundle.refresh_hint, bundle.sequence) == (None, None)


def test_what_a_bundle_has_for_others_is_passed_over(issuer: _Issuer) -> None:
    good = _key(issuer.authority)
    chain = good["x5c"]
    for other in (
        {**good, "use": "jwt-svid", "x5c": ["garbage"]},
        {**good, "use": "X509-SVID", "x5c": ["garbage"]},
        {**good, "use": None, "x5c": ["garbage"]},
        {**good, "kty": "AKP", "x5c": ["garbage"]},
        {**good, "x5c": []},
        {name: value for name, value in good.items() if name != "x5c"},
        {**good, "x5c": [*chain, "garbage"]},
    ):
        assert parse_bundle(_bundle(other, good)).certificates == (issuer.authority,)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no JSON"),
        (b"<html></html>", "no JSON"),
        (b"\xff\xfe\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b"null", "no JSON object"),
        (b"{}", "a list `keys`"),
        (b'{"keys": null}', "a list `keys`"),
        (b'{"keys": {}}', "a list `keys`"),
        (b'{"keys": []}', "no CA certificate"),
        (b'{"keys": [1]}', "no object"),
        (b'{"keys": [{"use": "x509-svid", "kty": ["RSA"], "x5c": ["a"]}]}', "no CA certificate"),
        (b'{"keys": [{"use": "x509-svid", "kty": "RSA", "x5c": "MII"}]}', "no list of certificates"),
        (b'{"keys": [{"use": "x509-svid", "kty": "RSA", "x5c": [1]}]}', "no list of certificates"),
        (b'{"keys": [{"use": "x509-svid", "kty": "RSA", "x5c": ["MII"]}]}', "cannot be read"),
        (b'{"keys": [{"use": "x509-svid", "kty": "RSA", "x5c": ["TUlJ"]}]}', "cannot be read"),
        (_bundle(*[{}] * (MAXIMUM_KEYS + 1)), "at most 1000"),
        (b" " * (MAXIMUM_BUNDLE + 1), "1048576"),
    ],
)
def test_what_is_no_bundle_is_refused_by_name(data: bytes, why: str) -> None:
    with pytest.raises(SpiffeError, match=why) as refusal:
        parse_bundle(data)
    assert "\n" not in str(refusal.value)


def test_a_bundle_of_as_many_keys_as_may_be_is_read_and_doubles_are_one(issuer: _Issuer) -> None:
    bundle = parse_bundle(_bundle(*[_key(issuer.authority)] * MAXIMUM_KEYS))
    assert bundle.certificates == (issuer.authority,)


def test_a_certificate_that_is_no_ca_spoils_a_bundle(issuer: _Issuer) -> None:
    with pytest.raises(SpiffeError, match="no CA's"):
        parse_bundle(_bundle(_key(issuer.authority), _key(issuer.svid(_ID))))


@pytest.mark.parametrize("member", ["spiffe_refresh_hint", "spiffe_sequence"])
@pytest.mark.parametrize("value", ["300", 1.5, -1, True, [], 2**63])
def test_a_hint_that_is_no_whole_number_is_refused(issuer: _Issuer, member: str, value: object) -> None:
    with pytest.raises(SpiffeError, match=member):
        parse_bundle(_bundle(_key(issuer.authority), **{member: value}))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(["use", "kty", "x5c", "kid"]), _json | st.just("x509-svid")), max_size=3)
)
def test_arbitrary_keys_are_a_bundle_or_refused(keys: Sequence[object]) -> None:
    with suppress(SpiffeError):
        assert parse_bundle(_bundle(*keys)).certificates


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(SpiffeError):
        parse_bundle(data)


@settings(deadline=None)
@given(st.text("spife:/ab.%?@Z", max_size=30), st.sampled_from(["", "spiffe://", "spiffe://a/"]))
def test_whatever_passes_has_the_form_of_the_specification(make: Any, now: datetime, rest: str, start: str) -> None:
    uri = start + rest
    if check_svid(_svid(make, uri), "a").passed:
        assert uri.startswith("spiffe://a/")
        assert set(uri.removeprefix("spiffe://a/")) <= set("spife/ab.Z")
        assert not {"", ".", ".."} & set(uri.removeprefix("spiffe://a/").split("/"))
