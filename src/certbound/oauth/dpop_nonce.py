"""Nonces for DPoP proofs without a memory: a keyed hash of the time, alike in every worker (RFC 9449 section 8).

A nonce is for everybody: it shows that a proof is not older than the nonce, and is no secret once it was given out.
"""

import hmac
from base64 import urlsafe_b64encode
from typing import Final

WINDOW_SECONDS: Final = 120
"""For how long the same nonce is given out; it is accepted for one window more."""


def dpop_nonces(key: bytes, now: int) -> tuple[str, str, str]:
    """Give the nonces accepted at `now`, in seconds since the epoch; the first is the one to give out.

    `key` is a secret of at least 32 bytes that every worker has, and no other server. The third is the next one: a
    worker whose clock is ahead gives it out already.
    """
    window = now // WINDOW_SECONDS
    return _nonce(key, window), _nonce(key, window - 1), _nonce(key, window + 1)


def _nonce(key: bytes, window: int) -> str:
    digest = hmac.digest(key, f"certbound DPoP nonce {window}".encode(), "sha256")
    return urlsafe_b64encode(digest[:18]).decode()
