"""Listeners over time: certificates renewed under way, files and addresses that are wrong, many kinds at once."""

import contextlib
import json
import socket
import ssl
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from certbound.tls.address import bind
from certbound.tls.context import DoorError
from certbound.tls.door import Door
from certbound.tls.listener import ClientCertificate, Listener

from .conftest import SECONDS, Application, OpenDoor, Pki, listener, opened, read_response

RENEWED_SECONDS = 10  # a bound: the files are looked at every second, and must have stayed the same once


def write(folder: Path, leaf: trustme.LeafCert) -> tuple[Path, Path]:
    certificate, key = folder / "renewed.crt", folder / "renewed.key"
    certificate.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    key.write_bytes(leaf.private_key_pem.bytes())
    key.chmod(0o600)
    return certificate, key


def der(leaf: trustme.LeafCert) -> bytes:
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


def served(door: OpenDoor, name: str = "want") -> bytes | None:
    with door.tls(name) as connection:
        return connection.getpeercert(binary_form=True)


def wait_until(seen: Callable[[], bool], seconds: float = RENEWED_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


@pytest.fixture
def renewable(pki: Pki, tmp_path: Path) -> Iterator[tuple[OpenDoor, trustme.LeafCert]]:
    """A door whose certificate files are the test's own, and the certificate that it opened with."""
    first = pki.authority.issue_cert("localhost", "127.0.0.1")
    certificate, key = write(tmp_path, first)
    app = Application()
    own = Listener(name="want", bind="127.0.0.1:0", app=app, certificate=certificate, key=key)
    with opened(Door([own]), app, pki, "asyncio") as door:
        yield door, first


def test_a_renewed_certificate_is_served_without_a_restart(
    renewable: tuple[OpenDoor, trustme.LeafCert], pki: Pki, tmp_path: Path
) -> None:
    door, first = renewable
    assert served(door) == der(first)
    with door.tls() as kept:
        renewed = pki.authority.issue_cert("localhost", "127.0.0.1")
        write(tmp_path, renewed)
        wait_until(lambda: served(door) == der(renewed))
        kept.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_response(kept.makefile("rb"))[0] == 200
    door.still_serves()


@pytest.mark.parametrize("damage", ["certificate", "key", "missing", "another's key"])
def test_bad_new_files_keep_the_certificate_there_was(
    renewable: tuple[OpenDoor, trustme.LeafCert],
    pki: Pki,
    tmp_path: Path,
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    door, first = renewable
    certificate, key = tmp_path / "renewed.crt", tmp_path / "renewed.key"
    if damage == "certificate":
        certificate.write_bytes(certificate.read_bytes()[:300])
    elif damage == "key":
        key.write_text("<html>502</html>")
    elif damage == "missing":
        key.unlink()
    else:
        key.write_bytes(pki.authority.issue_cert("localhost").private_key_pem.bytes())
    wait_until(lambda: "server_certificate_kept" in caplog.messages)
    assert served(door) == der(first)
    refusals = [record for record in caplog.records if record.message == "server_certificate_kept"]
    assert len(refusals) == 1
    assert "renewed." in str(refusals[0].__dict__["reason"])


def test_a_key_that_comes_late_is_served_once_it_is_there(
    renewable: tuple[OpenDoor, trustme.LeafCert], pki: Pki, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    door, first = renewable
    renewed = pki.authority.issue_cert("localhost", "127.0.0.1")
    (tmp_path / "renewed.crt").write_bytes(renewed.cert_chain_pems[0].bytes())
    wait_until(lambda: "server_certificate_kept" in caplog.messages)
    assert served(door) == der(first)
    (tmp_path / "renewed.key").write_bytes(renewed.private_key_pem.bytes())
    wait_until(lambda: served(door) == der(renewed))


def refusal(certificate: Path | None, key: Path | None) -> str:
    with pytest.raises(DoorError) as caught:
        Listener(name="front", bind="127.0.0.1:0", app=Application(), certificate=certificate, key=key)
    text = str(caught.value)
    assert text.startswith('listener "front": ')
    assert "\n" not in text
    return text


def test_a_key_of_another_certificate_is_refused_by_name(pki: Pki, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_bytes(pki.authority.issue_cert("localhost").private_key_pem.bytes())
    text = refusal(pki.certificate, other)
    assert f"{other}: this key does not belong to the certificate in {pki.certificate}" in text


@pytest.mark.parametrize("missing", ["certificate", "key"])
def test_a_file_that_is_missing_is_named(pki: Pki, tmp_path: Path, missing: str) -> None:
    nowhere = tmp_path / "nowhere.pem"
    files = (nowhere, pki.key) if missing == "certificate" else (pki.certificate, nowhere)
    assert f"{nowhere}: there is no such {missing} file" in refusal(*files)


def test_a_certificate_without_a_key_is_refused(pki: Pki) -> None:
    assert "tls_key is missing" in refusal(pki.certificate, None)
    assert "tls_certificate is missing" in refusal(None, pki.key)


def test_a_file_that_cannot_be_read_is_named(pki: Pki, tmp_path: Path) -> None:
    assert f"{tmp_path}: the key file cannot be read" in refusal(pki.certificate, tmp_path)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(
    pki: Pki, tmp_path: Path, form: PrivateFormat
) -> None:
    encrypted = tmp_path / "encrypted.key"
    key = load_pem_private_key(pki.key.read_bytes(), None)
    encrypted.write_bytes(key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"password")))
    assert f"{encrypted}: the key is encrypted; make a plain one with: openssl pkey" in refusal(
        pki.certificate, encrypted
    )


@pytest.mark.parametrize("swapped", ["certificate", "key"])
def test_files_in_each_others_place_are_refused_by_name(pki: Pki, swapped: str) -> None:
    if swapped == "certificate":
        assert f"{pki.key}: no PEM certificate in it" in refusal(pki.key, pki.key)
    else:
        assert f"{pki.certificate}: no PEM private key in it" in refusal(pki.certificate, pki.certificate)


def test_an_address_that_is_taken_names_the_listener(pki: Pki) -> None:
    with socket.create_server(("127.0.0.1", 0)) as rival:
        address = f"127.0.0.1:{rival.getsockname()[1]}"
        with pytest.raises(DoorError) as caught:
            bind("front", address)
    assert str(caught.value) == (
        f'listener "front": cannot listen on {address}: another program has it; stop that or choose another port'
    )


@pytest.mark.parametrize(
    "text", ["", "9443", "localhost", "localhost:", ":9443", "::1:9443", "a:99999", "a:x", "unix:"]
)
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(DoorError, match=r'listener "front": bind = ".*" is no address; write host:port'):
        bind("front", text)


def test_listeners_of_every_mode_are_open_at_once(pki: Pki, loop_kind: str, tmp_path: Path) -> None:
    app, other = Application(), Application(name="second")
    listeners = [listener(pki, mode, app) for mode in ("none", "want", "require")]
    listeners.append(listener(pki, "other", other, mode="want"))
    plain = Listener(name="plain", bind="127.0.0.1:0", app=other, client_certificate=ClientCertificate.FORWARDED)
    leaf = pki.identities["issued"].leaf
    with opened(Door([*listeners, plain]), app, pki, loop_kind) as door:
        assert len({port for _, port in door.addresses.values()}) == 5
        seen = {name: door.ask(name, "issued") for name in ("none", "want", "require", "other")}
        assert {name: said["leaf"] for name, said in seen.items()} == {
            "none": None,
            "want": leaf,
            "require": leaf,
            "other": leaf,
        }
        assert {name: said["listener"] for name, said in seen.items()} == {name: name for name in seen}
        assert {name: said["app"] for name, said in seen.items()}["other"] == "second"
        with door.connect("plain") as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            status, _, body = read_response(raw.makefile("rb"))
        said = json.loads(body)
        assert (status, said["source"], said["leaf"], said["app"]) == (200, "none", None, "second")


@contextlib.contextmanager
def at_socket(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as raw:
        raw.settimeout(SECONDS)
        raw.connect(str(path))
        yield raw


def test_a_unix_socket_is_served_and_removed_in_the_end(pki: Pki, loop_kind: str, tmp_path: Path) -> None:
    path = tmp_path / "door.sock"
    app = Application()
    own = Listener(name="local", bind=f"unix:{path}", app=app, certificate=pki.certificate, key=pki.key)
    with opened(Door([own, listener(pki, "want", app)]), app, pki, loop_kind) as door:
        assert door.addresses["local"] == (str(path), 0)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with (
            at_socket(path) as raw,
            pki.client_context("issued").wrap_socket(raw, server_hostname="localhost") as connection,
        ):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            status, _, body = read_response(connection.makefile("rb"))
        said = json.loads(body)
        assert (status, said["listener"], said["leaf"]) == (200, "local", pki.identities["issued"].leaf)
        with pytest.raises(DoorError, match=r'listener "second": cannot listen on unix:.*another program has it'):
            bind("second", f"unix:{path}")
        door.still_serves()
    assert not path.exists()


def test_a_socket_that_a_killed_server_left_is_taken_over_and_another_file_is_not(tmp_path: Path) -> None:
    left = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as killed:
        killed.bind(str(left))
    for one in bind("local", f"unix:{left}"):
        one.close()
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(DoorError, match="a file that is no socket is in the way"):
        bind("local", f"unix:{file}")
    assert file.read_text() == "precious"
