"""The client acts for itself (RFC 6749 section 4.4). No refresh token comes with it (section 4.4.3)."""

from certbound.authority.tokens.context import GrantContext
from certbound.oauth.access_token import Authorization
from certbound.oauth.authentication import AuthenticatedClient
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form
from certbound.oauth.scope import narrow_scope

GRANT_TYPE = "client_credentials"


async def authorize(context: GrantContext, authenticated: AuthenticatedClient, form: Form) -> Authorization:
    """Authorize the client itself: `sub` is its `client_id` (RFC 9068 section 2.2)."""
    client = authenticated.registration.client
    if client.is_public:
        raise OAuthError("unauthorized_client", "client_credentials is for clients that authenticate")
    return Authorization(
        client_id=client.client_id,
        subject=client.client_id,
        grant_type=GRANT_TYPE,
        scopes=narrow_scope(form.get("scope"), client.scopes),
        audience=context.policy.audience(client, form),
    )
