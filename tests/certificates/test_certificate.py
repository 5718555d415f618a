import base64
import hashlib
import ipaddress
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from certbound.certificates.certificate import (
    MAXIMUM_ALTERNATIVE_NAMES,
    CertificateError,
    PublicKeyFacts,
    parse_certificate,
)

_RFC8705_APPENDIX_A = """
MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwE
bXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGG
WvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUa
KlLR50Q2DmFfQj1L+SY=
"""


@pytest.mark.req("8705-27", "8705-28")
def test_the_thumbprint_is_the_one_of_rfc_8705_appendix_a() -> None:
    certificate = parse_certificate(base64.b64decode(_RFC8705_APPENDIX_A))
    assert certificate.x5t_s256 == "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"
    assert certificate.subject.text == "CN=mtls"
    assert certificate.version == 1


@pytest.mark.req("8705-27", "8705-28")
def test_thumbprints_are_those_that_openssl_computes(openssl: Any) -> None:
    path = openssl.self_signed("-subj", "/C=SE/CN=api")
    certificate = parse_certificate(ssl.PEM_cert_to_DER_cert(path.read_text()))
    for name, ours in (("sha256", certificate.sha256), ("sha1", certificate.sha1)):
        printed = openssl("x509", "-in", path, "-noout", "-fingerprint", f"-{name}").decode()
        assert bytes.fromhex(printed.split("=")[1].strip().replace(":", "")) == ours
    public = openssl("x509", "-in", path, "-noout", "-pubkey")
    assert openssl("pkey", "-pubin", "-outform", "DER", stdin=public) == certificate.spki
    assert hashlib.sha256(certificate.spki).digest() == certificate.spki_sha256
    assert "=" not in certificate.x5t_s256
    assert len(certificate.x5t_s256) == 43


def test_facts_are_read_from_a_certificate_of_the_openssl_program(openssl: Any) -> None:
    path = openssl.self_signed(
        "-subj", "/C=SE/O=Acme/CN=api", "-days", "10", "-set_serial", "0x1234",
        "-addext", "subjectAltName=DNS:a.example,URI:spiffe://x/y,IP:192.0.2.1,IP:::1,email:a@b.c,RID:1.2.3",
        "-addext", "extendedKeyUsage=critical,clientAuth,1.2.3.4",
        "-addext", "keyUsage=digitalSignature,keyAgreement",
        "-addext", "basicConstraints=critical,CA:TRUE,pathlen:3",
    )  # fmt: skip
    certificate = parse_certificate(ssl.PEM_cert_to_DER_cert(path.read_text()))
    assert certificate.subject.text == certificate.issuer.text == "CN=api,O=Acme,C=SE"
    assert certificate.is_self_issued
    assert certificate.serial_number == 0x1234
    assert certificate.version == 3
    assert (certificate.san.dns, certificate.san.uri, certificate.san.email) == (
        ("a.example",),
        ("spiffe://x/y",),
        ("a@b.c",),
    )
    assert certificate.san.ip == (bytes([192, 0, 2, 1]), ipaddress.ip_address("::1").packed)
    assert certificate.san.other == 1
    assert certificate.extended_key_usage == (ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string, "1.2.3.4")
    assert set(certificate.key_usage or ()) == {"digital_signature", "key_agreement"}
    assert (certificate.is_ca, certificate.path_length) == (True, 3)
    assert certificate.key == PublicKeyFacts("RSA", 2048, exponent=65537)
    assert certificate.signature_hash == "sha256"
    assert (certificate.not_after - certificate.not_before).days == 10
    assert set(certificate.critical_extensions) == {"2.5.29.37", "2.5.29.19"}
    assert certificate.subject_key_identifier == certificate.authority_key_identifier is not None


@pytest.mark.parametrize(
    ("generate", "facts"),
    [
        (lambda: ec.generate_private_key(ec.SECP384R1()), PublicKeyFacts("EC", 384, curve="secp384r1")),
        (ed25519.Ed25519PrivateKey.generate, PublicKeyFacts("Ed25519", 256)),
        (ed448.Ed448PrivateKey.generate, PublicKeyFacts("Ed448", 456)),
        (lambda: dsa.generate_private_key(1024), PublicKeyFacts("DSA", 1024)),  # noqa: S505
        (lambda: rsa.generate_private_key(3, 1024), PublicKeyFacts("RSA", 1024, exponent=3)),  # noqa: S505
    ],
)
def test_the_key_is_described_even_where_policy_will_refuse_it(
    make: Any, generate: Callable[[], Any], facts: PublicKeyFacts
) -> None:
    key = generate()
    without_hash = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    encoded = make(key=key, hash_algorithm=None) if without_hash else make(key=key)
    certificate = parse_certificate(encoded)
    assert certificate.key == facts
    assert certificate.signature_hash == (None if without_hash else "sha256")


def test_a_certificate_without_subject_is_read(make: Any) -> None:
    san = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("spiffe://example.org/api")])
    certificate = parse_certificate(make(san, subject=x509.Name([]), critical=[x509.SubjectAlternativeName]))
    assert certificate.subject.text == ""
    assert not certificate.subject


@pytest.mark.threat("B9")
def test_trailing_bytes_and_truncation_are_refused(make: Any) -> None:
    encoded = make()
    for bad in (
        encoded + b"\0",
        encoded[:-1],
        encoded[: len(encoded) // 2],
        b"",
        b"\x30",
        b"\x30\x80" + encoded,
        b"\0" * 100,
    ):
        with pytest.raises(CertificateError):
            parse_certificate(bad)


@pytest.mark.threat("B8")
def test_a_certificate_of_more_than_64_kib_is_refused_before_it_is_read(make: Any) -> None:
    with pytest.raises(CertificateError, match="65536"):
        parse_certificate(make() + b"\0" * 65536)


@pytest.mark.threat("27", "B7")
def test_more_than_1000_alternative_names_are_refused_in_bounded_time(make: Any) -> None:

    def with_names(count: int) -> bytes:
        return bytes(make(x509.SubjectAlternativeName([x509.DNSName(f"n{i}.example") for i in range(count)])))

    assert len(parse_certificate(with_names(MAXIMUM_ALTERNATIVE_NAMES)).san.dns) == MAXIMUM_ALTERNATIVE_NAMES
    started = time.process_time()
    with pytest.raises(CertificateError, match="1000"):
        parse_certificate(with_names(MAXIMUM_ALTERNATIVE_NAMES + 1))
    with pytest.raises(CertificateError):
        parse_certificate(with_names(10_000))
    assert time.process_time() - started < 2


@pytest.mark.threat("12", "B7")
@pytest.mark.parametrize("names", [["DNS:victim.example\0.attacker.example"], ["a\nb"], ["a\x7fb"]])
def test_a_san_with_characters_nobody_sees_is_refused(make: Any, names: list[str]) -> None:
    marked = [name.replace("\0", "!").replace("\n", "!").replace("\x7f", "!") for name in names]
    encoded = make(x509.SubjectAlternativeName([x509.DNSName(name) for name in marked]))
    for bad, good in zip(names, marked, strict=True):
        encoded = encoded.replace(good.encode(), bad.encode())
    with pytest.raises(CertificateError, match="alternative name"):
        parse_certificate(encoded)


@pytest.mark.parametrize(
    ("bad", "character"),
    [
        ("a\0b", "U\\+0000"),
        ("a\u202eb", "U\\+202E"),
        ("a\u200bb", "U\\+200B"),
        ("a\u00adb", "U\\+00AD"),
        ("a\ue000b", "U\\+E000"),
    ],
)
def test_a_subject_with_characters_nobody_sees_is_refused(make: Any, bad: str, character: str) -> None:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, bad)])
    with pytest.raises(CertificateError, match=character):
        parse_certificate(make(subject=subject))


def test_an_alternative_name_that_is_a_network_is_refused(make: Any) -> None:
    placeholder = "wwwwwwww"
    encoded = make(x509.SubjectAlternativeName([x509.DNSName(placeholder)]))
    dns, network = b"\x82\x08" + placeholder.encode(), b"\x87\x08" + bytes([10, 0, 0, 0, 255, 0, 0, 0])
    assert dns in encoded
    with pytest.raises(CertificateError):
        parse_certificate(encoded.replace(dns, network))


@pytest.mark.threat("B4")
@pytest.mark.parametrize("serial", ["00", "80", "ff7f"])
def test_a_serial_number_that_is_not_positive_is_refused(make: Any, serial: str) -> None:
    octets = bytes.fromhex(serial)
    plain = make(serial_number=0x7F7F if len(octets) == 2 else 0x7F)
    was = b"\x02" + bytes([len(octets)]) + b"\x7f" * len(octets)
    with pytest.raises(CertificateError, match="serial"):
        parse_certificate(plain.replace(was, was[:2] + octets, 1))


@pytest.mark.threat("26", "B5")
@pytest.mark.parametrize("curve", ["prime256v1", "secp384r1"])
def test_an_explicit_curve_is_refused_in_bounded_time(openssl: Any, curve: str) -> None:
    openssl("ecparam", "-name", curve, "-genkey", "-noout", "-param_enc", "explicit", "-out", "key.pem")
    openssl("req", "-x509", "-new", "-key", "key.pem", "-subj", "/CN=x", "-out", "c.pem")
    encoded = ssl.PEM_cert_to_DER_cert((openssl.folder / "c.pem").read_text())
    started = time.process_time()
    with pytest.raises(CertificateError):
        parse_certificate(encoded)
    assert time.process_time() - started < 2


@pytest.mark.threat("B5")
def test_a_point_that_is_not_on_its_curve_is_refused(make: Any) -> None:
    encoded = make()
    key = parse_certificate(encoded).spki
    with pytest.raises(CertificateError):
        parse_certificate(encoded.replace(key, key[:-1] + bytes([key[-1] ^ 1])))


@pytest.mark.threat("B9")
@settings(deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), octet=st.integers(0, 255), cut=st.integers(0, 3))
def test_damage_anywhere_gives_a_certificate_or_a_certificate_error(
    make: Any, position: float, octet: int, cut: int
) -> None:
    encoded = bytearray(_rich_certificate(make))
    encoded[int(position * len(encoded))] = octet
    with suppress(CertificateError):
        parse_certificate(bytes(encoded[: len(encoded) - cut]))


@pytest.mark.threat("B9")
@settings(deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CertificateError):
        parse_certificate(data)
    with pytest.raises(CertificateError):
        parse_certificate(b"\x30\x82" + len(data).to_bytes(2, "big") + data)


_RICH: list[bytes] = []


def _rich_certificate(make: Any) -> bytes:
    if not _RICH:
        san = x509.SubjectAlternativeName([x509.DNSName("a"), x509.IPAddress(ipaddress.ip_address("::1"))])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        _RICH.append(make(san, usage, x509.BasicConstraints(ca=True, path_length=1)))
    return _RICH[0]
