"""Certificates that no library would write, put together by hand; their signatures are wrong unless `signed`."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from certbound.certificates import der

SERIAL_NUMBER, SUBJECT, PUBLIC_KEY = 1, 5, 6
"""Places of members in the TBSCertificate of version 3 (RFC 5280 section 4.1)."""

_INTEGER, _BIT_STRING = 0x02, 0x03
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_RSA, _EC = bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2a8648ce3d0201")


def element(tag: int, content: bytes) -> bytes:
    """Encode one DER element."""
    length = len(content)
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag]) + (bytes([length]) if length < 128 else bytes([0x80 | len(octets)]) + octets) + content


def integer(number: int) -> bytes:
    """Encode an INTEGER that is not negative."""
    return element(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def spliced(certificate: bytes, place: int, member: bytes) -> bytes:
    """Put another member into a certificate."""
    (_, tbs), *rest = der.read_all(der.read_only(certificate, der.SEQUENCE))
    members = [element(tag, content) for tag, content in der.read_all(tbs)]
    members[place] = member
    return element(der.SEQUENCE, element(der.SEQUENCE, b"".join(members)) + b"".join(element(*e) for e in rest))


def signed(certificate: bytes, issuer: object) -> bytes:
    """Sign anew what was spliced; the certificate must say ECDSA with SHA-256 already."""
    assert isinstance(issuer, ec.EllipticCurvePrivateKey)
    (tag, tbs), algorithm, _ = der.read_all(der.read_only(certificate, der.SEQUENCE))
    body = element(tag, tbs)
    signature = element(_BIT_STRING, b"\0" + issuer.sign(body, ec.ECDSA(hashes.SHA256())))
    return element(der.SEQUENCE, body + element(*algorithm) + signature)


def rsa_key(modulus: int, exponent: int) -> bytes:
    """Encode a SubjectPublicKeyInfo of numbers that no library would take (RFC 3279 section 2.3.1)."""
    numbers = integer(modulus) + integer(exponent)
    algorithm = element(der.SEQUENCE, element(der.OBJECT_IDENTIFIER, _RSA) + b"\x05\0")
    return element(der.SEQUENCE, algorithm + element(_BIT_STRING, b"\0" + element(der.SEQUENCE, numbers)))


def ec_key(parameters: bytes, point: bytes) -> bytes:
    """Encode a SubjectPublicKeyInfo on whatever curve (RFC 5480 section 2)."""
    algorithm = element(der.SEQUENCE, element(der.OBJECT_IDENTIFIER, _EC) + parameters)
    return element(der.SEQUENCE, algorithm + element(_BIT_STRING, b"\0" + point))


def twin(certificate: bytes) -> bytes:
    """Write the P-256 signature (r, s) as (r, n - s), which holds too: other bytes, without anybody's private key."""
    first, algorithm, (_, bits) = der.read_all(der.read_only(certificate, der.SEQUENCE))
    (_, r), (tag, s) = der.read_all(der.read_only(bits[1:], der.SEQUENCE))
    other = integer(_P256_ORDER - int.from_bytes(s, "big"))
    assert tag == _INTEGER
    signature = element(_BIT_STRING, b"\0" + element(der.SEQUENCE, element(_INTEGER, r) + other))
    return element(der.SEQUENCE, element(*first) + element(*algorithm) + signature)
