"""Registering clients and changing them, each change recorded with it; finding what a request needs of one."""

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from certbound.authority.records import record
from certbound.authority.trusted import load_trust
from certbound.certificates.certificate import Certificate, parse_certificate
from certbound.oauth.client_jwks import ClientKeys, read_client_jwks
from certbound.oauth.registering import RegistrationRequest, accept_registration
from certbound.oauth.registration import AuthenticationMethod, Client, Registration, RegistrationError
from certbound.oauth.trust import TrustStore
from certbound.store import certificates as stored_certificates
from certbound.store import clients as stored_clients
from certbound.store import revision
from certbound.store import tokens as stored_tokens
from certbound.store import trust as stored_trust
from certbound.store.certificates import RegisteredCertificate
from certbound.store.clients import StoredClient
from certbound.store.engine import Connection

T = TypeVar("T")


class ClientError(ValueError):
    """The change cannot be made; the text says what to do."""


@dataclass(frozen=True, slots=True)
class RegisteredNow:
    """A client just registered. `client_secret` is shown this once and kept as a digest only."""

    client: Client
    client_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ClientChanges:
    """What is to be changed of a client, in the words it was typed in; None leaves a member as it is.

    Certificates given are the whole set from then on: those in use that are not among them are retired.
    """

    client_name: str | None = None
    token_endpoint_auth_method: str | None = None
    grant_types: tuple[str, ...] | None = None
    scopes: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    redirect_uris: tuple[str, ...] | None = None
    post_logout_redirect_uris: tuple[str, ...] | None = None
    subject: Mapping[str, str] | None = None
    subject_attributes: Mapping[str, str] | None = None
    trust: tuple[str, ...] | None = None
    certificates: tuple[Certificate, ...] | None = None
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str | None = None
    token_endpoint_auth_signing_alg: str | None = None
    match_by_key: bool | None = None
    diagnostics: bool | None = None
    implicit_consent: bool | None = None
    bound: bool | None = None


def find_registration(
    connection: Connection, client_id: str, known: Mapping[str, TrustStore] | None = None
) -> Registration | None:
    """Gather a client with what may mean it: certificates, keys, trust stores; `known` stores are not read again."""
    stored = stored_clients.load(connection, client_id)
    if stored is None:
        return None
    client, stores = stored.client, dict(known or {})
    published = read_client_jwks(client.jwks) if client.jwks is not None and _keys_count(client) else ClientKeys()
    if missing := [name for name in client.trust if name not in stores]:
        stores |= {store.name: store for store in load_trust(connection, missing)}
    return Registration(
        client=client,
        certificates=tuple(parse_certificate(c.der) for c in stored.certificates if c.retired is None),
        keys=published.keys if client.match_by_key else (),
        trust=tuple(stores[name] for name in client.trust if name in stores),
        verification_keys=published.verification_keys,
        unpublished="its jwks_uri was not asked" if client.jwks_uri is not None else None,
    )


def register(
    connection: Connection, request: RegistrationRequest, *, known_grants: Collection[str], actor: str, now: int
) -> RegisteredNow:
    """Register a client. Raises RegistrationError, or ClientError where its id is taken or a trust store is missing."""
    secret = secrets.token_urlsafe(32)
    accepted = accept_registration(
        request,
        client_id=request.client_id if request.client_id is not None else secrets.token_hex(12),
        known_grants=known_grants,
        secret_sha256=hashlib.sha256(secret.encode()).digest(),
        now=now,
    )
    client = accepted.client
    revision.bump(connection)
    if stored_clients.load(connection, client.client_id) is not None:
        raise ClientError(f"there is a client {client.client_id!r} already")
    _check_trust(connection, client)
    stored_clients.add(connection, client)
    for certificate in accepted.certificates:
        stored_certificates.add(connection, _registered(client.client_id, certificate, now))
    detail = client.as_metadata() | {"certificates": [c.sha256.hex() for c in accepted.certificates]}
    record(connection, at=now, actor=actor, action="client.created", target=client.client_id, detail=detail)
    return RegisteredNow(client, secret if client.token_endpoint_auth_method.has_secret else None)


def update(
    connection: Connection,
    client_id: str,
    changes: ClientChanges,
    *,
    known_grants: Collection[str],
    actor: str,
    now: int,
) -> RegisteredNow:
    """Change a client by the rules of registering. Raises RegistrationError, or ClientError as `register` does.

    With another method, what belonged to the one before (subject, trust, certificates, secret, default binding) goes;
    a secret is made where the new method needs one and there was none.
    """
    revision.bump(connection)
    found = existing(connection, client_id)
    secret = None if found.client.secret_sha256 else secrets.token_urlsafe(32)
    accepted = accept_registration(
        _changed(found, changes),
        client_id=client_id,
        known_grants=known_grants,
        secret_sha256=found.client.secret_sha256 or hashlib.sha256((secret or "").encode()).digest(),
        now=found.client.created_at,
    )
    client = replace(
        accepted.client, disabled=found.client.disabled, jwks=_jwks(found.client, accepted.client, changes)
    )
    _check_trust(connection, client)
    stored_clients.replace(connection, client, now)
    if _brings_certificates(changes) or client.token_endpoint_auth_method != found.client.token_endpoint_auth_method:
        _replace_certificates(connection, found, accepted.certificates, now)
    detail = {"before": _recorded(found), "after": _recorded(existing(connection, client_id))}
    record(connection, at=now, actor=actor, action="client.updated", target=client_id, detail=detail)
    return RegisteredNow(client, secret if client.token_endpoint_auth_method.has_secret else None)


def set_disabled(connection: Connection, client_id: str, *, disabled: bool, actor: str, now: int) -> None:
    """Disable a client, revoking its refresh tokens, or enable it again. Raises ClientError."""
    existing(connection, client_id)
    revision.bump(connection)
    stored_clients.set_disabled(connection, client_id, now, disabled=disabled)
    if disabled:
        stored_tokens.revoke_client(connection, client_id, now)
    action = "client.disabled" if disabled else "client.enabled"
    record(connection, at=now, actor=actor, action=action, target=client_id)


def delete(connection: Connection, client_id: str, *, actor: str, now: int) -> None:
    """Delete a client with its certificates and refresh tokens. Raises ClientError."""
    found = existing(connection, client_id)
    revision.bump(connection)
    stored_clients.remove(connection, client_id)
    record(
        connection, at=now, actor=actor, action="client.deleted", target=client_id, detail=found.client.as_metadata()
    )


def add_certificate(connection: Connection, client_id: str, certificate: Certificate, *, actor: str, now: int) -> None:
    """Register one more certificate, beside those there are. Raises ClientError."""
    found = existing(connection, client_id)
    if found.client.token_endpoint_auth_method is not AuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH:
        raise ClientError(
            f"client {client_id} authenticates by {found.client.token_endpoint_auth_method}: it has no certificates"
        )
    if found.client.jwks_uri is not None:
        raise ClientError(f"client {client_id} publishes its certificates itself, at its jwks_uri: add it there")
    if any(known.sha256 == certificate.sha256.hex() for known in found.certificates):
        raise ClientError(f"client {client_id} has this certificate already: see `certbound client certificate list`")
    revision.bump(connection)
    stored_certificates.add(connection, _registered(client_id, certificate, now))
    detail = {"sha256": certificate.sha256.hex(), "subject": certificate.subject.text}
    record(connection, at=now, actor=actor, action="client.certificate_added", target=client_id, detail=detail)


def retire_certificate(connection: Connection, client_id: str, sha256: str, *, actor: str, now: int) -> None:
    """Retire a registered certificate: it means the client no more. Raises ClientError."""
    existing(connection, client_id)
    revision.bump(connection)
    if not stored_certificates.retire(connection, client_id, sha256, now):
        raise ClientError(f"client {client_id} has no certificate {sha256} in use")
    detail = {"sha256": sha256}
    record(connection, at=now, actor=actor, action="client.certificate_retired", target=client_id, detail=detail)


def existing(connection: Connection, client_id: str) -> StoredClient:
    """Load a client that must be there. Raises ClientError."""
    found = stored_clients.load(connection, client_id)
    if found is None:
        raise ClientError(f"there is no client {client_id!r}: see `certbound client list`")
    return found


def _check_trust(connection: Connection, client: Client) -> None:
    held = {store.name for store in stored_trust.stores(connection)}
    for name in client.trust:
        if name not in held:
            raise RegistrationError(
                "certbound_trust", f"there is no trust store {name!r}: make it with `certbound trust add`"
            )


def _changed(found: StoredClient, changes: ClientChanges) -> RegistrationRequest:
    client = found.client
    method = changes.token_endpoint_auth_method or client.token_endpoint_auth_method
    kept = _kept_with_method(found, changes) if method == client.token_endpoint_auth_method else ClientChanges()
    return RegistrationRequest(
        client_name=_either(changes.client_name, client.client_name),
        token_endpoint_auth_method=method,
        grant_types=_either(changes.grant_types, client.grant_types),
        scopes=_either(changes.scopes, client.scopes),
        resources=_either(changes.resources, client.resources),
        redirect_uris=_either(changes.redirect_uris, client.redirect_uris),
        post_logout_redirect_uris=_either(changes.post_logout_redirect_uris, client.post_logout_redirect_uris),
        subject=_either(_either(changes.subject, kept.subject), {}),
        subject_attributes=_either(_either(changes.subject_attributes, kept.subject_attributes), {}),
        trust=_either(_either(changes.trust, kept.trust), ()),
        certificates=_either(_either(changes.certificates, kept.certificates), ()),
        jwks=_either(changes.jwks, kept.jwks),
        jwks_uri=_either(changes.jwks_uri, kept.jwks_uri),
        token_endpoint_auth_signing_alg=_either(
            changes.token_endpoint_auth_signing_alg, kept.token_endpoint_auth_signing_alg
        )
        or None,
        match_by_key=_either(_either(changes.match_by_key, kept.match_by_key), False),
        diagnostics=_either(changes.diagnostics, client.diagnostics),
        implicit_consent=_either(changes.implicit_consent, client.implicit_consent),
        bound=_either(changes.bound, kept.bound),
    )


def _kept_with_method(found: StoredClient, changes: ClientChanges) -> ClientChanges:
    """Give what stays as long as the method does; what certificates come from stays unless it is given anew."""
    client = found.client
    kept = ClientChanges(
        subject={client.subject.parameter: client.subject.value} if client.subject is not None else {},
        subject_attributes=client.subject_attributes.as_metadata() if client.subject_attributes is not None else {},
        trust=client.trust,
        token_endpoint_auth_signing_alg=client.token_endpoint_auth_signing_alg,
        match_by_key=client.match_by_key,
        bound=client.tls_client_certificate_bound_access_tokens,
    )
    if _brings_certificates(changes):
        return kept
    in_use = tuple(parse_certificate(c.der) for c in found.certificates if c.retired is None)
    jwks = client.jwks if _keys_count(client) and not in_use else None
    return replace(kept, certificates=in_use, jwks=jwks, jwks_uri=client.jwks_uri)


def _keys_count(client: Client) -> bool:
    """Say whether the keys of the client's JWK Set mean it, and not its certificates only, which are kept apart."""
    return client.match_by_key or client.token_endpoint_auth_method is AuthenticationMethod.PRIVATE_KEY_JWT


def _brings_certificates(changes: ClientChanges) -> bool:
    """Say whether certificates come from a source that is given anew."""
    return changes.certificates is not None or changes.jwks is not None or changes.jwks_uri is not None


def _jwks(before: Client, after: Client, changes: ClientChanges) -> Mapping[str, Any] | None:
    """Keep the JWK Set while method and source stay: only its certificates are registered, and they rotate."""
    given = changes.certificates is not None or changes.jwks_uri is not None
    if not given and after.token_endpoint_auth_method == before.token_endpoint_auth_method:
        return _either(after.jwks, before.jwks)
    return after.jwks


def _either(changed: T | None, kept: T) -> T:
    return kept if changed is None else changed


def _replace_certificates(
    connection: Connection, found: StoredClient, wanted: Collection[Certificate], now: int
) -> None:
    known = {certificate.sha256: certificate for certificate in found.certificates}
    wanted_ids = {certificate.sha256.hex() for certificate in wanted}
    for sha256, certificate in known.items():
        if certificate.retired is None and sha256 not in wanted_ids:
            stored_certificates.retire(connection, found.client.client_id, sha256, now)
    for new in wanted:
        before = known.get(new.sha256.hex())
        if before is None:
            stored_certificates.add(connection, _registered(found.client.client_id, new, now))
        elif before.retired is not None:
            raise ClientError(
                f"certificate {before.sha256} was retired for this client and does not come back: make a new one"
            )


def _recorded(found: StoredClient) -> dict[str, Any]:
    return found.client.as_metadata() | {"certificates": [c.sha256 for c in found.certificates if c.retired is None]}


def _registered(client_id: str, certificate: Certificate, now: int) -> RegisteredCertificate:
    return RegisteredCertificate(
        client_id=client_id,
        sha256=certificate.sha256.hex(),
        der=certificate.der,
        subject=certificate.subject.text,
        not_after=int(certificate.not_after.timestamp()),
        added=now,
    )
