"""A new access token for an old authorization (RFC 6749 section 6).

Confidential clients authenticate on every refresh and keep their refresh token, so it survives the renewal of their
certificate (RFC 8705 section 7.1). Public clients' tokens are bound to the certificate itself (section 4) and rotated:
each is good once, and the second use of one revokes its whole family (RFC 9700 section 4.14.2).
"""

from dataclasses import dataclass
from functools import partial

from certbound.authority.blocks import obtained_by_blocked
from certbound.authority.records import revoke_grant
from certbound.authority.secrets import digest
from certbound.authority.tokens.context import GrantContext
from certbound.oauth.access_token import Authorization
from certbound.oauth.audience import narrow_audience
from certbound.oauth.authentication import AuthenticatedClient
from certbound.oauth.binding import CONFIRMATION_METHOD, binding_refusal
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form
from certbound.oauth.registration import Client
from certbound.oauth.scope import narrow_scope
from certbound.oauth.userinfo import claims_by_name
from certbound.store import people, tokens
from certbound.store.engine import Connection

GRANT_TYPE = "refresh_token"


async def authorize(context: GrantContext, authenticated: AuthenticatedClient, form: Form) -> Authorization:
    """Authorize again what the refresh token stands for, narrowed to what is asked for and still allowed."""
    client = authenticated.registration.client
    token_sha256 = digest(form.required("refresh_token"))
    now = int(context.clock())
    gathered = await context.store.reading(partial(_gather, token_sha256=token_sha256))
    found = gathered.token
    refusal = _refusal(gathered, authenticated, now)
    if refusal is not None or found is None:
        if found is not None and found.used_at is not None and found.client_id == client.client_id:
            await context.store.writing(partial(revoke_grant, family=found.family, at=now))
        raise OAuthError("invalid_grant", "the refresh token is not valid", detail=refusal or "")
    still_allowed = tuple(scope for scope in found.scope.split() if scope in client.scopes)
    still_reachable = tuple(uri for uri in found.resources if uri in context.policy.resources(client))
    if not still_reachable:
        raise OAuthError("invalid_target", "the client may not ask for a token for any resource of this grant any more")
    scopes = still_allowed if form.get("scope") is None else narrow_scope(form.get("scope"), still_allowed)
    return Authorization(
        client_id=client.client_id,
        subject=found.sub,
        grant_type=GRANT_TYPE,
        scopes=scopes,
        audience=narrow_audience(form.all("resource"), still_reachable, "")
        if form.all("resource")
        else still_reachable,
        refreshable=client.is_public,
        family=found.family,
        redeems=token_sha256 if client.is_public else None,
        claims=claims_by_name(found.claims, client.scopes) if "openid" in scopes else (),
    )


@dataclass(frozen=True, slots=True)
class _Gathered:
    token: tokens.RefreshToken | None
    person: people.Person | None = None
    blocked: bool = False


def _gather(connection: Connection, token_sha256: bytes) -> _Gathered:
    found = tokens.load_refresh_token(connection, token_sha256)
    if found is None:
        return _Gathered(None)
    return _Gathered(found, people.load_by_sub(connection, found.sub), obtained_by_blocked(connection, found))


def _refusal(gathered: _Gathered, authenticated: AuthenticatedClient, now: int) -> str | None:
    found, person = gathered.token, gathered.person
    client = authenticated.registration.client
    if found is None:
        return "unknown"
    if found.client_id != client.client_id:
        return "issued to another client"
    if found.revoked_at is not None:
        return "revoked"
    if found.used_at is not None:
        return "used a second time: its family is revoked"
    if found.expires_at <= now:
        return "expired"
    if gathered.blocked:
        return "obtained with a certificate that is blocked"
    if person is None or person.disabled:
        return "the resource owner is gone or disabled"
    return _binding_refusal(found, client, authenticated)


def _binding_refusal(found: tokens.RefreshToken, client: Client, authenticated: AuthenticatedClient) -> str | None:
    """Hold a public client's refresh token to its certificate; one from before binding was switched on falls too."""
    if not client.is_public or not (client.tls_client_certificate_bound_access_tokens or found.x5t_s256):
        return None
    claims = {"cnf": {CONFIRMATION_METHOD: found.x5t_s256}}
    return binding_refusal(claims, authenticated.credentials.presented)
