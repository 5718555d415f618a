"""What a client learns of a user: claims by scope, and those it asks for by name (OpenID Connect Core section 5)."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from certbound.oauth.claims_request import ClaimsRequest

CLAIMS_BY_SCOPE: Mapping[str, tuple[str, ...]] = {
    "profile": (
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}
"""The claims that are given at the UserInfo endpoint for a scope (section 5.4)."""

SAID_BY_SERVER = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "azp", "auth_time", "nonce", "acr", "amr"}
    | {"at_hash", "c_hash", "s_hash", "cnf", "act", "client_id", "scope", "_claim_names", "_claim_sources"}
)
"""What tokens and answers say of themselves and of signing in: never an attribute of a user."""

CLAIM_NAME = re.compile(r"[!-~]{1,255}")
"""What an attribute of a user may be called."""

_SCOPE_OF = {claim: scope for scope, claims in CLAIMS_BY_SCOPE.items() for claim in claims}


def claims_by_name(asked: Iterable[str], scopes: Collection[str]) -> tuple[str, ...]:
    """Give the claims about a user, of those asked for by name, that a client with these scopes may have.

    `scopes` are those it is registered for, asked for or not: what a scope gives is not to be had around it. Claims
    that no scope gives may be asked for by name by any client, and what it gets is for the user to allow.
    """
    within = {None, *scopes}
    names = (name for name in asked if CLAIM_NAME.fullmatch(name) and name not in SAID_BY_SERVER)
    return tuple(name for name in names if _scope_of(name) in within)


def claims_beside_scopes(asked: ClaimsRequest, requested: Collection[str], allowed: Collection[str]) -> tuple[str, ...]:
    """Give the claims, of those asked for by name, that the scopes asked for do not bring: the user has to allow them.

    `requested` are the scopes of the request, `allowed` those that the client is registered for.
    """
    if "openid" not in requested:
        return ()
    names = claims_by_name({**asked.userinfo, **asked.id_token}, allowed)
    return tuple(name for name in names if _scope_of(name) not in requested)


def userinfo_claims(
    subject: str, scopes: Collection[str], names: Collection[str], attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """Build the answer of the UserInfo endpoint (section 5.3.2): `sub`, and what is known of what may be told.

    `names` are claims asked for by name (`claims_by_name`). A claim comes in every language it is known in, with a
    scope (section 5.2).
    """
    told = {
        name: value
        for name, value in attributes.items()
        if name not in SAID_BY_SERVER and (name in names or _scope_of(name) in scopes)
    }
    return {"sub": subject} | told


def _scope_of(name: str) -> str | None:
    """Give the scope that a claim comes with, in whatever language (`name#de`); None if it comes with none."""
    return _SCOPE_OF.get(name.partition("#")[0])
