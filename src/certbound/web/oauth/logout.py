"""GET and POST /oauth2/logout: a client has its user signed out here too (OpenID Connect RP-Initiated Logout 1.0)."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from certbound.authority.own_account import OwnAccount
from certbound.authority.registered import Registered
from certbound.authority.sessions import SignedIn
from certbound.oauth.authorization_response import redirect_url
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form
from certbound.oauth.id_token import IDTokenHint, read_id_token_hint
from certbound.oauth.redirect_uri import RedirectRefusedError
from certbound.web.signin import cookies
from certbound.web.signin.forms import FIELD, Forms

ABOUT = "sign out"


class LogoutPages:
    """Signs people out: at once where the client shows whom it means, otherwise after a question."""

    def __init__(self, registered: Registered, account: OwnAccount, forms: Forms, *, issuer: str, path: str) -> None:
        self._registered = registered
        self._account = account
        self._forms = forms
        self._issuer = issuer
        self._path = path

    async def answer(self, request: Request, query: Form, body: Form) -> Response:
        """Answer a request of a client, or the form of this page. Raises OAuthError for a page."""
        is_form = body.get(FIELD) is not None
        if request.method == "POST" and not is_form:  # the cookies come with a GET only
            return self._forms.pages.redirect(f"{self._path}?{urlencode(dict(body.values), doseq=True)}")
        hint = self._hint(query)
        send_to = await self._destination(query, hint)
        cookie = cookies.session_of(request)
        signed_in = await self._account.signed_in(cookie)
        if signed_in is None or cookie is None:
            return self._signed_out(send_to)
        meant = hint is not None and hint.subject == signed_in.person.sub
        if is_form and self._forms.open(request, body, ABOUT, signed_in.session.id_sha256) is not None:
            meant = True
        if not meant:
            return self._ask(request, signed_in, send_to)
        await self._account.sign_out(cookie)
        return self._signed_out(send_to)

    def _hint(self, query: Form) -> IDTokenHint | None:
        token = query.get("id_token_hint")
        if token is None:
            return None
        return read_id_token_hint(token, self._registered.verification_keys, issuer=self._issuer)

    async def _destination(self, query: Form, hint: IDTokenHint | None) -> str | None:
        """Say where the browser goes then: a URI that the client registered for it, to the letter (section 3)."""
        client_id = query.get("client_id") or (hint.client_id if hint is not None else None)
        if hint is not None and client_id != hint.client_id:
            raise OAuthError("invalid_request", "client_id is not the client that the id_token_hint was given to")
        asked = query.get("post_logout_redirect_uri")
        if asked is None:
            return None
        registration = await self._registered.registration(client_id or "")
        if registration is None or registration.client.disabled:
            raise RedirectRefusedError("invalid_request", "send the id_token_hint or the client_id of a client")
        if asked not in registration.client.post_logout_redirect_uris:
            raise RedirectRefusedError("invalid_request", "this post_logout_redirect_uri is not registered")
        state = query.get("state")
        return asked if state is None else redirect_url(asked, {"state": state}, "query")

    def _ask(self, request: Request, signed_in: SignedIn, send_to: str | None) -> Response:
        return self._forms.page(
            request,
            "sign_out",
            ABOUT,
            signed_in.session.id_sha256,
            send_to=send_to,
            username=signed_in.person.username,
        )

    def _signed_out(self, send_to: str | None) -> Response:
        pages = self._forms.pages
        response = pages.redirect(send_to) if send_to is not None else pages.page("signed_out")
        cookies.drop_session(response)
        return response
