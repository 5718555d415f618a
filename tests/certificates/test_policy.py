import ssl
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from tests.certificates.splicing import PUBLIC_KEY, rsa_key, spliced

from certbound.certificates.certificate import Certificate, CertificateError, PublicKeyFacts, parse_certificate
from certbound.certificates.check import Check
from certbound.certificates.policy import (
    check_key,
    check_path_certificate,
    check_pki_leaf,
    check_self_signed,
    check_signature_hash,
    check_validity,
)


def _failed(checks: tuple[Check, ...]) -> set[str]:
    return {check.check for check in checks if not check.passed}


def _usage(**usages: bool) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: usages.get(name, False) for name in names})


def test_a_plain_leaf_passes(make: Any, now: datetime) -> None:
    certificate = parse_certificate(make())
    assert _failed(check_pki_leaf(certificate, now)) == set()
    assert _failed(check_self_signed(certificate, now)) == set()


@pytest.mark.threat("27")
def test_what_strangers_make_large_stays_in_no_memory(make: Any, now: datetime) -> None:
    attributes = [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, f"{n:060}") for n in range(20)]
    sans = x509.SubjectAlternativeName([x509.DNSName(f"{n}.example") for n in range(900)])
    for encoded, stays in ((make(), True), (make(sans, subject=x509.Name(attributes)), False)):
        one, two = parse_certificate(encoded), parse_certificate(encoded)
        assert (one is two, one.subject is two.subject) == (stays, stays)
        assert (check_pki_leaf(one, now)[1] is check_pki_leaf(one, now)[1]) is stays
        judged = [check_path_certificate(one, is_anchor=False) for _ in range(2)]
        assert (judged[0] is judged[1]) is stays


@pytest.mark.threat("B2")
@pytest.mark.parametrize(
    ("from_start", "from_end", "passed"),
    [(-1, None, False), (0, None, True), (1, None, True), (None, -1, True), (None, 0, True), (None, 1, False)],
)
def test_validity_includes_both_its_seconds_and_no_more(
    make: Any, now: datetime, from_start: int | None, from_end: int | None, passed: bool
) -> None:
    certificate = parse_certificate(make(not_before=now, not_after=now + timedelta(hours=1)))
    at = (
        now + timedelta(seconds=from_start)
        if from_start is not None
        else now + timedelta(hours=1, seconds=from_end or 0)
    )
    for microsecond in (0, 999_999):
        check = check_validity(certificate, at.replace(microsecond=microsecond))
        assert check.passed is passed
        assert "check" in check.as_json()
    assert ("validity" in _failed(check_pki_leaf(certificate, at))) is not passed
    assert ("validity" in _failed(check_self_signed(certificate, at))) is not passed


def test_validity_does_not_depend_on_the_zone_of_the_clock(make: Any, now: datetime) -> None:
    certificate = parse_certificate(make(not_before=now, not_after=now))
    elsewhere = now.astimezone(timezone(timedelta(hours=9)))
    assert check_validity(certificate, elsewhere).passed
    assert check_validity(certificate, elsewhere).expected == f"valid at {now.isoformat()}"


@pytest.mark.threat("B5")
@pytest.mark.parametrize(
    ("generate", "passed"),
    [
        (lambda: rsa.generate_private_key(65537, 2048), True),
        (lambda: rsa.generate_private_key(65537, 1024), False),  # noqa: S505
        (lambda: rsa.generate_private_key(65537, 2047), False),  # noqa: S505
        (lambda: rsa.generate_private_key(3, 2048), False),
        (lambda: ec.generate_private_key(ec.SECP256R1()), True),
        (lambda: ec.generate_private_key(ec.SECP384R1()), True),
        (lambda: ec.generate_private_key(ec.SECP521R1()), True),
        (lambda: ec.generate_private_key(ec.SECP192R1()), False),
        (lambda: ec.generate_private_key(ec.SECP224R1()), False),
        (lambda: ec.generate_private_key(ec.SECP256K1()), False),
        (lambda: ec.generate_private_key(ec.BrainpoolP256R1()), False),
        (lambda: dsa.generate_private_key(2048), False),
        (ed25519.Ed25519PrivateKey.generate, True),
        (ed448.Ed448PrivateKey.generate, True),
    ],
)
def test_weak_and_strange_keys_are_refused_for_both_methods(
    make: Any, now: datetime, generate: Any, passed: bool
) -> None:
    key = generate()
    without_hash = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    certificate = parse_certificate(make(key=key, hash_algorithm=None) if without_hash else make(key=key))
    assert check_key(certificate).passed is passed
    assert ("key_strength" in _failed(check_pki_leaf(certificate, now))) is not passed
    assert ("key_strength" in _failed(check_self_signed(certificate, now))) is not passed


@pytest.mark.threat("27", "B5")
@pytest.mark.parametrize(
    ("exponent", "bits"), [(1, 2048), (65536, 2048), (2**65 + 1, 2048), (65537, 8193), (65537, 16384)]
)
def test_rsa_keys_nobody_should_compute_with_are_refused(make: Any, exponent: int, bits: int) -> None:
    """Whoever reads the key or decides about it does so in no time."""
    modulus = (1 << bits - 1) + 1
    started = time.process_time()
    try:
        certificate = parse_certificate(spliced(make(), PUBLIC_KEY, rsa_key(modulus, exponent)))
    except CertificateError:
        certificate = replace(parse_certificate(make()), key=PublicKeyFacts("RSA", bits, exponent=exponent))
    assert certificate.key == PublicKeyFacts("RSA", bits, exponent=exponent)
    assert not check_key(certificate).passed
    assert time.process_time() - started < 2


@pytest.mark.threat("B5")
@pytest.mark.parametrize(("digest", "passed"), [("sha1", False), ("md5", False), ("sha256", True), ("sha512", True)])
def test_a_signature_by_a_broken_hash_is_refused(openssl: Any, now: datetime, digest: str, passed: bool) -> None:
    path = openssl.self_signed("-subj", "/CN=x", f"-{digest}", "-days", "9000")
    certificate = parse_certificate(ssl.PEM_cert_to_DER_cert(path.read_text()))
    assert check_signature_hash(certificate).passed is passed
    assert "signature_hash" not in _failed(check_self_signed(certificate, now))
    assert ("signature_hash" in _failed(check_path_certificate(certificate, is_anchor=False))) is not passed
    assert "signature_hash" not in _failed(check_path_certificate(certificate, is_anchor=True))


_CLIENT, _SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
_ANY, _EMAIL = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, ExtendedKeyUsageOID.EMAIL_PROTECTION


@pytest.mark.threat("9", "B3")
@pytest.mark.parametrize(
    ("purposes", "leaf", "ca"),
    [
        (None, True, True),
        ([_CLIENT], True, True),
        ([_SERVER, _CLIENT], True, True),
        ([_SERVER], False, False),
        ([_EMAIL], False, False),
        ([_ANY], False, True),
        ([_ANY, _CLIENT], True, True),
        ([ObjectIdentifier("1.2.3.4")], False, False),
    ],
)
@pytest.mark.parametrize("critical", [True, False])
def test_an_extended_key_usage_must_allow_clients(
    make: Any, now: datetime, *, purposes: list[ObjectIdentifier] | None, leaf: bool, ca: bool, critical: bool
) -> None:
    extensions = [x509.ExtendedKeyUsage(purposes)] if purposes else []
    certificate = parse_certificate(make(*extensions, critical=[x509.ExtendedKeyUsage] if critical else []))
    assert ("extended_key_usage" in _failed(check_pki_leaf(certificate, now))) is not leaf
    assert ("extended_key_usage" in _failed(check_path_certificate(certificate, is_anchor=True))) is not ca
    required = check_pki_leaf(certificate, now, extended_key_usage="require")
    assert ("extended_key_usage" in _failed(required)) is not (leaf and purposes is not None)
    assert _failed(check_self_signed(certificate, now)) == set()


def test_a_required_extended_key_usage_says_so(make: Any, now: datetime) -> None:
    certificate = parse_certificate(make())
    [check] = (c for c in check_pki_leaf(certificate, now, extended_key_usage="require") if not c.passed)
    assert (check.check, check.expected, check.found) == (
        "extended_key_usage",
        "an extendedKeyUsage with clientAuth",
        "no extendedKeyUsage",
    )
    assert _failed(check_pki_leaf(certificate, now)) == set()


@pytest.mark.threat("B3")
@pytest.mark.parametrize(
    ("usage", "passed"),
    [
        (None, True),
        (_usage(digital_signature=True), True),
        (_usage(digital_signature=True, key_encipherment=True), True),
        (_usage(key_encipherment=True), False),
        (_usage(content_commitment=True), False),
    ],
)
def test_a_key_usage_must_allow_signatures(make: Any, now: datetime, usage: x509.KeyUsage | None, passed: bool) -> None:
    certificate = parse_certificate(make(*([usage] if usage else [])))
    assert ("key_usage" in _failed(check_pki_leaf(certificate, now))) is not passed
    assert _failed(check_self_signed(certificate, now)) == set()


@pytest.mark.threat("B4")
def test_a_ca_is_no_client_of_a_pki_but_may_be_registered_itself(make: Any, now: datetime) -> None:
    certificate = parse_certificate(make(x509.BasicConstraints(ca=True, path_length=None)))
    assert _failed(check_pki_leaf(certificate, now)) == {"not_a_ca"}
    assert _failed(check_self_signed(certificate, now)) == set()


@pytest.mark.threat("B4")
def test_an_unknown_critical_extension_and_a_long_serial_number_are_refused(make: Any, now: datetime) -> None:
    unknown = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    assert _failed(check_pki_leaf(parse_certificate(make(unknown)), now)) == set()
    certificate = parse_certificate(make(unknown, critical=[x509.UnrecognizedExtension]))
    assert _failed(check_pki_leaf(certificate, now)) == {"form"}
    assert _failed(check_self_signed(certificate, now)) == set()
    encoded = make(serial_number=2**158 + 1)
    longer = _with_serial_of_21_octets(encoded)
    assert _failed(check_pki_leaf(longer, now)) == {"form"}


def _with_serial_of_21_octets(encoded: bytes) -> Certificate:
    return replace(parse_certificate(encoded), serial_number=2**160 + 1)


@pytest.mark.threat("B4")
def test_version_1_is_refused_for_a_pki(openssl: Any, now: datetime) -> None:
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "k.pem", "-subj", "/CN=x", "-out", "r.pem")
    pem = openssl("x509", "-req", "-in", "r.pem", "-signkey", "k.pem", "-days", "9000").decode()
    certificate = parse_certificate(ssl.PEM_cert_to_DER_cert(pem))
    assert certificate.version == 1
    assert "form" in _failed(check_pki_leaf(certificate, certificate.not_before))
    assert _failed(check_self_signed(certificate, certificate.not_before)) == set()
    assert "is_a_ca" in _failed(check_path_certificate(certificate, is_anchor=True))


@pytest.mark.threat("B4")
def test_an_issuer_must_be_a_ca_that_may_sign(make: Any) -> None:
    ca = x509.BasicConstraints(ca=True, path_length=None)
    for extensions, passed in (
        ([], False),
        ([x509.BasicConstraints(ca=False, path_length=None)], False),
        ([ca], True),
        ([ca, _usage(crl_sign=True)], False),
        ([ca, _usage(key_cert_sign=True)], True),
    ):
        certificate = parse_certificate(make(*extensions))
        assert ("is_a_ca" in _failed(check_path_certificate(certificate, is_anchor=True))) is not passed
