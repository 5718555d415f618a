"""The addresses of the OAuth face."""

from urllib.parse import urlsplit

from starlette.routing import Route

from certbound.authority.blocked_list import BlockedList
from certbound.authority.registered import Registered
from certbound.authority.tokens.answers import ClientAnswers
from certbound.authority.tokens.context import Policy
from certbound.authority.tokens.issuing import offered_grants
from certbound.oauth.metadata import (
    BLOCKED_PATH,
    INTROSPECTION_PATH,
    JWKS_PATH,
    REVOCATION_PATH,
    TOKEN_PATH,
    server_metadata,
    well_known_paths,
)
from certbound.web.oauth.blocked import BlockedEndpoint
from certbound.web.oauth.client_endpoint import ClientEndpoint
from certbound.web.oauth.discovery import JWKSEndpoint, MetadataEndpoint


def oauth_routes(
    policy: Policy,
    answering: ClientAnswers,
    registered: Registered,
    blocked: BlockedList,
    *,
    mtls_alias: str | None,
    max_body: int,
) -> list[Route]:
    """Make the routes below the issuer's path; `mtls_alias` is the base URL for clients with certificates.

    `max_body` is in bytes.
    """
    document = server_metadata(
        policy.issuer, grant_types=offered_grants(policy), methods=policy.methods, mtls_alias=mtls_alias
    )
    base = urlsplit(policy.issuer).path.rstrip("/")
    metadata = MetadataEndpoint(document)
    return [
        *(
            Route(base + path, ClientEndpoint(answers, max_body=max_body).post, methods=["POST"])
            for path, answers in (
                (TOKEN_PATH, answering.token),
                (INTROSPECTION_PATH, answering.introspection),
                (REVOCATION_PATH, answering.revocation),
            )
        ),
        Route(base + JWKS_PATH, JWKSEndpoint(registered).get),
        Route(base + BLOCKED_PATH, BlockedEndpoint(blocked).get),
        *(Route(path, metadata.get) for path in well_known_paths(policy.issuer)),
    ]
