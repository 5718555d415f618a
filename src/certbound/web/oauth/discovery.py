"""What anybody may know: the metadata documents and the public keys (RFC 8414, OpenID Connect Discovery, RFC 7517)."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from certbound.authority.registered import Registered
from certbound.authority.sign_in import MULTI_FACTOR
from certbound.jose.jwks import jwks_document
from certbound.oauth.metadata import openid_configuration

CACHE_SECONDS = 60
"""How long the documents may be kept; every worker publishes a new key within two seconds, then caches follow."""
_CACHEABLE = {"Cache-Control": f"public, max-age={CACHE_SECONDS}"}


class MetadataEndpoint:
    """GET /.well-known/oauth-authorization-server."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    async def get(self, _request: Request) -> JSONResponse:
        """Answer with the document, which does not change while the settings do not."""
        return JSONResponse(self._document, headers=_CACHEABLE)


class OpenIDConfigurationEndpoint:
    """GET /.well-known/openid-configuration."""

    def __init__(self, document: Mapping[str, Any], registered: Registered) -> None:
        self._document = document
        self._registered = registered

    async def get(self, _request: Request) -> JSONResponse:
        """Answer with the server's document and what it says as an OpenID provider; keys come and go."""
        algorithms = self._registered.signing_algorithms
        document = openid_configuration(self._document, signing_algorithms=algorithms, acr_values=[MULTI_FACTOR])
        return JSONResponse(document, headers=_CACHEABLE)


class JWKSEndpoint:
    """GET /oauth2/jwks."""

    def __init__(self, registered: Registered) -> None:
        self._registered = registered

    async def get(self, _request: Request) -> JSONResponse:
        """Answer with every key whose tokens may be about."""
        return JSONResponse(jwks_document(self._registered.public_jwks), headers=_CACHEABLE)
