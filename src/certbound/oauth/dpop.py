"""Who holds the key of this request? Proved by a signature over method and target (RFC 9449 section 4.3).

A proof says nothing of who the client is. That it counts once is for whoever remembers `Proof.jti`; what is bound to
its key is `oauth.binding`'s matter.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from certbound.jose.jwt import JWTError, jwt_id, numeric_date, verify_by_own_key
from certbound.jose.keys import ALGORITHMS
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import printable
from certbound.oauth.target_uri import target_uri

PROOF_TYPE: Final = "dpop+jwt"
"""The `typ` header (RFC 9449 section 4.2)."""
MAX_LENGTH: Final = 8192
"""Characters of a proof."""
AGE_SECONDS: Final = 60
"""How old a proof may be."""
CLOCK_SECONDS: Final = 30
"""How far the client's clock may be ahead, as for its assertions."""


@dataclass(frozen=True, slots=True)
class Proof:
    """An accepted proof: the thumbprint of its key (RFC 7638), its identifier, and when it was made, in seconds."""

    jkt: str
    jti: str
    iat: int

    @property
    def expires_at(self) -> int:
        """Give the time, in seconds since the epoch, from which the proof is too old; `jti` may be forgotten."""
        return self.iat + AGE_SECONDS + 1


def read_proof(
    headers: Sequence[str],
    method: str,
    url: str,
    *,
    now: int,
    aliases: Collection[str] = (),
    access_token: str | None = None,
    nonces: Collection[str] | None = None,
    algorithms: Collection[str] = ALGORITHMS,
) -> Proof:
    """Read the DPoP header of a request to `url`, or to one of its `aliases`.

    `headers` are the values of all DPoP header fields, `now` is in seconds since the epoch. With an `access_token` the
    proof must be for that token; with `nonces` it must hold one of them, which the server gave out. Raises OAuthError:
    `invalid_dpop_proof`, or `use_dpop_nonce` where all is right but the nonce (sections 5 and 8).
    """
    if len(headers) != 1:
        raise _refused(f"exactly one DPoP header is needed, and there are {len(headers)}")
    try:
        verified, key = verify_by_own_key(headers[0], algorithms=algorithms, typ={PROOF_TYPE}, max_length=MAX_LENGTH)
        jti, made_at = jwt_id(verified.claims), numeric_date(verified.claims, "iat")
    except JWTError as error:
        raise _refused(printable(str(error), 200)) from error
    iat = _check_age(made_at, now)
    _check_request(verified.claims, method, (url, *aliases))
    if access_token is not None:
        _check_access_token(verified.claims, access_token)
    if nonces is not None:
        _check_nonce(verified.claims, nonces)
    return Proof(jkt=key.thumbprint, jti=jti, iat=iat)


def _check_age(made_at: float | None, now: int) -> int:
    if made_at is None:
        raise _refused("the proof does not say when it was made (iat)")
    if made_at - now > CLOCK_SECONDS:
        raise _refused("the proof is of the future (iat): compare the clocks")
    if now - made_at > AGE_SECONDS:
        raise _refused("the proof is too old (iat): make one for each request, and compare the clocks")
    return int(made_at)


def _check_request(claims: Mapping[str, Any], method: str, urls: Collection[str]) -> None:
    """Compare the method as it is and the target in its normal form, without query and fragment on either side."""
    if claims.get("htm") != method:
        raise _refused("the proof is for another method (htm)")
    target = _target_or_none(claims.get("htu"))
    if target is None or target not in map(_target_or_none, urls):
        raise _refused("the proof is for another URL (htu)")


def _target_or_none(url: object) -> str | None:
    try:
        return target_uri(url) if isinstance(url, str) else None
    except ValueError:
        return None


def _check_access_token(claims: Mapping[str, Any], access_token: str) -> None:
    if not _is(claims.get("ath"), access_token_hash(access_token)):
        raise _refused("the proof is not for this access token (ath)")


def _check_nonce(claims: Mapping[str, Any], nonces: Collection[str]) -> None:
    shown = claims.get("nonce")
    if not any(_is(shown, nonce) for nonce in nonces):
        raise OAuthError("use_dpop_nonce", "the proof needs the nonce that this answer gives in DPoP-Nonce")


def access_token_hash(token: str) -> str:
    """Give the `ath` for an access token: base64url(SHA-256) without padding (RFC 9449 section 4.2)."""
    digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _is(shown: object, expected: str) -> bool:
    """Compare in constant time."""
    return isinstance(shown, str) and shown.isascii() and hmac.compare_digest(shown.encode(), expected.encode())


def _refused(description: str) -> OAuthError:
    return OAuthError("invalid_dpop_proof", description)
