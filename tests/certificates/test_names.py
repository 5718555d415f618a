import ssl
import unicodedata
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from hypothesis import example, given, settings
from hypothesis import strategies as st

from certbound.certificates import preparation
from certbound.certificates.certificate import parse_certificate
from certbound.certificates.names import (
    MAXIMUM_ATTRIBUTES,
    MAXIMUM_TEXT,
    Attribute,
    DistinguishedName,
    DistinguishedNameError,
    from_der,
    parse_rfc4514,
)

_OIDS = ["2.5.4.3", "2.5.4.10", "2.5.4.5", "1.2.840.113549.1.9.1", "0.9.2342.19200300.100.1.25", "1.2.3.4", "2.999.1"]
_values = st.text(max_size=12).filter(lambda value: preparation.refused_character(value) is None)
_attributes = st.builds(Attribute, st.sampled_from(_OIDS), _values)
_names = st.lists(st.lists(_attributes, min_size=1, max_size=3).map(tuple), max_size=5).map(
    lambda rdns: DistinguishedName(tuple(rdns))
)


@pytest.mark.threat("7")
@settings(deadline=None)
@given(_names)
@example(DistinguishedName(((Attribute("2.5.4.3", ' #a\\,+"<>;= '),),)))
@example(DistinguishedName(((Attribute("2.5.4.3", " "),), (Attribute("2.5.4.3", ""),))))
def test_text_to_name_to_text_is_stable(name: DistinguishedName) -> None:
    again = parse_rfc4514(name.text)
    assert again == name
    assert again.rdns == name.rdns
    assert again.text == name.text


@settings(deadline=None)
@given(st.text(max_size=40))
@example("CN=a\\")
@example('CN="a\\"')
@example("CN=#")
@example("1.2.3=#3000")
def test_arbitrary_text_is_a_name_with_stable_text_or_refused(text: str) -> None:
    try:
        name = parse_rfc4514(text)
    except DistinguishedNameError as error:
        message = str(error)
        assert message
        return
    assert parse_rfc4514(name.text) == name


@settings(deadline=None)
@given(_names, _names, _names)
def test_equality_is_symmetric_transitive_and_agrees_with_the_hash(
    a: DistinguishedName, b: DistinguishedName, c: DistinguishedName
) -> None:
    assert (a == b) == (b == a)
    if a == b and b == c:
        assert a == c
    if a == b:
        assert hash(a) == hash(b)


@settings(deadline=None)
@given(_names, st.data())
def test_case_and_spaces_never_matter_where_the_rule_ignores_them(name: DistinguishedName, data: st.DataObject) -> None:
    def vary(attribute: Attribute) -> Attribute:
        if attribute.oid in {"1.2.3.4", "2.999.1"} or not isinstance(attribute.value, str):
            return attribute
        if any(unicodedata.category(character).startswith("M") for character in attribute.value):
            return attribute  # a space before a combining mark is none that counts as one (RFC 4518 section 2.6.1)
        value = attribute.value.casefold() if data.draw(st.booleans()) else attribute.value
        return Attribute(attribute.oid, f" {value}  ".replace(" ", "  "))

    varied = DistinguishedName(tuple(tuple(vary(attribute) for attribute in reversed(rdn)) for rdn in name.rdns))
    assert varied == name
    assert hash(varied) == hash(name)


@pytest.mark.threat("7")
@settings(deadline=None)
@given(_names.filter(lambda name: all(attribute.value for rdn in name.rdns for attribute in rdn)))
def test_names_in_certificates_read_as_their_text_does(name: DistinguishedName) -> None:
    encoded = x509.Name(
        [
            x509.RelativeDistinguishedName({_named(attribute) for attribute in rdn})
            for rdn in reversed(name.rdns)
            if len({(a.oid, a.value) for a in rdn}) == len(rdn)
        ]
    )
    if len(encoded.rdns) == len(name.rdns):
        assert from_der(encoded.public_bytes()) == name


def _named(attribute: Attribute) -> x509.NameAttribute[str]:
    assert isinstance(attribute.value, str)
    return x509.NameAttribute(x509.ObjectIdentifier(attribute.oid), attribute.value, _ASN1Type.UTF8String)


@settings(deadline=None)
@given(_values)
def test_every_octet_of_a_value_may_be_escaped(value: str) -> None:
    assert parse_rfc4514(f"CN={_escaped(value)}") == DistinguishedName(((Attribute("2.5.4.3", value),),))


def _escaped(value: str) -> str:
    return "".join(f"\\{octet:02x}" for octet in value.encode())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=api,O=Acme", "cn=API , o=acme"),
        ("CN=a b", "CN=  A    B "),
        ("CN=a\\ ", "CN=\\20a"),
        ("2.5.4.3=api", "CN=api"),
        ("OID.2.5.4.3=api", "commonName=api"),
        ("1.2.840.113549.1.9.1=a@b.c", "EMAILADDRESS=A@B.C"),
        ("E=a@b.c", "emailAddress=a@b.c"),
        ("SERIALNUMBER=12", "2.5.4.5=#130231 32".replace(" ", "")),
        ("CN=#0c03617069", "CN=#1e060061007000 69".replace(" ", "")),
        ("CN=#0c03617069", "CN=#1303617069"),
        ("CN=a+UID=b,O=c", "UID=B+CN=A,O=C"),
        ("O=Straße", "O=STRASSE"),
        ("O=\\C3\\85kesson", "O=a\u030akesson"),
        ("O=\uff21\uff23\uff2d\uff25", "O=acme"),
        ('O="Acme, Inc."', "O=Acme\\, Inc."),
        ("O=Acme\\2C Inc.", "O=Acme\\, Inc."),
        ("TELEPHONENUMBER=+46 8-123", "2.5.4.20=\\+468123".replace("TELEPHONE", "")),
        ("STREET=Main 1", "streetAddress=main 1"),
        ("ST=x,L=y,C=se", "S=x,L=y,C=SE"),
        ("organizationIdentifier=PSDSE-FINA-1", "2.5.4.97=psdse-fina-1"),
        ("jurisdictionC=SE,businessCategory=Private", "1.3.6.1.4.1.311.60.2.1.3=SE,2.5.4.15=private"),
    ],
)
@pytest.mark.req("8705-07", "8705-12")
@pytest.mark.threat("13", "B6")
def test_equal_names_in_different_clothes_are_equal(one: str, other: str) -> None:
    one = one.replace("=+", "=\\+")
    assert parse_rfc4514(one) == parse_rfc4514(other)
    assert hash(parse_rfc4514(one)) == hash(parse_rfc4514(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=api,O=Acme", "O=Acme,CN=api"),
        ("CN=api,O=Acme", "CN=api"),
        ("CN=api,O=Acme", "CN=api,O=Acme,C=SE"),
        ("CN=api", "CN=ap"),
        ("CN=a b", "CN=ab"),
        ("CN=a+CN=victim", "CN=victim"),
        ("CN=a+CN=victim", "CN=a,CN=victim"),
        ("CN=a\\,CN\\=victim", "CN=a,CN=victim"),
        ("CN=victim", "OU=victim"),
        ("1.2.3.4=api", "1.2.3.4=API"),
        ("1.2.3.4=a b", "1.2.3.4=a  b"),
        ("1.2.3.4=#020101", "1.2.3.4=#020102"),
        ("CN=\u00a8a", "CN=\u0308a"),
        ("CN=", ""),
    ],
)
@pytest.mark.req("8705-07")
@pytest.mark.threat("13", "B6")
def test_unequal_names_stay_unequal(one: str, other: str) -> None:
    assert parse_rfc4514(one) != parse_rfc4514(other)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("CN=a\\00b", "U\\+0000"),
        ("CN=a\x00b", "U\\+0000"),
        ("CN=a\u200db", "U\\+200D"),
        ("CN=\u202egpj", "U\\+202E"),
        ("CN=a\ufffdb", "U\\+FFFD"),
        ("CN=a\ufe0fb", "U\\+FE0F"),
        ("CN=a\nb", "U\\+000A"),
        ("CN=\\ff", "UTF-8"),
        ("CN=a\\zb", "backslash"),
        ("CN=a;O=b", "escape the ';'"),
        ("CN=a<b", "escape the '<'"),
        ("CN", "TYPE=value"),
        ("=a", "TYPE=value"),
        ("CN=a,,O=b", "TYPE=value"),
        ("CN=a,", "TYPE=value"),
        ("CN=a+", "TYPE=value"),
        ("WHAT=a", "no known attribute type"),
        ("1.=a", "TYPE=value"),
        ("9.9=a", "no known attribute type"),
        ("1.02=a", "no known attribute type"),
        ("CN=#0c", "DER"),
        ("CN=#0c01c3", "DER"),
        ("CN=#xy", "leading #"),
        ("CN=" + "a" * MAXIMUM_TEXT, str(MAXIMUM_TEXT)),
        (",".join(["CN=a"] * (MAXIMUM_ATTRIBUTES + 1)), str(MAXIMUM_ATTRIBUTES)),
        ("+".join(["CN=a"] * (MAXIMUM_ATTRIBUTES + 1)), str(MAXIMUM_ATTRIBUTES)),
    ],
)
@pytest.mark.req("8705-12")
def test_what_is_no_name_is_refused_with_advice(text: str, why: str) -> None:
    with pytest.raises(DistinguishedNameError, match=why) as refusal:
        parse_rfc4514(text)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("tag", "octets"),
    [
        (0x0C, "åpi".encode()),
        (0x14, "åpi".encode("latin-1")),
        (0x1E, "åpi".encode("utf-16-be")),
        (0x1C, "åpi".encode("utf-32-be")),
    ],
)
def test_every_type_of_string_reads_as_its_text(tag: int, octets: bytes) -> None:
    assert from_der(_name_of_one(tag, octets)) == parse_rfc4514("CN=åpi")


@pytest.mark.parametrize(
    ("tag", "octets"),
    [(0x0C, b"\xff"), (0x13, b"\xe5"), (0x1E, b"a"), (0x1C, b"abc"), (0x0C, b"a\0b"), (0x14, b"a\x9fb")],
)
def test_a_string_that_does_not_decode_is_refused(tag: int, octets: bytes) -> None:
    with pytest.raises(DistinguishedNameError):
        from_der(_name_of_one(tag, octets))


def test_a_value_that_is_no_string_is_kept_whole() -> None:
    name = from_der(_name_of_one(0x03, b"\x00\xaa"))
    assert name.text == "CN=#030200aa"
    assert parse_rfc4514(name.text) == name
    assert name != parse_rfc4514("CN=#030200ab")


@settings(deadline=None)
@given(st.binary(max_size=60))
@example(b"\x30\x00")
@example(b"\x30\x02\x31\x00")
@example(b"\x30\x80\x00\x00")
def test_arbitrary_octets_are_a_name_or_refused(data: bytes) -> None:
    try:
        assert parse_rfc4514(from_der(data).text) == from_der(data)
    except DistinguishedNameError as error:
        message = str(error)
        assert message


@pytest.mark.req("8705-07")
@pytest.mark.threat("13", "B6")
def test_the_same_subject_of_the_openssl_program_matches_in_any_string_type(openssl: Any) -> None:
    wanted = parse_rfc4514("cn=api 1,o=acme")
    for mask in ("utf8only", "default", "MASK:0x2", "MASK:0x800"):
        config = openssl.folder / "req.cnf"
        config.write_text(f"[req]\nprompt=no\nstring_mask={mask}\ndistinguished_name=dn\n[dn]\nO=Acme\nCN=API  1\n")
        path = openssl.self_signed("-config", str(config), key="ec:" + _parameters(openssl))
        assert parse_certificate(ssl.PEM_cert_to_DER_cert(path.read_text())).subject == wanted


def _parameters(openssl: Any) -> str:
    openssl("ecparam", "-name", "prime256v1", "-out", "p.pem")
    return str(openssl.folder / "p.pem")


def _name_of_one(tag: int, octets: bytes) -> bytes:
    def element(tag: int, content: bytes) -> bytes:
        return bytes([tag, len(content)]) + content

    return element(0x30, element(0x31, element(0x30, element(0x06, b"\x55\x04\x03") + element(tag, octets))))
