"""What a third party states of a client's software, signed (RFC 7591 section 2.3).

It is believed of the issuers that the operator named and of nobody else, and wins over what the client says of itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from certbound.certificates.certificate import Certificate
from certbound.certificates.subject_attributes import SubjectAttributes
from certbound.jose.jwks import JWKSet
from certbound.jose.jwt import JWTError, numeric_date, unverified_claims, verify
from certbound.jose.keys import ALGORITHMS
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import printable

MEMBER: Final = "software_statement"
LEEWAY: Final = 60
"""Seconds by which the clocks of the issuer and of this server may differ."""
_OF_THE_TOKEN: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})


@dataclass(frozen=True, slots=True)
class StatementIssuer:
    """One who may state: by `jwks`, or by the keys at `jwks_uri`.

    `certificate_subject` maps attributes of a subject to claims: a client of this issuer's registers itself over a
    connection with a certificate whose subject holds what is stated, and that authenticates it from then on. With
    `single_instance` there is one client of each piece of software.
    """

    issuer: str
    jwks: JWKSet | None = None
    jwks_uri: str | None = None
    certificate_subject: Mapping[str, str] = field(default_factory=dict)
    single_instance: bool = False


def invalid_statement(why: str) -> OAuthError:
    """Make the refusal of a statement that proves nothing (RFC 7591 section 3.2.2)."""
    return OAuthError("invalid_software_statement", printable(f"software_statement: {why}", 300))


def unapproved_statement(why: str) -> OAuthError:
    """Make the refusal of a statement that proves something which is not wanted here (RFC 7591 section 3.2.2)."""
    return OAuthError("unapproved_software_statement", printable(f"software_statement: {why}", 300))


def stated_issuer(statement: str) -> str:
    """Give the issuer that a statement names, to find the keys for it; OAuthError if there is none."""
    try:
        issuer = unverified_claims(statement).get("iss")
    except JWTError as error:
        raise invalid_statement(str(error)) from error
    if not isinstance(issuer, str):
        raise invalid_statement("it names no issuer (iss)")
    return issuer


def read_statement(statement: str, issuer: StatementIssuer, keys: JWKSet, *, server: str, now: int) -> dict[str, Any]:
    """Check a statement and give what it says of the client; OAuthError, with a JWTError as its cause for a bad one.

    `server` is this server's issuer identifier: a token with an audience is a statement only if that is it, as what an
    issuer signs for others (an ID token, an assertion) says nothing of a client here. `now` in epoch seconds.
    """
    try:
        claims = verify(statement, keys, algorithms=ALGORITHMS, typ={None, "jwt"}).claims
        expires, begins = numeric_date(claims, "exp"), numeric_date(claims, "nbf")
    except JWTError as error:
        raise invalid_statement(str(error)) from error
    audience = claims.get("aud", server)
    if claims.get("iss") != issuer.issuer or server not in (audience if isinstance(audience, list) else [audience]):
        raise invalid_statement("it is of another issuer, or for another audience")
    if (expires is not None and now >= expires + LEEWAY) or (begins is not None and now < begins - LEEWAY):
        raise invalid_statement("it has run out, or is not valid yet")
    return stated_metadata(claims)


def stated_metadata(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Give the claims that are metadata of a client."""
    return {name: value for name, value in claims.items() if name not in _OF_THE_TOKEN}


def merge(document: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """Give the metadata that counts: what is stated, and what the client says of the rest."""
    return {name: value for name, value in document.items() if name != MEMBER} | dict(stated)


def software_of(issuer: str, stated: Mapping[str, Any]) -> str:
    """Tell one piece of software from others: issuer, `software_id` and `software_version`, as unambiguous JSON."""
    return json.dumps([issuer, stated.get("software_id"), stated.get("software_version")])


def check_subject(issuer: StatementIssuer, stated: Mapping[str, Any], certificate: Certificate) -> None:
    """Compare the subject of a certificate with what the statement says; OAuthError where they differ."""
    expected = {name: stated.get(claim) for name, claim in issuer.certificate_subject.items()}
    if missing := [claim for claim in issuer.certificate_subject.values() if not isinstance(stated.get(claim), str)]:
        raise unapproved_statement(f"it does not state {', '.join(missing)}")
    try:
        check = SubjectAttributes.parse({name: str(value) for name, value in expected.items()}).check(certificate)
    except ValueError as error:
        raise unapproved_statement(str(error)) from error
    if not check.passed:
        raise unapproved_statement(f"the certificate of the connection is another one's: {check.found}")
