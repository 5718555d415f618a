from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oauth.making import make

from certbound.oauth.binding import binding_refusal, confirmation, key_confirmation

MINE = make()
OTHER = make()
JKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
TO_CERTIFICATE = confirmation(MINE.presented())
TO_KEY = key_confirmation(JKT)


def refusal(cnf: Any, jkt: str | None = JKT) -> str | None:
    return binding_refusal({"cnf": cnf}, MINE.presented(), jkt)


def test_a_token_bound_to_a_key_is_good_with_a_proof_of_that_key_and_no_other() -> None:
    assert TO_KEY == {"jkt": JKT}
    for presented in (None, MINE.presented()):
        assert binding_refusal({"cnf": TO_KEY}, presented, JKT) is None
        assert binding_refusal({"cnf": TO_KEY}, presented, JKT.lower()) == "the token is bound to another key"
        missing = binding_refusal({"cnf": TO_KEY}, presented)
        assert missing == "the token is bound to a key, and no DPoP proof of it was shown"


def test_a_proof_is_no_certificate_and_a_certificate_is_no_proof() -> None:
    thumbprint = TO_CERTIFICATE["x5t#S256"]
    assert binding_refusal({"cnf": TO_CERTIFICATE}, None, thumbprint) == "the connection has no client certificate"
    assert binding_refusal({"cnf": TO_CERTIFICATE}, OTHER.presented(), thumbprint) is not None
    assert binding_refusal({"cnf": key_confirmation(thumbprint)}, MINE.presented()) is not None
    assert refusal(TO_CERTIFICATE) is None


@pytest.mark.parametrize(
    "cnf",
    [
        TO_CERTIFICATE | TO_KEY, TO_KEY | TO_CERTIFICATE, TO_KEY | {"kid": "a"}, TO_CERTIFICATE | {"jwk": {}},
        {"kid": JKT}, {"jwk": {"kty": "EC"}}, {"JKT": JKT}, {"jkt": None}, {"jkt": 1}, {"jkt": [JKT]}, {"jkt": ""},
        {"jkt": "ä"}, {"jkt": "\ud800"}, {"jkt": JKT + "="}, {"jkt": JKT + " "}, {"x5t": JKT}, {"": JKT}, {}, [], JKT,
        None,
    ],
)  # fmt: skip
@pytest.mark.threat("30")
def test_a_token_is_bound_by_exactly_one_method_that_is_known(cnf: Any) -> None:
    assert refusal(cnf) is not None


@given(st.dictionaries(st.sampled_from(["jkt", "x5t#S256", "kid"]), st.text() | st.none() | st.just(JKT)))
def test_whatever_the_confirmation_is_it_is_decided(cnf: dict[str, Any]) -> None:
    assert (refusal(cnf) is None) == (cnf == TO_KEY)
