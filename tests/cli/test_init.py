import ssl
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import Certbound, program


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_prints_what_was_made_with_absolute_paths(made: tuple[Path, Any]) -> None:
    folder, printed = made
    assert set(printed) == {
        "config",
        "issuer",
        "admin_user",
        "admin_password",
        "server_certificate",
        "server_key",
    }
    assert printed["issuer"] == "https://localhost:9443"
    for name in ("config", "server_certificate", "server_key"):
        assert Path(printed[name]).is_absolute()
        assert Path(printed[name]).parent == folder
    assert len(printed["admin_password"]) >= 20


def test_secrets_are_for_their_owner_only(made: tuple[Path, Any]) -> None:
    folder, _ = made
    assert {name: _mode(folder / name) for name in ("master.key", "server.key", "certbound.db")} == {
        "master.key": 0o600,
        "server.key": 0o600,
        "certbound.db": 0o600,
    }
    assert (folder / "master.key").stat().st_size == 32


def test_the_certificate_is_for_the_local_machine_and_a_ca_file_for_clients(made: tuple[Path, Any]) -> None:
    certificate = made[0] / "server.crt"
    text = subprocess.check_output(["openssl", "x509", "-in", certificate, "-noout", "-text"], text=True)
    for name in ("DNS:localhost", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1"):
        assert name in text
    subprocess.check_call(["openssl", "verify", "-CAfile", certificate, certificate], stdout=subprocess.DEVNULL)
    assert ssl.create_default_context(cafile=certificate).cert_store_stats()["x509"] == 1


def test_the_administrator_is_an_operator_and_a_key_signs(certbound: Certbound) -> None:
    [admin] = certbound.json("user", "list")
    assert (admin["username"], admin["operator"], admin["disabled"]) == ("admin", True, False)
    [key] = certbound.json("keys", "list")
    assert (key["algorithm"], key["state"]) == ("ES256", "signing")


def test_a_second_init_is_refused_and_overwrites_nothing(certbound: Certbound) -> None:
    before = {path.name: path.read_bytes() for path in certbound.folder.iterdir()}
    assert "certbound.toml" in certbound.refused("init", certbound.folder)
    assert {path.name: path.read_bytes() for path in certbound.folder.iterdir()} == before


def test_what_an_interrupted_init_left_is_named(certbound: Certbound, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "server.key").write_text("x")
    assert "server.key: if an init was interrupted here, remove that" in certbound.refused("init", tmp_path / "half")
    assert [path.name for path in (tmp_path / "half").iterdir()] == ["server.key"]


def test_an_init_that_fails_takes_away_what_it_wrote(
    certbound: Certbound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "certbound.db")

    monkeypatch.setattr("certbound.app.installation.upgrade", fail)
    assert "No space left" in certbound.refused("init", tmp_path / "full")
    assert list((tmp_path / "full").iterdir()) == []


def test_the_issuer_follows_the_port_and_the_issuers_host_gets_into_the_certificate(
    certbound: Certbound, tmp_path: Path
) -> None:
    printed = certbound.json("init", tmp_path / "a", "--bind", "[::1]:9555")
    assert printed["issuer"] == "https://localhost:9555"
    printed = certbound.json("init", tmp_path / "b", "--bind", "0.0.0.0:443", "--issuer", "https://as.example/tenant")
    assert printed["issuer"] == "https://as.example/tenant"
    [shown] = certbound.json("cert", "show", printed["server_certificate"])
    assert shown["san"]["dns"] == ["localhost", "as.example"]
    assert shown["san"]["ip"] == ["127.0.0.1", "::1"]


@pytest.mark.parametrize("bind", ["9443", "localhost", "127.0.0.1:0", "127.0.0.1:70000", "::1:9443", 'a":1', "a:1\n"])
def test_an_address_that_is_none_is_misuse(certbound: Certbound, tmp_path: Path, bind: str) -> None:
    assert "--bind" in certbound.refused("init", tmp_path / "x", "--bind", bind, code=2)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("issuer", ["http://localhost", "localhost", "https://a/?b", 'https://a"b', "https://a\nb"])
def test_an_issuer_that_is_none_is_misuse(certbound: Certbound, tmp_path: Path, issuer: str) -> None:
    certbound.refused("init", tmp_path / "x", "--issuer", issuer, code=2)


def test_without_json_it_says_what_to_type_next(tmp_path: Path) -> None:
    out = program("init", tmp_path / "my server").stdout
    assert f"certbound -c '{tmp_path}/my server/certbound.toml' serve" in out
    assert "shown this once" in out
