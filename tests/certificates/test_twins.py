import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from tests.oauth.making import DAY, NOW

from certbound.certificates import twins
from certbound.certificates.presented import PresentedChain
from certbound.oauth.blocking import Blocked


def self_signed(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mine")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, NOW - DAY, NOW + DAY)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.DER)


def holding_twins(key: ec.EllipticCurvePrivateKey, encoded: bytes) -> list[bytes]:
    """Give the twins whose signature the issuer's key takes."""
    holding = []
    for twin in twins._twins(encoded):
        certificate = x509.load_der_x509_certificate(twin)
        try:
            key.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
        except Exception:  # noqa: BLE001, S112 - of another curve's order
            continue
        holding.append(twin)
    return holding


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_a_block_by_thumbprint_holds_for_the_twin_that_everybody_can_make(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    encoded = self_signed(key)
    [twin] = holding_twins(key, encoded)
    assert twin != encoded
    r, s = decode_dss_signature(x509.load_der_x509_certificate(twin).signature)
    assert (r, s) != decode_dss_signature(x509.load_der_x509_certificate(encoded).signature)
    blocked = Blocked(certificates=frozenset({hashlib.sha256(encoded).digest()}))
    assert (
        blocked.refusal(PresentedChain(twin))
        == blocked.refusal(PresentedChain(encoded))
        == "the certificate is blocked"
    )
    assert blocked.refusal(PresentedChain(self_signed(key))) is None


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()])
def test_a_certificate_whose_signature_has_one_form_has_no_twin(key: rsa.RSAPrivateKey) -> None:
    encoded = self_signed(key)
    assert twins.thumbprints(encoded) == (hashlib.sha256(encoded).digest(),)


@given(st.binary(max_size=100))
def test_what_is_no_certificate_has_its_own_thumbprint_only(data: bytes) -> None:
    assert twins.thumbprints(data) == (hashlib.sha256(data).digest(),)
