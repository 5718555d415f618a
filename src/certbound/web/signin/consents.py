"""GET and POST /oauth2/consents: what a person allowed, with a button to take each back."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from certbound.authority.own_account import OwnAccount, Permission
from certbound.authority.sessions import SignedIn
from certbound.oauth.form import Form
from certbound.web.signin import cookies
from certbound.web.signin.forms import BUTTON, Forms
from certbound.web.signin.signing_in import Occasion, SigningIn
from certbound.web.signin.wording import worded

PATH = "/oauth2/consents"
ABOUT = "consents"
_OCCASION = Occasion(about=ABOUT)


class ConsentPages:
    """Shows people what they allowed; `path` is where, `sign_out` where they sign out."""

    def __init__(self, account: OwnAccount, signing_in: SigningIn, forms: Forms, *, path: str, sign_out: str) -> None:
        self._account = account
        self._signing_in = signing_in
        self._forms = forms
        self._path = path
        self._sign_out = sign_out

    async def answer(self, request: Request, _query: Form, body: Form) -> Response:
        """Show the list, after signing in; take back what a form says."""
        if request.method == "POST" and body.get(BUTTON) != "take_back":
            outcome = await self._signing_in.answer(request, body, _OCCASION)
            if isinstance(outcome, Response):
                return outcome
            response = self._forms.pages.redirect(self._path)
            cookies.keep_session(response, outcome)
            return response
        signed_in = await self._account.signed_in(cookies.session_of(request))
        if signed_in is None:
            return self._signing_in.ask(request, _OCCASION)
        if request.method == "GET":
            return await self._list(request, signed_in)
        if self._forms.open(request, body, ABOUT, signed_in.session.id_sha256) is not None:
            await self._account.take_back(signed_in.person.sub, body.get("client_id") or "")
        return self._forms.pages.redirect(self._path)

    async def _list(self, request: Request, signed_in: SignedIn) -> Response:
        return self._forms.page(
            request,
            "consents",
            ABOUT,
            signed_in.session.id_sha256,
            username=signed_in.person.username,
            consents=[_shown(one) for one in await self._account.permissions(signed_in.person.sub)],
            sign_out=self._sign_out,
        )


def _shown(permission: Permission) -> dict[str, object]:
    since = datetime.fromtimestamp(permission.given_at, UTC)
    return {
        "client_id": permission.client_id,
        "client": permission.client_name or permission.client_id,
        "since": f"{since:%-d %B %Y}",
        "scopes": worded(permission.scopes),
        "claims": permission.claims,
    }
