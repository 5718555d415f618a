"""Threats B9: the broken certificates of cryptography's vectors as the `x5c` of a client's key."""

import base64
from contextlib import suppress
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, OKPKey, RSAKey
from tests.certificates.vectors import contents, encodings

from certbound.certificates.certificate import CertificateError, parse_certificate
from certbound.oauth.client_jwks import read_client_jwks
from certbound.oauth.registration import RegistrationError


def _members(encoded: bytes) -> dict[str, Any]:
    """The members that belong to the certificate's key, as far as a library can tell them."""
    key: Any = None
    with suppress(Exception):
        key = x509.load_der_x509_certificate(encoded).public_key()
    kinds: list[tuple[type, Any]] = [(rsa.RSAPublicKey, RSAKey), (ec.EllipticCurvePublicKey, ECKey)]
    for kind, jwk in (*kinds, (ed25519.Ed25519PublicKey, OKPKey)):
        if isinstance(key, kind):
            spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
            with suppress(Exception):
                return dict(jwk.import_key(spki).as_dict(private=False))
    return {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}


@pytest.mark.threat("B9")
def test_each_means_the_client_or_is_refused_as_a_registration() -> None:
    read = refused = 0
    for encoded in encodings():
        document = {"keys": [{**_members(encoded), "x5c": [base64.b64encode(encoded).decode()]}]}
        try:
            [certificate] = read_client_jwks(document).certificates
        except RegistrationError:
            refused += 1
            continue
        assert certificate == parse_certificate(encoded)
        read += 1
    assert read > 40
    assert refused > 20


@pytest.mark.threat("B9")
def test_a_certificate_that_cannot_be_read_means_nobody() -> None:
    for encoded in encodings():
        with suppress(CertificateError):
            parse_certificate(encoded)
            continue
        with pytest.raises(RegistrationError):
            read_client_jwks({"keys": [{**_members(encoded), "x5c": [base64.b64encode(encoded).decode()]}]})


@pytest.mark.threat("B9")
def test_the_files_as_they_are_mean_nobody() -> None:
    for data in contents():
        with pytest.raises(RegistrationError):
            read_client_jwks({"keys": [{"kty": "EC", "crv": "P-256", "x5c": [data.decode("latin-1")]}]})
