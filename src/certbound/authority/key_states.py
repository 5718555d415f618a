"""In which state a signing key is: published, signing, superseded or retired, in this order."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from certbound.oauth.access_token import LONGEST_LIFETIME
from certbound.store.keys import StoredSigningKey

MARGIN_SECONDS = 300
"""What clocks may differ by, between workers and at the APIs."""


class KeyState(StrEnum):
    """Where a key is on its way."""

    PUBLISHED = "published"
    """Everybody can have it; it does not sign yet."""
    SIGNING = "signing"
    """It signs what is signed by its algorithm."""
    SUPERSEDED = "superseded"
    """Another one signs in its place; it is published for the tokens that it signed."""
    RETIRED = "retired"
    """It is published no more."""


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """A key, its state, and in epoch seconds when a newer one takes its place; None while there is none."""

    key: StoredSigningKey
    state: KeyState
    superseded_at: int | None

    @property
    def kept_until(self) -> int | None:
        """Give the time by which every token it signed has run out, None while it may sign."""
        return self.superseded_at + LONGEST_LIFETIME + MARGIN_SECONDS if self.superseded_at is not None else None


def standings(keys: Iterable[StoredSigningKey], now: int) -> tuple[KeyStanding, ...]:
    """Tell how each key stands, in the order given, which is oldest first (`store.keys.load_all`).

    Of the keys of one algorithm that may sign already, the newest does: each is superseded by the first newer one.
    """
    found = list[KeyStanding]()
    takes_over = dict[str, int]()
    for key in reversed(tuple(keys)):
        superseded_at = takes_over.get(key.algorithm)
        found.append(KeyStanding(key, _state(key, superseded_at, now), superseded_at))
        if key.retired_at is None or key.retired_at > key.signs_from:
            takes_over[key.algorithm] = min(key.signs_from, superseded_at or key.signs_from)
    return tuple(reversed(found))


def signs_by_default(found: Iterable[KeyStanding], algorithm: str | None) -> StoredSigningKey | None:
    """Give the key that signs where nobody asks for an algorithm: the newest, of `algorithm` where that is set."""
    signing = [standing.key for standing in found if standing.state is KeyState.SIGNING]
    return next((key for key in reversed(signing) if algorithm in {None, key.algorithm}), None)


def _state(key: StoredSigningKey, superseded_at: int | None, now: int) -> KeyState:
    if key.retired_at is not None:
        return KeyState.RETIRED
    if superseded_at is not None and superseded_at <= now:
        return KeyState.SUPERSEDED
    return KeyState.SIGNING if key.signs_from <= now else KeyState.PUBLISHED
