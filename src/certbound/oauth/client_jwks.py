"""The certificates and keys in a client's own JWK Set (RFC 8705 section 2.2.2, RFC 7517 section 4.7)."""

import base64
import binascii
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from certbound.certificates.certificate import Certificate, CertificateError, parse_certificate
from certbound.jose.jwks import MAX_KEYS, PRIVATE_MEMBERS, JWKSError, JWKSet, jwks_document, parse_jwks, spki_of
from certbound.oauth.registration import RegistrationError

MAX_CHAIN_CHARACTERS: Final = 131_072
"""Characters of base64 in an `x5c`."""


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """What may mean the client: whole certificates, and bare public keys (SubjectPublicKeyInfo in DER).

    Whether a certificate or a key of these is strong enough and valid is not decided here. `verification_keys` are what
    its signatures are verified with: those of the same keys, with or without certificate, that are strong enough.
    """

    certificates: tuple[Certificate, ...] = ()
    keys: tuple[bytes, ...] = ()
    verification_keys: JWKSet = field(default_factory=JWKSet)


def read_client_jwks(document: object) -> ClientKeys:
    """Read a JWK Set from decoded JSON; RegistrationError (`jwks`) where it does not hold together or gives nothing.

    Of each `x5c` only the first certificate counts; the others are bounded and not looked at. A key's own members and
    its thumbprints `x5t#S256` and `x5t` must be those of that certificate. Keys of kinds that are unknown here, or that
    are for encryption, are passed over (RFC 7517 section 5).
    """
    known = _read(document)
    if not known.certificates and not known.keys:
        raise RegistrationError(
            "jwks", "no key of the set can be used: give public signature keys, each with its certificate in `x5c`"
        )
    return known


def _read(document: object) -> ClientKeys:
    keys = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise RegistrationError(
            "jwks", f"not a JWK Set: an object with a list `keys` of at most {MAX_KEYS} was expected"
        )
    for key in keys:
        _check_public(key)
    usable = [key for key in keys if _is_for_signatures(key)]
    return replace(_read_certificates(usable), verification_keys=parse_jwks(jwks_document(usable)))


def _read_certificates(keys: Iterable[Mapping[str, Any]]) -> ClientKeys:
    certificates: dict[bytes, Certificate] = {}
    bare: dict[bytes, None] = {}
    for key in keys:
        if "x5c" in key:
            certificate = _certificate_of(key)
            certificates[certificate.sha256] = certificate
        elif (spki := _spki_or_none(key)) is not None:
            bare[spki] = None
    return ClientKeys(tuple(certificates.values()), tuple(bare))


def _check_public(key: object) -> None:
    if not isinstance(key, Mapping):
        raise RegistrationError("jwks", "a member of `keys` is no object")
    if not PRIVATE_MEMBERS.isdisjoint(key) or key.get("kty") == "oct":
        raise RegistrationError("jwks", "the set holds a private key: register public keys only, and renew this one")


def _is_for_signatures(key: Mapping[str, Any]) -> bool:
    """Tell by kind, `use` and `key_ops` (RFC 7517 sections 4.1 to 4.3)."""
    operations = key.get("key_ops", ["verify"])
    return (
        key.get("kty") in ("EC", "RSA", "OKP")
        and key.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )


def _certificate_of(key: Mapping[str, Any]) -> Certificate:
    chain = key["x5c"]
    if not isinstance(chain, list) or not chain or not all(isinstance(text, str) for text in chain):
        raise RegistrationError("jwks", "`x5c` must be a list of certificates in base64, the key's own first")
    if sum(map(len, chain)) > MAX_CHAIN_CHARACTERS:
        raise RegistrationError("jwks", f"an `x5c` of more than {MAX_CHAIN_CHARACTERS} characters")
    try:
        certificate = parse_certificate(b64decode(chain[0], validate=True))
    except binascii.Error:
        raise RegistrationError(
            "jwks",
            "the first certificate of `x5c` cannot be read: it is not base64 (without line breaks, no base64url)",
        ) from None
    except (CertificateError, ValueError) as error:
        raise RegistrationError("jwks", f"the first certificate of `x5c` cannot be read: {error}") from error
    if _spki_or_none(key) != certificate.spki:
        raise RegistrationError("jwks", "the members of a key are not those of the certificate in its `x5c`")
    for name, digest in (("x5t#S256", certificate.sha256), ("x5t", certificate.sha1)):
        _check_thumbprint(key, name, digest)
    return certificate


def _spki_or_none(key: Mapping[str, Any]) -> bytes | None:
    try:
        return spki_of(key)
    except JWKSError:
        return None


def _check_thumbprint(key: Mapping[str, Any], name: str, digest: bytes) -> None:
    """Hold `x5t#S256` or `x5t` against the certificate (RFC 7517 sections 4.8 and 4.9)."""
    expected = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if name in key and key[name] != expected:
        raise RegistrationError("jwks", f"`{name}` is not that of the certificate in `x5c`, which is {expected}")
