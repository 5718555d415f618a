"""Who a client is registered as: RFC 7591 metadata with the members of RFC 8705, as one checked value.

Names of fields are the RFCs' own wire names, so that a registration reads the same on the command line, in the
database and in an answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from certbound.certificates.certificate import Certificate
from certbound.certificates.subject import SubjectMatch
from certbound.certificates.subject_attributes import SubjectAttributes
from certbound.jose.jwks import JWKSet
from certbound.oauth.trust import TrustStore


class AuthenticationMethod(StrEnum):
    """The values of `token_endpoint_auth_method` this server knows (RFC 6749, RFC 8705, RFC 7523)."""

    TLS_CLIENT_AUTH = "tls_client_auth"
    SELF_SIGNED_TLS_CLIENT_AUTH = "self_signed_tls_client_auth"
    PRIVATE_KEY_JWT = "private_key_jwt"
    CLIENT_SECRET_BASIC = "client_secret_basic"
    CLIENT_SECRET_POST = "client_secret_post"
    NONE = "none"

    @property
    def is_mutual_tls(self) -> bool:
        """Whether the connection's certificate is the credential (RFC 8705 section 2)."""
        return self in {self.TLS_CLIENT_AUTH, self.SELF_SIGNED_TLS_CLIENT_AUTH}

    @property
    def has_jwks(self) -> bool:
        """Whether the client may give its credentials in a JWK Set (RFC 7591 section 2, RFC 8705 section 2.2.2)."""
        return self in {self.SELF_SIGNED_TLS_CLIENT_AUTH, self.PRIVATE_KEY_JWT}

    @property
    def has_secret(self) -> bool:
        """Whether the client proves itself by a shared secret (RFC 6749 section 2.3.1)."""
        return self in {self.CLIENT_SECRET_BASIC, self.CLIENT_SECRET_POST}


class RegistrationError(ValueError):
    """The metadata cannot be registered; `member` is the RFC 7591 name at fault, the text says what to do."""

    def __init__(self, member: str, message: str) -> None:
        super().__init__(message)
        self.member = member


#: Scopes that no default ever gives: they must be granted by an administrator and asked for by name.
ADMINISTRATIVE_SCOPES = frozenset({"certbound.admin", "certbound.read"})


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client.

    For `tls_client_auth` there is a `subject` (one of the five parameters of RFC 8705 section 2.1.2), or
    `subject_attributes` (ours), or both, and then both must match; `trust` names at least one trust store.
    `secret_sha256` is the SHA-256 of a generated secret of 256 bits. Certificates of `self_signed_tls_client_auth` are
    kept beside the client, not in it, as they rotate; with a `jwks_uri` they are where the client publishes them. Only
    with `match_by_key` does a published key without certificate mean the client. With `diagnostics` its refusals say
    why. With `implicit_consent` an administrator has agreed for everybody: users are not asked.
    """

    client_id: str
    client_name: str
    token_endpoint_auth_method: AuthenticationMethod
    grant_types: tuple[str, ...] = ("client_credentials",)
    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    subject: SubjectMatch | None = None
    subject_attributes: SubjectAttributes | None = None
    trust: tuple[str, ...] = ()
    tls_client_certificate_bound_access_tokens: bool = True
    secret_sha256: bytes | None = field(default=None, repr=False)
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str | None = None
    token_endpoint_auth_signing_alg: str | None = None
    match_by_key: bool = False
    diagnostics: bool = False
    implicit_consent: bool = False
    disabled: bool = False
    created_at: int = 0
    """Seconds since the epoch."""

    @property
    def is_public(self) -> bool:
        """Whether the client cannot authenticate (RFC 6749 section 2.1)."""
        return self.token_endpoint_auth_method is AuthenticationMethod.NONE

    def as_metadata(self) -> dict[str, Any]:
        """Give the registration in the names of RFC 7591 section 2; members of ours begin with `certbound_`."""
        members: dict[str, Any] = {
            "client_id": self.client_id,
            "client_id_issued_at": self.created_at,
            "client_name": self.client_name,
            "token_endpoint_auth_method": str(self.token_endpoint_auth_method),
            "grant_types": list(self.grant_types),
            "scope": " ".join(self.scopes),
            "redirect_uris": list(self.redirect_uris),
            "post_logout_redirect_uris": list(self.post_logout_redirect_uris),
            "tls_client_certificate_bound_access_tokens": self.tls_client_certificate_bound_access_tokens,
            "certbound_resources": list(self.resources),
            "certbound_trust": list(self.trust),
            "certbound_consent": "implicit" if self.implicit_consent else "",
            "certbound_disabled": self.disabled,
        }
        return {name: value for name, value in members.items() if value not in ("", [])} | self.certificate_metadata()

    def certificate_metadata(self) -> dict[str, Any]:
        """Give the members that say which certificates and keys mean the client, as far as they are set."""
        members: dict[str, Any] = {}
        if self.subject is not None:
            members[self.subject.parameter] = self.subject.value
        if self.subject_attributes is not None:
            members["certbound_subject_attributes"] = self.subject_attributes.as_metadata()
        if self.jwks is not None:
            members["jwks"] = dict(self.jwks)
        if self.jwks_uri is not None:
            members["jwks_uri"] = self.jwks_uri
        if self.token_endpoint_auth_signing_alg is not None:
            members["token_endpoint_auth_signing_alg"] = self.token_endpoint_auth_signing_alg
        if self.match_by_key:
            members["certbound_match_by_key"] = True
        if self.diagnostics:
            members["certbound_diagnostics"] = True
        return members


@dataclass(frozen=True, slots=True)
class Registration:
    """A client with the certificates and keys that may mean it, as they stand now.

    `certificates` are those registered for `self_signed_tls_client_auth` and not retired, `keys` (SubjectPublicKeyInfo
    in DER) the bare ones that a client with `match_by_key` published; `trust` are the client's own trust stores, in the
    order in which they are tried (RFC 8705 sections 2.2 and 7.4). `verification_keys` are what the assertions of
    `private_key_jwt` are verified with (RFC 7523 section 3). `unpublished` says in one line why the client's `jwks_uri`
    gave nothing when it was asked last.
    """

    client: Client
    certificates: tuple[Certificate, ...] = ()
    keys: tuple[bytes, ...] = ()
    trust: tuple[TrustStore, ...] = ()
    verification_keys: JWKSet = field(default_factory=JWKSet)
    unpublished: str | None = None
