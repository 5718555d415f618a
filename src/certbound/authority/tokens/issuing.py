"""One token request, from credentials to answer: gather, decide, record.

The walk of a request is `TokenIssuer.answer`; grants fill in what is theirs and cannot skip a shared step.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from certbound.authority import blocks
from certbound.authority.records import IssueTrail, revoke_grant, write_batch
from certbound.authority.registered import Registered
from certbound.authority.secrets import digest, new_jti, new_refresh_token
from certbound.authority.tokens.authenticating import ClientAuthenticator, ClientRequest
from certbound.authority.tokens.context import GrantContext, Policy
from certbound.authority.tokens.grants import authorization_code, client_credentials, password, refresh_token
from certbound.certificates.certificate import CertificateError, parse_certificate
from certbound.certificates.policy import check_key
from certbound.jose.jwt import sign
from certbound.oauth.access_token import TOKEN_TYPE, Authorization, TokenResponse, access_token_claims
from certbound.oauth.authentication import AuthenticatedClient
from certbound.oauth.binding import CONFIRMATION_METHOD, confirmation
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form, printable
from certbound.oauth.id_token import TOKEN_TYPE as ID_TOKEN_TYPE
from certbound.oauth.id_token import id_token_claims, left_half_hash
from certbound.store import clients, codes, tokens
from certbound.store.engine import Connection

Grant = Callable[[GrantContext, AuthenticatedClient, Form], Awaitable[Authorization]]
GRANTS: Mapping[str, Grant] = {
    authorization_code.GRANT_TYPE: authorization_code.authorize,
    client_credentials.GRANT_TYPE: client_credentials.authorize,
    password.GRANT_TYPE: password.authorize,
    refresh_token.GRANT_TYPE: refresh_token.authorize,
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a token goes: the peer's address, the certificate on its connection, and `cnf` if it is bound to that."""

    address: str | None
    certificate_sha256: str | None = None
    spki_sha256: str | None = None
    cnf: dict[str, str] | None = None

    @property
    def x5t_s256(self) -> str | None:
        """The thumbprint that the token is bound to."""
        return self.cnf[CONFIRMATION_METHOD] if self.cnf is not None else None


class TokenIssuer:
    """Answers token requests with what `registered` knows, and leaves their trail."""

    def __init__(
        self, context: GrantContext, registered: Registered, authenticator: ClientAuthenticator, trail: IssueTrail
    ) -> None:
        self._context = context
        self._registered = registered
        self._authenticator = authenticator
        self._trail = trail

    async def answer(self, request: ClientRequest) -> TokenResponse:
        """Walk a request to its tokens; OAuthError is the client's answer otherwise, StoreUnavailable a 503."""
        grant_type = request.form.required("grant_type")
        authenticated = await self._authenticator.authenticate(request)
        grant = _grant_of(authenticated, grant_type)
        origin = _origin(authenticated, request.address)
        authorization = await grant(self._context, authenticated, request.form)
        if not self._trail.is_open:
            raise OAuthError("temporarily_unavailable", "tokens cannot be recorded at the moment: try again")
        return await self._issue(authorization, origin)

    async def _issue(self, authorization: Authorization, origin: Origin) -> TokenResponse:
        policy = self._context.policy
        issued_at = int(self._context.clock())
        jti = new_jti()
        authorization = _reaching_userinfo(authorization, policy.issuer)
        claims = access_token_claims(
            authorization,
            origin.cnf,
            issuer=policy.issuer,
            jti=jti,
            issued_at=issued_at,
            lifetime=policy.access_token_lifetime,
        )
        # Signed first: where that fails, the client still has the refresh token that the record step uses up.
        access_token = sign(claims, self._registered.signing_key, typ=TOKEN_TYPE)
        id_token = self._id_token(authorization, access_token, issued_at)
        issued = tokens.IssuedToken(
            jti=jti,
            client_id=authorization.client_id,
            sub=authorization.subject,
            grant_type=authorization.grant_type,
            scope=" ".join(authorization.scopes),
            audience=authorization.audience,
            x5t_s256=origin.x5t_s256,
            address=origin.address,
            issued_at=issued_at,
            expires_at=issued_at + policy.access_token_lifetime,
            certificate_sha256=origin.certificate_sha256,
            spki_sha256=origin.spki_sha256,
            family=authorization.family,
            claims=authorization.claims,
        )
        refresh_token = new_refresh_token() if authorization.refreshable else None
        # What the UserInfo endpoint looks up must be there when the client has the token.
        if authorization.refreshable or authorization.code is not None or authorization.claims:
            await self._record(authorization, issued, refresh_token)
        else:
            self._trail.add(issued)
        return TokenResponse(access_token, policy.access_token_lifetime, authorization.scopes, refresh_token, id_token)

    def _id_token(self, authorization: Authorization, access_token: str, issued_at: int) -> str | None:
        """Make the ID token, good for as long as the access token beside it."""
        if (identity := authorization.identity) is None:
            return None
        key, policy = self._registered.signing_key, self._context.policy
        claims = id_token_claims(
            identity.user,
            issuer=policy.issuer,
            client_id=authorization.client_id,
            nonce=identity.nonce,
            issued_at=issued_at,
            lifetime=policy.access_token_lifetime,
            at_hash=left_half_hash(key.algorithm, access_token),
            claims=identity.claims,
        )
        return sign(claims, key, typ=ID_TOKEN_TYPE)

    async def _record(
        self, authorization: Authorization, issued: tokens.IssuedToken, refresh_token: str | None
    ) -> None:
        """Write the tokens and use up what they are given for, in one transaction, before the answer."""
        issued = replace(issued, family=issued.family or new_jti())
        lifetime = self._context.policy.refresh_token_lifetime
        row = _refresh_row(authorization, issued, refresh_token, lifetime) if refresh_token is not None else None
        if not await self._context.store.writing(
            partial(_replace, authorization=authorization, row=row, issued=issued)
        ):
            what = "refresh token" if authorization.code is None else "code"
            raise OAuthError(
                "invalid_grant",
                f"the {what} is not valid",
                detail="used twice at once (its family is revoked), or the client is disabled",
            )


def offered_grants(policy: Policy) -> tuple[str, ...]:
    """Name the grants that this server's settings leave on."""
    return tuple(grant for grant in GRANTS if grant != password.GRANT_TYPE or policy.password_grant)


def _grant_of(authenticated: AuthenticatedClient, grant_type: str) -> Grant:
    grant = GRANTS.get(grant_type)
    if grant is None:
        raise OAuthError("unsupported_grant_type", f"grant_type {printable(grant_type)} is not offered")
    if grant_type not in authenticated.registration.client.grant_types:
        raise OAuthError("unauthorized_client", f"the client is not registered for the grant {printable(grant_type)}")
    return grant


def _origin(authenticated: AuthenticatedClient, address: str | None) -> Origin:
    """Say where the tokens go, and bind them; without a certificate a bound client gets an error, never a token.

    RFC 8705 section 3.4 leaves that choice. A weak key would make the binding worthless: the key policy holds here too,
    where the certificate was not what authenticated.
    """
    client = authenticated.registration.client
    bound = client.tls_client_certificate_bound_access_tokens
    presented = authenticated.credentials.presented
    if presented is None:
        if bound:
            raise OAuthError("invalid_request", "this client's tokens are bound to its certificate: connect with it")
        return Origin(address)
    try:
        certificate = parse_certificate(presented.leaf)
    except CertificateError as error:
        raise OAuthError("invalid_request", "the connection's certificate cannot be read", detail=str(error)) from error
    if bound and not client.token_endpoint_auth_method.is_mutual_tls and not (key := check_key(certificate)).passed:
        raise OAuthError("invalid_request", "the key of the connection's certificate is too weak", detail=key.found)
    cnf = confirmation(presented) if bound else None
    return Origin(address, certificate.sha256.hex(), certificate.spki_sha256.hex(), cnf)


def _reaching_userinfo(authorization: Authorization, issuer: str) -> Authorization:
    """Name the issuer in the audience of a user's token with the scope `openid`: its UserInfo endpoint is an API too.

    Whoever wants a token for an API alone asks for one without that scope. What the whole grant reaches stays as it was
    asked for.
    """
    if "openid" not in authorization.scopes or authorization.subject == authorization.client_id:
        return authorization
    return replace(
        authorization,
        audience=tuple(dict.fromkeys((*authorization.audience, issuer))),
        resources=authorization.resources or authorization.audience,
    )


def _refresh_row(
    authorization: Authorization, issued: tokens.IssuedToken, refresh_token: str, lifetime: int
) -> tokens.RefreshToken:
    return tokens.RefreshToken(
        token_sha256=digest(refresh_token),
        family=issued.family or "",
        client_id=issued.client_id,
        sub=issued.sub,
        scope=issued.scope,
        resources=authorization.resources or issued.audience,
        x5t_s256=issued.x5t_s256,
        issued_at=issued.issued_at,
        expires_at=issued.issued_at + lifetime,
        certificate_sha256=issued.certificate_sha256,
        spki_sha256=issued.spki_sha256,
        address=issued.address,
        claims=authorization.claims,
    )


def _replace(
    connection: Connection, authorization: Authorization, row: tokens.RefreshToken | None, issued: tokens.IssuedToken
) -> bool:
    # What this worker knows of the client may be two seconds old: no token may outlive a disablement.
    stored = clients.load(connection, issued.client_id)
    if stored is None or stored.client.disabled or blocks.obtained_by_blocked(connection, issued):
        return False
    code, redeems, at = authorization.code, authorization.redeems, issued.issued_at
    if code is not None and not codes.use_code(connection, code, at):
        revoke_grant(connection, issued.family or "", at=at)
        return False
    if redeems is not None:
        before = tokens.load_refresh_token(connection, redeems)
        if before is None or not tokens.mark_used(connection, redeems, at=at):
            revoke_grant(connection, issued.family or "", at=at)
            return False
        # However narrow this request was, the new token is good for what the old one was (RFC 6749 section 6).
        if row is not None:
            row = replace(row, scope=before.scope, resources=before.resources, claims=before.claims)
    if row is not None:
        tokens.add_refresh_token(connection, row)
    write_batch(connection, [issued])
    return True
