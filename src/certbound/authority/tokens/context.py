"""What every grant is given besides the client: where things are kept, what is switched on, and the time."""

from collections.abc import Callable
from dataclasses import dataclass

from certbound.oauth.audience import narrow_audience
from certbound.oauth.form import Form
from certbound.oauth.registration import AuthenticationMethod, Client
from certbound.store.engine import Store


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that issuing depends on; lifetimes in seconds."""

    issuer: str
    default_audience: str
    methods: frozenset[AuthenticationMethod]
    token_endpoint_without_certificate: bool
    password_grant: bool
    access_token_lifetime: int
    refresh_token_lifetime: int
    code_lifetime: int
    pushed_request_lifetime: int
    session_lifetime: int

    def audience(self, client: Client, form: Form) -> tuple[str, ...]:
        """Give the audience a request ends up with: what it asks for of what the client may have, or the default."""
        return narrow_audience(form.all("resource"), self.resources(client), self.default_audience)

    def resources(self, client: Client) -> tuple[str, ...]:
        """Give every resource that a client may have tokens for."""
        return (*client.resources, self.default_audience, self.issuer)


@dataclass(frozen=True, slots=True)
class GrantContext:
    """`clock` gives seconds since the epoch."""

    store: Store
    policy: Policy
    clock: Callable[[], float]
