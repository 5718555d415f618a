"""What is blocked: certificates, keys and tokens in the wrong hands, and the signed list that tells APIs of them."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from certbound.certificates.presented import PresentedChain

LIST_TYPE: Final = "certbound-blocked+jwt"
"""The `typ` header of the signed list (RFC 8725 section 3.11)."""
METADATA_MEMBER: Final = "certbound_blocked_endpoint"
"""Where the server's metadata names the list; an extension of ours (RFC 8414 section 2)."""
MAXIMUM_ENTRIES: Final = 100_000
CLOCK_SECONDS: Final = 60
"""How far the server's clock may be ahead: a list from further in the future would keep out those that follow it."""

_CERTIFICATES: Final = "x5t#S256"
_KEYS: Final = "spki#S256"
_TOKENS: Final = "jti"
_SHA256: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_MAXIMUM_JTI: Final = 256


class BlockedListError(ValueError):
    """The list may not be used; the text says why in one line."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """What is refused whoever shows it: SHA-256 of certificates (their DER) and of keys (their SubjectPublicKeyInfo).

    `tokens` are the `jti` of access tokens that are bound to nothing and so are not refused with their certificate.
    """

    certificates: frozenset[bytes] = frozenset()
    keys: frozenset[bytes] = frozenset()
    tokens: frozenset[str] = frozenset()

    def refusal(self, presented: PresentedChain | None) -> str | None:
        """Say why nobody is who this connection's certificate says, or None if it is not blocked.

        Which key a certificate holds is not known if it cannot be read: it is refused once any key is blocked.
        """
        if presented is None:
            return None
        if not self.certificates and not self.keys:
            return None
        # Late, as an API rarely gets here.
        from certbound.certificates.certificate import CertificateError, parse_certificate
        from certbound.certificates.twins import thumbprints

        if self.certificates and not self.certificates.isdisjoint(thumbprints(presented.leaf)):
            return "the certificate is blocked"
        if not self.keys:
            return None

        try:
            certificate = parse_certificate(presented.leaf)
        except CertificateError:
            return "the certificate cannot be read, so its key may be a blocked one"
        return "the key of the certificate is blocked" if certificate.spki_sha256 in self.keys else None


NOTHING_BLOCKED: Final = Blocked()


def blocked_claims(blocked: Blocked, *, issuer: str, issued_at: int, expires_at: int) -> dict[str, Any]:
    """Build the claims of the list; times in seconds since the epoch.

    `expires_at` is when the last access token that may be about at `issued_at` has expired: an API that cannot get a
    newer list accepts nothing after it. Raises BlockedListError for a list that no API would read for its length.
    """
    _check_count(len(blocked.certificates) + len(blocked.keys) + len(blocked.tokens))
    return {
        "iss": issuer,
        "iat": issued_at,
        "exp": expires_at,
        _CERTIFICATES: _encoded(blocked.certificates),
        _KEYS: _encoded(blocked.keys),
        _TOKENS: sorted(blocked.tokens),
    }


def read_blocked(claims: Mapping[str, Any], *, issuer: str, now: int) -> Blocked:
    """Read the claims of a list whose signature holds; `now` in seconds since the epoch.

    Raises BlockedListError for a list of another issuer, of the past or of the future, and for one of which any entry
    cannot be read: it would say less than it was meant to.
    """
    if claims.get("iss") != issuer:
        raise BlockedListError("the list is of another issuer")
    issued_at, expires_at = _seconds(claims, "iat"), _seconds(claims, "exp")
    if expires_at <= now:
        raise BlockedListError("the list has expired")
    if issued_at > now + CLOCK_SECONDS:
        raise BlockedListError("the list is of the future (compare the clocks)")
    certificates, keys, tokens = (_entries(claims, name) for name in (_CERTIFICATES, _KEYS, _TOKENS))
    _check_count(len(certificates) + len(keys) + len(tokens))
    if not all(1 <= len(jti) <= _MAXIMUM_JTI for jti in tokens):
        raise BlockedListError(f"an entry of `{_TOKENS}` is empty or too long")
    return Blocked(_decoded(certificates, _CERTIFICATES), _decoded(keys, _KEYS), frozenset(tokens))


def _encoded(hashes: Collection[bytes]) -> list[str]:
    return sorted(urlsafe_b64encode(digest).rstrip(b"=").decode() for digest in hashes)


def _decoded(entries: Collection[str], name: str) -> frozenset[bytes]:
    if not all(map(_SHA256.fullmatch, entries)):
        raise BlockedListError(f"an entry of `{name}` is no SHA-256 in base64url without padding")
    return frozenset(urlsafe_b64decode(entry + "=") for entry in entries)


def _entries(claims: Mapping[str, Any], name: str) -> list[str]:
    entries = claims.get(name)
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise BlockedListError(f"`{name}` is no list of strings")
    return entries


def _seconds(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BlockedListError(f"the time `{name}` of the list is no whole number")
    return value


def _check_count(count: int) -> None:
    if count > MAXIMUM_ENTRIES:
        raise BlockedListError(f"{count} entries are blocked, and no list holds more than {MAXIMUM_ENTRIES}")
