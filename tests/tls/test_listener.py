"""Files and addresses of a listener: what is refused at the start, and what changes while it is open."""

import logging
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from certbound.tls.address import bind, listener_at
from certbound.tls.context import DoorError
from certbound.tls.door import Door
from certbound.tls.listener import ClientCertificate, Listener

from .conftest import Application, Pki, answer, opened


@pytest.fixture
def files(pki: Pki, tmp_path: Path) -> tuple[Path, Path]:
    certificate, key = tmp_path / "server.crt", tmp_path / "server.key"
    shutil.copy(pki.certificate, certificate)
    shutil.copy(pki.key, key)
    return certificate, key


def make(certificate: Path | None, key: Path | None, **how: Any) -> Listener:
    return Listener(
        **{"name": "main", "bind": "127.0.0.1:0", "app": Application(), "certificate": certificate, "key": key, **how}
    )


def write_server(certificate: Path, key: Path, authority: trustme.CA) -> None:
    issued = authority.issue_cert("localhost", "127.0.0.1")
    certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())


def encrypt(key: Path) -> None:
    command = ["openssl", "pkey", "-in", str(key), "-out", f"{key}.new", "-aes128", "-passout", "pass:secret"]
    subprocess.run(command, check=True, capture_output=True)
    Path(f"{key}.new").replace(key)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def mismatch(key: Path) -> None:
    key.write_bytes(trustme.CA().issue_cert("other").private_key_pem.bytes())


SPOILT: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "certificate missing": ("certificate", Path.unlink, "there is no such certificate file"),
    "key missing": ("key", Path.unlink, "there is no such key file"),
    "certificate a folder": ("certificate", make_folder, "cannot be read"),
    "certificate empty": ("certificate", lambda path: path.write_bytes(b""), "no PEM certificate"),
    "certificate binary": ("certificate", lambda path: path.write_bytes(b"\x30\x82"), "no PEM certificate"),
    "certificate truncated": ("certificate", lambda path: os.truncate(path, 300), "no PEM certificate"),
    "certificate damaged": (
        "certificate",
        lambda path: path.write_text(path.read_text().replace("MII", "AII", 1)),
        "damaged certificate",
    ),
    "key empty": ("key", lambda path: path.write_bytes(b""), "no PEM private key"),
    "key a certificate": ("key", lambda path: shutil.copy(path.with_suffix(".crt"), path), "no PEM private key"),
    "key damaged": ("key", lambda path: os.truncate(path, 100), "damaged private key"),
    "key encrypted": ("key", encrypt, "the key is encrypted"),
    "key of another": ("key", mismatch, "does not belong to the certificate"),
    "certificate enormous": ("certificate", lambda path: os.truncate(path, 1 << 21), "too large"),
}


@pytest.mark.parametrize(("which", "spoil", "text"), SPOILT.values(), ids=SPOILT)
def test_wrong_files_keep_the_door_shut_and_are_named_in_one_line(
    files: tuple[Path, Path], which: str, spoil: Callable[[Path], object], text: str
) -> None:
    certificate, key = files
    spoilt = certificate if which == "certificate" else key
    spoil(spoilt)
    with pytest.raises(DoorError) as refused:
        make(certificate, key)
    assert text in str(refused.value)
    assert str(spoilt) in str(refused.value)
    assert 'listener "main"' in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("mode", [mode for mode in ClientCertificate if mode is not ClientCertificate.FORWARDED])
def test_no_listener_that_looks_at_certificates_is_plain(mode: ClientCertificate) -> None:
    with pytest.raises(DoorError, match="needs TLS"):
        make(None, None, client_certificate=mode)
    assert make(None, None, client_certificate=ClientCertificate.FORWARDED).context is None


def test_a_weak_server_key_is_refused(tmp_path: Path) -> None:
    certificate, key = tmp_path / "weak.crt", tmp_path / "weak.key"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:1024", "-subj", "/CN=weak"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with pytest.raises(DoorError, match="ee key too small"):
        make(certificate, key)


def test_an_expired_certificate_and_an_open_key_are_warnings(
    pki: Pki, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    both = tmp_path / "both.pem"
    shutil.copy(pki.identities["expired"].file, both)
    both.chmod(0o644)
    make(both, both)
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert sorted(warnings) == ["server_certificate_expired", "server_key_readable_by_everyone"]


def test_a_bad_reload_keeps_what_is_served(files: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    listener = make(*files)
    before = listener.context
    mismatch(files[1])
    assert not listener.reload()
    assert listener.context is before
    (record,) = caplog.records
    assert (record.levelname, record.message) == ("ERROR", "server_certificate_kept")
    files[1].unlink()
    assert not listener.reload()
    assert listener.context is before


def test_changed_files_are_read_once_they_have_settled(pki: Pki, files: tuple[Path, Path]) -> None:
    listener = make(*files)
    first = listener.context
    listener.reload_if_changed()
    assert listener.context is first
    write_server(*files, pki.authority)
    listener.reload_if_changed()
    assert listener.context is first  # the key might still be on its way
    listener.reload_if_changed()
    second = listener.context
    assert second is not first
    listener.reload_if_changed()
    assert listener.context is second


def test_an_unknown_host_is_refused() -> None:
    with pytest.raises(DoorError, match="cannot listen on no-such-host"):
        bind("main", "no-such-host.invalid:1")


def test_every_address_of_a_host_gets_the_same_port() -> None:
    sockets = bind("main", "localhost:0")
    try:
        assert len({one.getsockname()[1] for one in sockets}) == 1
    finally:
        for one in sockets:
            one.close()


def test_a_connection_finds_its_listener_by_the_address_it_came_in_by() -> None:
    addresses = {("127.0.0.1", 1): "exact", ("0.0.0.0", 2): "every", ("::", 3): "every6", ("/s", 0): "unix"}  # noqa: S104
    assert listener_at(addresses, ("127.0.0.1", 1)) == "exact"
    assert listener_at(addresses, ("127.0.0.1", 2)) == "every"
    assert listener_at(addresses, ("::1", 3, 0, 0)) == "every6"
    assert listener_at(addresses, "/s") == "unix"
    assert listener_at(addresses, ("127.0.0.1", 3)) is None
    assert listener_at(addresses, ("127.0.0.2", 1)) is None


def test_two_listeners_of_one_name_are_refused(files: tuple[Path, Path]) -> None:
    with pytest.raises(DoorError, match="same name"):
        Door([make(*files), make(*files)])


def test_answers_are_sent_without_delay_on_either_loop(pki: Pki, loop_kind: str) -> None:
    """asyncio sets TCP_NODELAY only where the listening socket was made for TCP by name."""
    found: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        transport = receive.__self__.transport
        found.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        await answer(send, 200, b"{}")

    with opened(Door([make(pki.certificate, pki.key, name="want", app=app)]), Application(), pki, loop_kind) as door:
        door.ask()
    assert found == [1]
