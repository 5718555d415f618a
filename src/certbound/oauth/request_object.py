"""An authorization request that the client signed: JAR by value (RFC 9101).

What is in the object counts, and nothing beside it does but the `client_id` by which the client was found.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from certbound.jose.jwks import JWKSet
from certbound.jose.jwt import JWTError, verify
from certbound.oauth.authorization_request import PARAMETERS
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form, form_of
from certbound.oauth.registration import Client

# A client assertion has the media type "jwt" too, but never a `client_id`, and a `sub` that is refused here.
_MEDIA_TYPES = ("oauth-authz-req+jwt", "jwt", None)
MAX_LIFETIME = 3600
"""Seconds between now and the end or the beginning of an object's validity (FAPI 2.0 Message Signing)."""
CLOCK_SKEW = 60
"""Seconds by which a client's clock may be ahead (FAPI 2.0 section 5.3.2.1)."""


class RequestObjectError(OAuthError):
    """The request object is not acceptable; `unknown_key` invites one refetch of the client's keys."""

    def __init__(self, description: str, *, detail: str = "", unknown_key: bool = False) -> None:
        super().__init__("invalid_request_object", description, detail=detail)
        self.unknown_key = unknown_key


def read_request_object(
    jwt: str, client: Client, client_keys: JWKSet, *, issuer: str, algorithms: Collection[str], now: int
) -> Form:
    """Verify the parameter `request` and give the parameters in it, to be read as those of any other request.

    `client` is the one that the outer `client_id` names, or the one that authenticated (RFC 9126 section 3);
    `algorithms` what it may sign with; `now` in seconds since the epoch. Raises RequestObjectError.
    """
    try:
        claims = verify(jwt, client_keys, algorithms=algorithms, typ=_MEDIA_TYPES).claims
    except JWTError as error:
        text = "the request object is not signed as it is expected of the client"
        raise RequestObjectError(text, detail=str(error), unknown_key=error.unknown_key) from error
    _check_parties(claims, client, issuer)
    _check_times(claims, now)
    if not {"request", "request_uri"}.isdisjoint(claims):
        raise RequestObjectError("a request object may not hold request or request_uri")
    try:
        return form_of(_pairs(claims))
    except OAuthError as error:
        raise RequestObjectError(error.description) from error


def _check_parties(claims: Mapping[str, Any], client: Client, issuer: str) -> None:
    if claims.get("client_id") != client.client_id or claims.get("iss") != client.client_id:
        raise RequestObjectError("client_id and iss of the request object must both be the client's id")
    if claims.get("aud") not in (issuer, [issuer]):
        raise RequestObjectError("aud of the request object must be the issuer and nothing else")
    if "sub" in claims:
        raise RequestObjectError("a request object may not hold sub: it could be used as a client assertion")


def _check_times(claims: Mapping[str, Any], now: int) -> None:
    expires, starts, issued = (_seconds(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None or not now < expires <= now + MAX_LIFETIME:
        raise RequestObjectError(f"exp of the request object must lie ahead, by at most {MAX_LIFETIME} seconds")
    if starts is not None and not now - MAX_LIFETIME <= starts <= now + CLOCK_SKEW:
        raise RequestObjectError(f"nbf of the request object must lie back, by at most {MAX_LIFETIME} seconds")
    if issued is not None and issued > now + CLOCK_SKEW:
        raise RequestObjectError("iat of the request object lies ahead")


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    moment = claims.get(name)
    if moment is None:
        return None
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        raise RequestObjectError(f"{name} of the request object must be a number of seconds")
    return moment


def _pairs(claims: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Write the claims as the parameters they stand for (RFC 9101 section 4); those not known are ignored."""
    for name in PARAMETERS & claims.keys():
        value = claims[name]
        if name == "claims" and isinstance(value, dict):
            yield name, _json(value)
        elif name == "resource" and isinstance(value, list):
            yield from ((name, _text(name, member)) for member in value)
        else:
            yield name, _text(name, value)


def _json(value: Mapping[str, Any]) -> str:
    try:
        return json.dumps(value)
    except RecursionError as error:
        raise RequestObjectError("the parameter claims of the request object is nested too deeply") from error


def _text(name: str, value: object) -> str:
    if name == "max_age" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not _is_unicode(value):
        raise RequestObjectError(f"the parameter {name} of the request object is no text")
    return value


def _is_unicode(text: str) -> bool:
    """Say whether a text can be written at all: JSON can escape half a character."""
    return not any("\ud800" <= c <= "\udfff" for c in text)
