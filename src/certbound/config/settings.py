"""Everything an operator can set, with its default (`docs/settings.md` is generated from here)."""

import re
from collections import Counter
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from certbound.fetch.target import TargetError, parse_proxy
from certbound.jose.keys import ALGORITHMS
from certbound.oauth.access_token import LONGEST_LIFETIME
from certbound.oauth.audience import is_resource_indicator
from certbound.oauth.registration import ADMINISTRATIVE_SCOPES, AuthenticationMethod
from certbound.oauth.scope import is_scope_token
from certbound.tls.listener import ClientCertificate

# What no base URL has: a query, a fragment, credentials, spaces, quotes and control characters.
_NOT_IN_A_BASE_URL = re.compile(r"""[?#@\x00-\x20\x7f-\uffff"'<>\\^`{|}]""")


def _https_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.netloc or _NOT_IN_A_BASE_URL.search(url):
        raise ValueError("write an https URL without query and fragment, for instance https://as.example.com")
    return url


def _resource(uri: str) -> str:
    if not is_resource_indicator(uri):
        raise ValueError("write an absolute URI without fragment, for instance https://api.example.com")
    return uri


def _store_url(url: str) -> str:
    if not url.startswith(("sqlite:///", "postgresql://")):
        raise ValueError("write sqlite:///FILE or postgresql://USER@HOST/DATABASE")
    return url


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        pass
    try:
        near = str(ip_network(text, strict=False))
    except ValueError:
        raise ValueError(f"write a network in CIDR form, for instance 10.0.0.0/8, not {text[:100]!r}") from None
    raise ValueError(f"{text!r} has bits set beyond its length: did you mean {near}?")


def _proxy(url: str) -> str:
    try:
        parse_proxy(url)
    except TargetError as error:
        raise ValueError(f"write http://HOST:PORT or https://HOST:PORT: {error}") from None
    return url


def _signature_algorithm(name: str) -> str:
    if name not in ALGORITHMS:
        raise ValueError(f"write one of {', '.join(ALGORITHMS)}")
    return name


def _unset(value: object) -> object:
    """Take empty text for a setting that is not set."""
    return None if value == "" else value


HttpsUrl = Annotated[str, AfterValidator(_https_url)]
ResourceUri = Annotated[str, AfterValidator(_resource)]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
Network = Annotated[str, AfterValidator(_network)]
ProxyUrl = Annotated[str, AfterValidator(_proxy)]
SignatureAlgorithm = Annotated[str, AfterValidator(_signature_algorithm)]
Seconds = Annotated[int, Field(gt=0)]
Days = Annotated[int, Field(gt=0, le=36_500)]
Bytes = Annotated[int, Field(gt=0)]
Face = Literal["oauth", "metrics"]


class Section(BaseModel):
    """A part of the settings: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class StoreSettings(Section):
    """`[store]`: where everything that must last is kept."""

    url: StoreUrl = "sqlite:///certbound.db"
    """SQLite (`sqlite:///FILE`, relative to the settings file) or PostgreSQL (`postgresql://...`)."""
    master_key_file: Path = Path("master.key")
    """File with the 32 bytes under which signing keys are sealed; mode 0600, made by `certbound init`."""
    max_snapshot_age: Seconds = 30
    """Seconds a worker may serve without having confirmed that what it knows is current; then it answers 503."""


class ListenerSettings(Section):
    """`[[listener]]`: an address to listen on, and what connections to it are asked for."""

    name: str = Field(min_length=1)
    """Its name in logs."""
    bind: str
    """`host:port`, `[::1]:port` or `unix:PATH`."""
    client_certificate: ClientCertificate = ClientCertificate.WANT
    """`none` never asks, `want` asks, `require` refuses the handshake without; any certificate passes the handshake."""
    tls_certificate: Path | None = None
    """PEM file with the server's certificate, then its intermediates."""
    tls_key: Path | None = None
    """PEM file with the certificate's private key."""
    serves: tuple[Face, ...] = ("oauth",)
    """What can be reached here: `oauth`, `metrics` (`/metrics`, which wants no certificate but, as yet, always TLS)."""

    @model_validator(mode="after")
    def _speaks_tls(self) -> Self:
        if self.client_certificate is ClientCertificate.FORWARDED:
            raise ValueError('client_certificate = "forwarded" is not in this version: use none, want or require')
        if self.tls_certificate is None or self.tls_key is None:
            raise ValueError("write tls_certificate and tls_key: a listener of this kind always speaks TLS")
        return self


def _truth(value: object) -> object:
    """Take what a variable says, which is text, as what a file says."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _registrable(scopes: tuple[str, ...]) -> tuple[str, ...]:
    for scope in scopes:
        if scope in ADMINISTRATIVE_SCOPES or not is_scope_token(scope):
            raise ValueError(f"{scope!r} is no scope that clients may register for themselves")
    return scopes


class StatementIssuerSettings(Section):
    """`[[oauth.software_statement_issuer]]`: who is believed when he states what a client's software is (RFC 7591)."""

    issuer: str = Field(min_length=1)
    """`iss` of his statements."""
    jwks: Path | None = None
    """File with the JWK Set that verifies them; either this or `jwks_uri`."""
    jwks_uri: HttpsUrl | None = None
    """https URL of that set."""
    certificate_subject: dict[str, str] = {}
    """Attributes that the certificate of the registering connection must have, and the claims with their values:
    `{ CN = "software_id" }`. Its clients then use `tls_client_auth`, and the certificate must be good for that."""
    single_instance: bool = False
    """Whether each `software_id` with its `software_version` may be registered once only."""

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        if (self.jwks is None) == (self.jwks_uri is None):
            raise ValueError("write either jwks or jwks_uri: the keys that verify this issuer's statements")
        return self


class OAuthSettings(Section):
    """`[oauth]`: which parts of the protocol are on."""

    client_authentication_methods: tuple[AuthenticationMethod, ...] = tuple(AuthenticationMethod)
    """The methods offered; a client registered with another one is refused."""
    mtls_endpoint_aliases: HttpsUrl | None = None
    """Base URL for clients with certificates, published as in RFC 8705 section 5."""
    token_endpoint_without_certificate: bool = True
    """Whether the token endpoint takes connections without a client certificate at all."""
    profile: Literal["default"] = "default"
    """The security profile."""
    dynamic_registration: Annotated[Literal[False, True, "initial-access-token"], BeforeValidator(_truth)] = False
    """Whether clients may register themselves at `/oauth2/register`: nobody, everybody (`true`), or who has a token
    made by `certbound client initial-token create`."""
    registration_scopes: Annotated[tuple[str, ...], AfterValidator(_registrable)] = ()
    """The scopes that clients may register without such a token."""
    registration_trust: tuple[str, ...] = ()
    """The trust stores that vouch for clients registered without such a token."""
    software_statement_issuer: tuple[StatementIssuerSettings, ...] = ()
    password_grant: bool = False
    """Whether the password grant exists, which RFC 9700 forbids; the client needs `--grant password` too."""
    default_audience: ResourceUri | None = None
    """`aud` of tokens for which no resource was asked; the issuer if unset."""
    signing_algorithm: SignatureAlgorithm | None = None
    """What tokens are signed by unless the client is registered for another one; that of the newest key if unset."""


class LifetimeSettings(Section):
    """`[lifetimes]`: how long what is issued is good for."""

    access_token: Annotated[int, Field(gt=0, le=LONGEST_LIFETIME)] = 300
    """Seconds."""
    refresh_token: Seconds = 30 * 86_400
    """Seconds."""
    code: Annotated[int, Field(gt=0, le=600)] = 60
    """Seconds until an authorization code must be redeemed; profile `fapi2` allows no more than 60."""
    pushed_request: Annotated[int, Field(gt=0, lt=600)] = 90
    """Seconds until a pushed authorization request must be used."""
    session: Seconds = 8 * 3600
    """Seconds a person stays signed in in a browser."""


class LimitSettings(Section):
    """`[limits]`: how much an outsider may send, and how long he may take."""

    request_body: Bytes = 65_536
    """Bytes of a request body."""
    request_header: Bytes = 65_536
    """Bytes of request line and header together."""
    handshake_seconds: Seconds = 10
    """Seconds from the connection to the end of its TLS handshake."""
    header_seconds: Seconds = 10
    """Seconds for request line and header to arrive."""
    body_seconds: Seconds = 30
    """Seconds for a request body to arrive."""
    keep_alive_seconds: Seconds = 75
    """Seconds an idle connection is kept."""
    shutdown_seconds: Seconds = 30
    """Seconds that requests under way are given at shutdown."""


class OutboundSettings(Section):
    """`[outbound]`: what the server itself may fetch: clients' `jwks_uri`, revocation lists and OCSP answers."""

    allow: tuple[Network, ...] = ()
    """Networks (CIDR) that may be reached although they are not public, for instance `"10.0.0.0/8"`."""
    ca_file: Annotated[Path | None, BeforeValidator(_unset)] = None
    """PEM file with roots that are believed beside the system's."""
    proxy: Annotated[ProxyUrl | None, BeforeValidator(_unset)] = None
    """Egress proxy, `http(s)://HOST:PORT`; it resolves the names, and may have a private address."""


class RetentionSettings(Section):
    """`[retention]`: how much is kept of what has happened, and how long."""

    refusals: Annotated[int, Field(gt=0, le=1_000_000)] = 10_000
    """Refused requests kept for `certbound explain`; the oldest go first."""
    refusal_days: Days = 30
    """Days a refused request is kept at most."""
    issued_token_days: Days = 30
    """Days the record of an issued token is kept."""
    sighting_days: Days = 90
    """Days the record of a certificate in use is kept after it was last seen."""


class LogSettings(Section):
    """`[log]`: how the server speaks of itself; never with secrets, tokens or whole certificates."""

    format: Literal["console", "json"] = "console"
    """For people, or one JSON object a line."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is written."""


class Settings(Section):
    """The whole of `certbound.toml`, paths made absolute."""

    issuer: HttpsUrl = "https://localhost:9443"
    """The server's identifier and the base of its URLs; tokens carry it as `iss`, compared code point by code point."""
    store: StoreSettings = StoreSettings()
    listener: tuple[ListenerSettings, ...] = Field(default=(), min_length=1, validate_default=True)
    oauth: OAuthSettings = OAuthSettings()
    lifetimes: LifetimeSettings = LifetimeSettings()
    limits: LimitSettings = LimitSettings()
    outbound: OutboundSettings = OutboundSettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _listeners_differ(self) -> Self:
        for what in ("name", "bind"):
            [(value, times)] = Counter(getattr(listener, what) for listener in self.listener).most_common(1)
            if times > 1 and not value.endswith(":0"):
                raise ValueError(f"{times} listeners have the same {what} {value!r}")
        return self

    @property
    def default_audience(self) -> str:
        """Give the `aud` of tokens for which no resource was asked (RFC 9068 section 3)."""
        return self.oauth.default_audience or self.issuer
