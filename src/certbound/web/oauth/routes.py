"""The addresses of the OAuth face."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.routing import Route

from certbound.authority.blocked_list import BlockedList
from certbound.authority.registered import Registered
from certbound.authority.registrations import Registrations
from certbound.authority.tokens.answers import ClientAnswers, PeopleAnswers
from certbound.authority.tokens.context import Policy
from certbound.authority.tokens.issuing import offered_grants
from certbound.oauth.metadata import (
    AUTHORIZATION_PATH,
    BLOCKED_PATH,
    INTROSPECTION_PATH,
    JWKS_PATH,
    LOGOUT_PATH,
    OPENID_WELL_KNOWN,
    PUSHED_REQUEST_PATH,
    REGISTRATION_PATH,
    REVOCATION_PATH,
    TOKEN_PATH,
    USERINFO_PATH,
    server_metadata,
    well_known_paths,
)
from certbound.web.oauth.authorize import AuthorizationPages
from certbound.web.oauth.blocked import BlockedEndpoint
from certbound.web.oauth.client_endpoint import ClientEndpoint
from certbound.web.oauth.discovery import JWKSEndpoint, MetadataEndpoint, OpenIDConfigurationEndpoint
from certbound.web.oauth.logout import LogoutPages
from certbound.web.oauth.register import RegistrationEndpoint
from certbound.web.oauth.userinfo import METHODS, UserInfoEndpoint
from certbound.web.signin.consents import PATH as CONSENTS_PATH
from certbound.web.signin.consents import ConsentPages
from certbound.web.signin.endpoint import BrowserEndpoint
from certbound.web.signin.forms import Forms
from certbound.web.signin.pages import Pages
from certbound.web.signin.sealed import Sealed
from certbound.web.signin.signing_in import SigningIn


def oauth_routes(
    policy: Policy,
    answering: ClientAnswers,
    people: PeopleAnswers,
    registered: Registered,
    blocked: BlockedList,
    *,
    sealed: Sealed,
    mtls_alias: str | None,
    max_body: int,
    registrations: Registrations | None = None,
) -> list[Route]:
    """Make the routes below the issuer's path; `mtls_alias` is the base URL for clients with certificates.

    `max_body` is in bytes.
    """
    document = server_metadata(
        policy.issuer,
        grant_types=offered_grants(policy),
        methods=policy.methods,
        mtls_alias=mtls_alias,
        registers=registrations is not None,
    )
    base = urlsplit(policy.issuer).path.rstrip("/")
    pushing = ClientEndpoint(answering.pushed_request, max_body=max_body, status=201)
    return [
        *(
            Route(base + path, ClientEndpoint(answers, max_body=max_body).post, methods=["POST"])
            for path, answers in (
                (TOKEN_PATH, answering.token),
                (INTROSPECTION_PATH, answering.introspection),
                (REVOCATION_PATH, answering.revocation),
            )
        ),
        Route(base + PUSHED_REQUEST_PATH, pushing.post, methods=["POST"]),
        *_people_routes(base, policy.issuer, people, registered, sealed, max_body=max_body),
        *_registration_routes(base, registrations, max_body),
        Route(base + JWKS_PATH, JWKSEndpoint(registered).get),
        Route(base + BLOCKED_PATH, BlockedEndpoint(blocked).get),
        Route(base + USERINFO_PATH, UserInfoEndpoint(answering.userinfo).ask, methods=METHODS),
        *_document_routes(policy.issuer, document, registered),
    ]


def _document_routes(issuer: str, document: Mapping[str, Any], registered: Registered) -> list[Route]:
    metadata, openid = MetadataEndpoint(document), OpenIDConfigurationEndpoint(document, registered)
    return [
        *(Route(path, metadata.get) for path in well_known_paths(issuer)),
        *(Route(path, openid.get) for path in well_known_paths(issuer, OPENID_WELL_KNOWN)),
    ]


def _registration_routes(base: str, registrations: Registrations | None, max_body: int) -> list[Route]:
    if registrations is None:
        return []
    return RegistrationEndpoint(registrations, max_body=max_body).routes(base + REGISTRATION_PATH)


def _people_routes(
    base: str, issuer: str, people: PeopleAnswers, registered: Registered, sealed: Sealed, *, max_body: int
) -> list[Route]:
    """Make the routes that people come to with a browser."""
    pages = Pages(issuer)
    forms = Forms(pages, sealed)
    signing_in = SigningIn(people.sign_in, forms)
    consents, logout = base + CONSENTS_PATH, base + LOGOUT_PATH
    answering = {
        base + AUTHORIZATION_PATH: AuthorizationPages(
            people.authorizer,
            people.account,
            signing_in,
            forms,
            sealed,
            issuer=issuer,
            path=base + AUTHORIZATION_PATH,
            consents=consents,
        ).answer,
        logout: LogoutPages(registered, people.account, forms, issuer=issuer, path=logout).answer,
        consents: ConsentPages(people.account, signing_in, forms, path=consents, sign_out=logout).answer,
    }
    return [
        *(BrowserEndpoint(answers, pages, max_body=max_body).route(path) for path, answers in answering.items()),
        *pages.routes(),
    ]
