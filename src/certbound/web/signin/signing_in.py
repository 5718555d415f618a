"""The two pages on which a person signs in: name and password, then the second factor of those who have one.

That somebody has one is told only to who knows the password.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from certbound.authority.people import TooManyChecksError
from certbound.authority.second_factor import DIGITS
from certbound.authority.sign_in import Attempt, PasswordProved, SignIn, TooManyAttemptsError
from certbound.oauth.form import Form
from certbound.web.signin import cookies
from certbound.web.signin.forms import BUTTON, Forms

SECOND_FACTOR_SECONDS = 300
"""For which a password that was right need not be typed again."""
_WRONG = (
    "This did not work. The user name or the password is wrong, or the account is locked for now: after several wrong"
    " attempts wait a few minutes, then try again."
)
_WRONG_CODE = (
    "This did not work. Each code is good once and for half a minute: wait for the next one. After several wrong"
    " attempts the account is locked for some minutes."
)
_STALE = "This page was open for too long, or your browser keeps no cookies. Allow cookies for this page and try again."
_TOO_MANY = "There were too many attempts from your network. Wait a minute, then try again."
_BUSY = "The server has too much to do at the moment. Wait a few seconds, then try again."


@dataclass(frozen=True, slots=True)
class Occasion:
    """What somebody is to sign in for: `about` tells it from others, `purpose` is what the page calls it.

    `send_to` is the redirect URI at which this may end, `username` a hint of who it is.
    """

    about: str
    purpose: str | None = None
    send_to: str | None = None
    username: str = ""


class SigningIn:
    """Asks people to sign in, and takes what they type."""

    def __init__(self, people: SignIn, forms: Forms) -> None:
        self._people = people
        self._forms = forms

    def ask(
        self, request: Request, occasion: Occasion, *, problem: str = "", username: str = "", status: int = 200
    ) -> Response:
        """Make the first page."""
        return self._forms.page(
            request,
            "sign_in",
            occasion.about,
            status=status,
            send_to=occasion.send_to,
            purpose=occasion.purpose,
            can_cancel=occasion.send_to is not None,
            username=username or occasion.username,
            problem=problem,
        )

    async def answer(self, request: Request, form: Form, occasion: Occasion) -> str | Response:
        """Give the cookie of a new session, or the page that comes next. Raises StoreUnavailable."""
        try:
            if form.get(BUTTON) == "second_factor":
                return await self._second(request, form, occasion)
            return await self._first(request, form, occasion)
        except TooManyAttemptsError:
            problem, status = _TOO_MANY, HTTPStatus.TOO_MANY_REQUESTS
        except TooManyChecksError:
            problem, status = _BUSY, HTTPStatus.SERVICE_UNAVAILABLE
        return self.ask(request, occasion, problem=problem, username=form.get("username") or "", status=status)

    async def _first(self, request: Request, form: Form, occasion: Occasion) -> str | Response:
        username = form.get("username") or ""
        if self._forms.open(request, form, occasion.about) is None:
            return self.ask(request, occasion, problem=_STALE, username=username, status=HTTPStatus.BAD_REQUEST)
        attempt = Attempt(username, form.get("password") or "", address=_address(request))
        outcome = await self._people.sign_in(attempt, replaces=cookies.session_of(request))
        if outcome is None:
            return self.ask(request, occasion, problem=_WRONG, username=username, status=HTTPStatus.FORBIDDEN)
        if isinstance(outcome, PasswordProved):
            carried = {"username": outcome.username, "proof": outcome.proof}
            return self._ask_code(request, occasion, carried)
        return outcome

    async def _second(self, request: Request, form: Form, occasion: Occasion) -> str | Response:
        carried = self._forms.open(request, form, occasion.about, "second factor", lasts=SECOND_FACTOR_SECONDS)
        if carried is None:
            return self.ask(request, occasion, problem=_STALE, status=HTTPStatus.BAD_REQUEST)
        proved = PasswordProved(carried["username"], carried["proof"])
        cookie = await self._people.complete(
            proved,
            form.get("one_time_password") or "",
            address=_address(request),
            replaces=cookies.session_of(request),
        )
        if cookie is None:
            return self._ask_code(request, occasion, carried, problem=_WRONG_CODE, status=HTTPStatus.FORBIDDEN)
        return cookie

    def _ask_code(
        self,
        request: Request,
        occasion: Occasion,
        carried: Mapping[str, Any],
        *,
        problem: str = "",
        status: int = 200,
    ) -> Response:
        return self._forms.page(
            request,
            "second_factor",
            occasion.about,
            "second factor",
            carried={name: carried[name] for name in ("username", "proof")},
            status=status,
            send_to=occasion.send_to,
            can_cancel=occasion.send_to is not None,
            digits=DIGITS,
            problem=problem,
        )


def _address(request: Request) -> str | None:
    return request.client.host if request.client else None
