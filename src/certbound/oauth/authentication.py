"""Is this request from the client it names? Decided by the client's registered method and nothing else.

The one place where a certificate means a client (RFC 8705 section 2). Every step is kept as a check, so that the log
and `certbound explain` can say exactly why; the client itself is told nothing of it.
"""

import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from certbound.certificates.certificate import Certificate, CertificateError, parse_certificate
from certbound.certificates.check import Check
from certbound.certificates.policy import check_pki_leaf, check_self_signed
from certbound.chain.validation import validate_chain
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.oauth.registration import AuthenticationMethod, Registration


@dataclass(frozen=True, slots=True)
class AuthenticatedClient:
    """A client that proved itself on this request; a grant cannot be run without one.

    `credentials.presented` is the connection's certificate, to which tokens are bound.
    """

    registration: Registration
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class Decision:
    """Who it is, or the RFC's error code if nobody, with every check that led there.

    `good_until` is the first moment at which a certificate of an accepted path runs out; None without certificates.
    """

    checks: tuple[Check, ...]
    client: AuthenticatedClient | None = None
    error: str = "invalid_client"
    good_until: datetime | None = None

    @property
    def failed(self) -> tuple[Check, ...]:
        """Give the checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)


def authenticate(
    registration: Registration | None,
    credentials: Credentials,
    *,
    enabled: Collection[AuthenticationMethod],
    now: datetime,
) -> Decision:
    """Decide whether the credentials are those of the registered client (RFC 8705 section 2, RFC 6749 section 2.3).

    `registration` is None for an unknown `client_id`; `enabled` are the methods this server offers.
    """
    if registration is None:
        return Decision((Check("client_known", False, "a registered client", "no client of this id", _RFC6749_23),))
    client = registration.client
    method = client.token_endpoint_auth_method
    used = _check_method_used(method, credentials)
    known = (
        Check("client_known", True, "a registered client", client.client_id, _RFC6749_23),
        Check(
            "client_enabled", not client.disabled, "enabled", "disabled" if client.disabled else "enabled", _RFC6749_23
        ),
        Check("method_offered", method in enabled, "a method this server offers", method.value, "RFC 8414 section 2"),
        used,
    )
    outcome = _METHODS[method](registration, credentials, now)
    checks = known + outcome.checks
    if all(check.passed for check in checks):
        return Decision(checks, AuthenticatedClient(registration, credentials), good_until=outcome.good_until)
    if method.is_mutual_tls and all(check.passed or check is used for check in checks):
        # Two methods at once. Only the client itself is told so: strangers learn nothing of what is registered.
        return Decision(checks, error="invalid_request")
    return Decision(checks)


@dataclass(frozen=True, slots=True)
class _Outcome:
    checks: tuple[Check, ...]
    good_until: datetime | None = None


def _check_method_used(method: AuthenticationMethod, credentials: Credentials) -> Check:
    expected = ShownMethod(method) if method.has_secret else ShownMethod.NOTHING
    wanted = f"{method} (shows {expected})" if method.is_mutual_tls else str(method)
    return Check("method_used", credentials.shown is expected, wanted, credentials.shown.value, _RFC6749_23)


def _by_trusted_chain(registration: Registration, credentials: Credentials, now: datetime) -> _Outcome:
    """PKI method: a valid chain to one of the client's own anchors, and its one expected subject (section 2.1)."""
    presence, certificate = _read_presented(credentials)
    if certificate is None or credentials.presented is None:
        return _Outcome((presence,))
    subject = registration.client.subject
    if subject is None:
        return _Outcome((presence, Check("subject", False, "one registered subject", "none registered", _RFC8705_212)))
    chain = validate_chain(
        certificate,
        credentials.presented.intermediates,
        registration.anchors,
        stored=registration.intermediates,
        now=now,
    )
    checks = (presence, *check_pki_leaf(certificate, now), *chain.checks, subject.check(certificate))
    return _Outcome(checks, min(c.not_after for c in (certificate, *chain.path)))


def _by_registered_certificate(registration: Registration, credentials: Credentials, now: datetime) -> _Outcome:
    """Self-signed method: the whole certificate equals a registered one; no chain is looked at (section 2.2)."""
    presence, certificate = _read_presented(credentials)
    if certificate is None:
        return _Outcome((presence,))
    # Both sides are public, and the digest stands for the whole DER: nothing here needs constant time.
    registered = any(certificate.sha256 == known.sha256 for known in registration.certificates)
    listed = ", ".join(known.sha256.hex() for known in registration.certificates) or "none registered"
    match = Check("certificate_registered", registered, listed, certificate.sha256.hex(), "RFC 8705 section 2.2")
    return _Outcome((presence, match, *check_self_signed(certificate, now)), certificate.not_after)


def _by_secret(registration: Registration, credentials: Credentials, _now: datetime) -> _Outcome:
    """Secret: compared by SHA-256, as it was generated with 256 bits of entropy (RFC 6749 section 2.3.1)."""
    stored = registration.client.secret_sha256 or b""
    shown = hashlib.sha256((credentials.secret or "").encode()).digest()
    right = hmac.compare_digest(shown, stored)
    return _Outcome((Check("client_secret", right, "the client's secret", "right" if right else "wrong", _RFC6749_23),))


def _not_at_all(_registration: Registration, _credentials: Credentials, _now: datetime) -> _Outcome:
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
_METHODS: Mapping[AuthenticationMethod, Callable[[Registration, Credentials, datetime], _Outcome]] = {
    AuthenticationMethod.TLS_CLIENT_AUTH: _by_trusted_chain,
    AuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH: _by_registered_certificate,
    AuthenticationMethod.CLIENT_SECRET_BASIC: _by_secret,
    AuthenticationMethod.CLIENT_SECRET_POST: _by_secret,
    AuthenticationMethod.NONE: _not_at_all,
}
