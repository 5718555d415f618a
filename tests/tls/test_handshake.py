"""Who gets through the handshake, and what is known of them afterwards."""

import re
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL

from certbound.tls import connection as pump

from .conftest import SECONDS, OpenDoor, everything

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def s_client(door: OpenDoor, *options: str, listener: str = "want", stdin: bytes = b"") -> str:
    host, port = door.addresses[listener]
    command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", str(door.pki.trust), *options]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=SECONDS, check=False)
    return (done.stdout + done.stderr).decode("latin-1")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("identity", ["issued", "chained", "self-signed", "expired", "ed25519"])
@pytest.mark.parametrize("listener", ["want", "require"])
def test_any_certificate_reaches_the_application_as_presented(
    door: OpenDoor, identity: str, listener: str, version: str
) -> None:
    context = door.pki.client_context(identity)
    context.minimum_version = context.maximum_version = VERSIONS[version]
    seen = door.ask(listener, context=context)
    expected = door.pki.identities[identity]
    assert seen["leaf"] == expected.leaf
    assert seen["intermediates"] == list(expected.intermediates)
    assert (seen["listener"], seen["source"], seen["scheme"]) == (listener, "tls", "https")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("listener", ["want", "none"])
def test_no_certificate_is_no_obstacle_where_none_is_required(door: OpenDoor, listener: str, version: str) -> None:
    context = door.pki.client_context()
    context.minimum_version = context.maximum_version = VERSIONS[version]
    seen = door.ask(listener, context=context)
    assert seen["leaf"] is None
    assert seen["tls"]["client_cert_chain"] == []
    assert seen["tls"]["client_cert_error"] is None
    assert seen["tls"]["tls_version"] == {"1.2": 0x0303, "1.3": 0x0304}[version]


@pytest.mark.threat("B1")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_listener_that_requires_a_certificate_calls_no_application_without_one(door: OpenDoor, version: str) -> None:
    context = door.pki.client_context()
    context.minimum_version = context.maximum_version = VERSIONS[version]

    def ask() -> None:
        with door.tls("require", context=context) as connection:
            connection.sendall(GET)
            connection.recv(1)

    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask()
    assert door.app.calls == []


def test_a_listener_of_mode_none_never_asks(door: OpenDoor) -> None:
    assert door.ask("none", "issued")["leaf"] is None
    assert "No client certificate CA names sent" in s_client(door, listener="none")
    assert "Acceptable client certificate CA names" not in s_client(door, listener="want")


def test_the_asgi_extension_shows_the_chain_and_that_nobody_validated_it(door: OpenDoor) -> None:
    tls = door.ask("want", "chained")["tls"]
    pems = re.findall(
        "-----BEGIN CERT.+?-----END CERTIFICATE-----\n", door.pki.identities["chained"].file.read_text(), re.DOTALL
    )
    assert tls["client_cert_chain"] == pems
    assert "not validated" in tls["client_cert_error"]
    assert tls["client_cert_name"] is None


@pytest.mark.threat("B8")
def test_a_leaf_sent_twice_is_no_intermediate(door: OpenDoor) -> None:
    identity = door.pki.identities["issued"]
    pem = identity.file.read_text()
    doubled = door.pki.directory / "doubled.pem"
    doubled.write_text(pem + pem[pem.index("-----BEGIN CERT") :])
    context = door.pki.client_context()
    context.load_cert_chain(doubled)
    seen = door.ask("want", context=context)
    assert (seen["leaf"], seen["intermediates"]) == (identity.leaf, [])


@pytest.mark.threat("1", "B8")
def test_another_clients_certificate_in_the_chain_stays_an_intermediate(door: OpenDoor) -> None:
    own, victim = door.pki.identities["self-signed"], door.pki.identities["issued"]
    both = door.pki.directory / "both.pem"
    victims = victim.file.read_text()
    both.write_text(own.file.read_text() + victims[victims.index("-----BEGIN CERT") :])
    context = door.pki.client_context()
    context.load_cert_chain(both)
    seen = door.ask("want", context=context)
    assert (seen["leaf"], seen["intermediates"]) == (own.leaf, [victim.leaf])


@pytest.mark.threat("27", "B8")
@pytest.mark.parametrize("version", VERSIONS)
def test_ten_certificates_are_taken_and_eleven_are_not(door: OpenDoor, version: str) -> None:
    context = door.pki.client_context("ten")
    context.minimum_version = context.maximum_version = VERSIONS[version]
    assert len(door.ask("want", context=context)["intermediates"]) == 9
    door.app.calls.clear()
    context = door.pki.client_context("eleven")
    context.minimum_version = context.maximum_version = VERSIONS[version]
    with door.tls("want", context=context) as connection:
        connection.sendall(GET)
        assert everything(connection) == b""
    assert door.app.calls == []


@pytest.mark.threat("B8")
@pytest.mark.parametrize("identity", ["large", "huge"])
def test_a_certificate_beyond_64_kib_is_closed(door: OpenDoor, identity: str) -> None:
    def ask() -> bytes:
        with door.tls("want", identity) as connection:
            connection.sendall(GET)
            return everything(connection)

    try:
        assert ask() == b""
    except ssl.SSLError as error:  # what OpenSSL itself refuses during the handshake gets an alert
        assert "ALERT" in str(error)  # noqa: PT017
    assert door.app.calls == []
    door.still_serves()


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_a_wrong_key_proves_nothing(door: OpenDoor, version: int) -> None:
    """CertificateVerify by another key than the certificate's: an alert, although any certificate is taken."""
    pem = door.pki.identities["self-signed"].file.read_bytes()
    key = load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    numbers = key.private_numbers()
    wrong = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, numbers.d + 2, numbers.dmp1 + 2, numbers.dmq1 + 2, numbers.iqmp, numbers.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    context.use_certificate(x509.load_pem_x509_certificate(pem))
    context.use_privatekey(wrong)
    with door.connect() as raw:
        raw.setblocking(True)
        client = SSL.Connection(context, raw)
        client.set_connect_state()
        with pytest.raises(SSL.Error, match="alert decrypt error"):
            client.do_handshake()
            client.send(GET)
            client.recv(1)
    assert door.app.calls == []
    door.still_serves()


@pytest.mark.parametrize(
    "option",
    ["-tls1_1", "-tls1"],
)
def test_versions_before_1_2_are_refused(door: OpenDoor, option: str) -> None:
    output = s_client(door, option, "-cipher", "ALL:@SECLEVEL=0")
    assert "alert protocol version" in output
    assert "Cipher is (NONE)" in output


@pytest.mark.parametrize(
    "suite", ["AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256", "NULL-SHA256"]
)
def test_suites_without_forward_secrecy_or_aead_are_refused(door: OpenDoor, suite: str) -> None:
    output = s_client(door, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0")
    assert "alert handshake failure" in output


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), ([], None)]
)
def test_alpn_chooses_http_1_1(door: OpenDoor, offered: list[str], chosen: str | None) -> None:
    context = door.pki.client_context()
    if offered:
        context.set_alpn_protocols(offered)
    with door.tls(context=context) as connection:
        assert connection.selected_alpn_protocol() == chosen


def test_a_peer_that_speaks_no_http_1_1_is_refused(door: OpenDoor) -> None:
    context = door.pki.client_context()
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        door.tls(context=context)
    door.still_serves()


def test_renegotiation_is_refused(door: OpenDoor) -> None:
    output = s_client(door, "-tls1_2", stdin=b"R\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert "RENEGOTIATING" in output
    assert "no renegotiation" in output
    assert door.app.calls == []


@pytest.mark.threat("15", "16", "17")
@pytest.mark.parametrize("option", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("listener", ["none", "want"])
def test_no_session_is_resumed(door: OpenDoor, option: str, listener: str) -> None:
    saved = door.pki.directory / f"session{option}-{listener}"
    saved.unlink(missing_ok=True)
    ask = (option, "-ign_eof")
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    first = s_client(door, *ask, "-sess_out", str(saved), listener=listener, stdin=request)
    assert "200 OK" in first
    if saved.exists():
        for where in ("want", "require"):
            again = s_client(door, *ask, "-sess_in", str(saved), listener=where, stdin=request)
            assert "Reused, TLS" not in again
    assert "Reused" not in s_client(door, option, "-reconnect", listener=listener)


def test_plain_http_is_told_to_use_https_and_reaches_no_handler(door: OpenDoor) -> None:
    with door.connect() as raw:
        raw.sendall(b"POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\na=b")
        answer = everything(raw)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"use https://" in answer
    assert door.app.calls == []
    door.still_serves()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 100,
        b"\x80\x2e\x01\x00\x02",
        b"\xff",
        b"\x16garbage" * 100,
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    ],
)
def test_garbage_is_closed_at_once(door: OpenDoor, garbage: bytes) -> None:
    with door.connect() as raw:
        raw.sendall(garbage)
        everything(raw)
    assert door.app.calls == []
    door.still_serves()


@pytest.mark.threat("14", "B12")
def test_plaintext_before_the_handshake_never_reaches_a_handler(door: OpenDoor) -> None:
    """CVE-2023-40217."""
    request = b"POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    for _ in range(200):
        with door.connect() as raw:
            raw.sendall(request)
    door.still_serves()
    assert len(door.app.calls) == 1


def test_a_handshake_left_open_is_closed_while_others_are_served(door: OpenDoor) -> None:
    silent, halfway = door.connect("hurried"), door.connect("hurried")
    with silent, halfway:
        halfway.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert door.ask("hurried")["listener"] == "hurried"
        assert everything(silent) == everything(halfway) == b""


@pytest.mark.threat("19")
def test_a_client_hello_in_single_bytes_is_understood(door: OpenDoor) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = door.pki.client_context("issued").wrap_bio(incoming, outgoing, server_hostname="localhost")
    with door.connect() as raw:
        done = False
        while not done:
            try:
                client.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            for byte in outgoing.read():
                raw.sendall(bytes([byte]))
            if not done:
                incoming.write(raw.recv(65536))
        client.write(GET)
        raw.sendall(outgoing.read())
        leaf, received = door.pki.identities["issued"].leaf.encode(), b""
        while leaf not in received:
            try:
                received += client.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(raw.recv(65536))


def test_the_caps_are_those_that_the_documentation_names() -> None:
    assert (pump.CHAIN_CERTIFICATES, pump.CERTIFICATE_BYTES) == (10, 65536)
