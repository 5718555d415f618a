"""What a client asks a user for: the authorization request, read and held against the client's registration.

RFC 6749 section 4.1.1, with OpenID Connect Core section 3.1.2.1, RFC 7636, RFC 8707, RFC 9126 and RFC 9449 section 10.
Where an answer may safely go is settled first, so there are two kinds of refusal:

RedirectRefusedError        nothing may be sent anywhere: a page for whoever sits before the browser
AuthorizationRefusedError   an answer to the client, sent through the browser (RFC 6749 section 4.1.2.1)
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from certbound.oauth.audience import narrow_audience
from certbound.oauth.claims_request import ClaimsRequest, parse_claims, read_claims
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form, printable
from certbound.oauth.pkce import check_challenge
from certbound.oauth.profile import Profile
from certbound.oauth.redirect_uri import RedirectRefusedError, settle_redirect_uri
from certbound.oauth.registration import Client
from certbound.oauth.scope import narrow_scope

ResponseMode = Literal["query", "fragment", "form_post"]
RESPONSE_MODES: tuple[ResponseMode, ...] = ("query", "fragment", "form_post")
RESPONSE_TYPES = ("code",)
PROMPTS = ("none", "login", "consent", "select_account")

PARAMETERS = frozenset(
    {
        "client_id",
        "response_type",
        "redirect_uri",
        "response_mode",
        "scope",
        "resource",
        "state",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "prompt",
        "max_age",
        "login_hint",
        "id_token_hint",
        "acr_values",
        "claims",
        "dpop_jkt",
    }
)
"""The parameters that are read here; others are ignored (RFC 6749 section 3.1)."""

MAX_STATE = 4096
"""Characters: clients keep whole sessions in it (FAPI 2.0 section 5.3.2.2 note 4)."""
MAX_NONCE = 512
MAX_LOGIN_HINT = 256
MAX_ACR_VALUES = 1024
_VISIBLE = re.compile(r"[ -~]+")  # RFC 6749 appendix A.5
_SECONDS = re.compile(r"[0-9]{1,9}")
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
_COMPACT_JWS = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class AuthorizationPolicy:
    """What holds for one client's requests: the profile, and what it may ask for.

    With `require_pushed` it must push them (RFC 9126 section 6), with `require_pkce` it needs PKCE though confidential.
    """

    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    profile: Profile = Profile.DEFAULT
    require_pushed: bool = False
    require_pkce: bool = False


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that may be put before a user. `redirect_uri` is settled, whether or not it was sent."""

    client_id: str
    redirect_uri: str
    redirect_uri_sent: bool
    """Whether the token request must repeat the redirect URI (RFC 6749 section 4.1.3)."""
    response_mode: ResponseMode = "query"
    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    state: str | None = field(default=None, repr=False)
    code_challenge: str | None = None
    nonce: str | None = field(default=None, repr=False)
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    """Seconds since the user was last authenticated, at most."""
    login_hint: str | None = field(default=None, repr=False)
    id_token_hint: str | None = field(default=None, repr=False)
    """Not verified here: see `id_token.read_id_token_hint`."""
    acr_values: tuple[str, ...] = ()
    claims: ClaimsRequest = field(default_factory=ClaimsRequest)
    dpop_jkt: str | None = None
    pushed: bool = False

    @property
    def is_openid(self) -> bool:
        """Whether an ID token is asked for (OpenID Connect Core section 3.1.2.1)."""
        return "openid" in self.scopes

    def refused(self, error: str, description: str) -> "AuthorizationRefusedError":
        """Make the refusal that is the answer to this request, for instance `access_denied`."""
        return AuthorizationRefusedError(
            error,
            description,
            redirect_uri=self.redirect_uri,
            response_mode=self.response_mode,
            state=self.state,
        )

    def as_parameters(self) -> dict[str, Any]:
        """Give a JSON object for the store, in the parameters' names."""
        members: dict[str, Any] = {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "redirect_uri_sent": self.redirect_uri_sent,
            "response_mode": self.response_mode,
            "scope": " ".join(self.scopes),
            "resource": list(self.resources),
            "state": self.state,
            "code_challenge": self.code_challenge,
            "nonce": self.nonce,
            "prompt": " ".join(sorted(self.prompt)),
            "max_age": self.max_age,
            "login_hint": self.login_hint,
            "id_token_hint": self.id_token_hint,
            "acr_values": " ".join(self.acr_values),
            "claims": self.claims.as_json(),
            "dpop_jkt": self.dpop_jkt,
            "pushed": self.pushed,
        }
        return {name: value for name, value in members.items() if value not in (None, "", [], {})}

    @classmethod
    def from_parameters(cls, members: Mapping[str, Any]) -> "AuthorizationRequest":
        """Give back what `as_parameters` took; whether it is still allowed is for `check_allowed`."""
        return cls(
            client_id=members["client_id"],
            redirect_uri=members["redirect_uri"],
            redirect_uri_sent=members["redirect_uri_sent"],
            response_mode=members["response_mode"],
            scopes=tuple(members.get("scope", "").split()),
            resources=tuple(members.get("resource", ())),
            state=members.get("state"),
            code_challenge=members.get("code_challenge"),
            nonce=members.get("nonce"),
            prompt=frozenset(members.get("prompt", "").split()),
            max_age=members.get("max_age"),
            login_hint=members.get("login_hint"),
            id_token_hint=members.get("id_token_hint"),
            acr_values=tuple(members.get("acr_values", "").split()),
            claims=read_claims(members.get("claims", {})),
            dpop_jkt=members.get("dpop_jkt"),
            pushed=members["pushed"],
        )


class AuthorizationRefusedError(OAuthError):
    """A refusal that is sent to the client through the browser, to a redirect URI that is known to be its own."""

    def __init__(
        self, error: str, description: str, *, redirect_uri: str, response_mode: ResponseMode, state: str | None
    ) -> None:
        super().__init__(error, description)
        self.redirect_uri = redirect_uri
        self.response_mode = response_mode
        self.state = state


def parse_authorization_request(
    parameters: Form, client: Client, *, policy: AuthorizationPolicy, pushed: bool = False
) -> AuthorizationRequest:
    """Read a request of the client that its `client_id` names, and hold it against registration and policy.

    `parameters` are those of the query, of the pushed form or of the verified request object: a `request` among them is
    refused, as it was not read; `pushed` says whether they came from the client itself (RFC 9126). Raises
    RedirectRefusedError and AuthorizationRefusedError.
    """
    answered = _settle(parameters, client, policy, pushed=pushed)
    try:
        request = _read(parameters, answered, policy)
    except OAuthError as error:
        raise answered.refused(error.error, error.description) from error
    check_allowed(request, client, policy=policy)
    return request


def check_allowed(request: AuthorizationRequest, client: Client, *, policy: AuthorizationPolicy) -> None:
    """Hold a request against the registration as it is now, as `parse_authorization_request` does.

    A pushed request, or one whose user took time to sign in, may have been allowed when it was read and no longer be so
    (RFC 9126 section 4).
    """
    if client.disabled or request.client_id != client.client_id:
        raise RedirectRefusedError("invalid_request", "this client cannot ask for anything here")
    settle_redirect_uri(request.redirect_uri, client.redirect_uris, optional=False)
    try:
        _check_client(request, client, policy)
        narrow_scope(" ".join(request.scopes), policy.scopes)
        _narrow_resources(request.resources, policy)
    except OAuthError as error:
        raise request.refused(error.error, error.description) from error


def _settle(parameters: Form, client: Client, policy: AuthorizationPolicy, *, pushed: bool) -> AuthorizationRequest:
    """Find out where an answer goes, be it a refusal: a request with nothing in it but that."""
    if parameters.get("client_id") != client.client_id or client.disabled:
        raise RedirectRefusedError("invalid_request", "client_id is not the one of a client that can ask here")
    asked = parameters.get("redirect_uri")
    scope = parameters.get("scope")
    is_openid = "openid" in (policy.scopes if scope is None else scope.split(" "))
    redirect_uri = settle_redirect_uri(asked, client.redirect_uris, optional=not (is_openid or pushed))
    mode, state = parameters.get("response_mode"), parameters.get("state")
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        redirect_uri_sent=asked is not None,
        response_mode=mode if mode in RESPONSE_MODES else "query",
        state=state if state is not None and _fits(state, MAX_STATE) else None,
        pushed=pushed,
    )


def _read(parameters: Form, answered: AuthorizationRequest, policy: AuthorizationPolicy) -> AuthorizationRequest:
    _check_form(parameters, pushed=answered.pushed)
    _visible(parameters, "state", MAX_STATE)
    claims = parameters.get("claims")
    return AuthorizationRequest(
        client_id=answered.client_id,
        redirect_uri=answered.redirect_uri,
        redirect_uri_sent=answered.redirect_uri_sent,
        response_mode=answered.response_mode,
        scopes=narrow_scope(parameters.get("scope"), policy.scopes),
        resources=_narrow_resources(parameters.all("resource"), policy),
        state=answered.state,
        code_challenge=check_challenge(parameters),
        nonce=_visible(parameters, "nonce", MAX_NONCE),
        prompt=_prompt(parameters.get("prompt")),
        max_age=_max_age(parameters.get("max_age")),
        login_hint=_login_hint(parameters.get("login_hint")),
        id_token_hint=_matching(parameters, "id_token_hint", _COMPACT_JWS, "is no signed token"),
        acr_values=tuple(dict.fromkeys((_visible(parameters, "acr_values", MAX_ACR_VALUES) or "").split())),
        claims=ClaimsRequest() if claims is None else parse_claims(claims),
        dpop_jkt=_matching(parameters, "dpop_jkt", _THUMBPRINT, "is no SHA-256 thumbprint in base64url"),
        pushed=answered.pushed,
    )


def _check_form(parameters: Form, *, pushed: bool) -> None:
    """Refuse what would have had to be read before, and what is asked for in a way that is not offered."""
    if parameters.get("request_uri") is not None:
        code = "invalid_request" if pushed else "request_uri_not_supported"  # RFC 9126 section 2.1
        raise OAuthError(code, "request_uri is accepted only as this server gave it out, and never within a request")
    if parameters.get("request") is not None:
        raise OAuthError("request_not_supported", "the parameter request is not accepted here")
    if parameters.required("response_type") not in RESPONSE_TYPES:
        raise OAuthError("unsupported_response_type", "send response_type=code: no other is offered")
    if parameters.get("response_mode") not in {None, *RESPONSE_MODES}:
        raise OAuthError("invalid_request", f"response_mode must be one of {', '.join(RESPONSE_MODES)}")


def _check_client(request: AuthorizationRequest, client: Client, policy: AuthorizationPolicy) -> None:
    rules = policy.profile.rules
    if "authorization_code" not in client.grant_types or not rules.allows_method(client.token_endpoint_auth_method):
        raise OAuthError("unauthorized_client", "the client is not registered for the authorization code grant")
    if (policy.require_pushed or rules.pushed_requests) and not request.pushed:
        raise OAuthError("invalid_request", "push the request first: it is accepted with a request_uri only")
    if request.code_challenge is None and (client.is_public or policy.require_pkce or rules.pkce):
        raise OAuthError("invalid_request", "code_challenge is missing: the client has to use PKCE with S256")


def _narrow_resources(asked: tuple[str, ...], policy: AuthorizationPolicy) -> tuple[str, ...]:
    """Give the resources asked for; what none means is decided when the token is issued (RFC 8707 section 2.1)."""
    return narrow_audience(asked, policy.resources, "") if asked else ()


def _fits(text: str, most: int) -> bool:
    return len(text) <= most and _VISIBLE.fullmatch(text) is not None


def _visible(parameters: Form, name: str, most: int) -> str | None:
    text = parameters.get(name)
    if text is not None and not _fits(text, most):
        raise OAuthError("invalid_request", f"{name} must be at most {most} printable ASCII characters")
    return text


def _matching(parameters: Form, name: str, pattern: re.Pattern[str], otherwise: str) -> str | None:
    text = parameters.get(name)
    if text is not None and pattern.fullmatch(text) is None:
        raise OAuthError("invalid_request", f"{name} {otherwise}")
    return text


def _prompt(text: str | None) -> frozenset[str]:
    prompts = frozenset((text or "").split())
    if unknown := sorted(prompts.difference(PROMPTS)):
        raise OAuthError("invalid_request", f"prompt {printable(unknown[0])} is not known: use {', '.join(PROMPTS)}")
    if "none" in prompts and len(prompts) > 1:
        raise OAuthError("invalid_request", "prompt none excludes every other")
    return prompts


def _max_age(text: str | None) -> int | None:
    if text is not None and _SECONDS.fullmatch(text) is None:
        raise OAuthError("invalid_request", "max_age must be a number of seconds")
    return None if text is None else int(text)


def _login_hint(text: str | None) -> str | None:
    if text is not None and (len(text) > MAX_LOGIN_HINT or not text.isprintable()):
        raise OAuthError("invalid_request", f"login_hint must be at most {MAX_LOGIN_HINT} printable characters")
    return text
