"""The resource owner's password (RFC 6749 section 4.3): for those who come from the original and depend on it.

RFC 9700 section 2.4 says it must not be used. It is off until the server and the client both switch it on. Operators,
people with a second factor and those who are locked are refused as for a wrong password, and wrong attempts count.
"""

from certbound.authority import people, sign_in
from certbound.authority.tokens.context import GrantContext
from certbound.oauth.access_token import Authorization
from certbound.oauth.authentication import AuthenticatedClient
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form
from certbound.oauth.scope import narrow_scope

GRANT_TYPE = "password"


async def authorize(context: GrantContext, authenticated: AuthenticatedClient, form: Form) -> Authorization:
    """Authorize for the person whose password is right and all there is to prove."""
    if not context.policy.password_grant:
        raise OAuthError("unsupported_grant_type", "the password grant is switched off on this server")
    username, password = form.required("username"), form.required("password")
    client = authenticated.registration.client
    scopes = narrow_scope(form.get("scope"), client.scopes)
    audience = context.policy.audience(client, form)
    attempt = sign_in.Attempt(username, password)
    try:
        person = await sign_in.check_password(context.store, attempt, now=int(context.clock()))
    except people.TooManyChecksError:
        raise OAuthError("temporarily_unavailable", "too many passwords are being checked: try again") from None
    if person is None:
        raise OAuthError("invalid_grant", "user name or password is wrong", detail=f"sent by {client.client_id}")
    return Authorization(
        client_id=client.client_id,
        subject=person.sub,
        grant_type=GRANT_TYPE,
        scopes=scopes,
        audience=audience,
        refreshable="refresh_token" in client.grant_types,
    )
