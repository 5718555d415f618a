"""Names over generated examples: against the openssl program, and equality over every type of string."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.certificates.splicing import element

from certbound.certificates import der, names, preparation
from certbound.certificates.certificate import parse_certificate
from certbound.certificates.names import Attribute, DistinguishedName, parse_rfc4514

#: Types whose short name OpenSSL prints as we do.
_SAME_SPELLING = [
    "2.5.4.3", "2.5.4.10", "2.5.4.11", "2.5.4.7", "2.5.4.8", "2.5.4.5", "2.5.4.97", "2.5.4.15",
    "0.9.2342.19200300.100.1.1", "0.9.2342.19200300.100.1.25", "1.2.840.113549.1.9.1",
]  # fmt: skip
_values = st.text(' #+,;<>="\\/aZ0äß☃\U0001f600', min_size=1, max_size=6) | st.text(min_size=1, max_size=8).filter(
    lambda value: preparation.refused_character(value) is None
)
#: OpenSSL forgets to escape the value that is a # and nothing else.
_pairs = st.tuples(st.sampled_from([*_SAME_SPELLING, "1.2.3.4"]), _values.filter(lambda value: value != "#"))
_rdns = st.lists(st.lists(_pairs, min_size=1, max_size=2, unique=True), min_size=1, max_size=5)


def test_openssl_prints_generated_names_as_we_do(make: Any, openssl_once: Any) -> None:
    certificates: list[bytes] = []

    @settings(deadline=None, max_examples=300)
    @given(_rdns)
    def collect(rdns: list[list[tuple[str, str]]]) -> None:
        subject = x509.Name([x509.RelativeDistinguishedName([_named(*pair) for pair in rdn]) for rdn in rdns])
        certificates.append(make(subject=subject))

    collect()
    ours = [parse_certificate(certificate).subject for certificate in certificates]
    for form in ("rfc2253", "rfc2253,sep_comma_plus_space"):
        assert [parse_rfc4514(text) for text in _subjects(openssl_once, certificates, form)] == ours
    for name, text in zip(ours, _subjects(openssl_once, certificates, "rfc2253,utf8,-esc_msb"), strict=True):
        assert parse_rfc4514(text).text == name.text
        if all(len(rdn) == 1 and rdn[0].oid in _SAME_SPELLING for rdn in name.rdns):
            assert text == name.text


def _named(oid: str, value: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(x509.ObjectIdentifier(oid), value, _ASN1Type.UTF8String)


def _subjects(openssl: Any, certificates: list[bytes], form: str) -> list[str]:
    """Give all subjects by one run of `openssl verify`, which prints those that it does not trust."""
    paths = []
    for number, certificate in enumerate(certificates):
        path: Path = openssl.folder / f"{number}.der"
        path.write_bytes(certificate)
        paths.append(path)
    ran = subprocess.run(
        ["openssl", "verify", "-nameopt", form, "-no-CApath", "-no-CAfile", "-no-CAstore", *map(str, paths)],
        capture_output=True,
        check=False,
    )
    return re.findall(r"^(.*)\nerror 18 at 0 depth", ran.stderr.decode(), re.MULTILINE)


#: Tag -> codec of the string types that hold all of Latin-1; PrintableString and IA5String hold ASCII only.
_WIDE = {0x0C: "utf-8", 0x14: "latin-1", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}
_NARROW = {0x13: "ascii", 0x16: "ascii"}
_words = st.lists(st.text("aBzéÅ0", min_size=1, max_size=3), min_size=1, max_size=3)
_bases = st.lists(st.tuples(st.sampled_from(["2.5.4.3", "2.5.4.10"]), _words), min_size=1, max_size=3)


def _dressed(data: st.DataObject, base: list[tuple[str, list[str]]]) -> bytes:
    """Encode a name in drawn string types, cases and spaces, none of which count."""
    rdns = b""
    for oid, words in base:
        text = "".join(data.draw(st.sampled_from([" ", "  "])) + _cased(data, word) for word in words)
        text = text[data.draw(st.integers(0, 1)) :] + " " * data.draw(st.integers(0, 2))
        tag, codec = data.draw(st.sampled_from([*_WIDE.items(), *(_NARROW.items() if text.isascii() else ())]))
        value = element(tag, text.encode(codec))
        rdns += element(der.SET, element(der.SEQUENCE, element(der.OBJECT_IDENTIFIER, _OID[oid]) + value))
    return element(der.SEQUENCE, rdns)


_OID = {"2.5.4.3": b"\x55\x04\x03", "2.5.4.10": b"\x55\x04\x0a"}


def _cased(data: st.DataObject, word: str) -> str:
    return data.draw(st.sampled_from([word, word.lower(), word.upper(), word.swapcase()]))


@pytest.mark.threat("13", "B6")
@settings(deadline=None)
@given(_bases, st.data())
def test_one_name_in_all_its_clothes_is_one_name(base: list[tuple[str, list[str]]], data: st.DataObject) -> None:
    """Symmetric and transitive over string types, case and spaces, and the same for the hash and the text."""
    clothes = [names.from_der(_dressed(data, base)) for _ in range(3)]
    for one in clothes:
        for other in clothes:
            assert one == other
            assert hash(one) == hash(other)
            assert parse_rfc4514(one.text) == other


@pytest.mark.threat("13", "B6")
@settings(deadline=None)
@given(_bases, _bases, st.data())
def test_two_names_are_equal_only_if_their_words_are(
    one: list[tuple[str, list[str]]], other: list[tuple[str, list[str]]], data: st.DataObject
) -> None:
    def folded(base: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
        return [(oid, [word.casefold() for word in words]) for oid, words in base]

    a, b = names.from_der(_dressed(data, one)), names.from_der(_dressed(data, other))
    assert (a == b) == (b == a) == (folded(one) == folded(other))


@pytest.mark.threat("7", "B6")
@settings(deadline=None)
@given(_bases, st.data())
def test_leaving_out_doubling_or_joining_a_part_makes_another_name(
    base: list[tuple[str, list[str]]], data: st.DataObject
) -> None:
    """A part of a name never matches the whole (threats row 7, B6)."""
    name = names.from_der(_dressed(data, base))
    place = data.draw(st.integers(0, len(name.rdns) - 1))
    shorter = DistinguishedName(name.rdns[:place] + name.rdns[place + 1 :])
    longer = DistinguishedName(name.rdns[: place + 1] + name.rdns[place:])
    joined = DistinguishedName((sum(name.rdns, ()),))
    text = DistinguishedName(((Attribute("2.5.4.3", name.text),),))
    assert name not in {shorter, longer, text}
    assert (name == joined) == (len(name.rdns) == 1)
