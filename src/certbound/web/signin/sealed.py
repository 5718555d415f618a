"""What a page carries from one request to the next, sealed, so that the server keeps nothing and no other makes it."""

import hmac
import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any

from certbound.jose.sealing import SealError, seal, unseal

MAX_LENGTH = 2048
"""Characters of a sealed value."""


class Sealed:
    """Seals and opens values for one deployment; `clock` gives epoch seconds.

    The key is one of its own, derived from the master key: anybody can have pages made, in any number.
    """

    def __init__(self, master_key: bytes, clock: Callable[[], float]) -> None:
        self._key = hmac.digest(master_key, b"what pages carry", "sha256")
        self._clock = clock

    def seal(self, *about: str, **members: Any) -> str:
        """Seal members that are good for what `about` says, and nothing else."""
        text = json.dumps({"at": int(self._clock()), **members})
        return urlsafe_b64encode(seal(text.encode(), self._key, json.dumps(about))).decode()

    def open(self, text: str | None, *about: str, lasts: int) -> Mapping[str, Any] | None:
        """Give back the members; None where they are about something else, or were sealed over `lasts` seconds ago."""
        if text is None or len(text) > MAX_LENGTH:
            return None
        try:
            members = json.loads(unseal(b64decode(text, b"-_", validate=True), self._key, json.dumps(about)))
        except (SealError, ValueError):
            return None
        age = self._clock() - members["at"]
        return members if isinstance(members, dict) and age <= lasts else None
