"""Whether a key signed this: CRLs and OCSP answers, with the algorithms that certbound takes and no others."""

from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.oid import SignatureAlgorithmOID

_RSA: Final = frozenset(
    {
        SignatureAlgorithmOID.RSA_WITH_SHA224,
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
        SignatureAlgorithmOID.RSA_WITH_SHA3_256,
        SignatureAlgorithmOID.RSA_WITH_SHA3_384,
        SignatureAlgorithmOID.RSA_WITH_SHA3_512,
    }
)
_ECDSA: Final = frozenset(
    {
        SignatureAlgorithmOID.ECDSA_WITH_SHA224,
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
        SignatureAlgorithmOID.ECDSA_WITH_SHA3_256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA3_384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA3_512,
    }
)
_EDDSA: Final = frozenset({SignatureAlgorithmOID.ED25519, SignatureAlgorithmOID.ED448})
ACCEPTED: Final = _RSA | _ECDSA | _EDDSA | {SignatureAlgorithmOID.RSASSA_PSS}
"""No MD5, no SHA-1 (RFC 9325 section 4.5); the hash of RSASSA-PSS is looked at beside it."""


def is_signed_by(
    spki: bytes,
    signature: bytes,
    signed: bytes,
    *,
    algorithm: x509.ObjectIdentifier,
    hash_algorithm: hashes.HashAlgorithm | None,
    pss: padding.PSS | None = None,
) -> bool:
    """Whether the key (SubjectPublicKeyInfo, DER) made `signature` over `signed`; False for an algorithm not accepted.

    The algorithm is the one the document names, and must be one of the key's own kind.
    """
    try:
        key = load_der_public_key(spki)
        match key:
            case rsa.RSAPublicKey() if algorithm in _RSA and hash_algorithm:
                key.verify(signature, signed, padding.PKCS1v15(), hash_algorithm)
            case rsa.RSAPublicKey() if algorithm == SignatureAlgorithmOID.RSASSA_PSS and pss and hash_algorithm:
                key.verify(signature, signed, pss, hash_algorithm)
            case ec.EllipticCurvePublicKey() if algorithm in _ECDSA and hash_algorithm:
                key.verify(signature, signed, ec.ECDSA(hash_algorithm))
            case ed25519.Ed25519PublicKey() if algorithm == SignatureAlgorithmOID.ED25519:
                key.verify(signature, signed)
            case ed448.Ed448PublicKey() if algorithm == SignatureAlgorithmOID.ED448:
                key.verify(signature, signed)
            case _:
                return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True
