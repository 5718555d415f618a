"""Does a certificate name the client: the five `tls_client_auth_*` parameters (RFC 8705 section 2.1.2)."""

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from certbound.certificates import comparison, names, spiffe
from certbound.certificates.certificate import Certificate
from certbound.certificates.check import Check

PARAMETERS: Final = (
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
)
MAXIMUM_VALUE: Final = 8192
"""Characters of a registered value."""
_IPV4_OCTETS: Final = 4
_REFERENCE: Final = "RFC 8705 section 2.1.2"
_SHOWN: Final = 5
"""How many of a certificate's names a trace shows."""


@dataclass(frozen=True, slots=True)
class SubjectMatch:
    """The one subject value a client is registered with: the parameter's wire name and its canonical text.

    `parse` makes it; a value from elsewhere that is not canonical matches less than it might, never more.
    """

    parameter: str
    value: str

    @classmethod
    def parse(cls, parameter: str, text: str) -> "SubjectMatch":
        """Check and canonicalise what somebody registers. Raises ValueError, whose text says what to do."""
        canonicalise = _CANONICAL.get(parameter)
        if canonicalise is None:
            raise ValueError(f"{parameter!r} is none of {', '.join(PARAMETERS)}")
        if len(text) > MAXIMUM_VALUE:
            raise ValueError(f"{parameter} is longer than {MAXIMUM_VALUE} characters")
        value = canonicalise(text)
        if not value:
            raise ValueError(f"{parameter} is empty: give the value that the client's certificates will have")
        return cls(parameter, value)

    def check(self, certificate: Certificate) -> Check:
        """Compare with the certificate's own names of the same type, and with no others."""
        if self.parameter == "tls_client_auth_subject_dn":
            return self._check_subject_dn(certificate)
        found = _FOUND[self.parameter](certificate)
        passed = bool(self.value) and self.value in found
        return Check(self.parameter, passed, self.value, self.value if passed else _listed(found), _REFERENCE)

    def _check_subject_dn(self, certificate: Certificate) -> Check:
        """Compare by distinguishedNameMatch (RFC 4517 section 4.2.15); the empty name matches nothing."""
        expected = _parse_or_empty(self.value)
        found = certificate.subject.text or "an empty subject"
        passed = bool(expected) and expected == certificate.subject
        if not passed and certificate.subject:
            found = f"{found} ({comparison.first_difference(expected, certificate.subject)})"
        return Check(self.parameter, passed, self.value, found, f"{_REFERENCE}, RFC 4517 section 4.2.15")


def _parse_or_empty(text: str) -> names.DistinguishedName:
    try:
        return names.parse_rfc4514(text)
    except names.DistinguishedNameError:
        return names.DistinguishedName(())


def _canonical_dn(text: str) -> str:
    return names.parse_rfc4514(text).text


def _canonical_dns(text: str) -> str:
    if "*" in text:
        raise ValueError("tls_client_auth_san_dns takes one name, wildcards are never expanded: give the exact name")
    if " " in text:
        raise ValueError("tls_client_auth_san_dns takes one name without spaces")
    return _ascii(text, "write an internationalised name in its xn-- form").lower()


def _canonical_uri(text: str) -> str:
    if " " in text or ":" not in text:
        raise ValueError("tls_client_auth_san_uri takes a URI with its scheme, for instance spiffe://example.org/api")
    if text.lower().startswith(spiffe.SCHEME):
        try:
            spiffe.trust_domain_of(text)
        except spiffe.SpiffeError as error:
            raise ValueError(f"tls_client_auth_san_uri: no certificate can have this SPIFFE ID: {error}") from error
    return _ascii(text, "percent-encode other characters")


def _canonical_ip(text: str) -> str:
    """Give RFC 5952 text. An IPv4-mapped IPv6 address stays one: in binary it is 16 octets, no IPv4 address."""
    if "%" not in text:  # a zone is no part of an address
        with suppress(ValueError):
            return _ip_text(ip_address(text).packed)
    raise ValueError(f"tls_client_auth_san_ip: {text[:50]!r} is no IP address, give one such as 192.0.2.1")


def _canonical_email(text: str) -> str:
    local, at, domain = _ascii(text, "SmtpUTF8Mailbox names are not supported").rpartition("@")
    if not (local and at and domain) or " " in text:
        raise ValueError("tls_client_auth_san_email takes one address, for instance api@example.com")
    return _email(text)


def _ascii(text: str, advice: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"only visible ASCII characters can be in this kind of name: {advice}")
    return text


def _ip_text(packed: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(packed) == _IPV4_OCTETS else socket.AF_INET6, packed)


def _email(text: str) -> str:
    """Lower the domain only: the local part is compared as it is (RFC 5280 section 7.5)."""
    local, at, domain = text.rpartition("@")
    return f"{local}{at}{domain.lower()}"


def _listed(found: list[str]) -> str:
    if not found:
        return "no name of this type"
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(name[:200] for name in found[:_SHOWN]) + more


_CANONICAL: Final[dict[str, Callable[[str], str]]] = dict(
    zip(PARAMETERS, (_canonical_dn, _canonical_dns, _canonical_uri, _canonical_ip, _canonical_email), strict=True)
)
#: The certificate's names of a parameter's type, canonicalised like the registered value.
_FOUND: Final[dict[str, Callable[[Certificate], list[str]]]] = {
    "tls_client_auth_san_dns": lambda certificate: [name.lower() for name in certificate.san.dns],
    "tls_client_auth_san_uri": lambda certificate: list(certificate.san.uri),
    "tls_client_auth_san_ip": lambda certificate: [_ip_text(address) for address in certificate.san.ip],
    "tls_client_auth_san_email": lambda certificate: [_email(name) for name in certificate.san.email],
}
