"""What a user still has to do before a request can be answered (OpenID Connect Core sections 3.1.2.1 to 3.1.2.4)."""

from enum import Enum, auto

from certbound.oauth.authorization_request import AuthorizationRequest
from certbound.oauth.id_token import UserAuthentication


class Step(Enum):
    """What comes next before the user."""

    SIGN_IN = auto()
    CONSENT = auto()
    ANSWER = auto()


def next_step(
    request: AuthorizationRequest,
    user: UserAuthentication | None,
    *,
    hinted: str | None,
    consented: bool,
    fresh: bool,
    now: int,
) -> Step:
    """Say what comes next; AuthorizationRefusedError where that is not to be asked, or was and does not suffice.

    `user` is who is signed in, `fresh` whether for this very request; `hinted` is the `sub` of an `id_token_hint`,
    `consented` whether what is asked for was allowed before; `now` in seconds since the epoch.
    """
    silent = "none" in request.prompt
    if user is None or _must_sign_in(request, user, fresh=fresh, now=now):
        if silent:
            raise request.refused("login_required", "no user is signed in as the request demands")
        return Step.SIGN_IN
    if not _is_meant(request, user, hinted):
        if silent or fresh:
            raise request.refused("login_required", "another user is signed in than the request is about")
        return Step.SIGN_IN
    if not _is_proven_enough(request, user):
        if silent:
            raise request.refused("login_required", "the user signed in by other means than the request demands")
        if fresh:
            text = "the user cannot sign in by the means that the request demands"
            raise request.refused("unmet_authentication_requirements", text)
        return Step.SIGN_IN
    if consented and "consent" not in request.prompt:
        return Step.ANSWER
    if silent:
        raise request.refused("consent_required", "the user has not allowed this yet")
    return Step.CONSENT


def _must_sign_in(request: AuthorizationRequest, user: UserAuthentication, *, fresh: bool, now: int) -> bool:
    if fresh:
        return False
    if request.prompt & {"login", "select_account"} or request.max_age == 0:
        return True
    return request.max_age is not None and now - user.auth_time > request.max_age


def _is_meant(request: AuthorizationRequest, user: UserAuthentication, hinted: str | None) -> bool:
    return hinted in {None, user.subject} and request.claims.allows_subject(user.subject)


def _is_proven_enough(request: AuthorizationRequest, user: UserAuthentication) -> bool:
    """Say whether the class of authentication is one that was asked for as essential (section 5.5.1.1).

    `acr_values` are a wish, which nobody is turned away for.
    """
    asked = request.claims.id_token.get("acr")
    return asked is None or not asked.essential or not asked.values or user.acr in asked.values
