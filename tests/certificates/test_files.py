import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from certbound.certificates import export, jks
from certbound.certificates.certificate import Certificate, parse_certificate
from certbound.certificates.files import (
    CertificateFileError,
    read_certificate,
    read_certificates,
    read_entries,
)

_PASSWORD = "changeit"


def _pem(encoded: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(encoded) + b"-----END CERTIFICATE-----\n"


def _keytool(folder: Path, *arguments: str) -> str:
    ran = subprocess.run(["keytool", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


@pytest.fixture
def two(make: Any) -> tuple[Certificate, Certificate]:
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("one", "two ö")]
    one, other = (parse_certificate(make(subject=name)) for name in names)
    return one, other


def test_pem_is_read_with_text_keys_and_windows_line_ends_around_it(two: Any) -> None:
    one, other = two
    data = (
        b"subject=one\n"
        + _pem(one.der)
        + b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
        + _pem(other.der)
    )
    assert read_certificates(data, "chain.pem") == two
    assert read_certificates(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"), "chain.pem") == two
    assert read_certificate(data, "chain.pem") == one


def test_der_and_bare_base64_are_read(two: Any) -> None:
    assert read_certificates(two[0].der, "c.der") == two[:1]
    assert read_certificates(base64.b64encode(two[0].der), "x5c") == two[:1]
    assert read_certificates(base64.encodebytes(two[0].der), "x5c") == two[:1]


def test_openssl_s_trusted_certificates_are_read(openssl: Any) -> None:
    path = openssl.self_signed("-subj", "/CN=a")
    plain = read_certificate(path.read_bytes(), "c.pem")
    trusted = openssl("x509", "-in", path, "-trustout", "-addtrust", "clientAuth")
    assert b"TRUSTED CERTIFICATE" in trusted
    assert read_certificate(trusted, "t.pem") == plain


def test_what_is_no_certificate_is_refused_in_one_line_that_helps(openssl: Any, two: Any) -> None:
    path = openssl.self_signed("-subj", "/CN=a")
    key = (openssl.folder / "c.key").read_bytes()
    request = openssl("req", "-new", "-key", "c.key", "-subj", "/CN=a")
    pkcs12 = openssl("pkcs12", "-export", "-in", path, "-inkey", "c.key", "-passout", f"pass:{_PASSWORD}")
    pem = path.read_bytes()
    cases = {
        b"": "is empty",
        b" \n": "is empty",
        key: "private key",
        openssl("pkey", "-in", "c.key", "-outform", "DER"): "no certificate",
        openssl("pkey", "-in", "c.key", "-pubout"): "public key",
        request: "signing request",
        openssl("req", "-outform", "DER", stdin=request): "signing request",
        openssl("crl2pkcs7", "-nocrl", "-certfile", path): "PKCS#7",
        openssl("crl2pkcs7", "-nocrl", "-certfile", path, "-outform", "DER"): "no certificate",
        pem[:-40]: "cut off",
        pem[: len(pem) // 2]: "cut off",
        pem.replace(b"MII", b"M!I"): "base64",
        two[0].der[:-1]: "cut off",
        two[0].der + two[1].der: "something after",
        b"<!DOCTYPE html><html>": "web page",
        b"<html>": "web page",
        b'{"keys": []}': "no certificate",
        b"hello": "no certificate",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----": "cannot be read",
        b"-----BEGIN NONSENSE": "damaged",
        pkcs12: "needs its password",
        b"x" * (5 * 1024 * 1024): "larger",
    }
    for data, words in cases.items():
        with pytest.raises(CertificateFileError, match=words) as refusal:
            read_certificates(data, "trust/ca.pem")
        assert str(refusal.value).startswith("trust/ca.pem: ")
        assert "\n" not in str(refusal.value)
    with pytest.raises(CertificateFileError, match="password is wrong"):
        read_certificates(pkcs12, "c.p12", "wrong")
    with pytest.raises(CertificateFileError, match="more than 1000"):
        read_certificates(_pem(two[0].der) * 1001, "c.pem")


def test_pkcs12_of_the_openssl_program_is_read(openssl: Any) -> None:
    path = openssl.self_signed("-subj", "/CN=a")
    other = openssl.self_signed("-subj", "/CN=b", name="d")
    arguments = ["pkcs12", "-export", "-in", str(path), "-inkey", "c.key", "-certfile", str(other), "-name", "mine"]
    for password in (_PASSWORD, ""):
        data = openssl(*arguments, "-passout", f"pass:{password}")
        entries = read_entries(data, "c.p12", password)
        assert [(entry.certificate.subject.text, entry.is_chain) for entry in entries] == [
            ("CN=a", True),
            ("CN=b", True),
        ]
        assert entries[0].alias == "mine"


def test_pkcs12_that_asks_for_a_lot_of_work_is_refused_unopened(openssl: Any) -> None:
    path = openssl.self_signed("-subj", "/CN=a")
    arguments = ("pkcs12", "-export", "-in", path, "-inkey", "c.key", "-passout", f"pass:{_PASSWORD}")
    for work in (("-iter", "1000001"), ("-nomaciter", "-iter", "1000001"), ("-legacy", "-iter", "1000001")):
        with pytest.raises(CertificateFileError, match="iterations"):
            read_certificates(openssl(*arguments, *work), "c.p12", _PASSWORD)


def test_pkcs12_with_a_certificate_that_nobody_reads_is_refused(openssl: Any) -> None:
    path = openssl.self_signed("-subj", "/CN=a")
    plain = ("-nokeys", "-certpbe", "NONE", "-nomac", "-passout", "pass:")
    store = openssl("pkcs12", "-export", "-in", path, *plain)
    assert read_certificates(store, "c.p12")
    with pytest.raises(CertificateFileError, match="PKCS#12"):
        read_certificates(store.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x7f"), "c.p12")


@pytest.mark.parametrize("store_type", ["JKS", "JCEKS", "PKCS12"])
def test_stores_of_keytool_are_read(openssl: Any, store_type: str) -> None:
    first, second = openssl.self_signed("-subj", "/CN=a"), openssl.self_signed("-subj", "/CN=b", name="d")
    options = ["-keystore", "store", "-storetype", store_type, "-storepass", _PASSWORD]
    for alias, path in (("Första", first), ("second", second)):
        _keytool(openssl.folder, "-importcert", "-noprompt", "-alias", alias, "-file", str(path), *options)
    data = (openssl.folder / "store").read_bytes()
    entries = {(entry.alias or "").lower(): entry.certificate for entry in read_entries(data, "store", _PASSWORD)}
    assert entries == {
        "första": read_certificate(first.read_bytes(), "c"),
        "second": read_certificate(second.read_bytes(), "d"),
    }
    assert not any(entry.is_chain for entry in read_entries(data, "store", _PASSWORD))
    with pytest.raises(CertificateFileError, match="password is wrong"):
        read_entries(data, "store", "wrong")
    with pytest.raises(CertificateFileError):
        read_entries(data[:-1], "store", _PASSWORD)


@pytest.mark.parametrize("store_type", ["JKS", "JCEKS", "PKCS12"])
def test_the_certificate_beside_a_private_key_is_read_from_keytool(tmp_path: Path, store_type: str) -> None:
    options = ["-keystore", "store", "-storetype", store_type, "-storepass", _PASSWORD, "-keypass", _PASSWORD]
    _keytool(tmp_path, "-genkeypair", "-keyalg", "EC", "-alias", "mine", "-dname", "CN=a, O=b", *options)
    (entry,) = read_entries((tmp_path / "store").read_bytes(), "store", _PASSWORD)
    assert (entry.alias, entry.is_chain, entry.certificate.subject.text) == ("mine", True, "CN=a,O=b")


def test_what_is_exported_is_read_by_keytool_and_openssl_and_by_us(tmp_path: Path, openssl: Any, two: Any) -> None:
    pairs = [("first ö", two[0]), ("second", two[1])]
    stores = {
        "store.jks": export.write_jks(pairs, _PASSWORD, now=1_780_000_000),
        "store.p12": export.write_pkcs12(pairs, _PASSWORD),
    }
    for name, data in stores.items():
        (tmp_path / name).write_bytes(data)
        listed = _keytool(tmp_path, "-list", "-keystore", name, "-storepass", _PASSWORD)
        assert "Your keystore contains 2 entries" in listed
        assert listed.count("trustedCertEntry") == 2
        for certificate in two:
            assert certificate.sha256.hex(":").upper() in listed
        entries = read_entries(data, name, _PASSWORD)
        assert [(entry.alias, entry.certificate) for entry in entries] == pairs
    pem = export.write_pem(two)
    assert read_certificates(pem, "store.pem") == two
    assert openssl("x509", "-noout", "-subject", stdin=pem).decode() == "subject=CN = one\n"


def test_a_comment_in_an_export_cannot_break_out_of_its_line(make: Any) -> None:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "-----BEGIN CERTIFICATE-----")])
    certificate = parse_certificate(make(subject=subject))
    assert read_certificates(export.write_pem([certificate]), "x") == (certificate,)


def test_aliases_that_java_cannot_tell_apart_are_not_written(two: Any) -> None:
    for aliases in (("A", "a"), ("", "b"), ("x" * 70_000, "b")):
        with pytest.raises(jks.JavaKeyStoreError, match="alias"):
            export.write_jks(zip(aliases, two, strict=True), _PASSWORD, now=0)


def test_a_secret_key_in_a_jceks_is_explained(tmp_path: Path) -> None:
    options = ["-keystore", "store", "-storetype", "JCEKS", "-storepass", _PASSWORD, "-keypass", _PASSWORD]
    _keytool(tmp_path, "-genseckey", "-keyalg", "AES", "-keysize", "128", "-alias", "mine", *options)
    with pytest.raises(CertificateFileError, match="secret key"):
        read_entries((tmp_path / "store").read_bytes(), "store", _PASSWORD)


_STORE: list[bytes] = []


@settings(deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), octets=st.binary(min_size=1, max_size=4), cut=st.integers(0, 40))
def test_damaged_stores_are_read_or_refused(make: Any, position: float, octets: bytes, cut: int) -> None:
    if not _STORE:
        _STORE.append(jks.write([("a", make()), ("b", make())], _PASSWORD, now=0))
    at = int(position * len(_STORE[0]))
    data = _STORE[0][:at] + octets + _STORE[0][at + len(octets) : len(_STORE[0]) - cut]
    for password in (None, _PASSWORD):
        try:
            entries = read_entries(data, "store", password)
        except CertificateFileError as error:
            message = str(error)
            assert message.startswith("store: ")
        else:
            assert entries


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: f"-----BEGIN CERTIFICATE-----{text}".encode()))
def test_arbitrary_files_are_refused(data: bytes) -> None:
    with pytest.raises(CertificateFileError):
        read_certificates(data, "file")
    with pytest.raises(CertificateFileError):
        read_certificates(b"\xfe\xed\xfe\xed\x00\x00\x00\x02" + data, "file")
