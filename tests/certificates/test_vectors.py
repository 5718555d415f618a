"""Threats B9: every file of the vectors through every parser and every rule of this room, without another exception."""

import base64
import json
from contextlib import suppress
from datetime import datetime

import pytest
from tests.certificates.vectors import FILES, contents, encodings

from certbound.certificates.certificate import Certificate, CertificateError, parse_certificate
from certbound.certificates.check import Check
from certbound.certificates.comparison import aligned
from certbound.certificates.files import CertificateFileError, read_entries
from certbound.certificates.names import parse_rfc4514
from certbound.certificates.policy import check_path_certificate, check_pki_leaf, check_self_signed
from certbound.certificates.spiffe import SpiffeError, check_svid, parse_bundle
from certbound.certificates.subject import PARAMETERS, SubjectMatch
from certbound.certificates.subject_attributes import SubjectAttributes


def _readable() -> list[Certificate]:
    readable = []
    for encoded in encodings():
        with suppress(CertificateError):
            readable.append(parse_certificate(encoded))
    return readable


@pytest.mark.threat("B9")
def test_each_is_a_certificate_or_refused_as_one() -> None:
    assert len(FILES) > 120
    assert len(_readable()) > 60


@pytest.mark.threat("B9")
def test_each_file_is_read_or_refused_as_a_file() -> None:
    read, refusals = 0, []
    for data in contents():
        for damaged in (data, data[:-1], data[: len(data) // 2], data + b"\0", data + data):
            try:
                read += bool(read_entries(damaged, "vector"))
            except CertificateFileError as error:
                refusals.append(str(error))
    assert read > 60
    assert len(refusals) > 60
    assert all(refusal.startswith("vector: ") and "\n" not in refusal for refusal in refusals)


@pytest.mark.threat("B9")
def test_each_is_an_authority_in_a_spiffe_bundle_or_spoils_it() -> None:
    read = 0
    for encoded in encodings():
        key = {"use": "x509-svid", "kty": "RSA", "x5c": [base64.b64encode(encoded).decode()]}
        with suppress(SpiffeError):
            read += len(parse_bundle(json.dumps({"keys": [key]}).encode()).certificates)
    assert read > 5
    for data in contents():
        with suppress(SpiffeError):
            assert not parse_bundle(data)


@pytest.mark.threat("B9")
def test_each_that_is_read_is_decided_about_and_explained(now: datetime) -> None:
    values = ("CN=a,O=b", "a.example", "spiffe://a/b", "192.0.2.1", "a@b.example")
    matches = [SubjectMatch.parse(*pair) for pair in zip(PARAMETERS, values, strict=True)]
    attributes = SubjectAttributes.parse({"CN": "a", "2.5.4.97": "b"})
    expected = parse_rfc4514("CN=a,O=b")
    for certificate in _readable():
        checks: list[Check] = [
            *check_pki_leaf(certificate, now),
            *check_self_signed(certificate, now),
            *check_path_certificate(certificate, is_anchor=True),
            *(match.check(certificate) for match in matches),
            attributes.check(certificate),
            check_svid(certificate, "a"),
        ]
        assert all("\n" not in check.found + check.expected for check in checks)
        assert not any(check.passed for check in checks[-7:])
        assert parse_rfc4514(certificate.subject.text) == certificate.subject
        assert aligned(expected, certificate.subject)
