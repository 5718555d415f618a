"""What is known of people: claims in the words of OpenID Connect Core section 5.1, and any others."""

import json
from collections.abc import Mapping
from typing import Any

from certbound.authority.people import PersonError, existing
from certbound.authority.records import record
from certbound.oauth.userinfo import CLAIM_NAME, SAID_BY_SERVER
from certbound.store import people as stored_people
from certbound.store.engine import Connection

MAX_ATTRIBUTES = 100
MAX_LENGTH = 16_384
"""Characters of them all as JSON."""
_TEXTS = frozenset(
    {"name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture"}
    | {"website", "email", "gender", "birthdate", "zoneinfo", "locale", "phone_number"}
)
_OTHERS: Mapping[str, type] = {
    "email_verified": bool,
    "phone_number_verified": bool,
    "updated_at": int,
    "address": dict,
}
_CALLED: Mapping[type, str] = {bool: "true or false", int: "a number of seconds", dict: "a JSON object", str: "a text"}


def set_attributes(
    connection: Connection, *, username: str, attributes: Mapping[str, Any], actor: str, now: int
) -> None:
    """Replace the claims about a person. Raises PersonError; what they say stays out of the audit."""
    found = existing(connection, username)
    for name, value in attributes.items():
        _check(name, value)
    if len(attributes) > MAX_ATTRIBUTES or len(json.dumps(attributes)) > MAX_LENGTH:
        raise PersonError(f"at most {MAX_ATTRIBUTES} attributes with {MAX_LENGTH} characters in all")
    stored_people.set_attributes(connection, username, attributes)
    detail = {"attributes": sorted(attributes)}
    record(connection, at=now, actor=actor, action="user.attributes_changed", target=found.sub, detail=detail)


def kind_of(name: str) -> type | None:
    """Give the type of a standard claim, None for one that is free."""
    return str if name in _TEXTS else _OTHERS.get(name)


def _check(name: str, value: Any) -> None:
    if name in SAID_BY_SERVER:
        raise PersonError(f"{name} cannot be an attribute: the server says it itself")
    if CLAIM_NAME.fullmatch(name) is None:
        raise PersonError(f"{name!r} is no name of an attribute: 1 to 255 visible ASCII characters")
    kind = kind_of(name)
    if kind is not None and type(value) is not kind:
        raise PersonError(f"the attribute {name} must be {_CALLED[kind]} (OpenID Connect Core section 5.1)")
