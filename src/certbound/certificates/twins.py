"""The same certificate in other bytes: an ECDSA signature (r, s) holds as (r, n - s) too (SEC 1 section 4.1.4).

Whoever has a certificate can so make another of it, with another thumbprint, that every verifier takes. Where a
thumbprint is to keep a certificate out, its twins must be kept out with it.
"""

import hashlib
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from certbound.certificates import der

_BIT_STRING: Final = 0x03
_REMEMBERED_SIZE: Final = 8192
"""Bytes up to which a certificate stays remembered; strangers may present larger ones."""
#: The orders of P-256, P-384 and P-521 (SP 800-186 section 3.2.1); which one signed, only the issuer's key would tell.
_ORDERS: Final = (
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    0x01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409,
)


def thumbprints(encoded: bytes) -> tuple[bytes, ...]:
    """Give the SHA-256 of a certificate's DER and of each twin that it may have; of what is none, the SHA-256 alone."""
    return _thumbprints_once(encoded) if len(encoded) <= _REMEMBERED_SIZE else _thumbprints(encoded)


def _thumbprints(encoded: bytes) -> tuple[bytes, ...]:
    own = hashlib.sha256(encoded).digest()
    try:
        return (own, *(hashlib.sha256(twin).digest() for twin in _twins(encoded)))
    except Exception:  # noqa: BLE001  cryptography raises many kinds: what cannot be read has no twin that could
        return (own,)


_thumbprints_once: Final = lru_cache(maxsize=512)(_thumbprints)


def _twins(encoded: bytes) -> list[bytes]:
    r, s = decode_dss_signature(x509.load_der_x509_certificate(encoded).signature)
    _, content, _ = der.read_element(encoded)
    *signed, (tag, _) = der.read_all(content)
    if tag != _BIT_STRING:
        raise ValueError("no certificate")
    before = b"".join(der.encode_element(tag, value) for tag, value in signed)
    return [
        der.encode_element(
            der.SEQUENCE, before + der.encode_element(_BIT_STRING, b"\0" + encode_dss_signature(r, order - s))
        )
        for order in _ORDERS
        if r < order and s < order
    ]
