"""A code from the authorization endpoint (RFC 6749 section 4.1.3, RFC 7636 section 4.6, OpenID Connect Core 3.1.3).

A code is good once, for the client it was given to, with the verifier of its challenge. Its second use revokes all
that came from it (RFC 9700 section 4.2.4).

A refresh token comes with it for clients that have that grant; for OpenID Connect only if `offline_access` was granted
too: such a client asks for that scope where it means to act while the user is away, and consent names it (OpenID
Connect Core section 11). RFC 6749 knows no such scope, so for other requests the client's registration decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from certbound.authority import sessions, sign_in
from certbound.authority.records import revoke_grant
from certbound.authority.secrets import digest
from certbound.authority.sessions import SignedIn
from certbound.authority.tokens.context import GrantContext
from certbound.oauth import pkce
from certbound.oauth.access_token import Authorization, Identity
from certbound.oauth.audience import narrow_audience
from certbound.oauth.authentication import AuthenticatedClient
from certbound.oauth.authorization_request import AuthorizationRequest
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form
from certbound.oauth.id_token import UserAuthentication
from certbound.oauth.registration import Client
from certbound.oauth.userinfo import claims_by_name
from certbound.store import codes
from certbound.store.codes import AuthorizationCode
from certbound.store.engine import Connection

GRANT_TYPE = "authorization_code"


async def authorize(context: GrantContext, authenticated: AuthenticatedClient, form: Form) -> Authorization:
    """Authorize what the code was given for, as far as the client may still have it; the record step uses it up."""
    client = authenticated.registration.client
    code_sha256 = digest(form.required("code"))
    now = int(context.clock())
    gathered = await context.store.reading(partial(_gather, code_sha256=code_sha256, now=now))
    found, signed_in = gathered.code, gathered.signed_in
    refusal = _refusal(gathered, client, form, now)
    if refusal is not None or found is None or signed_in is None:
        if found is not None and found.used_at is not None and found.client_id == client.client_id:
            await context.store.writing(partial(revoke_grant, family=found.family, at=now))
        raise OAuthError("invalid_grant", "the code is not valid", detail=refusal or "")
    request = AuthorizationRequest.from_parameters(found.request)
    scopes = tuple(scope for scope in request.scopes if scope in client.scopes)
    resources, audience = _reach(context, client, request, form)
    return Authorization(
        client_id=client.client_id,
        subject=found.sub,
        grant_type=GRANT_TYPE,
        scopes=scopes,
        audience=audience,
        refreshable="refresh_token" in client.grant_types and ("offline_access" in scopes or "openid" not in scopes),
        family=found.family,
        code=code_sha256,
        resources=resources,
        identity=_identity(found, request, client, signed_in.person.attributes) if "openid" in scopes else None,
        claims=claims_by_name(request.claims.userinfo, client.scopes) if "openid" in scopes else (),
    )


@dataclass(frozen=True, slots=True)
class _Gathered:
    code: AuthorizationCode | None
    signed_in: SignedIn | None = None


def _gather(connection: Connection, code_sha256: bytes, now: int) -> _Gathered:
    found = codes.load_code(connection, code_sha256)
    if found is None:
        return _Gathered(None)
    return _Gathered(found, sessions.current(connection, found.session, now=now) if found.session is not None else None)


def _refusal(gathered: _Gathered, client: Client, form: Form, now: int) -> str | None:
    """Say for the log why the code gives nothing; the client is told the same whatever it is."""
    found = gathered.code
    if found is None:
        return "unknown"
    if found.client_id != client.client_id:
        return "given to another client"
    if found.used_at is not None:
        return "used a second time: all that came from it is revoked"
    if found.expires_at <= now:
        return "expired"
    if gathered.signed_in is None:
        return "the resource owner has signed out, or may not sign in any more"
    return _mismatch(AuthorizationRequest.from_parameters(found.request), form)


def _mismatch(request: AuthorizationRequest, form: Form) -> str | None:
    redirect_uri = form.get("redirect_uri")
    if redirect_uri != request.redirect_uri and (redirect_uri is not None or request.redirect_uri_sent):
        return "redirect_uri is not the one of the authorization request"
    if request.dpop_jkt is not None:
        return "bound to a key that no proof was shown of (RFC 9449 section 10)"
    return pkce.verify(request.code_challenge, form.get("code_verifier"))


def _reach(
    context: GrantContext, client: Client, request: AuthorizationRequest, form: Form
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give what the whole grant reaches, and what this answer's token does (RFC 8707 section 2.2)."""
    if not request.resources:
        audience = context.policy.audience(client, form)
        return audience, audience
    allowed = context.policy.resources(client)
    reachable = tuple(uri for uri in request.resources if uri in allowed)
    if not reachable:
        raise OAuthError("invalid_target", "the client may not ask for a token for any resource of this grant any more")
    asked = form.all("resource")
    return reachable, narrow_audience(asked, reachable, "") if asked else reachable


def _identity(
    found: AuthorizationCode, request: AuthorizationRequest, client: Client, attributes: Mapping[str, Any]
) -> Identity:
    """Say who signed in; claims that come with a scope are at the UserInfo endpoint (section 5.4)."""
    user = UserAuthentication(found.sub, found.auth_time, sign_in.acr(found.amr), found.amr)
    asked = claims_by_name(request.claims.id_token, client.scopes)
    return Identity(user, request.nonce, {name: attributes[name] for name in asked if name in attributes})
