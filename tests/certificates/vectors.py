"""The certificates, lists and broken things of the PyPI package cryptography-vectors, `x509/custom`."""

import base64
import re
from pathlib import Path

import cryptography_vectors

CUSTOM = Path(cryptography_vectors.__file__).parent / "x509" / "custom"
FILES = [path for path in sorted(CUSTOM.rglob("*")) if path.is_file()]
_BODY = re.compile(rb"-----BEGIN [A-Z0-9 ]+-----(.*?)-----END", re.DOTALL)


def contents() -> list[bytes]:
    """Every file as it is."""
    return [path.read_bytes() for path in FILES]


def encodings() -> list[bytes]:
    """The DER in every file, of whatever kind."""
    return [
        encoded
        for data in contents()
        for encoded in ([base64.b64decode(body) for body in _BODY.findall(data)] or [data])
    ]
