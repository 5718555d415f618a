"""Certificates that no library would write, put together by hand; their signatures are wrong, as nobody looks here."""

from certbound.certificates import der

SUBJECT, PUBLIC_KEY = 5, 6
"""Places of members in the TBSCertificate of version 3 (RFC 5280 section 4.1)."""


def element(tag: int, content: bytes) -> bytes:
    """Encode one DER element."""
    length = len(content)
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag]) + (bytes([length]) if length < 128 else bytes([0x80 | len(octets)]) + octets) + content


def spliced(certificate: bytes, place: int, member: bytes) -> bytes:
    """Put another member into a certificate."""
    (_, tbs), *rest = der.read_all(der.read_only(certificate, der.SEQUENCE))
    members = [element(tag, content) for tag, content in der.read_all(tbs)]
    members[place] = member
    return element(der.SEQUENCE, element(der.SEQUENCE, b"".join(members)) + b"".join(element(*e) for e in rest))
