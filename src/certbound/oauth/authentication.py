"""Is this request from the client it names? Decided by the client's registered method and nothing else.

The one place where a certificate means a client (RFC 8705 section 2). Every step is kept as a check, so that the log
and `certbound explain` can say exactly why; the client itself is told nothing of it.
"""

import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from certbound.certificates.certificate import Certificate, CertificateError, parse_certificate
from certbound.certificates.check import Check
from certbound.certificates.policy import check_pki_leaf, check_self_signed
from certbound.certificates.revocation import OCSPAnswers, check_path
from certbound.certificates.spiffe import check_svid
from certbound.chain.validation import validate_chain
from certbound.jose.jwks import JWKSet
from certbound.jose.keys import ALGORITHMS
from certbound.oauth.blocking import Blocked
from certbound.oauth.client_assertion import KEY_CHECK, Assertion, check_client_assertion
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.oauth.registration import AuthenticationMethod, Client, Registration
from certbound.oauth.trust import TrustStore


@dataclass(frozen=True, slots=True)
class AuthenticatedClient:
    """A client that proved itself on this request; a grant cannot be run without one.

    `credentials.presented` is the connection's certificate, to which tokens are bound.
    """

    registration: Registration
    credentials: Credentials


class OCSPQuestion(NamedTuple):
    """Whether `certificate`, issued by `issuer`, is revoked; `url` is the responder's, None if nobody names one."""

    certificate: Certificate
    issuer: Certificate
    url: str | None


@dataclass(frozen=True, slots=True)
class Needs:
    """What is missing to decide otherwise: the client's JWK Set as it is now, or answers about certificates."""

    jwks: bool = False
    ocsp: tuple[OCSPQuestion, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Who it is, or the RFC's error code if nobody, with every check that led there.

    `good_until` is the first moment at which a certificate of an accepted path runs out or its revocation must be asked
    about anew; None without certificates. With `needs` the decision is a refusal that might turn out otherwise.
    An acceptance by `assertion` stands once that is used up, which only who remembers can do (RFC 7523 section 3).
    """

    checks: tuple[Check, ...]
    client: AuthenticatedClient | None = None
    error: str = "invalid_client"
    good_until: datetime | None = None
    needs: Needs | None = None
    assertion: Assertion | None = None
    tells_why: bool = False
    """Whether a refused client may be told the reasons: it is registered with `diagnostics`."""

    @property
    def failed(self) -> tuple[Check, ...]:
        """Give the checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)


@dataclass(frozen=True, slots=True)
class Known:
    """What a decision rests on besides the registration: the time (aware), what is offered, blocked and known.

    `issuer` is this server's identifier, which is the audience of assertions.
    """

    now: datetime
    enabled: Collection[AuthenticationMethod]
    issuer: str
    blocked: Blocked = field(default_factory=Blocked)
    ocsp: OCSPAnswers = field(default_factory=dict)
    is_all: bool = False
    """Whether nothing more can be gathered: the decision stands by what there is, and has no `needs`."""


def authenticate(registration: Registration | None, credentials: Credentials, known: Known) -> Decision:
    """Decide whether the credentials are those of the registered client (RFC 8705 section 2, RFC 6749 section 2.3).

    `registration` is None for an unknown `client_id`.
    """
    if registration is None:
        return Decision((Check("client_known", False, "a registered client", "no client of this id", _RFC6749_23),))
    client = registration.client
    method = client.token_endpoint_auth_method
    used = _check_method_used(method, credentials)
    outcome = _METHODS[method](registration, credentials, known)
    first = (*_check_client(client, known), used, *_check_blocked(credentials, known))
    checks = first + outcome.checks
    if outcome.needs is not None:
        # Only for a client that has everything else right is anything fetched.
        needs = outcome.needs if all(check.passed for check in first) else None
        return Decision(checks, needs=needs, tells_why=client.diagnostics)
    if all(check.passed for check in checks):
        accepted = AuthenticatedClient(registration, credentials)
        return Decision(checks, accepted, good_until=outcome.good_until, assertion=outcome.assertion)
    if method.is_mutual_tls and all(check.passed or check is used for check in checks):
        # Two methods at once. Only the client itself is told so: strangers learn nothing of what is registered.
        return Decision(checks, error="invalid_request", tells_why=client.diagnostics)
    return Decision(checks, tells_why=client.diagnostics)


@dataclass(frozen=True, slots=True)
class _Outcome:
    checks: tuple[Check, ...]
    good_until: datetime | None = None
    needs: Needs | None = None
    assertion: Assertion | None = None


def _check_client(client: Client, known: Known) -> tuple[Check, ...]:
    method, state = client.token_endpoint_auth_method, "disabled" if client.disabled else "enabled"
    return (
        Check("client_known", True, "a registered client", client.client_id, _RFC6749_23),
        Check("client_enabled", not client.disabled, "enabled", state, _RFC6749_23),
        Check(
            "method_offered", method in known.enabled, "a method this server offers", method.value, "RFC 8414 section 2"
        ),
    )


def _check_method_used(method: AuthenticationMethod, credentials: Credentials) -> Check:
    expected = _SHOWN_BY.get(method, ShownMethod.NOTHING)
    wanted = f"{method} (shows {expected})" if method.is_mutual_tls else str(method)
    return Check("method_used", credentials.shown is expected, wanted, credentials.shown.value, _RFC6749_23)


def _check_blocked(credentials: Credentials, known: Known) -> tuple[Check, ...]:
    """Hold every method to the blocks: a stolen key is no key, even where the certificate is not the credential."""
    if credentials.presented is None:
        return ()
    refusal = known.blocked.refusal(credentials.presented)
    expected = "neither the certificate nor its key is blocked"
    return (Check("not_blocked", refusal is None, expected, refusal or "as expected", "certbound block"),)


def _by_trusted_chain(registration: Registration, credentials: Credentials, known: Known) -> _Outcome:
    """PKI method: a valid chain to an anchor of one of the client's own trust stores, and its subject (section 2.1)."""
    presence, certificate = _read_presented(credentials)
    if certificate is None or credentials.presented is None:
        return _Outcome((presence,))
    subject = _check_subject(registration.client, certificate)
    if not registration.trust:
        return _Outcome((presence, *subject, Check("chain", False, "a trust store", "none registered", _RFC8705_74)))
    refusals: list[Check] = []
    needs: list[OCSPQuestion] = []
    for store in registration.trust:
        through = _through(store, certificate, credentials.presented.intermediates, known)
        if all(check.passed for check in through.checks) and through.needs is None:
            return _Outcome((presence, *through.checks, *subject), through.good_until)
        refusals += through.checks
        needs += through.needs.ocsp if through.needs is not None else ()
    checks = (presence, *dict.fromkeys(refusals), *subject)
    asks = needs and all(check.passed for check in subject)
    return _Outcome(checks, needs=Needs(ocsp=tuple(needs)) if asks else None)


def _check_subject(client: Client, certificate: Certificate) -> tuple[Check, ...]:
    asked = [match.check(certificate) for match in (client.subject, client.subject_attributes) if match is not None]
    return tuple(asked) or (Check("subject", False, "a registered subject", "none registered", _RFC8705_212),)


def _through(store: TrustStore, certificate: Certificate, presented: Sequence[bytes], known: Known) -> _Outcome:
    """Decide whether one trust store vouches for the certificate, whoever it may mean."""
    leaf = check_pki_leaf(certificate, known.now, extended_key_usage=store.extended_key_usage)
    if store.extended_key_usage != "optional":
        leaf = tuple(_of(store, check) if check.check == "extended_key_usage" else check for check in leaf)
    if store.disabled_keys:
        presented = [der for der in presented if not _has_key(der, store.disabled_keys)]
    chain = validate_chain(certificate, presented, store.anchors, stored=store.intermediates, now=known.now)
    svid = () if store.trust_domain is None else (check_svid(certificate, store.trust_domain),)
    checks = (*leaf, *(_of(store, check) for check in (*chain.checks, *svid)))
    if not all(check.passed for check in checks):
        return _Outcome(checks)
    revocation = check_path(chain.path, store.revocation, store.crls, known.ocsp, known.now)
    ends = [linked.not_after for linked in chain.path]
    if revocation.good_until is not None:
        ends.append(revocation.good_until)
    named = (_of(store, check) for check in revocation.checks)
    missing = () if known.is_all else revocation.missing
    return _Outcome((*checks, *named), min(ends), _ocsp_needs(store, missing))


def _has_key(encoded: bytes, keys: Collection[bytes]) -> bool:
    """Tell by its key, as whoever has that can show it in another certificate, even without a CA's help.

    The signature (r, s) of ECDSA also holds as (r, n - s), which makes other bytes and another thumbprint.
    """
    try:
        return parse_certificate(encoded).spki_sha256 in keys
    except CertificateError:
        return False  # and helps no path


def _of(store: TrustStore, check: Check) -> Check:
    """Say which store it is whose rules a check is held to."""
    return check._replace(expected=f"{check.expected} of {store.name}")


def _ocsp_needs(store: TrustStore, missing: Sequence[tuple[Certificate, Certificate]]) -> Needs | None:
    if not missing:
        return None
    return Needs(
        ocsp=tuple(
            OCSPQuestion(certificate, issuer, store.ocsp_url or next(iter(certificate.ocsp_urls), None))
            for certificate, issuer in missing
        )
    )


def _by_registered_certificate(registration: Registration, credentials: Credentials, known: Known) -> _Outcome:
    """Self-signed method: the whole certificate equals a registered one; no chain is looked at (section 2.2).

    A published key without certificate stands for every certificate of that key, for a client registered so.
    """
    presence, certificate = _read_presented(credentials)
    if certificate is None:
        return _Outcome((presence,))
    # Both sides are public, and the digest stands for the whole DER: nothing here needs constant time.
    registered = any(certificate.sha256 == one.sha256 for one in registration.certificates)
    registered = registered or certificate.spki in registration.keys
    match = Check(
        "certificate_registered", registered, _listed(registration), certificate.sha256.hex(), "RFC 8705 section 2.2"
    )
    certificate_checks = check_self_signed(certificate, known.now)
    lacking = not registered and registration.client.jwks_uri is not None and not known.is_all
    asks = lacking and all(check.passed for check in certificate_checks)
    return _Outcome((presence, match, *certificate_checks), certificate.not_after, Needs(jwks=True) if asks else None)


def _listed(registration: Registration) -> str:
    certificates = [known.sha256.hex() for known in registration.certificates]
    keys = [f"any certificate of the key {hashlib.sha256(key).hexdigest()}" for key in registration.keys]
    listed = [*certificates, *keys]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    absent = f" ({registration.unpublished})" if registration.unpublished is not None else ""
    return (", ".join(listed[:_SHOWN]) + more or "none registered") + absent


def _by_assertion(registration: Registration, credentials: Credentials, known: Known) -> _Outcome:
    """Asymmetric method: a fresh JWT for this server, signed with a key of the client's (RFC 7523 sections 2.2, 3)."""
    client = registration.client
    allowed = client.token_endpoint_auth_signing_alg
    keys, absent = _unblocked(registration, known.blocked)
    checks, assertion = check_client_assertion(
        credentials.assertion or "",
        keys,
        client_id=client.client_id,
        issuer=known.issuer,
        algorithms=ALGORITHMS if allowed is None else (allowed,),
        now=int(known.now.timestamp()),
    )
    unknown = any(check.check == KEY_CHECK for check in checks)
    if unknown and absent is not None:
        checks = tuple(check._replace(found=f"{check.found} ({absent})") for check in checks)
    asks = unknown and client.jwks_uri is not None and not known.is_all
    return _Outcome(checks, needs=Needs(jwks=True) if asks else None, assertion=assertion)


def _unblocked(registration: Registration, blocked: Blocked) -> tuple[JWKSet, str | None]:
    """Give the client's keys but for those that are blocked, and why one may be missing."""
    keys = registration.verification_keys
    if not blocked.keys:
        return keys, registration.unpublished
    left = tuple(key for key in keys.keys if hashlib.sha256(key.spki).digest() not in blocked.keys)
    return JWKSet(left), registration.unpublished if len(left) == len(keys.keys) else "a key of the client is blocked"


def _by_secret(registration: Registration, credentials: Credentials, _known: Known) -> _Outcome:
    """Secret: compared by SHA-256, as it was generated with 256 bits of entropy (RFC 6749 section 2.3.1)."""
    stored = registration.client.secret_sha256 or b""
    shown = hashlib.sha256((credentials.secret or "").encode()).digest()
    right = hmac.compare_digest(shown, stored)
    return _Outcome((Check("client_secret", right, "the client's secret", "right" if right else "wrong", _RFC6749_23),))


def _not_at_all(_registration: Registration, _credentials: Credentials, _known: Known) -> _Outcome:
    """Public client: nothing proves it; its grants and the binding of its tokens do what can be done."""
    return _Outcome(())


def _read_presented(credentials: Credentials) -> tuple[Check, Certificate | None]:
    expected = "a client certificate on the connection"
    if credentials.presented is None:
        return Check("certificate_presented", False, expected, "no certificate", _RFC8705_2), None
    try:
        certificate = parse_certificate(credentials.presented.leaf)
    except CertificateError as error:
        return Check("certificate_presented", False, expected, f"unreadable: {error}", _RFC8705_2), None
    return Check("certificate_presented", True, expected, certificate.sha256.hex(), _RFC8705_2), certificate


_RFC6749_23 = "RFC 6749 section 2.3"
_RFC8705_2 = "RFC 8705 section 2"
_RFC8705_212 = "RFC 8705 section 2.1.2"
_RFC8705_74 = "RFC 8705 section 7.4"
_SHOWN = 10
"""How many registered certificates a trace lists."""
_METHODS: Mapping[AuthenticationMethod, Callable[[Registration, Credentials, Known], _Outcome]] = {
    AuthenticationMethod.TLS_CLIENT_AUTH: _by_trusted_chain,
    AuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH: _by_registered_certificate,
    AuthenticationMethod.PRIVATE_KEY_JWT: _by_assertion,
    AuthenticationMethod.CLIENT_SECRET_BASIC: _by_secret,
    AuthenticationMethod.CLIENT_SECRET_POST: _by_secret,
    AuthenticationMethod.NONE: _not_at_all,
}
_SHOWN_BY: Mapping[AuthenticationMethod, ShownMethod] = {
    AuthenticationMethod.PRIVATE_KEY_JWT: ShownMethod.ASSERTION,
    AuthenticationMethod.CLIENT_SECRET_BASIC: ShownMethod.SECRET_BASIC,
    AuthenticationMethod.CLIENT_SECRET_POST: ShownMethod.SECRET_POST,
}
"""What a request shows by each method; nothing by those that are not here."""
