"""The OAuth face without a network: requests go to the ASGI application, the door's value put beside them."""

import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx2
import pytest
from argon2 import PasswordHasher
from tests.authority.assembling import new_answers, new_blocked_list, new_registered
from tests.oauth.making import NOW, Identity, make
from tests.web.browser import Browser

from certbound.authority import clients, keys, people, sign_in
from certbound.authority.registered import Registered
from certbound.authority.tokens.answers import ClientAnswers, PeopleAnswers, people_answers
from certbound.authority.tokens.context import GrantContext, Policy
from certbound.authority.tokens.issuing import GRANTS
from certbound.certificates.presented import PresentedChain
from certbound.oauth.registering import RegistrationRequest
from certbound.oauth.registration import AuthenticationMethod
from certbound.store.engine import Store
from certbound.web.faces import application
from certbound.web.health import health_routes
from certbound.web.oauth.routes import oauth_routes
from certbound.web.signin.sealed import Sealed

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
CALLBACK, LOCAL_CALLBACK = "https://app.example/cb?tenant=1", "http://127.0.0.1:8080/cb"
#: The example of RFC 7636 appendix B.
VERIFIER, CHALLENGE = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@dataclass
class Clock:
    """Seconds since the epoch, as a test has them."""

    now: float = field(default_factory=NOW.timestamp)

    def __call__(self) -> float:
        return self.now


@dataclass
class Face:
    """One listener's application over a database in memory; the clock stands still."""

    store: Store
    registered: Registered
    answers: ClientAnswers
    people: PeopleAnswers
    policy: Policy
    clock: Clock
    mtls_alias: str | None = None

    async def ask(
        self, method: str, url: str, shown: PresentedChain | Identity | None = None, **how: Any
    ) -> httpx2.Response:
        blocked = new_blocked_list(self.registered, self.policy, self.clock)
        routes = oauth_routes(
            self.policy,
            self.answers,
            self.people,
            self.registered,
            blocked,
            sealed=Sealed(MASTER_KEY, self.clock),
            mtls_alias=self.mtls_alias,
            max_body=MAX_BODY,
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
        **form: Any,
    ) -> httpx2.Response:
        data = {"grant_type": "client_credentials", "client_id": "orders", **form}
        return await self.ask("POST", "/oauth2/token", shown, data=data, headers=headers)

    def write(self, change: Callable[..., Any], **how: Any) -> Any:
        return self.store.write(partial(change, actor="test", now=int(self.clock.now), **how))

    def with_policy(self, **changes: Any) -> "Face":
        """Give the face with other settings, over the same database."""
        policy = dataclasses.replace(self.policy, **changes)
        answers = new_answers(self.store, policy, self.registered, self.clock)
        people = people_answers(GrantContext(self.store, policy, self.clock), self.registered, MASTER_KEY)
        return dataclasses.replace(self, policy=policy, answers=answers, people=people)


def registration(client_id: str, method: str, **how: Any) -> RegistrationRequest:
    return RegistrationRequest(client_name=client_id, token_endpoint_auth_method=method, client_id=client_id, **how)


@pytest.fixture
async def face() -> AsyncIterator[Face]:
    """A face that knows the client `orders` by its certificate ORDERS."""
    with Store("sqlite://") as store:
        registered = new_registered(store, MASTER_KEY, POLICY.methods)
        clock = Clock()
        answers = new_answers(store, POLICY, registered, clock)
        people = people_answers(GrantContext(store, POLICY, clock), registered, MASTER_KEY)
        made = Face(store, registered, answers, people, POLICY, clock)
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


@pytest.fixture
async def app(face: Face, monkeypatch: pytest.MonkeyPatch) -> Face:
    """A face that also knows the applications `app` and `native`, and the people ada and eve."""
    monkeypatch.setattr(sign_in, "REFUSAL_SECONDS", 0)
    monkeypatch.setattr(people, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    how: dict[str, Any] = {
        "grant_types": ("authorization_code", "refresh_token"),
        "scopes": ("openid", "profile", "offline_access", "read", "write"),
        "resources": ("https://orders.example",),
    }
    portal = registration(
        "app",
        "self_signed_tls_client_auth",
        certificates=(ORDERS.certificate,),
        redirect_uris=(CALLBACK,),
        post_logout_redirect_uris=("https://app.example/bye",),
        **how,
    )
    face.write(clients.register, request=portal, known_grants=GRANTS)
    native = registration("native", "none", redirect_uris=(LOCAL_CALLBACK,), **how)
    face.write(clients.register, request=native, known_grants=GRANTS)
    for name in ("ada", "eve"):
        face.write(people.add, username=name, password=PASSWORD, operator=False)
    await face.registered.refresh()
    return face


@pytest.fixture
def browser(app: Face) -> Browser:
    return Browser(app, ISSUER)
