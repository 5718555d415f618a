"""Certificates that are none: row 26 of the threats, and bad inputs B5 and B9, through every way in."""

import base64
import ssl
import subprocess
from collections import Counter
from typing import Any

import pytest
from cryptography import x509
from tests.certificates.splicing import PUBLIC_KEY, ec_key, rsa_key, signed, spliced
from tests.certificates.vectors import FILES, encodings
from tests.cli.conftest import Certbound
from tests.oauth.making import dns, make
from tests.rfc.conftest import identity

from certbound.certificates.certificate import CertificateError, parse_certificate
from certbound.oauth.registration import RegistrationError

from .conftest import Target, bounded, failures
from .handmade import ACCEPTED, Crafted, shaken

VICTIM = [dns("victim.example")]
_P256 = bytes.fromhex("06082a8648ce3d030107")


@pytest.fixture
def certbound(running: Target, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Certbound:
    return Certbound(running.server.folder / "server" / "certbound.toml", capsys, monkeypatch)


def _openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=True).stdout


def _explicit(target: Target, curve: str) -> Crafted:
    """A sound certificate but for its key, whose curve is written out; the key is one that works."""
    private = _openssl("ecparam", "-genkey", "-noout", "-name", curve, "-param_enc", "explicit")
    public = _openssl("pkey", "-pubout", "-outform", "DER", stdin=private)
    plain = identity(issuer=target.partners, san=VICTIM)
    return Crafted(signed(spliced(plain.der, PUBLIC_KEY, public), target.partners.key), plain.key, private=private)


@pytest.mark.threat("26", "B5")
@pytest.mark.parametrize("curve", ["prime256v1", "secp384r1", "secp521r1"])
def test_a_curve_that_is_written_out_passes_the_handshake_and_authenticates_nobody(target: Target, curve: str) -> None:
    shown, client_id = _explicit(target, curve), target.client()
    with bounded():
        kept = target.refuses(client_id, shown, "certificate_presented", by=target.lax)
    assert "written out instead of named" in failures(kept)["certificate_presented"]


def _unusable(target: Target) -> dict[str, bytes]:
    """Keys that no program could prove to hold, in certificates that are sound otherwise."""
    plain = identity(issuer=target.partners, san=VICTIM)
    explicit = _composite(_openssl("ecparam", "-name", "prime256v1", "-param_enc", "explicit", "-outform", "DER"))
    keys = {
        "point not on its curve": ec_key(_P256, b"\x04" + b"\x01" * 64),
        "point at infinity": ec_key(_P256, b"\x00"),
        "no point": ec_key(_P256, b""),
        "compressed point that is none": ec_key(_P256, b"\x02" + b"\xff" * 32),
        "square root of nothing": ec_key(explicit, b"\x02" + b"\x05" * 32),
        "no parameters": ec_key(b"", b"\x04" + b"\x01" * 64),
        "a modulus of 0": rsa_key(0, 65537),
        "a modulus of 16,384 bits": rsa_key((1 << 16384) - 1, 65537),
        "a modulus of 100,000 bits": rsa_key((1 << 100_000) - 1, (1 << 100_000) - 1),
    }
    return {name: signed(spliced(plain.der, PUBLIC_KEY, key), target.partners.key) for name, key in keys.items()}


def _composite(parameters: bytes) -> bytes:
    """Make the modulus of the curve composite, which is what CVE-2022-0778 computed with for ever."""
    prime = bytes.fromhex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff")
    assert prime in parameters
    return parameters.replace(prime, prime[:-1] + b"\xf1")


@pytest.mark.threat("26", "27", "B5", "B9")
def test_a_key_that_nobody_can_hold_ends_the_handshake_and_costs_little(target: Target) -> None:
    own = identity(issuer=target.partners)
    for name, encoded in _unusable(target).items():
        for sent in ([encoded], [own.der, encoded]):
            with bounded():
                assert shaken(target.lax_in_tls_1_2, own, sent) != ACCEPTED, name


@pytest.mark.threat("26", "B5", "B9")
def test_a_key_that_nobody_can_hold_is_registered_by_no_way(target: Target, certbound: Certbound) -> None:
    """As a certificate, as the `x5c` of a key, as a trust anchor, and shown by the command line."""
    refused = {**_unusable(target), "a curve written out": _explicit(target, "prime256v1").der}
    too_long = refused.pop("a modulus of 16,384 bits")  # can be read, and is refused where it would be used
    for name, encoded in refused.items():
        file = certbound.folder.parent / "unusable.der"
        file.write_bytes(encoded)
        with bounded():
            with pytest.raises(CertificateError):
                parse_certificate(encoded)
            with pytest.raises(RegistrationError):
                target.server.register("self_signed_tls_client_auth", jwks={"keys": [_jwk(encoded)]})
            assert str(file) in certbound.refused("cert", "show", file), name
            assert str(file) in certbound.refused("trust", "add", "unusable", file), name
            assert str(file) in certbound.refused("client", "certificate", "add", target.alone_client, file), name
    with bounded():
        assert parse_certificate(too_long).key.bits == 16384


def _jwk(encoded: bytes) -> dict[str, Any]:
    return {**make().jwk(), "x5c": [base64.b64encode(encoded).decode()]}


@pytest.mark.threat("B9")
@pytest.mark.parametrize("place", ["the leaf", "behind the leaf"])
def test_each_of_the_vectors_in_a_handshake_is_answered_with_an_alert(target: Target, place: str) -> None:
    own = identity(issuer=target.partners)
    outcomes = Counter[str]()
    for encoded in encodings():
        sent = [encoded] if place == "the leaf" else [own.der, encoded]
        with bounded():
            outcomes[shaken(target.lax_in_tls_1_2, own, sent)] += 1
    assert outcomes.total() > 120
    assert all("ALERT" in outcome for outcome in outcomes), outcomes


@pytest.mark.threat("B9")
@pytest.mark.parametrize(
    "damage",
    [
        lambda encoded: encoded[:-1],
        lambda encoded: encoded[: len(encoded) // 2],
        lambda encoded: encoded + b"\0",
        lambda encoded: encoded + encoded,
        lambda encoded: b"\x30\x80" + encoded[4:] + b"\0\0",
        lambda encoded: b"\x30\x84\xff\xff\xff\xff" + encoded[4:],
        lambda encoded: b"",
        lambda encoded: b"\x30" * 50_000,
        lambda encoded: encoded + bytes(1_000_000),
    ],
)
def test_damaged_bytes_are_refused_by_the_handshake_and_by_every_reader(
    target: Target, certbound: Certbound, damage: Any
) -> None:
    own = identity(issuer=target.partners)
    damaged, file = damage(own.der), certbound.folder.parent / "damaged.der"
    file.write_bytes(damaged)
    with bounded():
        assert "ALERT" in shaken(target.lax_in_tls_1_2, own, [damaged])
        with pytest.raises(CertificateError):
            parse_certificate(damaged)
        with pytest.raises(RegistrationError):
            target.server.register("self_signed_tls_client_auth", jwks={"keys": [_jwk(damaged)]})
        assert str(file) in certbound.refused("cert", "show", file)


@pytest.mark.threat("B9")
def test_damage_behind_a_good_leaf_harms_nobody_and_helps_nobody(target: Target) -> None:
    """Whatever OpenSSL hands on as an extra certificate is looked at only for a path, and may be unreadable."""
    readable = [encoded for encoded in encodings() if _loads(encoded)]
    assert len(readable) > 60
    client_id = target.client()
    for start in range(0, len(readable), 8):
        others = [Crafted(encoded, target.partners.key) for encoded in readable[start : start + 8]]
        behind = tuple(other for other in others if len(other.der) < 65_536)
        sound = identity(issuer=target.partners, san=VICTIM)
        target.accepts(client_id, Crafted(sound.der, sound.key, behind), by=target.lax)
        stranger = identity(san=VICTIM)
        target.refuses(client_id, Crafted(stranger.der, stranger.key, behind), "chain", by=target.lax)


def _loads(encoded: bytes) -> bool:
    """Tell what the client's OpenSSL sends along; keys it cannot decode disturb what it reads afterwards."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=encoded)
        x509.load_der_x509_certificate(encoded).public_key()
    except Exception:  # noqa: BLE001 - of many kinds
        return False
    return True


@pytest.mark.threat("B9")
def test_each_file_of_the_vectors_is_shown_or_refused_in_one_line(certbound: Certbound) -> None:
    codes = Counter[int]()
    for file in FILES:
        shown = certbound("cert", "show", file)
        codes[shown.code] += 1
        if shown.code:
            assert shown.err.startswith(f"certbound: {file}: ")
            assert shown.err.count("\n") == 1
    assert set(codes) == {0, 1}, codes
