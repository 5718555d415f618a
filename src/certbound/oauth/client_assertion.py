"""Is this assertion the client's own, meant for this server, and fresh? (RFC 7523 section 3, FAPI 2.0 section 5.3.2.1).

Its audience is the issuer and nothing else: an assertion that a hostile server talked a client into signing for a token
endpoint is worth nothing here. That an assertion is used once is for whoever remembers `Assertion.jti`.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from certbound.certificates.check import Check
from certbound.jose.jwks import JWKSet
from certbound.jose.jwt import JWTError, jwt_id, numeric_date, unverified_claims, verify
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import MAX_LENGTH, MAX_LENGTHS, printable

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""The one `client_assertion_type` (RFC 7523 section 2.2)."""
KEY_CHECK: Final = "assertion_key"
"""The check that fails, alone, where the client's keys may have changed since they were fetched."""
LONGEST_SECONDS: Final = 300
"""How far ahead an assertion may expire."""
CLOCK_SECONDS: Final = 30
"""How far the client's clock may be ahead: FAPI 2.0 wants 10 seconds accepted and more than 60 refused."""

#: `client-authentication+jwt` is draft-ietf-oauth-rfc7523bis'; most clients sign a plain JWT, or name no type.
_TYPES: Final = frozenset({None, "jwt", "client-authentication+jwt"})
_RFC7523: Final = "RFC 7523 section 3"
_FAPI: Final = "FAPI 2.0 Security Profile section 5.3.2.1"


@dataclass(frozen=True, slots=True)
class Assertion:
    """An accepted assertion as it is remembered: no second one with its `jti` counts until `expires_at`.

    `expires_at` is in seconds since the epoch; from then on the assertion is refused for its age.
    """

    jti: str
    expires_at: int


def claimed_client(assertion: str) -> str:
    """Give the client that an assertion names as its `sub`, which nothing proves yet; `invalid_client` without one."""
    try:
        subject = unverified_claims(assertion, max_length=MAX_LENGTH).get("sub")
    except JWTError as error:
        raise OAuthError("invalid_client", "the client assertion cannot be read", detail=str(error)) from error
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_LENGTHS["client_id"] or not subject.isprintable():
        raise OAuthError("invalid_client", "the client assertion names no client as its subject")
    return subject


def check_client_assertion(
    assertion: str,
    registration_keys: JWKSet,
    *,
    client_id: str,
    issuer: str,
    algorithms: Collection[str],
    now: int,
) -> tuple[tuple[Check, ...], Assertion | None]:
    """Hold an assertion to the client's keys and to every rule, and give the checks, with it where all passed.

    `algorithms` is the allow-list of client and profile, `now` in seconds since the epoch. What an assertion claims is
    looked at only once its signature holds.
    """
    expected = "a JWT signed with a key that the client registered"
    try:
        verified = verify(assertion, registration_keys, algorithms=algorithms, typ=_TYPES, max_length=MAX_LENGTH)
    except JWTError as error:
        name = KEY_CHECK if error.unknown_key else "assertion_signature"
        return (Check(name, False, expected, str(error), _RFC7523),), None
    claims = verified.claims
    checks = (
        Check("assertion_signature", True, expected, f"signed with {verified.header['alg']}", _RFC7523),
        _check_text(claims, "iss", client_id, _RFC7523),
        _check_text(claims, "sub", client_id, _RFC7523),
        _check_text(claims, "aud", issuer, _FAPI),
        _check_expiry(claims, now),
        _check_begin(claims, "iat", now),
        _check_begin(claims, "nbf", now),
        _check_jti(claims),
    )
    if not all(check.passed for check in checks):
        return checks, None
    return checks, Assertion(jti=jwt_id(claims), expires_at=math.ceil(claims["exp"]))


def _check_text(claims: Mapping[str, Any], name: str, expected: str, reference: str) -> Check:
    """Compare code point by code point; a list is another value, whatever it holds (draft-ietf-oauth-rfc7523bis)."""
    value = claims.get(name)
    found = printable(value, 200) if isinstance(value, str) else "absent" if name not in claims else "no string"
    return Check(f"assertion_{name}", value == expected, f"the string {expected}", found, reference)


def _check_expiry(claims: Mapping[str, Any], now: int) -> Check:
    expected = f"expires within {LONGEST_SECONDS} s"
    try:
        expires_at = numeric_date(claims, "exp")
    except JWTError as error:
        return Check("assertion_exp", False, expected, str(error), _RFC7523)
    if expires_at is None:
        return Check("assertion_exp", False, expected, "absent", _RFC7523)
    return Check(
        "assertion_exp", 0 < expires_at - now <= LONGEST_SECONDS, expected, _from_now(expires_at, now), _RFC7523
    )


def _check_begin(claims: Mapping[str, Any], name: str, now: int) -> Check:
    expected = f"absent, or at most {CLOCK_SECONDS} s ahead"
    try:
        begins = numeric_date(claims, name)
    except JWTError as error:
        return Check(f"assertion_{name}", False, expected, str(error), _FAPI)
    if begins is None:
        return Check(f"assertion_{name}", True, expected, "absent", _FAPI)
    return Check(f"assertion_{name}", begins - now <= CLOCK_SECONDS, expected, _from_now(begins, now), _FAPI)


def _check_jti(claims: Mapping[str, Any]) -> Check:
    expected = "an identifier of its own"
    try:
        jwt_id(claims)
    except JWTError as error:
        return Check("assertion_jti", False, expected, str(error), _RFC7523)
    return Check("assertion_jti", True, expected, "as expected", _RFC7523)


def _from_now(moment: float, now: int) -> str:
    seconds = math.floor(moment - now)
    return f"{seconds} s ahead" if seconds >= 0 else f"{-seconds} s ago"
