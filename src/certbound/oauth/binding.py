"""Binding a token to a certificate: made here and checked here, for the server and for APIs alike."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from certbound.certificates.presented import PresentedChain

CONFIRMATION_METHOD = "x5t#S256"


def certificate_thumbprint(der: bytes) -> str:
    """Give base64url(SHA-256(DER)) without padding (RFC 8705 section 3.1)."""
    return urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def confirmation(presented: PresentedChain) -> dict[str, str]:
    """Make the `cnf` claim for the certificate whose key the connection proved (RFC 8705 sections 3.1 and 6.1)."""
    return {CONFIRMATION_METHOD: certificate_thumbprint(presented.leaf)}


def binding_refusal(claims: Mapping[str, Any], presented: PresentedChain | None) -> str | None:
    """Say why a token may not be used on this connection, or None if it is bound to its certificate.

    A token without `cnf`, or bound in a way not known here, is refused: whoever accepts unbound tokens decides that
    before asking (RFC 8705 section 3; a missing certificate is a mismatch).
    """
    cnf = claims.get("cnf")
    if not isinstance(cnf, Mapping):
        return "the token is not bound to a certificate"
    expected = cnf.get(CONFIRMATION_METHOD)
    if not isinstance(expected, str) or not expected.isascii() or len(cnf) != 1:
        return "the token is bound in a way that is not accepted here"
    if presented is None:
        return "the connection has no client certificate"
    found = certificate_thumbprint(presented.leaf)
    if not hmac.compare_digest(expected.encode(), found.encode()):
        return "the token is bound to another certificate"
    return None
