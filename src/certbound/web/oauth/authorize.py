"""GET and POST /oauth2/authorize: a client's request, put before whoever sits at the browser (RFC 6749 section 3.1).

Every step reads the request anew from the address, which stays the same through signing in and agreeing.
"""

import hashlib
import json
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from certbound.authority.own_account import OwnAccount
from certbound.authority.sessions import SignedIn
from certbound.authority.tokens.authorizing import Asked, Authorizer
from certbound.oauth.authorization_request import AuthorizationRefusedError, ResponseMode
from certbound.oauth.authorization_response import error_parameters, redirect_url, response_parameters
from certbound.oauth.form import Form
from certbound.oauth.interaction import Step
from certbound.web.signin import cookies
from certbound.web.signin.forms import BUTTON, FIELD, Forms
from certbound.web.signin.pages import SCRIPT
from certbound.web.signin.sealed import Sealed
from certbound.web.signin.signing_in import Occasion, SigningIn
from certbound.web.signin.wording import names_an_api, worded

FRESH = "certbound_signed_in"
"""The parameter that says, sealed, who signed in for this very request; whatever else stands there is nothing."""
FRESH_SECONDS = 600


class AuthorizationPages:
    """Puts authorization requests before people and sends them back with the answer."""

    def __init__(
        self,
        authorizer: Authorizer,
        account: OwnAccount,
        signing_in: SigningIn,
        forms: Forms,
        sealed: Sealed,
        *,
        issuer: str,
        path: str,
        consents: str,
    ) -> None:
        self._authorizer = authorizer
        self._account = account
        self._signing_in = signing_in
        self._forms = forms
        self._sealed = sealed
        self._issuer = issuer
        self._path = path
        self._consents = consents

    async def answer(self, request: Request, query: Form, body: Form) -> Response:
        """Answer a request of a client, or a form of these pages. Raises OAuthError for a page that says what is wrong.

        Other sites' forms come without the cookies, so a request by POST goes on as GET (OpenID Connect 3.1.2.1).
        """
        if request.method == "POST" and body.get(FIELD) is None:
            return self._forms.pages.redirect(self._address(body))
        try:
            asked = await self._authorizer.read(query)
        except AuthorizationRefusedError as refused:
            return self._refused(refused)
        try:
            if request.method == "POST":
                return await self._take(request, query, body, asked)
            return await self._show(request, query, asked)
        except AuthorizationRefusedError as refused:
            await self._authorizer.refuse(asked)
            return self._refused(refused)

    async def _show(self, request: Request, query: Form, asked: Asked) -> Response:
        signed_in = await self._account.signed_in(cookies.session_of(request))
        fresh = signed_in is not None and self._is_fresh(query, signed_in)
        step = await self._authorizer.next_step(asked, signed_in, fresh=fresh)
        if signed_in is None or step is Step.SIGN_IN:
            return self._signing_in.ask(request, _occasion(query, asked))
        if step is Step.CONSENT:
            return self._ask_consent(request, asked, signed_in)
        return await self._allow(asked, signed_in, consented=False)

    async def _take(self, request: Request, query: Form, body: Form, asked: Asked) -> Response:
        """Take what a form says: of one who signs in, or of one who was asked to agree."""
        do = body.get(BUTTON)
        if do in {"allow", "deny", "switch"}:
            return await self._take_consent(request, query, body, asked)
        occasion = _occasion(query, asked)
        if do == "cancel":
            # The button is on both pages.
            if all(self._forms.open(request, body, occasion.about, *page) is None for page in ((), ("second factor",))):
                return self._again(query)
            raise asked.request.refused("access_denied", "the user did not sign in")
        outcome = await self._signing_in.answer(request, body, occasion)
        if isinstance(outcome, Response):
            return outcome
        signed_in = await self._account.signed_in(outcome)
        response = self._again(query, signed_in)
        cookies.keep_session(response, outcome)
        return response

    async def _take_consent(self, request: Request, query: Form, body: Form, asked: Asked) -> Response:
        cookie = cookies.session_of(request)
        signed_in = await self._account.signed_in(cookie)
        if signed_in is None or cookie is None:
            return self._again(query)
        if self._forms.open(request, body, *_consent(asked, signed_in)) is None:
            return self._again(query)
        if body.get(BUTTON) == "switch":
            await self._account.sign_out(cookie)
            response = self._again(query)
            cookies.drop_session(response)
            return response
        if body.get(BUTTON) == "deny":
            raise asked.request.refused("access_denied", "the user did not allow it")
        step = await self._authorizer.next_step(asked, signed_in, fresh=self._is_fresh(query, signed_in))
        if step is Step.SIGN_IN:
            return self._again(query)
        return await self._allow(asked, signed_in, consented=True)

    def _ask_consent(self, request: Request, asked: Asked, signed_in: SignedIn) -> Response:
        scopes = asked.request.scopes
        return self._forms.page(
            request,
            "consent",
            *_consent(asked, signed_in),
            send_to=asked.request.redirect_uri,
            client=asked.client.client_name or asked.client.client_id,
            username=signed_in.person.username,
            scopes=worded(scopes),
            claims=asked.claims,
            apis=self._authorizer.audience(asked) if names_an_api(scopes) else (),
            destination=urlsplit(asked.request.redirect_uri).netloc,
            consents=self._consents,
        )

    async def _allow(self, asked: Asked, signed_in: SignedIn, *, consented: bool) -> Response:
        code = await self._authorizer.allow(asked, signed_in, consented=consented)
        request = asked.request
        parameters = response_parameters(code, request, self._issuer)
        return self._send(request.redirect_uri, request.response_mode, parameters)

    def _refused(self, refused: AuthorizationRefusedError) -> Response:
        return self._send(refused.redirect_uri, refused.response_mode, error_parameters(refused, self._issuer))

    def _send(self, redirect_uri: str, mode: ResponseMode, parameters: dict[str, str]) -> Response:
        """Send the browser back to the client; a form that it posts there is a page of ours."""
        if mode != "form_post":
            return self._forms.pages.redirect(redirect_url(redirect_uri, parameters, mode))
        return self._forms.pages.page(
            "form_post",
            send_to=redirect_uri,
            script=True,
            code=SCRIPT,
            redirect_uri=redirect_uri,
            destination=urlsplit(redirect_uri).netloc,
            parameters=parameters,
        )

    def _again(self, query: Form, signed_in: SignedIn | None = None) -> Response:
        """Have the request read again, now that something has changed: somebody signed in for it, or signed out."""
        fresh = {}
        if signed_in is not None:
            fresh[FRESH] = (self._sealed.seal(FRESH, _about(query), signed_in.session.id_sha256),)
        others = {name: values for name, values in query.values.items() if name != FRESH}
        return self._forms.pages.redirect(self._address(Form(others | fresh)))

    def _address(self, parameters: Form) -> str:
        return f"{self._path}?{urlencode(dict(parameters.values), doseq=True)}"

    def _is_fresh(self, query: Form, signed_in: SignedIn) -> bool:
        about = _about(query), signed_in.session.id_sha256
        return self._sealed.open(query.get(FRESH), FRESH, *about, lasts=FRESH_SECONDS) is not None


def _occasion(query: Form, asked: Asked) -> Occasion:
    return Occasion(
        about=_about(query),
        purpose=asked.client.client_name or asked.client.client_id,
        send_to=asked.request.redirect_uri,
        username=asked.request.login_hint or "",
    )


def _consent(asked: Asked, signed_in: SignedIn) -> tuple[str, str, str]:
    """Tell what is agreed to, and by whom: neither may have changed since the page was made."""
    return "consent", _digest([asked.request.as_parameters(), asked.claims]), signed_in.session.id_sha256


def _about(query: Form) -> str:
    """Tell one request from others, whatever became of it so far."""
    return _digest(sorted((name, values) for name, values in query.values.items() if name != FRESH))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
