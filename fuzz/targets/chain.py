"""Path validation over changed leaves, intermediates and anchors, signed again so that OpenSSL goes on."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from certbound.certificates import der
from certbound.certificates.certificate import CertificateError, parse_certificate
from certbound.chain.validation import validate_chain
from fuzz import mutation, seeds
from fuzz.target import Target, expect

_ROOT = parse_certificate(seeds.root())
_OUR_ALGORITHM = bytes.fromhex("300a06082a8648ce3d040302")


def _validate(data: bytes) -> None:
    """Take the first certificate as the leaf, all others as presented, and the last as an anchor beside our root."""
    leaf, *others = [_signed(certificate) for certificate in _split(data)] or [b""]
    anchors = [_ROOT]
    if others:
        anchors.append(parse_certificate(others[-1]))
    decision = validate_chain(parse_certificate(leaf), others, anchors, stored=[seeds.intermediate()], now=seeds.NOW)
    for check in decision.checks:
        str(check.as_json()).encode()
    passed = all(check.passed for check in decision.checks)
    expect(passed == bool(decision.path), "a path where a check failed, or none where all passed")


def _split(data: bytes) -> list[bytes]:
    certificates: list[bytes] = []
    while data and len(certificates) < 15:  # noqa: PLR2004 - more than the limit on chains
        try:
            _, _, rest = der.read_element(data)
        except ValueError:
            rest = b""
        certificates.append(data[: len(data) - len(rest)])
        data = rest
    return certificates


def _signed(certificate: bytes) -> bytes:
    """Sign a certificate of ours again over what it says now."""
    try:
        (tag, content), (_, algorithm), _ = der.read_all(der.read_only(certificate, der.SEQUENCE))
    except ValueError:
        return certificate
    if _sequence(algorithm) != _OUR_ALGORITHM:
        return certificate
    signed = _sequence(content, tag)
    signature = seeds.KEY.sign(signed, ec.ECDSA(hashes.SHA256()))
    return _sequence(signed + _OUR_ALGORITHM + _sequence(b"\0" + signature, 0x03))


def _sequence(content: bytes, tag: int = der.SEQUENCE) -> bytes:
    if len(content) < 0x80:  # noqa: PLR2004 - DER's short form
        return bytes((tag, len(content))) + content
    octets = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


TARGETS = (Target("validate_chain", _validate, (CertificateError,), seeds.chains, mutation.der, maximum=32_768),)
