"""The OAuth face without a network: requests go to the ASGI application, the door's value put beside them."""

import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
import pytest
from tests.authority.assembling import new_answers, new_blocked_list, new_registered
from tests.oauth.making import NOW, Identity, make

from certbound.authority import clients, keys
from certbound.authority.registered import Registered
from certbound.authority.tokens.answers import ClientAnswers
from certbound.authority.tokens.context import Policy
from certbound.authority.tokens.issuing import GRANTS
from certbound.certificates.presented import PresentedChain
from certbound.oauth.registering import RegistrationRequest
from certbound.oauth.registration import AuthenticationMethod
from certbound.store.engine import Store
from certbound.web.faces import application
from certbound.web.health import health_routes
from certbound.web.oauth.routes import oauth_routes

ISSUER = "https://as.example"
MASTER_KEY = bytes(range(32))
MAX_BODY = 4096
PASSWORD = "correct horse battery"
POLICY = Policy(
    issuer=ISSUER,
    default_audience="https://api.example",
    methods=frozenset(AuthenticationMethod),
    token_endpoint_without_certificate=True,
    password_grant=True,
    access_token_lifetime=300,
    refresh_token_lifetime=1000,
    code_lifetime=60,
    pushed_request_lifetime=90,
    session_lifetime=8 * 3600,
)
ORDERS, STRANGER = make("CN=orders"), make("CN=stranger")


@dataclass
class Face:
    """One listener's application over a database in memory; the clock stands still at NOW."""

    store: Store
    registered: Registered
    answers: ClientAnswers
    policy: Policy
    mtls_alias: str | None = None

    async def ask(
        self, method: str, url: str, shown: PresentedChain | Identity | None = None, **how: Any
    ) -> httpx2.Response:
        blocked = new_blocked_list(self.registered, self.policy, NOW.timestamp)
        routes = oauth_routes(
            self.policy, self.answers, self.registered, blocked, mtls_alias=self.mtls_alias, max_body=MAX_BODY
        )
        inner = application([*routes, *health_routes(self.registered)])
        presented = PresentedChain(shown.der) if isinstance(shown, Identity) else shown

        async def behind_the_door(scope: Any, receive: Any, send: Any) -> None:
            scope["extensions"] = {"certbound": {"version": 1, "presented": presented}}
            await inner(scope, receive, send)

        transport = httpx2.ASGITransport(behind_the_door, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=ISSUER) as client:
            return await client.request(method, url, **how)

    async def token(
        self,
        shown: Identity | None = ORDERS,
        *,
        headers: Mapping[str, str] | None = None,
        **form: str,
    ) -> httpx2.Response:
        data = {"grant_type": "client_credentials", "client_id": "orders", **form}
        return await self.ask("POST", "/oauth2/token", shown, data=data, headers=headers)

    def write(self, change: Callable[..., Any], **how: Any) -> Any:
        return self.store.write(partial(change, actor="test", now=int(NOW.timestamp()), **how))

    def with_policy(self, **changes: Any) -> "Face":
        """Give the face with other settings, over the same database."""
        policy = dataclasses.replace(self.policy, **changes)
        answers = new_answers(self.store, policy, self.registered, NOW.timestamp)
        return dataclasses.replace(self, policy=policy, answers=answers)


def registration(client_id: str, method: str, **how: Any) -> RegistrationRequest:
    return RegistrationRequest(client_name=client_id, token_endpoint_auth_method=method, client_id=client_id, **how)


@pytest.fixture
async def face() -> AsyncIterator[Face]:
    """A face that knows the client `orders` by its certificate ORDERS."""
    with Store("sqlite://") as store:
        registered = new_registered(store, MASTER_KEY, POLICY.methods)
        made = Face(store, registered, new_answers(store, POLICY, registered, NOW.timestamp), POLICY)
        made.write(keys.rotate, master_key=MASTER_KEY, algorithm="ES256")
        orders = registration(
            "orders",
            "self_signed_tls_client_auth",
            certificates=(ORDERS.certificate,),
            grant_types=("client_credentials", "password", "refresh_token"),
            scopes=("read",),
        )
        made.write(clients.register, request=orders, known_grants=GRANTS)
        await registered.refresh()
        yield made
