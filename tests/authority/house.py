"""A whole authority on a store: a clock that stands still, clients and people, and requests as a client sends them."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from tests.authority.assembling import new_answers, new_registered
from tests.oauth.making import NOW, Identity, authority, dns, make

from certbound.authority import authorizations, clients, keys, people, sessions, trust
from certbound.authority.authorizations import Allowed
from certbound.authority.records import IssueTrail
from certbound.authority.refusals import Refusals
from certbound.authority.sessions import SignedIn
from certbound.authority.sightings import Sightings
from certbound.authority.sign_in import SignIn, SignInPolicy
from certbound.authority.tokens.authenticating import ClientRequest
from certbound.authority.tokens.context import Policy
from certbound.authority.tokens.issuing import GRANTS
from certbound.oauth.access_token import TokenResponse
from certbound.oauth.authorization_request import AuthorizationRequest
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import parse_form
from certbound.oauth.registering import RegistrationRequest
from certbound.oauth.registration import AuthenticationMethod
from certbound.store.engine import Connection, Store
from certbound.store.people import Person

ISSUER, API = "https://as.example.com", "https://api.example.com"
CALLBACK = "https://app.example.com/callback"
#: The example of RFC 7636 appendix B.
VERIFIER, CHALLENGE = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
PASSWORD = "correct horse"
ROOT = authority()


def orders(**how: Any) -> Identity:
    """Make a certificate of the client `orders`."""
    return make(issuer=ROOT, san=[dns("orders.example.com")], **how)


class House:
    def __init__(self, store: Store, *, master_key: bytes | None = None, **policy: Any) -> None:
        self.store = store
        self.now = int(NOW.timestamp())
        self.master_key = master_key or os.urandom(32)
        given: dict[str, Any] = {
            "issuer": ISSUER,
            "default_audience": API,
            "methods": frozenset(AuthenticationMethod),
            "token_endpoint_without_certificate": True,
            "password_grant": True,
            "access_token_lifetime": 300,
            "refresh_token_lifetime": 1000,
            "code_lifetime": 60,
            "pushed_request_lifetime": 90,
            "session_lifetime": 8 * 3600,
        }
        self.policy = Policy(**given | policy)
        self.registered = new_registered(store, self.master_key, self.policy.methods, clock=lambda: self.now)
        self.trail = IssueTrail(store)
        self.refusals = Refusals(store, lambda: self.now)
        self.sightings = Sightings(store)
        self.answers = new_answers(
            store,
            self.policy,
            self.registered,
            lambda: self.now,
            trail=self.trail,
            refusals=self.refusals,
            sightings=self.sightings,
        )

        self.sign_in = SignIn(
            store, SignInPolicy(self.master_key, self.policy.session_lifetime), clock=lambda: self.now
        )

    async def neighbour(self, store: Store) -> "House":
        """Give another worker of the same server; `store` is the same database."""
        house = House(store, master_key=self.master_key)
        await house.registered.refresh()
        return house

    @property
    def by(self) -> dict[str, Any]:
        return {"actor": "tester", "now": self.now}

    def rotate(self, algorithm: str = "ES256", *, ahead: int = 0) -> str:
        """Make a key that signs at once, or `ahead` seconds from now; give its `kid`."""
        work = partial(keys.rotate, master_key=self.master_key, algorithm=algorithm, ahead=ahead, **self.by)
        return self.store.write(work).kid

    def trust(self, name: str, *roots: Identity) -> None:
        held = [root.certificate for root in roots]
        self.store.write(partial(trust.add, name=name, certificates=held, intermediate=False, **self.by))

    def client(self, client_id: str, method: str, **members: Any) -> str | None:
        """Register a client and give its secret, if it has one."""
        if method == "tls_client_auth":
            members = {"subject": {"tls_client_auth_san_dns": "orders.example.com"}, "trust": ("partners",)} | members
        if method == "none":
            members = {"grant_types": ("password", "refresh_token")} | members
        request = RegistrationRequest(client_id, method, client_id=client_id, scopes=("read", "write"), **members)
        work = partial(clients.register, request=request, known_grants=GRANTS, **self.by)
        return self.store.write(work).client_secret

    def update(self, client_id: str, **changes: Any) -> None:
        given = clients.ClientChanges(**changes)
        self.store.write(partial(clients.update, client_id=client_id, changes=given, known_grants=GRANTS, **self.by))

    def disable(self, client_id: str) -> None:
        self.store.write(partial(clients.set_disabled, client_id=client_id, disabled=True, **self.by))

    def person(self, username: str, *, operator: bool = False) -> Person:
        work = partial(people.add, username=username, password=PASSWORD, operator=operator, **self.by)
        return self.store.write(work)

    def sit_down(self, username: str = "ada", amr: tuple[str, ...] = ("pwd",)) -> SignedIn:
        """Sign a person in in a browser."""

        def begin(connection: Connection) -> SignedIn | None:
            person = people.existing(connection, username)
            cookie = sessions.begin(connection, person, amr=amr, lifetime=self.policy.session_lifetime, now=self.now)
            return sessions.find(connection, cookie, now=self.now)

        found = self.store.write(begin)
        assert found is not None
        return found

    def request(self, client_id: str, **members: Any) -> AuthorizationRequest:
        given: dict[str, Any] = {"scopes": ("read",), "code_challenge": CHALLENGE, "redirect_uri_sent": True}
        return AuthorizationRequest(client_id, **{"redirect_uri": CALLBACK} | given | members)

    def allow(self, client_id: str, signed_in: SignedIn | None = None, **request: Any) -> str:
        """Give the code for what a person, or else ada, allows a client."""
        allowed = Allowed(self.request(client_id, **request), (signed_in or self.sit_down()).session)
        work = partial(authorizations.issue_code, allowed=allowed, lifetime=self.policy.code_lifetime, now=self.now)
        return self.store.write(work)

    async def redeem(
        self, client_id: str, code: str, identity: Identity | None = None, resource: tuple[str, ...] = (), **form: Any
    ) -> TokenResponse:
        """Redeem a code as its client would; None leaves a parameter out."""
        given = {"redirect_uri": CALLBACK, "code_verifier": VERIFIER, "client_id": client_id} | form
        kept = {name: value for name, value in given.items() if value is not None}
        return await self.ask(identity, resource=resource, grant_type="authorization_code", code=code, **kept)

    async def ask(
        self, identity: Identity | None = None, *, resource: tuple[str, ...] = (), **form: Any
    ) -> TokenResponse:
        body = urlencode([*form.items(), *(("resource", uri) for uri in resource)]).encode()
        parsed = parse_form(body, "application/x-www-form-urlencoded")
        presented = identity.presented() if identity is not None else None
        return await self.answers.issuer.answer(ClientRequest(parsed, None, presented, "192.0.2.1"))

    async def log_in(self, client_id: str, identity: Identity | None = None, **form: Any) -> TokenResponse:
        asked: Mapping[str, Any] = {"username": "ada", "password": PASSWORD} | form
        return await self.ask(identity, grant_type="password", client_id=client_id, **asked)

    async def refresh(self, client_id: str, token: str | None, identity: Identity | None, **form: Any) -> TokenResponse:
        assert token is not None
        return await self.ask(identity, grant_type="refresh_token", client_id=client_id, refresh_token=token, **form)

    async def refusal(self, asking: Any) -> OAuthError:
        """Give the error that a request ends in."""
        try:
            await asking
        except OAuthError as error:
            return error
        raise AssertionError("a token was issued")


async def furnish(store: Store, **policy: Any) -> House:
    """Give a house with a key, a trust store, one public and one confidential client, and ada."""
    house = House(store, **policy)
    house.rotate()
    house.trust("partners", ROOT)
    house.client("app", "none")
    house.client("orders", "tls_client_auth", grant_types=("client_credentials", "password", "refresh_token"))
    house.person("ada")
    await house.registered.refresh()
    return house
