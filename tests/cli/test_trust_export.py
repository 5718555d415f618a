import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from certbound.certificates.certificate import Certificate
from certbound.certificates.files import read_certificate, read_certificates, read_entries

from .conftest import Certbound

PASSWORD = "changeit"


def _authority(name: str) -> tuple[bytes, Certificate]:
    pem = trustme.CA(organization_name=name).cert_pem.bytes()
    return pem, read_certificate(pem, "")


@pytest.fixture
def two(certbound: Certbound, tmp_path: Path) -> tuple[Certificate, Certificate]:
    """Two authorities in the store `partners`."""
    made = [_authority("one"), _authority("two ö")]
    (tmp_path / "two.pem").write_bytes(b"".join(pem for pem, _ in made))
    certbound.done("trust", "add", "partners", tmp_path / "two.pem")
    return made[0][1], made[1][1]


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    return tmp_path / "password"


def keytool(store: Path) -> str:
    command = ["keytool", "-list", "-keystore", str(store), "-storepass", PASSWORD]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


@pytest.mark.parametrize("form", ["p12", "jks"])
def test_keytool_lists_what_was_exported(
    certbound: Certbound, two: tuple[Certificate, ...], password_file: Path, tmp_path: Path, form: str
) -> None:
    out = tmp_path / f"partners.{form}"
    wrote = certbound.json(
        "trust", "export", "partners", "--format", form, "--out", out, "--password-file", password_file
    )
    assert wrote == {"file": str(out), "format": form, "certificates": 2}
    listed = keytool(out)
    assert listed.count("trustedCertEntry") == 2
    assert all(certificate.sha256.hex(":").upper() in listed for certificate in two)
    taken = ("trust", "add", "again", out, "--password-file", password_file)
    assert {added["id"] for added in certbound.json(*taken)["added"]} == {c.sha256.hex() for c in two}


def test_openssl_reads_what_was_exported_as_pem(
    certbound: Certbound, two: tuple[Certificate, ...], tmp_path: Path
) -> None:
    out = tmp_path / "partners.pem"
    assert "2 certificates of partners" in certbound.done(
        "trust", "export", "partners", "--format", "pem", "--out", out
    )
    assert set(read_certificates(out.read_bytes(), "")) == set(two)
    subprocess.run(["openssl", "x509", "-noout", "-in", str(out)], check=True, capture_output=True)


def test_nothing_is_overwritten(certbound: Certbound, two: tuple[Certificate, ...], tmp_path: Path) -> None:
    out = tmp_path / "taken"
    out.write_text("mine")
    assert two
    refused = certbound.refused("trust", "export", "partners", "--format", "pem", "--out", out)
    assert "nothing is overwritten" in refused
    assert out.read_text() == "mine"


def test_what_vouches_for_nobody_is_not_exported_as_an_anchor(
    certbound: Certbound, two: tuple[Certificate, ...], ca_file: Path, tmp_path: Path
) -> None:
    certbound.done("trust", "disable", "partners", two[0].x5t_s256)
    certbound.done("trust", "add", "partners", ca_file, "--intermediate")
    ended = certbound("trust", "export", "partners", "--format", "pem", "--out", tmp_path / "anchors.pem")
    assert "the intermediates of partners are not in" in ended.err
    assert read_certificates((tmp_path / "anchors.pem").read_bytes(), "") == (two[1],)
    others = ("trust", "export", "partners", "--intermediate", "--format", "pem", "--out", tmp_path / "others.pem")
    certbound.done(*others)
    assert (tmp_path / "others.pem").read_bytes().endswith(ca_file.read_bytes())
    certbound.done("trust", "disable", "partners", two[1].x5t_s256)
    refused = certbound.refused("trust", "export", "partners", "--format", "pem", "--out", tmp_path / "none.pem")
    assert "no anchor in force" in refused
    assert not (tmp_path / "none.pem").exists()


def test_aliases_stay_and_no_two_are_the_same_to_java(
    certbound: Certbound, password_file: Path, tmp_path: Path
) -> None:
    twins = [trustme.CA(organization_name="twin", organization_unit_name="unit") for _ in range(3)]
    for number, twin in enumerate(twins):
        twin.cert_pem.write_to_path(str(tmp_path / f"{number}.pem"))
        certbound.done("trust", "add", "twins", tmp_path / f"{number}.pem")
    opened = ("--password-file", password_file)
    certbound.done("trust", "export", "twins", "--format", "jks", "--out", tmp_path / "twins.jks", *opened)
    entries = read_entries((tmp_path / "twins.jks").read_bytes(), "", PASSWORD)
    assert len({entry.alias for entry in entries}) == 3
    third = max(entry.alias or "" for entry in entries)
    assert third.endswith(" 3")
    certbound.done("trust", "add", "third", tmp_path / "twins.jks", "--alias", third, *opened)
    certbound.done("trust", "export", "third", "--format", "p12", "--out", tmp_path / "third.p12", *opened)
    assert [entry.alias for entry in read_entries((tmp_path / "third.p12").read_bytes(), "", PASSWORD)] == [third]


def test_the_password_comes_from_a_file_before_the_environment(
    certbound: Certbound,
    two: tuple[Certificate, ...],
    password_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def export(name: str, *more: object) -> tuple[object, ...]:
        return ("trust", "export", "partners", "--format", "jks", "--out", tmp_path / name, *more)

    refused = certbound.refused(*export("none.jks"))
    assert "--password-file or CERTBOUND_PASSWORD" in refused
    monkeypatch.setenv("CERTBOUND_PASSWORD", "from the environment")
    certbound.done(*export("environment.jks"))
    certbound.done(*export("file.jks", "--password-file", password_file))
    assert len(read_entries((tmp_path / "environment.jks").read_bytes(), "", "from the environment")) == len(two)
    assert len(read_entries((tmp_path / "file.jks").read_bytes(), "", PASSWORD)) == len(two)
    assert len(certbound.json("trust", "add", "again", tmp_path / "environment.jks")["added"]) == len(two)
    monkeypatch.setenv("CERTBOUND_PASSWORD", "short")
    assert "at least 6 characters" in certbound.refused(*export("short.jks"))
    assert not (tmp_path / "short.jks").exists()


def test_on_a_terminal_the_password_is_asked_for_and_not_shown(
    certbound: Certbound, two: tuple[Certificate, ...], tmp_path: Path
) -> None:
    out = tmp_path / "partners.p12"
    export = ("trust", "export", "partners", "--format", "p12", "--out", str(out))
    seen = _on_a_terminal(certbound, export, [(b"Password for ", PASSWORD), (b"confirmation: ", PASSWORD)])
    assert PASSWORD.encode() not in seen
    assert len(read_entries(out.read_bytes(), "", PASSWORD)) == len(two)
    _on_a_terminal(certbound, ("trust", "add", "again", str(out)), [(b"Password of ", PASSWORD)])
    assert len(certbound.json("trust", "show", "again")["certificates"]) == len(two)


def _on_a_terminal(certbound: Certbound, arguments: tuple[str, ...], typing: list[tuple[bytes, str]]) -> bytes:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "certbound.cli.entry", "-c", str(certbound.config), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "CERTBOUND_PASSWORD"}
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True, env=environment
    ) as asking:
        os.close(theirs)
        seen = b""
        for after, text in typing:
            while after not in seen:
                read = os.read(ours, 1000)
                assert read, seen
                seen += read
            os.write(ours, f"{text}\n".encode())
        out, _ = asking.communicate(timeout=30)
    os.close(ours)
    assert asking.returncode == 0, seen
    return seen + out
