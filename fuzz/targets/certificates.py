"""Certificates and what is asked of them: parsing, names in DER, subjects, policy."""

from collections.abc import Iterator

from certbound.certificates import der, names, policy
from certbound.certificates.certificate import Certificate, CertificateError, parse_certificate
from certbound.certificates.spiffe import check_svid
from certbound.certificates.subject import PARAMETERS, SubjectMatch
from certbound.certificates.subject_attributes import SubjectAttributes
from fuzz import mutation, seeds
from fuzz.target import Target, expect

_REGISTERED = dict(
    zip(
        PARAMETERS,
        (
            "CN=api+UID=42,O=Acme\\, Inc.,C=SE",
            "api.example.com",
            "spiffe://acme.test/api",
            "192.0.2.1",
            "api@example.com",
        ),
        strict=True,
    )
)
_ATTRIBUTES = SubjectAttributes.parse({"UID": "42", "organizationName": "Acme, Inc.", "1.2.3.4": "x"})


def _parse(data: bytes) -> None:
    certificate = parse_certificate(data)
    _show(certificate)


def _show(certificate: Certificate) -> None:
    """Ask for all that a trace or an answer is made of."""
    repr(certificate).encode()
    for check in (
        *policy.check_pki_leaf(certificate, seeds.NOW),
        *policy.check_self_signed(certificate, seeds.NOW),
        *policy.check_path_certificate(certificate, is_anchor=False),
    ):
        str(check.as_json()).encode()


def _name(data: bytes) -> None:
    name = names.from_der(data)
    again = names.parse_rfc4514(name.text)
    expect(again == name and again.text == name.text, "the text reads as another name")


def _names() -> Iterator[bytes]:
    """Give the issuer and the subject of each certificate."""
    for certificate in seeds.certificates():
        try:
            fields = der.read_all(der.read_element(der.read_only(certificate, der.SEQUENCE))[1])
        except ValueError:
            continue
        for tag, content in fields[3:6:2]:
            if tag == der.SEQUENCE:
                yield bytes.fromhex("3082") + len(content).to_bytes(2, "big") + content


def _match(data: bytes) -> None:
    certificate = parse_certificate(data)
    for parameter, value in _REGISTERED.items():
        check = SubjectMatch.parse(parameter, value).check(certificate)
        str(check.as_json()).encode()
    for check in (_ATTRIBUTES.check(certificate), check_svid(certificate, "acme.test")):
        str(check.as_json()).encode()


TARGETS = (
    Target("parse_certificate", _parse, (CertificateError,), seeds.certificates, mutation.der),
    Target("names.from_der", _name, (names.DistinguishedNameError,), _names, mutation.der),
    Target("subject_match", _match, (CertificateError,), seeds.certificates, mutation.der),
)
