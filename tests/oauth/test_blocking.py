"""What is blocked, and the list that says so."""

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from certbound.certificates.presented import PresentedChain
from certbound.oauth.blocking import (
    CLOCK_SECONDS,
    MAXIMUM_ENTRIES,
    NOTHING_BLOCKED,
    Blocked,
    BlockedListError,
    blocked_claims,
    read_blocked,
)

from .making import Identity, make, new_key

ISSUER = "https://as.example"
NOW = 1_800_000_000
MINE, OTHER = make("CN=mine"), make("CN=other")
DIGEST = hashlib.sha256(b"certificate").digest()


def certificate_hash(identity: Identity) -> bytes:
    return hashlib.sha256(identity.der).digest()


def key_hash(identity: Identity) -> bytes:
    spki = identity.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


def test_a_blocked_certificate_is_refused_and_no_other() -> None:
    blocked = Blocked(certificates=frozenset({certificate_hash(MINE)}))
    assert blocked.refusal(MINE.presented()) == "the certificate is blocked"
    assert blocked.refusal(OTHER.presented()) is None
    assert blocked.refusal(None) is None


def test_only_the_certificate_whose_key_was_proved_counts() -> None:
    blocked = Blocked(frozenset({certificate_hash(MINE)}), frozenset({key_hash(MINE)}))
    assert blocked.refusal(OTHER.presented(MINE)) is None
    assert blocked.refusal(MINE.presented(OTHER)) is not None


def test_a_blocked_key_stays_blocked_in_a_renewed_certificate() -> None:
    key = new_key()
    first, renewed = make("CN=robot", key=key), make("CN=robot renewed", key=key)
    blocked = Blocked(keys=frozenset({key_hash(first)}))
    assert first.der != renewed.der
    for identity in (first, renewed):
        assert blocked.refusal(identity.presented()) == "the key of the certificate is blocked"
    assert blocked.refusal(OTHER.presented()) is None


def test_a_blocked_key_stays_blocked_in_whatever_form_a_certificate_writes_it() -> None:
    public = MINE.key.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    long, short = (
        public.public_bytes(Encoding.X962, form)
        for form in (PublicFormat.UncompressedPoint, PublicFormat.CompressedPoint)
    )
    rewritten = replaced(MINE.der, long, short)
    assert x509.load_der_x509_certificate(rewritten).public_key() == public
    assert Blocked(keys=frozenset({key_hash(MINE)})).refusal(PresentedChain(rewritten)) is not None


def replaced(der: bytes, old: bytes, new: bytes) -> bytes:
    """Put other octets into whichever elements hold these, and make the lengths around them right again."""
    out = b""
    while der:
        tag, size, start = der[0], der[1], 2
        if size & 0x80:
            start = 2 + (size & 0x7F)
            size = int.from_bytes(der[2:start], "big")
        content, der = der[start : start + size], der[start + size :]
        content = replaced(content, old, new) if tag & 0x20 else content.replace(old, new)
        length = len(content).to_bytes(2, "big").lstrip(b"\x00") or b"\x00"
        out += bytes([tag]) + (length if len(content) < 0x80 else bytes([0x80 | len(length)]) + length) + content
    return out


def test_a_certificate_that_cannot_be_read_is_refused_once_a_key_is_blocked() -> None:
    unreadable = PresentedChain(b"no certificate")
    assert NOTHING_BLOCKED.refusal(unreadable) is None
    assert Blocked(certificates=frozenset({DIGEST}), tokens=frozenset({"a"})).refusal(unreadable) is None
    assert "cannot be read" in str(Blocked(keys=frozenset({DIGEST})).refusal(unreadable))
    by_hash = Blocked(certificates=frozenset({hashlib.sha256(unreadable.leaf).digest()}))
    assert by_hash.refusal(unreadable) == "the certificate is blocked"


def claims_of(blocked: Blocked = NOTHING_BLOCKED, **changed: Any) -> dict[str, Any]:
    return {**blocked_claims(blocked, issuer=ISSUER, issued_at=NOW, expires_at=NOW + 300), **changed}


def test_the_list_has_these_claims() -> None:
    text = base64.urlsafe_b64encode(DIGEST).rstrip(b"=").decode()
    blocked = Blocked(frozenset({DIGEST}), frozenset({DIGEST}), frozenset({"b", "a"}))
    assert claims_of(blocked) == {
        "iss": ISSUER,
        "iat": NOW,
        "exp": NOW + 300,
        "x5t#S256": [text],
        "spki#S256": [text],
        "jti": ["a", "b"],
    }


hashes = st.frozensets(st.binary(min_size=32, max_size=32), max_size=5)


@given(hashes, hashes, st.frozensets(st.text(st.characters(codec="ascii"), min_size=1, max_size=256), max_size=5))
def test_what_is_listed_reads_as_it_was(
    certificates: frozenset[bytes], keys: frozenset[bytes], tokens: frozenset[str]
) -> None:
    blocked = Blocked(certificates, keys, tokens)
    claims = json.loads(json.dumps(claims_of(blocked)))
    assert read_blocked(claims, issuer=ISSUER, now=NOW) == blocked


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"iss": "https://as.example/"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"exp": NOW}, "expired"),
        ({"exp": None}, "no whole number"),
        ({"exp": True}, "no whole number"),
        ({"exp": NOW + 0.5}, "no whole number"),
        ({"exp": float("inf")}, "no whole number"),
        ({"iat": str(NOW)}, "no whole number"),
        ({"iat": NOW + CLOCK_SECONDS + 1}, "future"),
        ({"x5t#S256": None}, "no list"),
        ({"spki#S256": {}}, "no list"),
        ({"jti": "abc"}, "no list"),
        ({"jti": [1]}, "no list"),
        ({"jti": [""]}, "empty or too long"),
        ({"jti": ["x" * 257]}, "empty or too long"),
        ({"x5t#S256": ["A" * 42]}, "no SHA-256"),
        ({"x5t#S256": ["A" * 43 + "="]}, "no SHA-256"),
        ({"x5t#S256": ["A" * 43 + "\n"]}, "no SHA-256"),
        ({"spki#S256": ["A" * 42 + "+"]}, "no SHA-256"),
        ({"spki#S256": ["a" * 64]}, "no SHA-256"),
    ],
    ids=str,
)
def test_a_list_with_any_fault_is_not_read_at_all(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(BlockedListError, match=why):
        read_blocked(claims_of(**changed), issuer=ISSUER, now=NOW)


@pytest.mark.parametrize("missing", ["iss", "iat", "exp", "x5t#S256", "spki#S256", "jti"])
def test_every_claim_is_needed(missing: str) -> None:
    claims = claims_of()
    del claims[missing]
    with pytest.raises(BlockedListError):
        read_blocked(claims, issuer=ISSUER, now=NOW)


def test_a_clock_a_little_ahead_is_borne() -> None:
    claims = claims_of(iat=NOW + CLOCK_SECONDS, exp=NOW + CLOCK_SECONDS + 300)
    assert read_blocked(claims, issuer=ISSUER, now=NOW) == NOTHING_BLOCKED


def test_a_list_is_bounded_where_it_is_made_and_where_it_is_read() -> None:
    most = frozenset(map(str, range(MAXIMUM_ENTRIES)))
    claims = claims_of(Blocked(tokens=most))
    assert read_blocked(claims, issuer=ISSUER, now=NOW).tokens == most
    claims["jti"].append("one more")
    with pytest.raises(BlockedListError, match="100001 entries"):
        read_blocked(claims, issuer=ISSUER, now=NOW)
    with pytest.raises(BlockedListError, match="100001 entries"):
        claims_of(Blocked(keys=frozenset({DIGEST}), tokens=most))
