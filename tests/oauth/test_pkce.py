import hashlib
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form, form_of
from certbound.oauth.pkce import check_challenge, verify

# RFC 7636 appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def form(**parameters: str) -> Form:
    return form_of(parameters.items())


@pytest.mark.req("9700-04")
def test_the_challenge_of_the_rfc_is_met_by_its_verifier_alone() -> None:
    challenge = check_challenge(form(code_challenge=CHALLENGE, code_challenge_method="S256"))
    assert challenge == CHALLENGE
    assert verify(challenge, VERIFIER) is None
    assert verify(challenge, VERIFIER[:-1] + "l") == "code_verifier is not the one of the code_challenge"


def test_a_request_without_pkce_has_no_challenge() -> None:
    assert check_challenge(form(state="x")) is None
    assert verify(None, None) is None


@pytest.mark.req("9700-04", "F2-14")
@pytest.mark.threat("35")
@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"code_challenge": VERIFIER, "code_challenge_method": "plain"}, "S256"),
        ({"code_challenge": CHALLENGE}, "S256"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "s256"}, "S256"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S512"}, "S256"),
        ({"code_challenge_method": "S256"}, "without a code_challenge"),
        ({"code_challenge": CHALLENGE[:-1], "code_challenge_method": "S256"}, "43 characters"),
        ({"code_challenge": CHALLENGE + "=", "code_challenge_method": "S256"}, "43 characters"),
        ({"code_challenge": CHALLENGE[:-1] + "+", "code_challenge_method": "S256"}, "43 characters"),
        ({"code_challenge": CHALLENGE + "\n", "code_challenge_method": "S256"}, "43 characters"),
        ({"code_challenge": "a" * 128, "code_challenge_method": "S256"}, "43 characters"),
    ],
)
def test_a_challenge_that_proves_nothing_is_refused(parameters: dict[str, str], said: str) -> None:
    with pytest.raises(OAuthError, match=said) as refused:
        check_challenge(form(**parameters))
    assert refused.value.error == "invalid_request"


@pytest.mark.req("9700-05")
@pytest.mark.threat("35")
def test_a_verifier_without_a_challenge_shows_that_somebody_took_it_out() -> None:
    assert verify(None, VERIFIER) is not None


@pytest.mark.req("9700-04")
@pytest.mark.threat("35")
@pytest.mark.parametrize(
    "verifier",
    [None, "", VERIFIER[:42], "a" * 129, VERIFIER + "=", VERIFIER[:-1] + "ü", CHALLENGE, VERIFIER + "\n", " " * 43],
)
def test_a_challenge_is_met_by_no_other_verifier_and_not_by_none(verifier: str | None) -> None:
    assert verify(CHALLENGE, verifier) is not None


@pytest.mark.parametrize("verifier", ["short", "a" * 42, "a" * 129, "ü" * 43])
def test_a_verifier_that_could_be_guessed_or_is_none_does_not_do_though_its_challenge_is_right(verifier: str) -> None:
    digest = hashlib.sha256(verifier.encode()).digest()
    assert verify(urlsafe_b64encode(digest).decode().rstrip("="), verifier) is not None


@given(st.none() | st.text(max_size=130), st.none() | st.text(max_size=130))
def test_nothing_made_up_is_a_verifier(challenge: str | None, verifier: str | None) -> None:
    fits = challenge is None and verifier is None
    assert (verify(challenge, verifier) is None) is fits
