"""Names made to be mistaken for others."""

import ipaddress
import time
from typing import Any

import pytest
from cryptography import x509
from tests.certificates.splicing import SUBJECT, element, spliced

from certbound.certificates import der
from certbound.certificates.certificate import Certificate, CertificateError, parse_certificate
from certbound.certificates.names import MAXIMUM_ATTRIBUTES
from certbound.certificates.subject import SubjectMatch

_CN = b"\x55\x04\x03"
_O = b"\x55\x04\x0a"


def _attribute(value: bytes, tag: int = der.UTF8_STRING, oid: bytes = _CN) -> bytes:
    return element(der.SEQUENCE, element(der.OBJECT_IDENTIFIER, oid) + element(tag, value))


def _name(*rdns: bytes) -> bytes:
    return element(der.SEQUENCE, b"".join(element(der.SET, rdn) for rdn in rdns))


def _matches(make: Any, subject: bytes, registered: str) -> bool:
    certificate = parse_certificate(spliced(make(), SUBJECT, subject))
    return SubjectMatch.parse("tls_client_auth_subject_dn", registered).check(certificate).passed


def test_the_tests_own_splicing_is_sound(make: Any) -> None:
    assert _matches(make, _name(_attribute(b"Acme", oid=_O), _attribute(b"api")), "CN=api,O=Acme")


@pytest.mark.threat("12", "B6")
@pytest.mark.parametrize(
    "value",
    [
        b"victim\0.attacker",
        b"\0victim",
        "victim\u200b".encode(),
        "victim\u202e".encode(),
        "vic\u00adtim".encode(),
        "victim\ufeff".encode(),
        "vic\u2060tim".encode(),
        "victim\U000e0041".encode(),
        b"victim\r\n",
        b"victim\x7f",
        b"victim\xff",
        b"victim\xc0\x80",
        b"victim\xed\xa0\x80",
    ],
)
def test_a_subject_with_nul_invisible_or_broken_characters_is_refused(make: Any, value: bytes) -> None:
    """Refused whole, never cut at the place or cleaned."""
    with pytest.raises(CertificateError):
        parse_certificate(spliced(make(), SUBJECT, _name(_attribute(value))))


@pytest.mark.threat("12", "B6")
@pytest.mark.parametrize(
    "text", ["CN=victim\\00", "CN=victim\0", "CN=\\e2\\80\\8bvictim", "CN=victim\u202e", "CN=#0c0776696374696d00"]
)
def test_such_a_subject_cannot_be_registered(text: str) -> None:
    with pytest.raises(ValueError, match=r"may not be in a name|DER"):
        SubjectMatch.parse("tls_client_auth_subject_dn", text)


@pytest.mark.threat("13", "B6")
@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (0x0C, b"Api  One"),
        (0x13, b"API ONE"),
        (0x14, b" api one"),
        (0x16, b"api one "),
        (0x1A, b"aPI oNE"),
        (0x1C, "API One".encode("utf-32-be")),
        (0x1E, "Api One".encode("utf-16-be")),
    ],
)
@pytest.mark.parametrize(
    "registered", ["CN=Api One", "2.5.4.3=api one", "commonname=#13074150492 04f6e65".replace(" ", "")]
)
def test_equal_names_of_every_string_type_case_and_spelling_match(
    make: Any, tag: int, value: bytes, registered: str
) -> None:
    assert _matches(make, _name(_attribute(value, tag)), registered)
    assert not _matches(make, _name(_attribute(value, tag)), "CN=ApiOne")
    assert not _matches(make, _name(_attribute(value, tag)), "O=Api One")
    assert not _matches(make, _name(_attribute(value, tag)), "CN=Api")


@pytest.mark.threat("7", "B6")
@pytest.mark.parametrize(
    "subject",
    [
        _name(_attribute(b"a") + _attribute(b"victim")),
        _name(_attribute(b"a"), _attribute(b"victim")),
        _name(_attribute(b"victim"), _attribute(b"victim")),
        _name(_attribute(b"victim") + _attribute(b"victim")),
        _name(_attribute(b"a,CN=victim")),
        _name(_attribute(b"a/CN=victim")),
        _name(_attribute(b"a+CN=victim")),
        _name(_attribute(b"victim,CN=a")),
        _name(_attribute(b'victim"')),
        _name(_attribute(b"victim\\")),
        _name(_attribute(b"victim", oid=_O)),
        _name(_attribute(b"victim", 0x04)),
        _name(_attribute(b"victim"), _attribute(b"", oid=_O)),
        _name(),
    ],
)
def test_a_part_of_a_name_or_text_inside_it_is_never_taken_for_the_name(make: Any, subject: bytes) -> None:
    """Only the whole name with its structure matches."""
    assert not _matches(make, subject, "CN=victim")


@pytest.mark.threat("7", "B6")
def test_a_name_of_several_attributes_in_one_part_matches_as_a_set(make: Any) -> None:
    subject = _name(_attribute(b"a") + _attribute(b"b", oid=_O))
    assert _matches(make, subject, "CN=a+O=b")
    assert _matches(make, subject, "O=b+CN=a")
    for other in ("CN=a,O=b", "O=b,CN=a", "CN=a", "O=b", "CN=a+O=b+O=b", "CN=a\\+O=b"):
        assert not _matches(make, subject, other)


@pytest.mark.threat("B6")
@pytest.mark.parametrize(
    "subject",
    [
        _name(_attribute(b"x" * 64_000)),
        _name(_attribute(b"x" * 70_000)),
        _name(*[_attribute(b"x")] * 1000),
        _name(_attribute(b"x") * 1000),
        _name(*[_attribute(b"x")] * (MAXIMUM_ATTRIBUTES + 1)),
        _name(_attribute(b",", 0x1C) * 2),
        _name(b""),
        _name(_attribute(b"x")) + b"\0",
        element(der.SET, b""),
    ],
)
def test_a_huge_or_malformed_name_is_refused_in_bounded_time(make: Any, subject: bytes) -> None:
    """64 KB in one value, 1,000 parts, 1,000 attributes in one part."""
    encoded = spliced(make(), SUBJECT, subject)
    started = time.process_time()
    with pytest.raises(CertificateError) as refusal:
        parse_certificate(encoded)
    assert time.process_time() - started < 2
    assert len(str(refusal.value)) < 300


_SAME = "192.0.2.1"
_KINDS: dict[str, x509.GeneralName] = {
    "tls_client_auth_san_dns": x509.DNSName(_SAME),
    "tls_client_auth_san_uri": x509.UniformResourceIdentifier(_SAME),
    "tls_client_auth_san_email": x509.RFC822Name(_SAME),
    "tls_client_auth_san_ip": x509.IPAddress(ipaddress.ip_address(_SAME)),
    "other name": x509.OtherName(x509.ObjectIdentifier("1.2.3"), element(der.UTF8_STRING, _SAME.encode())),
    "directory name": x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, _SAME)])),
    "registered id": x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
}


@pytest.mark.threat("8", "B7")
@pytest.mark.parametrize("parameter", [kind for kind in _KINDS if kind.startswith("tls")])
@pytest.mark.parametrize("kind", _KINDS)
def test_the_same_text_under_another_type_never_matches(make: Any, parameter: str, kind: str) -> None:
    """Every parameter against every type of alternative name, and the subject."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, _SAME)])
    certificate = _with_names(make, _KINDS[kind], subject=subject)
    assert SubjectMatch(parameter, _SAME).check(certificate).passed == (parameter == kind)


def _with_names(make: Any, *names: x509.GeneralName, **options: Any) -> Certificate:
    return parse_certificate(make(x509.SubjectAlternativeName(names), **options))


@pytest.mark.threat("12", "B7")
@pytest.mark.parametrize("kind", [x509.DNSName, x509.UniformResourceIdentifier, x509.RFC822Name])
@pytest.mark.parametrize(
    "text", [b"victim.example\0.x", b"victim.example\n", b"victim.example\x7f", b"victim.examp\xe9"]
)
def test_an_alternative_name_with_nul_control_or_other_octets_is_refused(make: Any, kind: Any, text: bytes) -> None:
    """In every type of name that is text."""
    placeholder = "!" * len(text)
    encoded = make(x509.SubjectAlternativeName([kind(placeholder)]))
    assert placeholder.encode() in encoded
    with pytest.raises(CertificateError):
        parse_certificate(encoded.replace(placeholder.encode(), text))


@pytest.mark.threat("7", "8", "B7")
@pytest.mark.parametrize(
    ("parameter", "registered", "names"),
    [
        (
            "tls_client_auth_san_dns",
            "victim.example",
            [
                *("*.example", "*", "victim.example.", ".victim.example", "a.victim.example", "victim.example,x"),
                *("x,victim.example", "DNS:victim.example", "victim.example:443", " victim.example", "victim", ""),
                *("xn--victim-.example", "victim.example/", 'victim.example"'),
            ],
        ),
        (
            "tls_client_auth_san_uri",
            "https://victim.example/a",
            [
                *("https://victim.example/a,x", "https://x,URI:https://victim.example/a", "https://victim.example/a/"),
                *("https://victim.example:443/a", "https://victim.example/a?", "https://victim.example/%61", ""),
                *("HTTPS://victim.example/a", "https://victim.example/a ", "https://victim.example/./a", "*"),
            ],
        ),
        (
            "tls_client_auth_san_email",
            "api@victim.example",
            [
                *(
                    "victim.example",
                    "@victim.example",
                    "*@victim.example",
                    "API@victim.example",
                    "a@api@victim.example",
                ),
                *("api@victim.example,x@y", "api@victim.example ", "<api@victim.example>", "api@a.victim.example", ""),
            ],
        ),
    ],
)
def test_a_name_that_only_resembles_the_registered_one_does_not_match(
    make: Any, parameter: str, registered: str, names: list[str]
) -> None:
    """Wildcards, separators, suffixes, percent-encoding: all text, compared whole."""
    kind: Any = type(_KINDS[parameter])
    kind = getattr(kind, "_init_without_validation", kind)
    match = SubjectMatch.parse(parameter, registered)
    for name in names:
        assert not match.check(_with_names(make, kind(name))).passed, name
    assert match.check(_with_names(make, *map(kind, [*names, registered]))).passed


@pytest.mark.threat("B7")
@pytest.mark.parametrize(
    ("registered", "presented", "passed"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "::ffff:192.0.2.1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", False),
        ("::ffff:192.0.2.1", "::ffff:c000:201", True),
        ("::c000:201", "192.0.2.1", False),
        ("64:ff9b::192.0.2.1", "192.0.2.1", False),
        ("127.0.0.1", "::1", False),
    ],
)
def test_an_address_matches_only_the_same_octets(make: Any, registered: str, presented: str, passed: bool) -> None:
    """An address of one family is none of the other."""
    certificate = _with_names(make, x509.IPAddress(ipaddress.ip_address(presented)))
    assert SubjectMatch.parse("tls_client_auth_san_ip", registered).check(certificate).passed is passed
