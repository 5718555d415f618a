"""Signing changed structures again, so that what verifies them goes on to read them."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from certbound.certificates import der
from fuzz.seeds import KEY

_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_BIT_STRING = 0x03
_SHORT_FORM = 0x80


def signed_again(signed: bytes) -> bytes:
    """Put a signature that holds on a certificate, a CRL or a BasicOCSPResponse of ours; others stay as they are."""
    try:
        (tag, content), (_, algorithm), _, *more = der.read_all(der.read_only(signed, der.SEQUENCE))
    except ValueError:
        return signed
    if element(algorithm) != _ECDSA_WITH_SHA256:
        return signed
    said = element(content, tag)
    signature = element(b"\0" + KEY.sign(said, ec.ECDSA(hashes.SHA256())), _BIT_STRING)
    return element(said + _ECDSA_WITH_SHA256 + signature + b"".join(element(c, t) for t, c in more))


def element(content: bytes, tag: int = der.SEQUENCE) -> bytes:
    """Encode one element."""
    if len(content) < _SHORT_FORM:
        return bytes((tag, len(content))) + content
    octets = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, _SHORT_FORM | len(octets))) + octets + content
