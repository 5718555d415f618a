import pytest
from hypothesis import given
from hypothesis import strategies as st

from certbound.jose.sealing import MASTER_KEY_LENGTH, SealError, generate_master_key, seal, unseal

MASTER = generate_master_key()
SEALED = seal(b"the private key", MASTER, "signing key 1")


def test_what_was_sealed_is_opened_with_the_same_key_in_the_same_context() -> None:
    assert len(MASTER) == MASTER_KEY_LENGTH == 32
    assert unseal(SEALED, MASTER, "signing key 1") == b"the private key"
    assert b"private" not in SEALED


def test_another_master_key_opens_nothing() -> None:
    with pytest.raises(SealError, match="signing key 1 cannot be opened"):
        unseal(SEALED, generate_master_key(), "signing key 1")


def test_a_sealed_value_is_no_other_value() -> None:
    with pytest.raises(SealError):
        unseal(SEALED, MASTER, "signing key 2")


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    assert seal(b"x", MASTER, "c") != seal(b"x", MASTER, "c")


@given(st.integers(0, len(SEALED) * 8 - 1))
def test_no_bit_can_be_flipped(bit: int) -> None:
    changed = bytearray(SEALED)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealError):
        unseal(bytes(changed), MASTER, "signing key 1")


@given(st.binary(max_size=100), st.binary(max_size=40))
def test_junk_is_never_opened(sealed: bytes, key: bytes) -> None:
    with pytest.raises(SealError):
        unseal(sealed, key, "signing key 1")
