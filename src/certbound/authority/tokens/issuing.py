"""One token request, from credentials to answer: gather, decide, record.

The walk of a request is `TokenIssuer.answer`; grants fill in what is theirs and cannot skip a shared step.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from certbound.authority import blocks
from certbound.authority.records import IssueTrail
from certbound.authority.refusals import Refusals
from certbound.authority.registered import Registered
from certbound.authority.sightings import Sightings
from certbound.authority.tokens.context import GrantContext, Policy
from certbound.authority.tokens.grants import client_credentials, password, refresh_token
from certbound.authority.tokens.secrets import digest, new_jti, new_refresh_token
from certbound.certificates.certificate import CertificateError, parse_certificate
from certbound.certificates.check import Check
from certbound.certificates.policy import check_key
from certbound.certificates.presented import PresentedChain
from certbound.jose.jwt import sign
from certbound.oauth.access_token import TOKEN_TYPE, Authorization, TokenResponse, access_token_claims
from certbound.oauth.authentication import AuthenticatedClient, Decision
from certbound.oauth.binding import CONFIRMATION_METHOD, confirmation
from certbound.oauth.credentials import Credentials, read_credentials
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form, printable
from certbound.store import clients, tokens
from certbound.store.engine import Connection

MAX_REASONS = 1000
"""Characters of the reasons that a client with `diagnostics` gets."""
_NO_CERTIFICATE = Check(
    "certificate_presented",
    False,
    "a client certificate on the connection: the token endpoint is closed without one",
    "no certificate",
    "RFC 8705 section 2",
)

Grant = Callable[[GrantContext, AuthenticatedClient, Form], Awaitable[Authorization]]
GRANTS: Mapping[str, Grant] = {
    client_credentials.GRANT_TYPE: client_credentials.authorize,
    password.GRANT_TYPE: password.authorize,
    refresh_token.GRANT_TYPE: refresh_token.authorize,
}


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request to the token endpoint: `authorization` is the header of that name, `address` the peer's."""

    form: Form
    authorization: str | None
    presented: PresentedChain | None
    address: str | None


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
        self, context: GrantContext, registered: Registered, trail: IssueTrail, refusals: Refusals, sightings: Sightings
    ) -> None:
        self._context = context
        self._registered = registered
        self._trail = trail
        self._refusals = refusals
        self._sightings = sightings

    async def answer(self, request: TokenRequest) -> TokenResponse:
        """Walk a request to its tokens; OAuthError is the client's answer otherwise, StoreUnavailable a 503."""
        credentials = read_credentials(request.form, request.authorization, request.presented)
        grant_type = request.form.required("grant_type")
        authenticated = await self._authenticate(credentials, request.address)
        grant = _grant_of(authenticated, grant_type)
        origin = _origin(authenticated, request.address)
        authorization = await grant(self._context, authenticated, request.form)
        if not self._trail.is_open:
            raise OAuthError("temporarily_unavailable", "tokens cannot be recorded at the moment: try again")
        return await self._issue(authorization, origin)

    async def _authenticate(self, credentials: Credentials, address: str | None) -> AuthenticatedClient:
        now = self._context.clock()
        if credentials.presented is None and not self._context.policy.token_endpoint_without_certificate:
            decision = Decision((_NO_CERTIFICATE,))
        else:
            decision = await self._registered.decide(credentials, datetime.fromtimestamp(now, UTC))
        if decision.client is None:
            raise refusal_answer(decision, self._refusals.keep(credentials, decision, address))
        if decision.client.registration.client.token_endpoint_auth_method.is_mutual_tls and credentials.presented:
            certificate = parse_certificate(credentials.presented.leaf)
            self._sightings.saw(credentials.client_id, certificate, int(now))
        return decision.client

    async def _issue(self, authorization: Authorization, origin: Origin) -> TokenResponse:
        policy = self._context.policy
        issued_at = int(self._context.clock())
        jti = new_jti()
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
        refresh = await self._record_refresh_token(authorization, origin, issued_at)
        self._trail.add(
            tokens.IssuedToken(
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
            )
        )
        return TokenResponse(access_token, policy.access_token_lifetime, authorization.scopes, refresh)

    async def _record_refresh_token(self, authorization: Authorization, origin: Origin, now: int) -> str | None:
        """Write the new refresh token and use up the one it replaces, in one transaction, before the answer."""
        if not authorization.refreshable:
            return None
        token = new_refresh_token()
        row = tokens.RefreshToken(
            token_sha256=digest(token),
            family=authorization.family or new_jti(),
            client_id=authorization.client_id,
            sub=authorization.subject,
            scope=" ".join(authorization.scopes),
            resources=authorization.audience,
            x5t_s256=origin.x5t_s256,
            issued_at=now,
            expires_at=now + self._context.policy.refresh_token_lifetime,
            certificate_sha256=origin.certificate_sha256,
            spki_sha256=origin.spki_sha256,
            address=origin.address,
        )
        if not await self._context.store.writing(partial(_replace, row=row, redeems=authorization.redeems, now=now)):
            raise OAuthError(
                "invalid_grant",
                "the refresh token is not valid",
                detail="used twice at once (its family is revoked), or the client is disabled",
            )
        return token


def offered_grants(policy: Policy) -> tuple[str, ...]:
    """Name the grants that this server's settings leave on."""
    return tuple(grant for grant in GRANTS if grant != password.GRANT_TYPE or policy.password_grant)


def refusal_answer(decision: Decision, reference: str) -> OAuthError:
    """Make the one answer for an unknown client, a missing credential and a wrong one (RFC 6749 section 5.2).

    The reference leads a support desk to the trace; a client with `diagnostics` gets the reasons themselves.
    """
    if decision.error == "invalid_request":
        text = "the request authenticates in more than one way: use one method only"
    else:
        text = "client authentication failed"
    reasons = "; ".join(f"{check.check}: expected {check.expected}, found {check.found}" for check in decision.failed)
    why = f": {printable(reasons, MAX_REASONS)}" if decision.tells_why else ""
    return OAuthError(decision.error, f"{text} (reference {reference}){why}")


def _grant_of(authenticated: AuthenticatedClient, grant_type: str) -> Grant:
    grant = GRANTS.get(grant_type)
    if grant is None:
        raise OAuthError("unsupported_grant_type", f"grant_type {printable(grant_type)} is not offered")
    if grant_type not in authenticated.registration.client.grant_types:
        raise OAuthError("unauthorized_client", f"the client is not registered for the grant {printable(grant_type)}")
    return grant


def _origin(authenticated: AuthenticatedClient, address: str | None) -> Origin:
    """Say where the tokens go, and bind them; without a certificate a bound client gets an error, never a token.

    RFC 8705 section 3.4 leaves that choice. A weak key would make the binding worthless: the key policy holds here too.
    """
    bound = authenticated.registration.client.tls_client_certificate_bound_access_tokens
    presented = authenticated.credentials.presented
    if presented is None:
        if bound:
            raise OAuthError("invalid_request", "this client's tokens are bound to its certificate: connect with it")
        return Origin(address)
    try:
        certificate = parse_certificate(presented.leaf)
    except CertificateError as error:
        raise OAuthError("invalid_request", "the connection's certificate cannot be read", detail=str(error)) from error
    key = check_key(certificate)
    if bound and not key.passed:
        raise OAuthError("invalid_request", "the key of the connection's certificate is too weak", detail=key.found)
    cnf = confirmation(presented) if bound else None
    return Origin(address, certificate.sha256.hex(), certificate.spki_sha256.hex(), cnf)


def _replace(connection: Connection, row: tokens.RefreshToken, redeems: bytes | None, now: int) -> bool:
    # What this worker knows of the client may be two seconds old: no token may outlive a disablement.
    stored = clients.load(connection, row.client_id)
    if stored is None or stored.client.disabled or blocks.obtained_by_blocked(connection, row):
        return False
    if redeems is not None:
        before = tokens.load_refresh_token(connection, redeems)
        if before is None or not tokens.mark_used(connection, redeems, at=now):
            tokens.revoke_family(connection, row.family, at=now)
            return False
        # However narrow this request was, the new token is good for what the old one was (RFC 6749 section 6).
        row = replace(row, scope=before.scope, resources=before.resources)
    tokens.add_refresh_token(connection, row)
    return True
