"""Can this be registered? What is asked for becomes a `Client`, or one piece of advice on what to change.

The rules are those of RFC 7591 section 2 and RFC 8705 sections 2.1.2 and 2.2.2.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from certbound.certificates.certificate import Certificate
from certbound.certificates.subject import SubjectMatch
from certbound.certificates.subject_attributes import SubjectAttributes
from certbound.jose.keys import ALGORITHMS
from certbound.oauth.audience import is_resource_indicator
from certbound.oauth.client_jwks import ClientKeys, read_client_jwks
from certbound.oauth.registration import AuthenticationMethod, Client, RegistrationError
from certbound.oauth.scope import is_scope_token

MAX_CLIENT_ID = 255
_USE_HTTPS = "use https, or http on the local machine, without fragment"
PERSON_PREFIX = "usr_"
"""How the `sub` of a person begins; no client may look like one (RFC 9700 section 4.15.1)."""


@dataclass(frozen=True, slots=True)
class RegistrationRequest:
    """What is asked for, in the words it was typed in.

    `subject` maps `tls_client_auth_*` names to their texts, `subject_attributes` attribute names or OIDs to values.
    """

    client_name: str
    token_endpoint_auth_method: str
    client_id: str | None = None
    grant_types: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    subject: Mapping[str, str] = field(default_factory=dict)
    subject_attributes: Mapping[str, str] = field(default_factory=dict)
    trust: tuple[str, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str | None = None
    token_endpoint_auth_signing_alg: str | None = None
    match_by_key: bool = False
    diagnostics: bool = False
    implicit_consent: bool = False
    bound: bool | None = None


@dataclass(frozen=True, slots=True)
class AcceptedRegistration:
    """A client that may be registered, with the certificates that mean it."""

    client: Client
    certificates: tuple[Certificate, ...]


def accept_registration(
    request: RegistrationRequest,
    *,
    client_id: str,
    known_grants: Collection[str],
    secret_sha256: bytes | None,
    now: int,
) -> AcceptedRegistration:
    """Check a request whole; RegistrationError names the member at fault and what to do.

    `client_id` is the one asked for or a generated one; `secret_sha256` belongs to a secret generated for a method that
    has one; `now` in seconds since the epoch.
    """
    method = _method(request.token_endpoint_auth_method)
    client = Client(
        client_id=_client_id(client_id),
        client_name=_client_name(request.client_name),
        token_endpoint_auth_method=method,
        grant_types=_grant_types(request, method, known_grants),
        scopes=_each(
            request.scopes, is_scope_token, "scope", "a scope is printable ASCII without space, quote and backslash"
        ),
        resources=_each(
            request.resources,
            is_resource_indicator,
            "certbound_resources",
            "a resource is an absolute URI without fragment",
        ),
        redirect_uris=_each(request.redirect_uris, is_redirect_uri, "redirect_uris", _USE_HTTPS),
        post_logout_redirect_uris=_each(
            request.post_logout_redirect_uris, is_redirect_uri, "post_logout_redirect_uris", _USE_HTTPS
        ),
        subject=_subject(request, method),
        subject_attributes=_subject_attributes(request, method),
        trust=_trust(request.trust, method),
        tls_client_certificate_bound_access_tokens=method.is_mutual_tls if request.bound is None else request.bound,
        secret_sha256=secret_sha256 if method.has_secret else None,
        jwks=request.jwks,
        jwks_uri=_jwks_uri(request, method),
        token_endpoint_auth_signing_alg=_signing_algorithm(request, method),
        match_by_key=_match_by_key(request, method),
        diagnostics=request.diagnostics,
        implicit_consent=request.implicit_consent,
        created_at=now,
    )
    return AcceptedRegistration(client, _certificates(request, method))


def is_redirect_uri(uri: str) -> bool:
    """Say whether a redirect URI may be registered: https, or http on the local machine (RFC 9700 section 2.6)."""
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname or "", parts.port  # a port that is none shows only when it is asked for
    except ValueError:
        return False
    if not host or "@" in parts.netloc or not all("!" <= c <= "~" and c not in "#\\" for c in uri):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_local(host))


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _method(text: str) -> AuthenticationMethod:
    try:
        return AuthenticationMethod(text)
    except ValueError:
        known = ", ".join(AuthenticationMethod)
        raise RegistrationError("token_endpoint_auth_method", f"unknown method {text!r}: use one of {known}") from None


def _client_id(text: str) -> str:
    if not text or len(text) > MAX_CLIENT_ID or not all(" " < c <= "~" for c in text):
        raise RegistrationError(
            "client_id", f"a client id is 1 to {MAX_CLIENT_ID} printable ASCII characters without space"
        )
    if text.startswith(PERSON_PREFIX):
        raise RegistrationError("client_id", f"a client id may not begin with {PERSON_PREFIX}: people's identifiers do")
    return text


def _client_name(text: str) -> str:
    if not text.strip() or len(text) > MAX_CLIENT_ID or not text.isprintable():
        raise RegistrationError("client_name", f"a client's name is 1 to {MAX_CLIENT_ID} printable characters")
    return text


def _grant_types(request: RegistrationRequest, method: AuthenticationMethod, known: Collection[str]) -> tuple[str, ...]:
    public = method is AuthenticationMethod.NONE
    grants = tuple(dict.fromkeys(request.grant_types)) or (() if public else ("client_credentials",))
    for grant in grants:
        if grant not in known:
            raise RegistrationError("grant_types", f"unknown grant {grant!r}: use some of {', '.join(known)}")
    if not grants:
        raise RegistrationError("grant_types", "a public client needs its grants named")
    if public and "client_credentials" in grants:
        raise RegistrationError(
            "grant_types", "client_credentials is for clients that authenticate, not for method none"
        )
    if grants == ("refresh_token",):
        raise RegistrationError(
            "grant_types", "refresh_token needs a grant that refresh tokens come from, for instance authorization_code"
        )
    if "authorization_code" in grants and not request.redirect_uris:
        raise RegistrationError(
            "redirect_uris", "authorization_code needs at least one redirect URI, where users are sent back to"
        )
    return grants


def _subject(request: RegistrationRequest, method: AuthenticationMethod) -> SubjectMatch | None:
    asked = request.subject
    if method is not AuthenticationMethod.TLS_CLIENT_AUTH:
        if asked:
            raise RegistrationError(next(iter(asked)), "a subject is for the method tls_client_auth only")
        return None
    if not asked and request.subject_attributes:
        return None
    if len(asked) != 1:
        raise RegistrationError(
            "tls_client_auth_subject_dn",
            "tls_client_auth needs exactly one of subject DN, SAN DNS, SAN URI, SAN IP and SAN email",
        )
    [(parameter, text)] = asked.items()
    try:
        return SubjectMatch.parse(parameter, text)
    except ValueError as error:
        raise RegistrationError(parameter, str(error)) from error


def _subject_attributes(request: RegistrationRequest, method: AuthenticationMethod) -> SubjectAttributes | None:
    if not request.subject_attributes:
        return None
    if method is not AuthenticationMethod.TLS_CLIENT_AUTH:
        raise RegistrationError(
            "certbound_subject_attributes", "subject attributes are for the method tls_client_auth only"
        )
    try:
        return SubjectAttributes.parse(request.subject_attributes)
    except ValueError as error:
        raise RegistrationError("certbound_subject_attributes", str(error)) from error


def _trust(asked: tuple[str, ...], method: AuthenticationMethod) -> tuple[str, ...]:
    if method is AuthenticationMethod.TLS_CLIENT_AUTH and not asked:
        raise RegistrationError(
            "certbound_trust", "tls_client_auth needs at least one trust store: no authority is trusted by default"
        )
    if asked and method is not AuthenticationMethod.TLS_CLIENT_AUTH:
        raise RegistrationError("certbound_trust", "a trust store is for the method tls_client_auth only")
    return tuple(dict.fromkeys(asked))


def _jwks_uri(request: RegistrationRequest, method: AuthenticationMethod) -> str | None:
    if request.jwks_uri is None:
        return None
    if not method.has_jwks:
        raise RegistrationError(
            "jwks_uri", "a jwks_uri is for the methods self_signed_tls_client_auth and private_key_jwt only"
        )
    if request.jwks is not None or request.certificates:
        raise RegistrationError("jwks_uri", "give either certificates, or jwks, or jwks_uri (RFC 7591 section 2)")
    parts = urlsplit(request.jwks_uri)
    if parts.scheme != "https" or not is_redirect_uri(request.jwks_uri):
        raise RegistrationError("jwks_uri", "jwks_uri must be an https URL without credentials and fragment")
    return request.jwks_uri


def _signing_algorithm(request: RegistrationRequest, method: AuthenticationMethod) -> str | None:
    algorithm = request.token_endpoint_auth_signing_alg
    if algorithm is None:
        return None
    member = "token_endpoint_auth_signing_alg"
    if method is not AuthenticationMethod.PRIVATE_KEY_JWT:
        raise RegistrationError(member, f"a {member} is for the method private_key_jwt only")
    if algorithm not in ALGORITHMS:
        raise RegistrationError(member, f"unknown algorithm {algorithm!r}: use one of {', '.join(ALGORITHMS)}")
    return algorithm


def _match_by_key(request: RegistrationRequest, method: AuthenticationMethod) -> bool:
    if request.match_by_key and method is not AuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH:
        raise RegistrationError(
            "certbound_match_by_key", "matching by key is for the method self_signed_tls_client_auth only"
        )
    return request.match_by_key


def _certificates(request: RegistrationRequest, method: AuthenticationMethod) -> tuple[Certificate, ...]:
    if method is AuthenticationMethod.PRIVATE_KEY_JWT:
        _check_keys(request)
        return ()
    if method is not AuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH:
        if request.certificates or request.jwks is not None:
            raise RegistrationError(
                "jwks", "registered certificates are for the method self_signed_tls_client_auth only"
            )
        return ()
    if request.certificates and request.jwks is not None:
        raise RegistrationError("jwks", "give certificates as files or in a JWK Set, not both")
    if request.jwks_uri is not None:
        return ()
    published = read_client_jwks(request.jwks) if request.jwks is not None else ClientKeys(request.certificates)
    certificates = published.certificates
    if not certificates and not (request.match_by_key and published.keys):
        raise RegistrationError(
            "jwks",
            "self_signed_tls_client_auth needs at least one certificate: as a file, as x5c in a JWK Set, or where its"
            " jwks_uri publishes them",
        )
    return tuple({certificate.sha256: certificate for certificate in certificates}.values())


def _check_keys(request: RegistrationRequest) -> None:
    """Hold a client that signs assertions to one source of keys (RFC 7591 section 2)."""
    if request.certificates:
        raise RegistrationError("jwks", "private_key_jwt has keys and no certificates: give a JWK Set with its keys")
    if request.jwks_uri is not None:
        return
    if request.jwks is None:
        raise RegistrationError("jwks", "private_key_jwt needs its public keys: either a jwks or a jwks_uri")
    keys, asked = read_client_jwks(request.jwks).verification_keys, request.token_endpoint_auth_signing_alg
    allowed = ALGORITHMS if asked is None else (asked,)
    if not any(keys.candidates(None, algorithm) for algorithm in allowed):
        raise RegistrationError("jwks", f"no key of the set is one for {' or '.join(allowed)}")


def _each(values: tuple[str, ...], fits: Any, member: str, advice: str) -> tuple[str, ...]:
    for value in values:
        if not fits(value):
            raise RegistrationError(member, f"{value!r} cannot be registered: {advice}")
    return tuple(dict.fromkeys(values))
