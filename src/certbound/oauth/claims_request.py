"""Which claims a client asks for by name: the `claims` parameter (OpenID Connect Core section 5.5)."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

from certbound.oauth.errors import OAuthError

MAX_LENGTH = 8192
"""Characters of the parameter."""
MAX_CLAIMS = 100
"""Claims asked for at one place."""
MAX_VALUES = 50
"""Values that one claim may be asked to have."""
MAX_TEXT = 512
"""Characters of a claim's name, or of a value asked for."""

ClaimValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """How one claim is asked for; `values` are those it should have, in the order of preference, none for any."""

    essential: bool = False
    values: tuple[ClaimValue, ...] = ()

    def as_json(self) -> dict[str, Any] | None:
        """Give the member as the parameter has it (section 5.5.1), `value` as the only one of `values`."""
        members: dict[str, Any] = {"essential": True} if self.essential else {}
        return members | ({"values": list(self.values)} if self.values else {}) or None


@dataclass(frozen=True, slots=True)
class ClaimsRequest:
    """The claims asked for at the UserInfo endpoint and in the ID token, by name; unknown ones are among them."""

    userinfo: Mapping[str, ClaimRequest] = field(default_factory=dict)
    id_token: Mapping[str, ClaimRequest] = field(default_factory=dict)

    def allows_subject(self, subject: str) -> bool:
        """Say whether an answer may be about this user: `sub` may be asked for by its value (section 5.5.1)."""
        asked = [place["sub"].values for place in (self.userinfo, self.id_token) if "sub" in place]
        return all(subject in values for values in asked if values)

    def as_json(self) -> dict[str, Any]:
        """Give the parameter's JSON object, without what is empty in it."""
        places = {"userinfo": self.userinfo, "id_token": self.id_token}
        return {
            place: {name: claim.as_json() for name, claim in claims.items()}
            for place, claims in places.items()
            if claims
        }


def parse_claims(text: str) -> ClaimsRequest:
    """Read the parameter; `invalid_request` says what is wrong with it. Members not known are ignored."""
    if len(text) > MAX_LENGTH:
        raise _malformed(f"longer than {MAX_LENGTH} characters")
    try:
        document = json.loads(text, object_pairs_hook=_once_each, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _malformed("not JSON with every member once") from None
    return read_claims(document)


def read_claims(document: object) -> ClaimsRequest:
    """Read the parameter from decoded JSON, as `parse_claims` does."""
    if not isinstance(document, Mapping):
        raise _malformed("not a JSON object")
    return ClaimsRequest(_read_place(document.get("userinfo")), _read_place(document.get("id_token")))


def _read_place(place: object) -> dict[str, ClaimRequest]:
    if place is None:
        return {}
    if not isinstance(place, Mapping):
        raise _malformed("userinfo and id_token are JSON objects")
    if len(place) > MAX_CLAIMS:
        raise _malformed(f"more than {MAX_CLAIMS} claims in one place")
    if not all(name and _is_text(name) for name in place):
        raise _malformed(f"the name of a claim is 1 to {MAX_TEXT} printable characters")
    return {name: _read_claim(member) for name, member in place.items()}


def _read_claim(member: object) -> ClaimRequest:
    if member is None:
        return ClaimRequest()
    if not isinstance(member, Mapping):
        raise _malformed("a claim is asked for with null or a JSON object")
    essential = member.get("essential", False)
    if not isinstance(essential, bool):
        raise _malformed("essential is true or false")
    if "value" in member and "values" in member:
        raise _malformed("a claim is asked for with either value or values")
    values = [member["value"]] if "value" in member else member.get("values", [])
    if not isinstance(values, list) or len(values) > MAX_VALUES or not all(map(_is_value, values)):
        raise _malformed(f"values is a list of at most {MAX_VALUES} texts, numbers or booleans")
    return ClaimRequest(essential, tuple(cast("list[ClaimValue]", values)))


def _is_value(value: object) -> bool:
    """Say whether a claim may be asked to have this value: one that any store and any answer can hold."""
    if isinstance(value, str):
        return _is_text(value)
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _is_text(text: str) -> bool:
    return len(text) <= MAX_TEXT and text.isprintable()


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _malformed(why: str) -> OAuthError:
    return OAuthError("invalid_request", f"the parameter claims cannot be used: {why}")
