"""Scopes in words, as the end of "It asks to ..."."""

from collections.abc import Iterable
from dataclasses import dataclass

_WORDS = {
    "profile": "see your name and the rest of your profile",
    "email": "see your e-mail address",
    "phone": "see your telephone number",
    "address": "see your postal address",
    "offline_access": "keep this access while you are away",
    "certbound.read": "read the settings of this server",
    "certbound.admin": "change the settings of this server",
}
_UNSAID = frozenset({"openid"})  # that somebody is signed in is what every answer says


@dataclass(frozen=True, slots=True)
class WordedScope:
    """A scope, and what it lets a client do; no words for those that are an API's own."""

    name: str
    words: str | None


def worded(scopes: Iterable[str]) -> list[WordedScope]:
    """Put scopes into words, in their order."""
    return [WordedScope(scope, _WORDS.get(scope)) for scope in scopes if scope not in _UNSAID]


def names_an_api(scopes: Iterable[str]) -> bool:
    """Say whether one of the scopes is good for anything but knowing who somebody is."""
    return any(scope not in _UNSAID and scope not in _WORDS for scope in scopes)
