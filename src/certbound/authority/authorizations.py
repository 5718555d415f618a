"""What people allow clients: requests that are pushed ahead, codes that answer them, and consents that are remembered.

Who may ask for what is decided in `oauth.authorization_request`; what is kept here is that answer, and that it counts
once.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from certbound.authority import sessions
from certbound.authority.records import record
from certbound.authority.secrets import digest, new_code, new_jti, new_request_uri
from certbound.oauth.authorization_request import AuthorizationRequest
from certbound.store import clients, codes, revision, revoked, tokens
from certbound.store import sessions as stored_sessions
from certbound.store.codes import AuthorizationCode, PushedRequest
from certbound.store.engine import Connection
from certbound.store.sessions import Consent, Session


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the person in `session` allowed: `request`, with as much of its scopes as it now has.

    `request_uri` is where the request was pushed, `consented` whether the person was asked for it just now; `claims`
    are those that were asked for by name, beside what the scopes give.
    """

    request: AuthorizationRequest
    session: Session
    request_uri: str | None = None
    consented: bool = False
    claims: tuple[str, ...] = ()


def push_request(connection: Connection, request: AuthorizationRequest, *, lifetime: int, now: int) -> str:
    """Keep a request that its client sent ahead, and give its URI (RFC 9126 section 2.2); `lifetime` in seconds."""
    request_uri = new_request_uri()
    kept = PushedRequest(digest(request_uri), request.client_id, request.as_parameters(), now + lifetime)
    codes.add_pushed_request(connection, kept)
    return request_uri


def find_pushed_request(
    connection: Connection, request_uri: str, *, client_id: str, now: int
) -> AuthorizationRequest | None:
    """Give back a pushed request of this client that was neither answered before nor has expired.

    It may be looked at often, as pages are loaded again, and is used up when it is answered (sections 4 and 7.3).
    """
    found = codes.load_pushed_request(connection, digest(request_uri))
    if found is None or found.client_id != client_id or found.used_at is not None or found.expires_at <= now:
        return None
    return AuthorizationRequest.from_parameters(found.parameters)


def use_pushed_request(connection: Connection, request_uri: str, *, now: int) -> bool:
    """Use up a pushed request that is answered with a refusal; True for exactly one caller."""
    return codes.use_pushed_request(connection, digest(request_uri), now)


def issue_code(connection: Connection, allowed: Allowed, *, lifetime: int, now: int) -> str:
    """Give the code for what was allowed; code, used request, consent and audit are written together or not at all.

    `lifetime` in seconds. Raises AuthorizationRefusedError where client, person or session are not good any more, and
    where the pushed request was answered before.
    """
    request, session = allowed.request, allowed.session
    if allowed.request_uri is not None and not use_pushed_request(connection, allowed.request_uri, now=now):
        raise request.refused("invalid_request", "this request was answered before: push it again")
    if not _is_client_enabled(connection, request.client_id):
        raise request.refused("unauthorized_client", "this client cannot ask for anything here")
    if sessions.current(connection, session.id_sha256, now=now) is None:
        raise request.refused("access_denied", "the user is not signed in any more")
    code = new_code()
    kept = AuthorizationCode(
        code_sha256=digest(code),
        client_id=request.client_id,
        sub=session.sub,
        session=session.id_sha256,
        request=request.as_parameters(),
        auth_time=session.auth_time,
        amr=session.amr,
        family=new_jti(),
        issued_at=now,
        expires_at=now + lifetime,
    )
    codes.add_code(connection, kept)
    if allowed.consented:
        _remember(connection, Consent(session.sub, request.client_id, request.scopes, now, allowed.claims))
    detail = {"sub": session.sub, "grant": kept.family, "scope": " ".join(request.scopes), "asked": allowed.consented}
    actor = f"user:{session.sub}"
    record(connection, at=now, actor=actor, action="code.issued", target=request.client_id, detail=detail)
    return code


def has_consented(
    connection: Connection, sub: str, client_id: str, scopes: Iterable[str], claims: Iterable[str] = ()
) -> bool:
    """Say whether a person allowed a client all of these scopes and claims before, and has not taken that back."""
    given = stored_sessions.load_consent(connection, sub, client_id)
    return given is not None and set(scopes) <= set(given.scopes) and set(claims) <= set(given.claims)


def take_back_consent(connection: Connection, sub: str, client_id: str, *, actor: str, now: int) -> bool:
    """Take back what a person allowed a client, and revoke all it has for them; False if nothing was remembered.

    Codes go first: whoever is redeeming one is waited for, and its tokens are found.
    """
    remembered = stored_sessions.take_back_consent(connection, sub, client_id)
    codes.use_codes_of(connection, client_id, sub, now)
    count = tokens.revoke_person(connection, client_id, sub, now)
    if revoked.revoke_person(connection, client_id, sub, now):
        revision.bump_revoked(connection)
    detail = {"client_id": client_id, "refresh_tokens_revoked": count}
    record(connection, at=now, actor=actor, action="consent.taken_back", target=sub, detail=detail)
    return remembered


def _is_client_enabled(connection: Connection, client_id: str) -> bool:
    stored = clients.load(connection, client_id)
    return stored is not None and not stored.client.disabled


def _remember(connection: Connection, given: Consent) -> None:
    """Remember what is allowed beside what was before."""
    before = stored_sessions.load_consent(connection, given.sub, given.client_id)
    if before is not None:
        scopes = tuple(dict.fromkeys((*before.scopes, *given.scopes)))
        claims = tuple(dict.fromkeys((*before.claims, *given.claims)))
        given = replace(given, scopes=scopes, claims=claims)
    stored_sessions.give_consent(connection, given)
