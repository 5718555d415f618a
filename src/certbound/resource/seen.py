"""Tokens whose signature was checked a moment ago."""

import hashlib
from typing import TYPE_CHECKING, Final

from certbound.certificates.presented import PresentedChain
from certbound.resource.verifier import BoundToken

if TYPE_CHECKING:
    from certbound.jose.jwks import JWKSet

MAX_TOKENS: Final = 4096


class SeenTokens:
    """A bounded memory of accepted tokens, by token *and* certificate: with another certificate a token is a new one.

    An entry lasts until the token's own expiry and only for as long as the keys that verified it are in use.
    """

    def __init__(self) -> None:
        self._tokens: dict[tuple[bytes, bytes], BoundToken] = {}
        self._keys: JWKSet | None = None

    def recall(self, token: str, presented: PresentedChain | None, now: int, keys: "JWKSet") -> BoundToken | None:
        """Give what this token said when it came over a connection with this certificate, if it still holds."""
        if keys is not self._keys:
            return None
        name = _name(token, presented)
        seen = self._tokens.get(name)
        if seen is not None and now >= seen.expires_at:
            del self._tokens[name]
            return None
        return seen

    def remember(self, token: str, presented: PresentedChain | None, verified: BoundToken, keys: "JWKSet") -> None:
        """Keep an accepted token; the oldest makes room."""
        if keys is not self._keys:
            self._tokens.clear()
            self._keys = keys
        if len(self._tokens) >= MAX_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        self._tokens[_name(token, presented)] = verified


def _name(token: str, presented: PresentedChain | None) -> tuple[bytes, bytes]:
    certificate = hashlib.sha256(presented.leaf).digest() if presented is not None else b""
    return hashlib.sha256(token.encode("ascii")).digest(), certificate
