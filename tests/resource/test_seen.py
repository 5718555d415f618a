from certbound.certificates.presented import PresentedChain
from certbound.jose.jwks import JWKSet
from certbound.resource.seen import MAX_TOKENS, SeenTokens
from certbound.resource.verifier import BoundToken

MINE = PresentedChain(b"mine")
TOKEN = BoundToken("c", "s", frozenset(), "x", 100, {})


def test_a_token_is_recalled_with_its_certificate_keys_and_time_only() -> None:
    keys, seen = JWKSet(()), SeenTokens()
    seen.remember("t", MINE, TOKEN, keys)
    assert seen.recall("t", MINE, 99, keys) is TOKEN
    assert seen.recall("t", PresentedChain(b"other"), 99, keys) is None
    assert seen.recall("t", None, 99, keys) is None
    assert seen.recall("u", MINE, 99, keys) is None
    assert seen.recall("t", MINE, 99, JWKSet(())) is None
    assert seen.recall("t", MINE, 100, keys) is None


def test_the_memory_is_bounded_and_the_oldest_goes_first() -> None:
    keys, seen = JWKSet(()), SeenTokens()
    for number in range(MAX_TOKENS + 1):
        seen.remember(str(number), MINE, TOKEN, keys)
    assert seen.recall("0", MINE, 0, keys) is None
    assert seen.recall("1", MINE, 0, keys) is TOKEN
    assert len(seen._tokens) == MAX_TOKENS
