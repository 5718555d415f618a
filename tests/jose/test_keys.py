import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from certbound.jose.keys import ALGORITHMS, generate_signing_key, load_signing_key

PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k"}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_published_of_a_key_is_public_and_says_what_it_is_for(algorithm: str) -> None:
    key = generate_signing_key(algorithm)
    assert not key.public_jwk.keys() & PRIVATE_MEMBERS
    assert key.public_jwk["use"] == "sig"
    assert key.public_jwk["alg"] == algorithm
    assert key.public_jwk["kid"] == key.kid


def test_the_default_is_es256_and_no_two_keys_share_a_kid() -> None:
    keys = [generate_signing_key() for _ in range(10)]
    assert {key.algorithm for key in keys} == {"ES256"}
    assert len({key.kid for key in keys}) == 10


def test_a_printed_key_shows_nothing_private() -> None:
    key = generate_signing_key()
    assert "key=" not in repr(key)
    assert str(key.key.as_dict(private=True)["d"]) not in repr(key)


@pytest.mark.parametrize("name", ["none", "HS256", "es256", "ES512", ""])
def test_an_unknown_algorithm_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(ValueError, match="use one of ES256, ES384, RS256, PS256, EdDSA"):
        generate_signing_key(name)
    with pytest.raises(ValueError, match="use one of ES256, ES384, RS256, PS256, EdDSA"):
        load_signing_key(name, b"")


@pytest.mark.parametrize(
    ("algorithm", "other"),
    [
        ("ES256", ECKey.generate_key("P-384")),
        ("ES384", ECKey.generate_key("P-256")),
        ("EdDSA", OKPKey.generate_key("X25519")),
        ("RS256", ECKey.generate_key("P-256")),
        ("ES256", RSAKey.generate_key(2048)),
    ],
    ids=["P-384 for ES256", "P-256 for ES384", "X25519 for EdDSA", "EC for RS256", "RSA for ES256"],
)
def test_a_key_that_does_not_fit_its_algorithm_is_not_loaded(algorithm: str, other: ECKey | OKPKey | RSAKey) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        load_signing_key(algorithm, other.as_der(private=True))


def test_bytes_that_are_no_key_are_not_loaded() -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        load_signing_key("ES256", b"junk")
