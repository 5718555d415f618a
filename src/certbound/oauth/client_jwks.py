"""The certificates in a client's own JWK Set (RFC 8705 section 2.2.2, RFC 7517 section 4.7)."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from certbound.certificates.certificate import Certificate, CertificateError, parse_certificate
from certbound.jose.jwks import MAX_KEYS, same_public_key
from certbound.oauth.registration import RegistrationError


def certificates_of(jwks: Mapping[str, Any]) -> tuple[Certificate, ...]:
    """Give the first certificate of each key's `x5c`; RegistrationError where the set does not hold together.

    A key's own members must be those of its certificate's key. Keys without `x5c` are passed over.
    """
    keys = jwks.get("keys")
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise RegistrationError(
            "jwks", f"not a JWK Set: an object with a list `keys` of at most {MAX_KEYS} was expected"
        )
    return tuple(certificate for key in keys if (certificate := _certificate_of(key)) is not None)


def _certificate_of(key: object) -> Certificate | None:
    if not isinstance(key, Mapping):
        raise RegistrationError("jwks", "a member of `keys` is no object")
    if "d" in key or key.get("kty") == "oct":
        raise RegistrationError("jwks", "the set holds a private key: register public keys only, and renew this one")
    chain = key.get("x5c")
    if chain is None:
        return None
    if not isinstance(chain, list) or not chain or not isinstance(chain[0], str):
        raise RegistrationError("jwks", "`x5c` must be a list of certificates in base64, the key's own first")
    try:
        certificate = parse_certificate(b64decode(chain[0], validate=True))
    except (CertificateError, ValueError) as error:
        raise RegistrationError("jwks", f"the first certificate of `x5c` cannot be read: {error}") from error
    if not same_public_key(key, certificate.spki):
        raise RegistrationError("jwks", "the members of a key are not those of the certificate in its `x5c`")
    return certificate
