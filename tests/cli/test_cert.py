import stat
import subprocess
from pathlib import Path

import pytest

from .conftest import Certbound


def _openssl(*arguments: object) -> str:
    return subprocess.run(
        ["openssl", *map(str, arguments)], check=True, capture_output=True, text=True, timeout=30
    ).stdout


def test_a_self_signed_certificate_is_what_openssl_takes(certbound: Certbound, tmp_path: Path) -> None:
    out = tmp_path / "probe"
    printed = certbound.json("cert", "new", "--cn", "probe", "--san-dns", "p.example", "--days", 10, "--out", out)
    assert (printed["certificate"], printed["subject"]) == (str(out / "certificate.pem"), "CN=probe")
    assert stat.S_IMODE((out / "key.pem").stat().st_mode) == 0o600
    _openssl("verify", "-CAfile", out / "chain.pem", out / "certificate.pem")
    text = _openssl("x509", "-in", out / "certificate.pem", "-noout", "-text", "-fingerprint", "-sha256")
    assert "TLS Web Client Authentication" in text
    assert "DNS:p.example" in text
    assert bytes.fromhex(printed["sha256"]).hex(":").upper() in text
    assert _openssl("x509", "-in", out / "certificate.pem", "-noout", "-pubkey") == _openssl(
        "pkey", "-in", out / "key.pem", "-pubout"
    )


def test_a_ca_is_made_once_and_issues_what_openssl_takes(certbound: Certbound, tmp_path: Path) -> None:
    ca = tmp_path / "ca"
    ended = certbound("cert", "new", "--cn", "a", "--ca", ca, "--out", tmp_path / "a", "--key", "rsa2048")
    assert "a new development CA was made" in ended.err
    made = (ca / "certificate.pem").read_bytes()
    ended = certbound(
        *("cert", "new", "--cn", "b", "--subject", "O=Example\\, Ltd,C=SE", "--ca", ca, "--out", tmp_path / "b"),
        *("--san-uri", "spiffe://e/b", "--san-ip", "::1", "--san-email", "b@example.com", "--server", "--json"),
    )
    assert ended.err == ""
    assert (ca / "certificate.pem").read_bytes() == made
    for name in ("a", "b"):
        assert (tmp_path / name / "chain.pem").read_bytes() == made
        _openssl("verify", "-CAfile", tmp_path / name / "chain.pem", tmp_path / name / "certificate.pem")
    [shown] = certbound.json("cert", "show", tmp_path / "b" / "certificate.pem")
    assert shown["subject"] == "CN=b,O=Example\\, Ltd,C=SE"
    assert shown["san"] == {"dns": [], "uri": ["spiffe://e/b"], "ip": ["::1"], "email": ["b@example.com"]}
    assert shown["extended_key_usage"] == ["clientAuth", "serverAuth"]
    assert (ca / "certificate.pem").exists()
    assert stat.S_IMODE((ca / "key.pem").stat().st_mode) == 0o600


def test_nothing_is_overwritten(certbound: Certbound, self_signed: Path) -> None:
    before = self_signed.read_bytes()
    assert "nothing is overwritten" in certbound.refused("cert", "new", "--cn", "x", "--out", self_signed.parent)
    assert self_signed.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["--cn", ""], 2),
        (["--cn", "a", "--days", "0"], 2),
        (["--cn", "a", "--key", "dsa"], 2),
        (["--cn", "a", "--subject", "CN=b"], 2),
        (["--cn", "a", "--self-signed", "--ca", "somewhere"], 2),
        (["--subject", "nonsense"], 1),
        (["--cn", "a", "--san-ip", "1.2.3"], 1),
    ],
)
def test_what_makes_no_sense_makes_no_file(
    certbound: Certbound, tmp_path: Path, arguments: list[str], code: int
) -> None:
    certbound.refused("cert", "new", *arguments, "--out", tmp_path / "x", code=code)
    assert not (tmp_path / "x").exists()


def test_a_folder_that_holds_no_ca_is_refused(certbound: Certbound, self_signed: Path, tmp_path: Path) -> None:
    new = ("cert", "new", "--cn", "a", "--out", tmp_path / "x", "--ca")
    assert "is not a CA's certificate" in certbound.refused(*new, self_signed.parent)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    assert "certificate.pem: No such file" in certbound.refused(*new, tmp_path / "other")
    certbound.done("cert", "new", "--cn", "a", "--ca", tmp_path / "ca", "--out", tmp_path / "a")
    key = tmp_path / "ca" / "key.pem"
    key.write_text(_openssl("pkey", "-in", key, "-aes256", "-passout", "pass:x"))
    assert "is encrypted" in certbound.refused(*new, tmp_path / "ca")
    key.write_text("no key")
    assert "holds no private key" in certbound.refused(*new, tmp_path / "ca")


def test_a_foreign_certificate_is_explained(certbound: Certbound, tmp_path: Path) -> None:
    key, file = tmp_path / "k.pem", tmp_path / "c.der"
    subject = "/C=SE/O=Example, Ltd/CN=orders"
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", file, "-outform", "DER"),
        *("-subj", subject, "-addext", "subjectAltName=DNS:a.example,IP:192.0.2.1", "-days", "5"),
    )
    [shown] = certbound.json("cert", "show", file)
    digest = _openssl("x509", "-inform", "DER", "-in", file, "-noout", "-fingerprint", "-sha256")
    assert shown["sha256"] == digest.partition("=")[2].strip().replace(":", "").lower()
    assert shown["subject"] == "CN=orders,O=Example\\, Ltd,C=SE"
    assert shown["san"]["dns"] == ["a.example"]
    assert len(shown["x5t#S256"]) == 43
    assert shown["is_ca"] is True
    out = certbound.done("cert", "show", file)
    assert shown["x5t#S256"] in out
    assert "CN=orders,O=Example\\, Ltd,C=SE" in out


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n", "private key"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB", "cut off"),
        (b"\x30\x03\x02\x01\x01", ""),
        (b"\xff" * 100, ""),
    ],
)
def test_a_file_that_is_no_certificate_gets_one_line_that_names_it(
    certbound: Certbound, tmp_path: Path, content: bytes, advice: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    for command in (
        ("cert", "show", file),
        ("trust", "add", "s", file),
        ("explain", "--client", "x", "--certificate", file),
        ("client", "create", "x", "--auth", "self_signed_tls_client_auth", "--certificate", file),
    ):
        message = certbound.refused(*command)
        assert message.startswith(f"{file}: ")
        assert advice in message


def test_the_servers_certificate_can_be_exported(certbound: Certbound, tmp_path: Path) -> None:
    out = tmp_path / "server.pem"
    certbound.done("cert", "export-server", "--format", "pem", "--out", out)
    assert certbound.json("cert", "show", out) == certbound.json("cert", "show", certbound.folder / "server.crt")
    assert f"{out}: File exists" in certbound.refused("cert", "export-server", "--out", out)
