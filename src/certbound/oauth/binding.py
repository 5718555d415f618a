"""Binding a token to a certificate or to a DPoP key: made here and checked here, for the server and for APIs alike."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from certbound.certificates.presented import PresentedChain

CONFIRMATION_METHOD = "x5t#S256"
KEY_CONFIRMATION_METHOD = "jkt"


def certificate_thumbprint(der: bytes) -> str:
    """Give base64url(SHA-256(DER)) without padding (RFC 8705 section 3.1)."""
    return urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def confirmation(presented: PresentedChain) -> dict[str, str]:
    """Make the `cnf` claim for the certificate whose key the connection proved (RFC 8705 sections 3.1 and 6.1)."""
    return {CONFIRMATION_METHOD: certificate_thumbprint(presented.leaf)}


def key_confirmation(jkt: str) -> dict[str, str]:
    """Make the `cnf` claim for the key of a DPoP proof, by its thumbprint (RFC 9449 section 6.1)."""
    return {KEY_CONFIRMATION_METHOD: jkt}


def binding_refusal(claims: Mapping[str, Any], presented: PresentedChain | None, jkt: str | None = None) -> str | None:
    """Say why a token may not be used on this connection, or None if it is bound to its certificate.

    `jkt` is the thumbprint of the key that the request's DPoP proof was made with, None where no proof was read: only
    with one may a token be bound to a key. Which of the two binds is the token's to say, and it says one.
    A token without `cnf`, or bound in a way not known here, is refused: whoever accepts unbound tokens decides that
    before asking (RFC 8705 section 3; a missing certificate is a mismatch).
    """
    cnf = claims.get("cnf")
    if not isinstance(cnf, Mapping):
        return "the token is not bound to a certificate"
    if len(cnf) != 1:
        return _UNKNOWN
    [(method, expected)] = cnf.items()
    if not isinstance(expected, str) or not expected.isascii():
        return _UNKNOWN
    if method == CONFIRMATION_METHOD:
        if presented is None:
            return "the connection has no client certificate"
        found, refusal = certificate_thumbprint(presented.leaf), "the token is bound to another certificate"
    elif method == KEY_CONFIRMATION_METHOD:
        if jkt is None:
            return "the token is bound to a key, and no DPoP proof of it was shown"
        found, refusal = jkt, "the token is bound to another key"
    else:
        return _UNKNOWN
    return None if hmac.compare_digest(expected.encode(), found.encode()) else refusal


_UNKNOWN = "the token is bound in a way that is not accepted here"
