import ipaddress
from typing import Any

import pytest
from cryptography import x509

from certbound.certificates.certificate import Certificate, parse_certificate
from certbound.certificates.subject import PARAMETERS, SubjectMatch

_KINDS: dict[str, Any] = {
    "tls_client_auth_san_dns": x509.DNSName,
    "tls_client_auth_san_uri": x509.UniformResourceIdentifier,
    "tls_client_auth_san_email": x509.RFC822Name,
}
_SAME_TEXT = "api:x@example.org"


def _with_names(make: Any, *names: x509.GeneralName, subject: str = "test") -> Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    return parse_certificate(make(x509.SubjectAlternativeName(names), subject=name))


def _dn(text: str) -> SubjectMatch:
    return SubjectMatch.parse("tls_client_auth_subject_dn", text)


@pytest.mark.req("8705-06", "8705-07", "8705-12")
def test_a_subject_matches_in_whatever_spelling_it_was_registered(make: Any) -> None:
    certificate = parse_certificate(
        make(
            subject=x509.Name(
                [
                    x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "SE"),
                    x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Acme, Inc."),
                    x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, "a@b.c"),
                    x509.NameAttribute(x509.NameOID.COMMON_NAME, "API  1"),
                ]
            )
        )
    )
    for text in (
        "CN=API  1,emailAddress=a@b.c,O=Acme\\, Inc.,C=SE",
        'cn=api 1, EMAILADDRESS=A@b.c, O="ACME, INC.", C=se',
        "2.5.4.3=api 1,1.2.840.113549.1.9.1=#16056140622e63,2.5.4.10=acme\\2c inc.,2.5.4.6=SE",
    ):
        check = _dn(text).check(certificate)
        assert check.passed, check
        assert check.found == certificate.subject.text


@pytest.mark.req("8705-07")
def test_a_mismatch_names_the_first_differing_attribute(make: Any) -> None:
    check = _dn("CN=other").check(_with_names(make, x509.DNSName("other")))
    assert not check.passed
    assert (check.check, check.expected) == ("tls_client_auth_subject_dn", "CN=other")
    assert check.found == "CN=test (at position 1 CN=test where CN=other is registered)"


@pytest.mark.threat("B6")
def test_the_empty_subject_matches_nothing(make: Any) -> None:
    empty = parse_certificate(make(subject=x509.Name([])))
    check = _dn("CN=a").check(empty)
    assert (check.passed, check.found) == (False, "an empty subject")
    assert not SubjectMatch("tls_client_auth_subject_dn", "").check(empty).passed
    assert not SubjectMatch("tls_client_auth_subject_dn", "no name").check(empty).passed
    assert not SubjectMatch("tls_client_auth_san_dns", "").check(empty).passed
    assert not SubjectMatch("tls_client_auth_san_dns", "").check(_with_names(make, x509.DNSName(""))).passed


@pytest.mark.req("8705-13", "8705-14", "8705-16")
@pytest.mark.threat("8", "B7")
@pytest.mark.parametrize("parameter", _KINDS)
@pytest.mark.parametrize("kind", _KINDS)
def test_a_name_matches_against_its_own_type_only(make: Any, parameter: str, kind: str) -> None:
    match = SubjectMatch(parameter, _SAME_TEXT)
    certificate = _with_names(make, _KINDS[kind](_SAME_TEXT), subject=_SAME_TEXT)
    check = match.check(certificate)
    assert check.passed == (parameter == kind)
    if not check.passed:
        assert check.found == "no name of this type"


@pytest.mark.req("8705-13")
def test_a_common_name_is_never_taken_for_an_alternative_name(make: Any) -> None:
    certificate = _with_names(make, x509.DNSName("other.example"), subject="api.example")
    check = SubjectMatch.parse("tls_client_auth_san_dns", "api.example").check(certificate)
    assert (check.passed, check.found) == (False, "other.example")


@pytest.mark.req("8705-13")
def test_dns_names_ignore_ascii_case_and_expand_nothing(make: Any) -> None:
    match = SubjectMatch.parse("tls_client_auth_san_dns", "API.Example")
    assert match.value == "api.example"
    assert match.check(_with_names(make, x509.DNSName("x"), x509.DNSName("aPI.exampLE"))).passed
    for other in ("*.example", "api.example.", "api.example.org", "b.api.example", "*", ""):
        assert not match.check(_with_names(make, x509.DNSName(other))).passed


@pytest.mark.req("8705-14")
def test_uris_are_compared_exactly(make: Any) -> None:
    match = SubjectMatch.parse("tls_client_auth_san_uri", "spiffe://example.org/api")
    assert match.check(_with_names(make, x509.UniformResourceIdentifier("spiffe://example.org/api"))).passed
    for other in (
        "spiffe://example.org/API",
        "spiffe://example.org/api/",
        "spiffe://other.org/api",
        "SPIFFE://example.org/api",
    ):
        assert not match.check(_with_names(make, x509.UniformResourceIdentifier(other))).passed


@pytest.mark.req("8705-15")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:db8::0.0.0.1", "2001:db8::1"),
        ("::1", "::1"),
    ],
)
def test_ip_addresses_are_compared_in_binary(make: Any, text: str, value: str) -> None:
    match = SubjectMatch.parse("tls_client_auth_san_ip", text)
    assert match.value == value
    assert match.check(_with_names(make, x509.IPAddress(ipaddress.ip_address(text)))).passed
    for other in (x509.DNSName(value), x509.IPAddress(ipaddress.ip_address("192.0.2.2"))):
        assert not match.check(_with_names(make, other)).passed


@pytest.mark.req("8705-15")
@pytest.mark.threat("B7")
def test_an_ipv4_mapped_address_is_no_ipv4_address(make: Any) -> None:
    mapped = x509.IPAddress(ipaddress.ip_address("::ffff:192.0.2.1"))
    assert not SubjectMatch.parse("tls_client_auth_san_ip", "192.0.2.1").check(_with_names(make, mapped)).passed
    for spelling in ("::ffff:192.0.2.1", "::ffff:c000:201"):
        assert SubjectMatch.parse("tls_client_auth_san_ip", spelling).check(_with_names(make, mapped)).passed


@pytest.mark.req("8705-16")
def test_an_email_ignores_case_in_its_domain_only(make: Any) -> None:
    match = SubjectMatch.parse("tls_client_auth_san_email", "Api@Example.ORG")
    assert match.value == "Api@example.org"
    assert match.check(_with_names(make, x509.RFC822Name("Api@EXAMPLE.org"))).passed
    assert not match.check(_with_names(make, x509.RFC822Name("api@example.org"))).passed
    assert not match.check(_with_names(make, x509.RFC822Name("example.org"))).passed


@pytest.mark.threat("7", "B7")
@pytest.mark.parametrize("text", ["https://a,DNS:victim.example", "https://a, DNS:victim.example", "https://a\"'"])
def test_text_inside_a_name_is_never_taken_apart(make: Any, text: str) -> None:
    certificate = _with_names(make, x509.UniformResourceIdentifier(text))
    assert not SubjectMatch("tls_client_auth_san_dns", "victim.example").check(certificate).passed
    assert SubjectMatch("tls_client_auth_san_uri", text).check(certificate).passed


def test_a_trace_of_many_names_stays_one_short_line(make: Any) -> None:
    certificate = _with_names(make, *(x509.DNSName(f"{'n' * 200}{i}.example") for i in range(50)))
    check = SubjectMatch.parse("tls_client_auth_san_dns", "api.example").check(certificate)
    assert check.found.endswith("and 45 more")
    assert len(check.found) < 1200


@pytest.mark.parametrize(
    ("parameter", "text", "advice"),
    [
        ("tls_client_auth_subject_dn", "api", "TYPE=value"),
        ("tls_client_auth_subject_dn", "  ", "empty"),
        ("tls_client_auth_subject_dn", "CN=a\\00", "U\\+0000"),
        ("tls_client_auth_san_dns", "", "empty"),
        ("tls_client_auth_san_dns", "*.example", "wildcard"),
        ("tls_client_auth_san_dns", "bücher.example", "xn--"),
        ("tls_client_auth_san_dns", "a\0b", "visible"),
        ("tls_client_auth_san_dns", "a b", "spaces"),
        ("tls_client_auth_san_dns", "a" * 9000, "8192"),
        ("tls_client_auth_san_uri", "example.org/api", "scheme"),
        ("tls_client_auth_san_uri", "https://ö", "percent"),
        ("tls_client_auth_san_ip", "192.0.2.0/24", "no IP address"),
        ("tls_client_auth_san_ip", "192.0.2.01", "no IP address"),
        ("tls_client_auth_san_ip", "fe80::1%eth0", "no IP address"),
        ("tls_client_auth_san_email", "api", "one address"),
        ("tls_client_auth_san_email", "@example.org", "one address"),
        ("tls_client_auth_san_upn", "x", "none of"),
    ],
)
@pytest.mark.req("8705-11", "8705-12")
def test_what_cannot_be_registered_is_refused_with_advice(parameter: str, text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        SubjectMatch.parse(parameter, text)


def test_the_canonical_value_parses_to_itself() -> None:
    values = ("cn=A, o=b", "A.b", "urn:x:Y", "::FFFF:1.2.3.4", "A@B.c")
    for parameter, text in zip(PARAMETERS, values, strict=True):
        match = SubjectMatch.parse(parameter, text)
        assert SubjectMatch.parse(parameter, match.value) == match


@pytest.mark.parametrize(
    "spiffe_id", ["spiffe://Example.org/api", "SPIFFE://example.org/api", "spiffe://example.org", "spiffe://a/b/../c"]
)
def test_a_spiffe_id_that_no_certificate_can_have_is_not_registered(spiffe_id: str) -> None:
    with pytest.raises(ValueError, match="SPIFFE ID"):
        SubjectMatch.parse("tls_client_auth_san_uri", spiffe_id)
    assert SubjectMatch.parse("tls_client_auth_san_uri", "spiffe://example.org/api").value == "spiffe://example.org/api"
