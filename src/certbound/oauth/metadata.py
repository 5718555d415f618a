"""What the server says of itself (RFC 8414, RFC 8705 sections 3.3 and 5, OpenID Connect Discovery 1.0)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from certbound.jose.keys import ALGORITHMS
from certbound.oauth.authorization_request import PROMPTS, RESPONSE_MODES, RESPONSE_TYPES
from certbound.oauth.blocking import METADATA_MEMBER
from certbound.oauth.pkce import METHODS
from certbound.oauth.registration import AuthenticationMethod
from certbound.oauth.userinfo import CLAIMS_BY_SCOPE

WELL_KNOWN = "/.well-known/oauth-authorization-server"
OPENID_WELL_KNOWN = "/.well-known/openid-configuration"
OPENID_SCOPES = ("openid", "offline_access", *CLAIMS_BY_SCOPE)
"""The scopes that mean something to the server itself; those of APIs need no registration."""
_SAID_IN_ID_TOKENS = ("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint below the issuer: its metadata name, its path, and whether clients call it directly (section 5)."""

    name: str
    path: str
    called_by_clients: bool


AUTHORIZATION_PATH = "/oauth2/authorize"
PUSHED_REQUEST_PATH = "/oauth2/par"
LOGOUT_PATH = "/oauth2/logout"
TOKEN_PATH = "/oauth2/token"
JWKS_PATH = "/oauth2/jwks"
BLOCKED_PATH = "/oauth2/blocked"
INTROSPECTION_PATH = "/oauth2/introspect"
REVOCATION_PATH = "/oauth2/revoke"
USERINFO_PATH = "/oauth2/userinfo"
REGISTRATION_PATH = "/oauth2/register"
# An alias of one that people come to would have their browsers ask them for certificates.
ENDPOINTS = (
    Endpoint("authorization_endpoint", AUTHORIZATION_PATH, called_by_clients=False),
    Endpoint("pushed_authorization_request_endpoint", PUSHED_REQUEST_PATH, called_by_clients=True),
    Endpoint("end_session_endpoint", LOGOUT_PATH, called_by_clients=False),
    Endpoint("token_endpoint", TOKEN_PATH, called_by_clients=True),
    Endpoint("introspection_endpoint", INTROSPECTION_PATH, called_by_clients=True),
    Endpoint("revocation_endpoint", REVOCATION_PATH, called_by_clients=True),
    Endpoint("userinfo_endpoint", USERINFO_PATH, called_by_clients=True),
)
_REGISTRATION = Endpoint("registration_endpoint", REGISTRATION_PATH, called_by_clients=True)


def well_known_paths(issuer: str, well_known: str = WELL_KNOWN) -> tuple[str, ...]:
    """Give the paths of a metadata document: inserted before the issuer's path (RFC 8414 section 3), and after it.

    The second is where OpenID Connect Discovery section 4 looks; RFC 8414 section 5 has clients look in both places.
    """
    path = urlsplit(issuer).path.rstrip("/")
    return tuple(dict.fromkeys((well_known + path, path + well_known)))


def server_metadata(
    issuer: str,
    *,
    grant_types: Sequence[str],
    methods: Collection[AuthenticationMethod],
    mtls_alias: str | None,
    registers: bool = False,
) -> dict[str, Any]:
    """Build the metadata document. `mtls_alias` is the base URL for clients with certificates (RFC 8705 section 5)."""
    base = issuer.rstrip("/")
    served = (*ENDPOINTS, _REGISTRATION) if registers else ENDPOINTS
    offered = [method for method in AuthenticationMethod if method in methods]
    proving = [method for method in offered if method is not AuthenticationMethod.NONE]
    document: dict[str, Any] = {
        "issuer": issuer,
        **{endpoint.name: base + endpoint.path for endpoint in served},
        "jwks_uri": base + JWKS_PATH,
        METADATA_MEMBER: base + BLOCKED_PATH,
        "response_types_supported": list(RESPONSE_TYPES),
        "response_modes_supported": list(RESPONSE_MODES),
        "code_challenge_methods_supported": list(METHODS),
        "authorization_response_iss_parameter_supported": True,
        "prompt_values_supported": list(PROMPTS),
        "claims_parameter_supported": True,
        "request_uri_parameter_supported": False,
        "scopes_supported": list(OPENID_SCOPES),
        "grant_types_supported": list(grant_types),
        "token_endpoint_auth_methods_supported": offered,
        "introspection_endpoint_auth_methods_supported": proving,
        "revocation_endpoint_auth_methods_supported": offered,
        "tls_client_certificate_bound_access_tokens": True,
    }
    if AuthenticationMethod.PRIVATE_KEY_JWT in methods:
        endpoints = ("token", "introspection", "revocation")
        document |= {f"{name}_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS) for name in endpoints}
    if mtls_alias is not None:
        alias = mtls_alias.rstrip("/")
        document["mtls_endpoint_aliases"] = {
            endpoint.name: alias + endpoint.path for endpoint in served if endpoint.called_by_clients
        }
    return document


def openid_configuration(
    document: Mapping[str, Any], *, signing_algorithms: Sequence[str], acr_values: Sequence[str]
) -> dict[str, Any]:
    """Build the OpenID provider's document out of the server's: it says the same, and more (Discovery section 3).

    `signing_algorithms` are those that the server has a key for, `acr_values` the classes that it may speak of.
    """
    claims = (*_SAID_IN_ID_TOKENS, *(claim for claims in CLAIMS_BY_SCOPE.values() for claim in claims))
    return {
        **document,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(signing_algorithms),
        "acr_values_supported": list(acr_values),
        "claim_types_supported": ["normal"],
        "claims_supported": list(claims),
        "request_parameter_supported": False,
    }
