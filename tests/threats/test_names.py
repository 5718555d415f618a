"""Names that an authority really signed: rows 7, 8, 12 and 13 of the threats, and bad inputs B6 and B7."""

import pytest
from cryptography import x509
from tests.certificates.splicing import SUBJECT, element, signed, spliced
from tests.oauth.making import Identity, dns, email, uri
from tests.rfc.conftest import identity

from certbound.certificates import der

from .conftest import Target, bounded, failures
from .handmade import Crafted

_CN = b"\x55\x04\x03"
_BMP, _TELETEX, _UNIVERSAL, _PRINTABLE = 0x1E, 0x14, 0x1C, 0x13


def _name(*values: bytes, tag: int = der.UTF8_STRING, joined: bool = False) -> bytes:
    """Encode a name of common names, each in a part of its own or all in one."""
    attributes = [element(der.SEQUENCE, element(der.OBJECT_IDENTIFIER, _CN) + element(tag, one)) for one in values]
    parts = [b"".join(attributes)] if joined else attributes
    return element(der.SEQUENCE, b"".join(element(der.SET, part) for part in parts))


def _named(target: Target, subject: bytes) -> Identity:
    plain = identity(issuer=target.partners)
    return Crafted(signed(spliced(plain.der, SUBJECT, subject), target.partners.key), plain.key)


@pytest.mark.threat("12", "B6")
@pytest.mark.parametrize(
    "subject",
    [
        _name(b"victim\0.attacker"),
        _name(b"\0victim"),
        _name("victim\u202e".encode()),
        _name("victim\u200b".encode()),
        _name(b"victim\xff", tag=_PRINTABLE),
        _name("victim\0".encode("utf-16-be"), tag=_BMP),
        _name(b"x" * 60_000),
        _name(*[b"victim"] * 1000),
        _name(*[b"victim"] * 1000, joined=True),
    ],
    ids=[
        "nul",
        "nul first",
        "right to left",
        "no width",
        "octet",
        "nul in UTF-16",
        "60 KB",
        "1000 parts",
        "1000 in one",
    ],
)
def test_a_subject_that_nobody_can_read_whole_is_nobody(target: Target, subject: bytes) -> None:
    client_id = target.server.pki_client(target.partners, "subject_dn", "CN=victim")
    shown = _named(target, subject)
    with bounded():
        target.refuses(client_id, shown, "certificate_presented")


@pytest.mark.threat("7", "B6")
@pytest.mark.parametrize(
    "subject",
    [
        _name(b"a,CN=victim"),
        _name(b"victim,CN=a"),
        _name(b"a+CN=victim"),
        _name(b"victim/CN=a"),
        _name(b"a", b"victim"),
        _name(b"a", b"victim", joined=True),
        _name(b"victim", b"victim"),
        _name(),
    ],
    ids=["comma", "comma behind", "plus", "slash", "two parts", "two in one part", "twice", "none"],
)
def test_a_subject_that_only_holds_the_name_is_not_the_name(target: Target, subject: bytes) -> None:
    client_id = target.server.pki_client(target.partners, "subject_dn", "CN=victim")
    kept = target.refuses(client_id, _named(target, subject), "tls_client_auth_subject_dn")
    assert failures(kept)["tls_client_auth_subject_dn"]


@pytest.mark.threat("13", "B6")
@pytest.mark.parametrize(
    ("value", "tag"),
    [
        (b"Victim  One", der.UTF8_STRING),
        (b"VICTIM ONE", _PRINTABLE),
        (b" victim one", _TELETEX),
        ("victim one".encode("utf-16-be"), _BMP),
        ("victim one".encode("utf-32-be"), _UNIVERSAL),
    ],
)
def test_the_name_itself_is_the_name_however_it_is_written(target: Target, value: bytes, tag: int) -> None:
    client_id = target.server.pki_client(target.partners, "subject_dn", "2.5.4.3=victim one")
    target.accepts(client_id, _named(target, _name(value, tag=tag)))


@pytest.mark.threat("7", "8", "12", "B7")
@pytest.mark.parametrize(
    ("name", "failed"),
    [
        (uri("https://a,DNS:victim.example"), "tls_client_auth_san_dns"),
        (uri("victim.example"), "tls_client_auth_san_dns"),
        (email("api@victim.example"), "tls_client_auth_san_dns"),
        (dns("a,victim.example"), "tls_client_auth_san_dns"),
        (dns("victim.example."), "tls_client_auth_san_dns"),
        (dns("*.example"), "tls_client_auth_san_dns"),
        (dns("victim.example\0.attacker.example"), "certificate_presented"),
        (uri("https://a\0b"), "certificate_presented"),
    ],
)
def test_a_name_that_only_holds_the_name_is_not_the_name(target: Target, name: x509.GeneralName, failed: str) -> None:
    target.refuses(target.client(), identity(issuer=target.partners, san=[name]), failed)
