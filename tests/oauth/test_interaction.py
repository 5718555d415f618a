"""What a user still has to do, as OpenID Connect Core has it, row by row."""

import json

import pytest

from certbound.oauth.authorization_request import AuthorizationRefusedError, AuthorizationRequest
from certbound.oauth.claims_request import parse_claims
from certbound.oauth.id_token import UserAuthentication
from certbound.oauth.interaction import Step, next_step

NOW = 1_000_000
MFA = "https://refeds.org/profile/mfa"


def step(
    user: UserAuthentication | None,
    *,
    prompt: str = "",
    max_age: int | None = None,
    claims: object = None,
    hinted: str | None = None,
    consented: bool = False,
    fresh: bool = False,
) -> Step | str:
    """Give the step, or the error that goes to the client."""
    request = AuthorizationRequest(
        "app",
        "https://app.example/cb",
        redirect_uri_sent=True,
        prompt=frozenset(prompt.split()),
        max_age=max_age,
        claims=parse_claims(json.dumps(claims or {})),
    )
    try:
        return next_step(request, user, hinted=hinted, consented=consented, fresh=fresh, now=NOW)
    except AuthorizationRefusedError as refused:
        return refused.error


ADA = UserAuthentication("usr_ada", NOW - 100, None, ("pwd",))
BY_TWO = UserAuthentication("usr_ada", NOW - 100, MFA, ("pwd", "otp", "mfa"))
SIGN_IN, CONSENT, ANSWER = Step


def test_whoever_is_not_signed_in_signs_in() -> None:
    assert step(None) is SIGN_IN
    assert step(None, consented=True) is SIGN_IN


def test_what_was_allowed_before_is_answered_and_anything_else_is_asked() -> None:
    assert step(ADA, consented=True) is ANSWER
    assert step(ADA) is CONSENT
    assert step(ADA, consented=True, prompt="consent") is CONSENT


@pytest.mark.parametrize("prompt", ["login", "select_account", "login consent"])
def test_a_prompt_for_the_account_is_met_by_signing_in_for_this_request_only(prompt: str) -> None:
    assert step(ADA, consented=True, prompt=prompt) is SIGN_IN
    assert step(ADA, prompt=prompt, fresh=True) is CONSENT


@pytest.mark.parametrize(("max_age", "expected"), [(0, SIGN_IN), (99, SIGN_IN), (100, ANSWER), (101, ANSWER)])
def test_a_sign_in_may_not_be_older_than_the_client_says(max_age: int, expected: Step) -> None:
    assert step(ADA, consented=True, max_age=max_age) is expected
    assert step(ADA, consented=True, max_age=max_age, fresh=True) is ANSWER


def test_no_age_at_all_is_a_prompt_to_sign_in() -> None:
    just_now = UserAuthentication("usr_ada", NOW)
    assert step(just_now, consented=True, max_age=0) is SIGN_IN
    assert step(just_now, consented=True, max_age=0, fresh=True) is ANSWER


def test_nobody_is_shown_a_page_where_the_client_wants_none() -> None:
    assert step(ADA, prompt="none", consented=True) is ANSWER
    assert step(None, prompt="none") == "login_required"
    assert step(ADA, prompt="none") == "consent_required"
    assert step(ADA, prompt="none", consented=True, max_age=1) == "login_required"
    assert step(ADA, prompt="none", consented=True, hinted="usr_eve") == "login_required"


EVE_ONLY = {"id_token": {"sub": {"value": "usr_eve"}}}


@pytest.mark.parametrize("meant", [{"hinted": "usr_eve"}, {"claims": EVE_ONLY}], ids=["id_token_hint", "claims"])
def test_a_request_about_somebody_is_not_answered_for_another(meant: dict[str, object]) -> None:
    eve = UserAuthentication("usr_eve", NOW)
    assert step(eve, consented=True, **meant) is ANSWER  # type: ignore[arg-type]
    assert step(ADA, consented=True, **meant) is SIGN_IN  # type: ignore[arg-type]
    assert step(ADA, consented=True, fresh=True, **meant) == "login_required"  # type: ignore[arg-type]


ESSENTIAL = {"id_token": {"acr": {"essential": True, "values": [MFA]}}}


def test_a_class_of_authentication_that_is_essential_is_reached_or_refused() -> None:
    assert step(BY_TWO, consented=True, claims=ESSENTIAL) is ANSWER
    assert step(ADA, consented=True, claims=ESSENTIAL) is SIGN_IN
    assert step(ADA, consented=True, claims=ESSENTIAL, fresh=True) == "unmet_authentication_requirements"
    assert step(ADA, consented=True, claims=ESSENTIAL, prompt="none") == "login_required"


@pytest.mark.parametrize("asked", [None, {"values": [MFA]}, {"essential": True}], ids=str)
def test_a_class_that_is_only_wished_for_turns_nobody_away(asked: object) -> None:
    assert step(ADA, consented=True, claims={"id_token": {"acr": asked}}) is ANSWER
