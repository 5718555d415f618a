"""Clients that register themselves, and read, replace and delete their own registration (RFC 7591, RFC 7592)."""

import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from certbound.authority import clients
from certbound.authority.blocks import load_blocked
from certbound.authority.clients import ClientChanges, ClientError, RegisteredNow
from certbound.authority.deciding import Decider
from certbound.authority.registration_tokens import Granted, add_access_token, new_access_token
from certbound.authority.secrets import digest
from certbound.authority.statement_issuers import StatementIssuers
from certbound.authority.trusted import load_trust
from certbound.certificates.certificate import CertificateError, parse_certificate
from certbound.certificates.presented import PresentedChain
from certbound.fetch.address import is_reachable
from certbound.fetch.target import TargetError, parse_target
from certbound.jose.jwt import unverified_claims
from certbound.oauth.authentication import Known
from certbound.oauth.blocking import Blocked
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import printable
from certbound.oauth.registering import RegistrationRequest, accept_registration
from certbound.oauth.registration import AuthenticationMethod, Client, Registration, RegistrationError
from certbound.oauth.registration_metadata import (
    MAX_REASON,
    Ceiling,
    check_update,
    check_within,
    read_metadata,
    refuse,
    refused,
    registered_metadata,
)
from certbound.oauth.software_statement import (
    MEMBER,
    StatementIssuer,
    check_subject,
    invalid_statement,
    merge,
    software_of,
    stated_metadata,
    unapproved_statement,
)
from certbound.oauth.trust import TrustStore
from certbound.store import registration_tokens as stored_tokens
from certbound.store import revision, revoked
from certbound.store.engine import Connection, Store
from certbound.store.registration_tokens import RegistrationToken


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """The settings that registering depends on.

    `endpoint` is the URL of the registration endpoint. Without `open_to_all` an initial access token is needed;
    `ceiling` holds for those who register without one. `networks` (CIDR) are those that a `jwks_uri` may lie in though
    they are not public.
    """

    issuer: str
    endpoint: str
    open_to_all: bool
    ceiling: Ceiling
    methods: frozenset[AuthenticationMethod]
    grants: Collection[str]
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Stated:
    """What counts of a request: its metadata, and the statement in it with its issuer, if there is one."""

    metadata: Mapping[str, Any]
    statement: str | None = None
    issuer: StatementIssuer | None = None
    claims: Mapping[str, Any] | None = None

    @property
    def software(self) -> str | None:
        """Tell one piece of software from others: its issuer, `software_id` and `software_version`."""
        if self.issuer is None or self.claims is None:
            return None
        return software_of(self.issuer.issuer, self.claims)

    @property
    def is_single(self) -> bool:
        """Whether there can be one client of this software only (RFC 7591 section 5)."""
        return self.issuer is not None and self.issuer.single_instance


class Registrations:
    """Answers with the members of a JSON object; OAuthError otherwise, StoreUnavailable for a 503.

    `invalid_token` means that the token is none, or not for this client (RFC 6750 section 3.1). `clock` gives epoch
    seconds.
    """

    def __init__(
        self,
        store: Store,
        policy: RegistrationPolicy,
        issuers: StatementIssuers,
        decider: Decider,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._policy = policy
        self._issuers = issuers
        self._decider = decider
        self._clock = clock

    async def register(
        self, token: str | None, document: Mapping[str, Any], presented: PresentedChain | None
    ) -> dict[str, Any]:
        """Register a new client. `token` is an initial access token, `presented` the connection's certificate."""
        now = int(self._clock())
        initial = await self._initial(token, now)
        ceiling = self._policy.ceiling if initial is None else Ceiling(initial.scopes, initial.trust)
        client_id, access_token = secrets.token_hex(12), new_access_token()
        stated = await self._state(document, None, now)
        request = self._request(stated.metadata, client_id, ceiling)
        await self._check_certificate(request, stated, presented)
        actor = f"client:{client_id}" if initial is None else f"initial-token:{initial.id}"

        def work(connection: Connection) -> RegisteredNow:
            if initial is not None and not stored_tokens.use(connection, initial.token_sha256, now):
                raise _invalid_token("the initial access token is used up")
            made = clients.register(connection, request, known_grants=self._policy.grants, actor=actor, now=now)
            _check_single(connection, stated, digest(access_token))
            granted = Granted(client_id, ceiling, stated.statement, stated.software)
            add_access_token(connection, access_token, granted, now)
            return made

        made = await self._write(work)
        return self._answer(made.client, access_token, made.client_secret, stated.statement)

    async def read(self, client_id: str, token: str | None) -> dict[str, Any]:
        """Give the registration as it is now (RFC 7592 section 2.1)."""
        found, client = await self._own(client_id, token)
        return self._answer(client, str(token), None, found.statement)

    async def replace(
        self, client_id: str, token: str | None, document: Mapping[str, Any], presented: PresentedChain | None
    ) -> dict[str, Any]:
        """Put a new registration in the place of the old one: what is left out goes (RFC 7592 section 2.2).

        The token stays: a client that never gets the answer still has it.
        """
        now = int(self._clock())
        found, before = await self._own(client_id, token)
        check_update(document, client_id)
        _check_secret(document, before)
        stated = await self._state(document, found.statement, now)
        request = self._request(stated.metadata, client_id, Ceiling(found.scopes, found.trust), before)
        await self._check_certificate(request, stated, presented)
        changes = _whole(request)

        def work(connection: Connection) -> RegisteredNow:
            _own_token(connection, client_id, found.token_sha256, now)  # it may have ended meanwhile
            made = clients.update(
                connection,
                client_id,
                changes,
                known_grants=(*self._policy.grants, *before.grant_types),
                actor=f"client:{client_id}",
                now=now,
            )
            _check_single(connection, stated, found.token_sha256)
            stored_tokens.keep_statement(connection, found.token_sha256, stated.statement, stated.software)
            return made

        made = await self._write(work)
        return self._answer(made.client, str(token), made.client_secret, stated.statement)

    async def delete(self, client_id: str, token: str | None) -> None:
        """Delete the client, and end what it was given (RFC 7592 section 2.3)."""
        now = int(self._clock())
        found, _ = await self._own(client_id, token)

        def work(connection: Connection) -> None:
            _own_token(connection, client_id, found.token_sha256, now)
            revision.bump(connection)
            revoked.revoke_client(connection, client_id, now)
            revision.bump_revoked(connection)
            clients.delete(connection, client_id, actor=f"client:{client_id}", now=now)

        await self._write(work)

    async def _initial(self, token: str | None, now: int) -> RegistrationToken | None:
        if token is None and self._policy.open_to_all:
            return None
        found = await self._find(token, now)
        if found is None or found.client_id is not None or not found.uses_left:
            raise _invalid_token("an initial access token is needed, and this is none that can be used")
        return found

    async def _own(self, client_id: str, token: str | None) -> tuple[RegistrationToken, Client]:
        work = partial(_own_token, client_id=client_id, token_sha256=digest(token or ""), now=int(self._clock()))
        return await self._store.reading(work)

    async def _find(self, token: str | None, now: int) -> RegistrationToken | None:
        if token is None:
            return None
        return await self._store.reading(partial(stored_tokens.load, token_sha256=digest(token), now=now))

    async def _state(self, document: Mapping[str, Any], before: str | None, now: int) -> _Stated:
        """Let what is stated of the software win; what it rested on before goes on to, unless it is stated anew."""
        given = document.get(MEMBER)
        if given is None and before is None:
            return _Stated(document)
        if not isinstance(given, str | None):
            raise invalid_statement("it is a text")
        if before is not None and given in {None, before}:
            claims, issuer = stated_metadata(unverified_claims(before)), self._issuers.named(before)
            return _Stated(merge(document, claims), before, issuer, claims)
        issuer, claims = await self._issuers.read(str(given), now)
        if before is not None:
            _check_same_software(issuer, claims, before)
        return _Stated(merge(document, claims), given, issuer, claims)

    def _request(
        self, metadata: Mapping[str, Any], client_id: str, ceiling: Ceiling, before: Client | None = None
    ) -> RegistrationRequest:
        """Read the metadata that counts, hold it to the ceiling, and fill in what the client leaves to the server."""
        request = read_metadata(metadata, client_id=client_id)
        check_within(request, ceiling, before)
        offered = sorted(self._policy.methods)
        if request.token_endpoint_auth_method not in offered:
            refuse("token_endpoint_auth_method", f"use one of {', '.join(offered)}")
        if request.jwks_uri is not None:
            _check_public(request.jwks_uri, self._policy.networks)
        return request if request.trust else _with_trust(request, ceiling, before)

    async def _check_certificate(
        self, request: RegistrationRequest, stated: _Stated, presented: PresentedChain | None
    ) -> None:
        """Where the statement's issuer wants it: the connection's certificate is the one that is stated, and will do.

        A subject proves nothing by itself, so the certificate must be one that the client authenticates with once it
        is registered.
        """
        if stated.issuer is None or stated.claims is None or not stated.issuer.certificate_subject:
            return
        if request.token_endpoint_auth_method != AuthenticationMethod.TLS_CLIENT_AUTH or presented is None:
            raise unapproved_statement("its clients use tls_client_auth, and register over a connection that shows it")
        try:
            check_subject(stated.issuer, stated.claims, parse_certificate(presented.leaf))
        except CertificateError as error:
            raise unapproved_statement("the certificate of the connection cannot be read") from error
        if not await self._would_authenticate(request, presented):
            raise unapproved_statement("the certificate of the connection would not authenticate this client")

    async def _would_authenticate(self, request: RegistrationRequest, presented: PresentedChain) -> bool:
        now = datetime.fromtimestamp(self._clock(), UTC)
        client_id, grants = str(request.client_id), (*self._policy.grants, *request.grant_types)

        def gather(connection: Connection) -> tuple[tuple[TrustStore, ...], Blocked]:
            blocked, _ = load_blocked(connection, int(now.timestamp()))
            return load_trust(connection, request.trust), blocked

        stores, blocked = await self._store.reading(gather)
        try:
            accepted = accept_registration(
                request, client_id=client_id, known_grants=grants, secret_sha256=None, now=int(now.timestamp())
            )
        except RegistrationError as error:
            raise refused(error) from error
        decided = await self._decider.decide(
            Registration(accepted.client, accepted.certificates, trust=stores),
            Credentials(client_id, ShownMethod.NOTHING, presented),
            Known(now=now, enabled=self._policy.methods, issuer=self._policy.issuer, blocked=blocked),
        )
        return decided.decision.client is not None

    async def _write(self, work: Callable[[Connection], Any]) -> Any:
        try:
            return await self._store.writing(work)
        except RegistrationError as error:
            raise refused(error) from error
        except ClientError as error:
            raise OAuthError("invalid_client_metadata", printable(str(error), MAX_REASON)) from error

    def _answer(
        self, client: Client, access_token: str, client_secret: str | None, statement: str | None
    ) -> dict[str, Any]:
        return registered_metadata(
            client,
            configuration_uri=f"{self._policy.endpoint}/{client.client_id}",
            access_token=access_token,
            client_secret=client_secret,
            statement=statement,
        )


def _invalid_token(why: str) -> OAuthError:
    return OAuthError("invalid_token", why)


def _own_token(
    connection: Connection, client_id: str, token_sha256: bytes, now: int
) -> tuple[RegistrationToken, Client]:
    """Give a client's own token with the client. Raises OAuthError for any other token, and for a disabled client."""
    found = stored_tokens.load(connection, token_sha256, now)
    if found is None or found.client_id != client_id:
        raise _invalid_token("this is not the registration access token of this client")
    client = clients.existing(connection, client_id).client
    if client.disabled:
        raise OAuthError("insufficient_scope", "the client is disabled: its registration is not its own just now")
    return found, client


def _check_single(connection: Connection, stated: _Stated, token_sha256: bytes) -> None:
    """Refuse a second client of software that there is one of; administrative changes come one after the other."""
    if stated.is_single and stored_tokens.others_have_software(connection, token_sha256, str(stated.software)):
        raise unapproved_statement("this software is registered already, and there is one of it only")


def _check_secret(document: Mapping[str, Any], client: Client) -> None:
    """Hold a secret that is sent along to the client's own: none is chosen by a client (RFC 7592 section 2.2)."""
    given = document.get("client_secret")
    if given is None:
        return
    found = hashlib.sha256(str(given).encode("utf-8", "surrogatepass")).digest()
    if client.secret_sha256 is None or not hmac.compare_digest(found, client.secret_sha256):
        refuse("client_secret", "it is not the secret of this client, and no other can be chosen")


def _check_public(jwks_uri: str, networks: Collection[str]) -> None:
    """Refuse a URI that could never be fetched; nothing is resolved or fetched, and each fetch looks again."""
    try:
        host = parse_target(jwks_uri).host
    except TargetError as error:
        refuse("jwks_uri", str(error))
    if f".{host.rstrip('.')}".endswith(".localhost"):
        host = "127.0.0.1"
    with contextlib.suppress(ValueError):  # a name, not an address
        if not is_reachable(host, networks):
            refuse("jwks_uri", "its host is no public address")


def _check_same_software(issuer: StatementIssuer, claims: Mapping[str, Any], before: str) -> None:
    old = unverified_claims(before)
    if (issuer.issuer, claims.get("software_id")) != (old.get("iss"), old.get("software_id")):
        raise unapproved_statement("the client was registered as other software, or by another issuer")


def _with_trust(request: RegistrationRequest, ceiling: Ceiling, before: Client | None) -> RegistrationRequest:
    """Choose the trust stores of a client that names none: those it has, or those it may have."""
    if request.token_endpoint_auth_method != AuthenticationMethod.TLS_CLIENT_AUTH:
        return request
    return replace(request, trust=(before.trust if before is not None else ()) or ceiling.trust)


def _whole(request: RegistrationRequest) -> ClientChanges:
    """Say of every member that is the client's what it becomes; what is an administrator's stays."""
    method = request.token_endpoint_auth_method
    return ClientChanges(
        client_name=request.client_name,
        token_endpoint_auth_method=method,
        token_endpoint_auth_signing_alg=request.token_endpoint_auth_signing_alg or "",
        grant_types=request.grant_types,
        scopes=request.scopes,
        redirect_uris=request.redirect_uris,
        post_logout_redirect_uris=request.post_logout_redirect_uris,
        subject=request.subject,
        subject_attributes=request.subject_attributes,
        trust=request.trust,
        certificates=(),
        jwks=request.jwks,
        jwks_uri=request.jwks_uri,
        bound=AuthenticationMethod(method).is_mutual_tls if request.bound is None else request.bound,
    )
