"""Path validation over changed leaves, intermediates and anchors, signed again so that OpenSSL goes on."""

from certbound.certificates import der
from certbound.certificates.certificate import CertificateError, parse_certificate
from certbound.chain.validation import validate_chain
from fuzz import mutation, seeds
from fuzz.signing import signed_again
from fuzz.target import Target, expect

_ROOT = parse_certificate(seeds.root())


def _validate(data: bytes) -> None:
    """Take the first certificate as the leaf, all others as presented, and the last as an anchor beside our root."""
    leaf, *others = [signed_again(certificate) for certificate in _split(data)] or [b""]
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


TARGETS = (Target("validate_chain", _validate, (CertificateError,), seeds.chains, mutation.der, maximum=32_768),)
