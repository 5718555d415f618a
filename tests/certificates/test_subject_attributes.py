from collections.abc import Mapping
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type

from certbound.certificates.certificate import Certificate, parse_certificate
from certbound.certificates.subject_attributes import MAXIMUM_ATTRIBUTES, MAXIMUM_VALUE, SubjectAttributes

#: As PSD2 certificates have it (ETSI TS 119 495), with a second OU.
_SUBJECT = (
    ("2.5.4.6", "SE"),
    ("2.5.4.10", "Acme  AB"),
    ("2.5.4.97", "PSDSE-FINA-12345"),
    ("2.5.4.11", "Payments"),
    ("2.5.4.11", "Test"),
    ("2.5.4.5", "556677-8899"),
    ("0.9.2342.19200300.100.1.1", "tpp-1"),
    ("2.5.4.15", "Private Organization"),
    ("1.3.6.1.4.1.311.60.2.1.3", "SE"),
    ("1.2.3.4", "Exact"),
    ("2.5.4.3", "2026-11 api.acme.example"),
)


@pytest.fixture(scope="module")
def certificate(make: Any) -> Certificate:
    return _certificate(make, *_SUBJECT)


def _certificate(make: Any, *attributes: tuple[str, str]) -> Certificate:
    subject = [x509.NameAttribute(x509.ObjectIdentifier(oid), value, _ASN1Type.UTF8String) for oid, value in attributes]
    return parse_certificate(make(subject=x509.Name(subject)))


@pytest.mark.parametrize(
    "mapping",
    [
        {"serialNumber": "556677-8899"},
        {"SERIALNUMBER": "556677-8899", "organizationIdentifier": "psdse-fina-12345"},
        {"2.5.4.97": "PSDSE-FINA-12345", "OID.2.5.4.5": "556677-8899"},
        {"UID": "TPP-1", "O": "acme ab", "C": "se"},
        {
            "userId": "tpp-1",
            "organizationName": " Acme AB ",
            "countryName": "SE",
            "commonName": "2026-11 API.acme.example",
        },
        {"OU": "Test"},
        {"organizationalUnitName": "payments"},
        {"businessCategory": "private organization", "jurisdictionC": "SE"},
        {"jurisdictionOfIncorporationCountryName": "se"},
        {"1.2.3.4": "Exact"},
    ],
)
def test_all_registered_attributes_must_be_in_the_subject_by_their_matching_rule(
    certificate: Certificate, mapping: Mapping[str, str]
) -> None:
    check = SubjectAttributes.parse(mapping).check(certificate)
    assert check.passed, check
    assert check.check == "certbound_subject_attributes"
    assert check.found == check.expected


@pytest.mark.parametrize(
    ("mapping", "found"),
    [
        ({"serialNumber": "5566778899"}, "serialNumber=556677-8899 where serialNumber=5566778899 is registered"),
        ({"serialNumber": "556677"}, "serialNumber=556677-8899 where serialNumber=556677 is registered"),
        ({"O": "Acme"}, "O=Acme  AB where O=Acme is registered"),
        ({"O": "AcmeAB"}, "O=Acme  AB where O=AcmeAB is registered"),
        ({"O": "Acme*"}, "O=Acme  AB where O=Acme* is registered"),
        ({"L": "SE"}, "no L where L=SE is registered"),
        ({"C": "SE", "OU": "Tests"}, "OU=Test and OU=Payments where OU=Tests is registered"),
        (
            {"UID": "a", "dnQualifier": "b"},
            "UID=tpp-1 where UID=a is registered; no dnQualifier where dnQualifier=b is registered",
        ),
        ({"1.2.3.4": "EXACT"}, "1.2.3.4=#0c054578616374 where 1.2.3.4=#0c054558414354 is registered"),
        ({"CN": "tpp-1"}, "CN=2026-11 api.acme.example where CN=tpp-1 is registered"),
        ({"OU": "Payments,OU=Test"}, "OU=Test and OU=Payments where OU=Payments\\,OU=Test is registered"),
    ],
)
def test_one_attribute_that_is_not_there_refuses_and_is_named(
    certificate: Certificate, mapping: Mapping[str, str], found: str
) -> None:
    check = SubjectAttributes.parse(mapping).check(certificate)
    assert not check.passed
    assert check.found == found


def test_an_empty_subject_and_an_empty_registration_match_nothing(make: Any, certificate: Certificate) -> None:
    assert not SubjectAttributes.parse({"CN": "a"}).check(_certificate(make)).passed
    assert not SubjectAttributes(()).check(certificate).passed
    assert not SubjectAttributes(()).check(_certificate(make)).passed


def test_alternative_names_are_no_attributes(make: Any) -> None:
    name = x509.SubjectAlternativeName([x509.RFC822Name("a@b.c"), x509.DNSName("api")])
    certificate = parse_certificate(make(name, subject=x509.Name([])))
    for mapping in ({"emailAddress": "a@b.c"}, {"CN": "api"}):
        assert not SubjectAttributes.parse(mapping).check(certificate).passed


def test_the_wire_form_has_one_name_for_each_type_and_reads_as_the_same() -> None:
    parsed = SubjectAttributes.parse({"SERIALNUMBER": "1", "2.5.4.97": "PSD", "OID.1.2.3.4": "x", "userid": "u"})
    assert parsed.as_metadata() == {"serialNumber": "1", "organizationIdentifier": "PSD", "1.2.3.4": "x", "UID": "u"}
    assert SubjectAttributes.parse(parsed.as_metadata()) == parsed


@pytest.mark.parametrize(
    ("mapping", "advice"),
    [
        ({}, "1 to 10 attributes"),
        ({f"1.2.3.{i}": "x" for i in range(MAXIMUM_ATTRIBUTES + 1)}, "1 to 10 attributes"),
        ({"serialNo": "1"}, "'serialNo' is no known attribute type, write its dotted OID"),
        ({"": "1"}, "no known attribute type"),
        ({"9.9": "1"}, "no known attribute type"),
        ({"CN": "a", "commonName": "a"}, "commonName is given twice"),
        ({"CN": ""}, "1 to 1024"),
        ({"CN": "  "}, "1 to 1024"),
        ({"CN": "x" * (MAXIMUM_VALUE + 1)}, "1 to 1024"),
        ({"CN": 12}, "must be a text"),
        ({"CN": ["a"]}, "must be a text"),
        ({"CN": "a\0b"}, "U\\+0000"),
        ({"CN": "a\nb"}, "U\\+000A"),
        ({"CN": "a\u200bb"}, "U\\+200B"),
    ],
)
def test_what_cannot_be_registered_is_refused_with_advice(mapping: Mapping[str, Any], advice: str) -> None:
    with pytest.raises(ValueError, match=advice) as refusal:
        SubjectAttributes.parse(mapping)
    assert "\n" not in str(refusal.value)
