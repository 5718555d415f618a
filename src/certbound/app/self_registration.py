"""Clients that register themselves, as far as the settings let them: switched on, for whom, and whom they quote."""

import json
import time
from pathlib import Path

from certbound.authority.deciding import Decider
from certbound.authority.outbound import Outbound
from certbound.authority.registrations import RegistrationPolicy, Registrations
from certbound.authority.statement_issuers import StatementIssuers
from certbound.authority.tokens.context import Policy
from certbound.authority.tokens.issuing import offered_grants
from certbound.config.settings import Settings, StatementIssuerSettings
from certbound.jose.jwks import JWKSError, JWKSet, parse_jwks
from certbound.oauth.metadata import REGISTRATION_PATH
from certbound.oauth.registration_metadata import Ceiling
from certbound.oauth.software_statement import StatementIssuer
from certbound.store.engine import Store


class StatementKeysError(RuntimeError):
    """The keys of a software statement's issuer cannot be read; one line says what to do."""


def make_registrations(
    settings: Settings, policy: Policy, store: Store, outbound: Outbound, decider: Decider
) -> Registrations | None:
    """Make what answers at the registration endpoint, None where it is off. Raises StatementKeysError."""
    oauth = settings.oauth
    if oauth.dynamic_registration is False:
        return None
    issuers = [_issuer(issuer) for issuer in oauth.software_statement_issuer]
    rules = RegistrationPolicy(
        issuer=policy.issuer,
        endpoint=policy.issuer.rstrip("/") + REGISTRATION_PATH,
        open_to_all=oauth.dynamic_registration is True,
        ceiling=Ceiling(oauth.registration_scopes, oauth.registration_trust),
        methods=policy.methods,
        grants=offered_grants(policy),
        networks=settings.outbound.allow,
    )
    statements = StatementIssuers(issuers, outbound, server=policy.issuer)
    return Registrations(store, rules, statements, decider, clock=time.time)


def _issuer(settings: StatementIssuerSettings) -> StatementIssuer:
    return StatementIssuer(
        issuer=settings.issuer,
        jwks=None if settings.jwks is None else _read_keys(settings.jwks),
        jwks_uri=settings.jwks_uri,
        certificate_subject=settings.certificate_subject,
        single_instance=settings.single_instance,
    )


def _read_keys(file: Path) -> JWKSet:
    try:
        keys = parse_jwks(json.loads(file.read_bytes()))
    except OSError as error:
        raise StatementKeysError(f"oauth.software_statement_issuer: {file}: {error.strerror}") from None
    except (JWKSError, ValueError, RecursionError) as error:
        raise StatementKeysError(f"oauth.software_statement_issuer: {file} is no JWK Set: {error}") from None
    if not keys.keys:
        raise StatementKeysError(f"oauth.software_statement_issuer: {file} holds no signature key that can be used")
    return keys
