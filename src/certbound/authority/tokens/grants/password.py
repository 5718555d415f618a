"""The resource owner's password (RFC 6749 section 4.3): for those who come from the original and depend on it.

RFC 9700 section 2.4 says it must not be used. It is off until the server and the client both switch it on.
"""

from functools import partial

from certbound.authority import people
from certbound.authority.tokens.context import GrantContext
from certbound.oauth.access_token import Authorization
from certbound.oauth.authentication import AuthenticatedClient
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form
from certbound.oauth.scope import narrow_scope
from certbound.store.people import Person, load

GRANT_TYPE = "password"


async def authorize(context: GrantContext, authenticated: AuthenticatedClient, form: Form) -> Authorization:
    """Authorize for the person whose password is right; operators are no resource owners and are refused alike."""
    if not context.policy.password_grant:
        raise OAuthError("unsupported_grant_type", "the password grant is switched off on this server")
    username, password = form.required("username"), form.required("password")
    client = authenticated.registration.client
    scopes = narrow_scope(form.get("scope"), client.scopes)
    audience = context.policy.audience(client, form)
    person = await context.store.reading(partial(load, username=username))
    try:
        right = await people.password_is_right(person, password)
    except people.TooManyChecksError:
        raise OAuthError("temporarily_unavailable", "too many passwords are being checked: try again") from None
    if person is None or (refusal := _refusal(person, right=right)) is not None:
        detail = "unknown user" if person is None else f"{refusal}: {person.sub}"
        raise OAuthError("invalid_grant", "user name or password is wrong", detail=f"{detail}, by {client.client_id}")
    return Authorization(
        client_id=client.client_id,
        subject=person.sub,
        grant_type=GRANT_TYPE,
        scopes=scopes,
        audience=audience,
        refreshable="refresh_token" in client.grant_types,
    )


def _refusal(person: Person, *, right: bool) -> str | None:
    """Say for the log why this person gets nothing; the client is told the same whatever it is."""
    if not right:
        return "wrong password"
    if person.operator:
        return "an operator is no resource owner"
    return "disabled" if person.disabled else None
