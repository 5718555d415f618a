"""The client at the other end of a request: authenticated the same way at every endpoint (RFC 8705 section 2)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from certbound.authority.refusals import Refusals
from certbound.authority.registered import Registered
from certbound.authority.sightings import Sightings
from certbound.certificates.certificate import parse_certificate
from certbound.certificates.check import Check
from certbound.certificates.presented import PresentedChain
from certbound.oauth.authentication import AuthenticatedClient, Decision
from certbound.oauth.client_assertion import CLOCK_SECONDS, Assertion
from certbound.oauth.credentials import Credentials, read_credentials
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import Form, printable
from certbound.store import once
from certbound.store.engine import Store

MAX_REASONS = 1000
"""Characters of the reasons that a client with `diagnostics` gets."""
ASSERTIONS = "client_assertion"
"""The kind under which used assertions are remembered."""
_NO_CERTIFICATE = Check(
    "certificate_presented",
    False,
    "a client certificate on the connection: the server is closed without one",
    "no certificate",
    "RFC 8705 section 2",
)


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A request of a client: `authorization` is the header of that name, `address` the peer's."""

    form: Form
    authorization: str | None
    presented: PresentedChain | None
    address: str | None


class ClientAuthenticator:
    """Authenticates clients by what `registered` knows; keeps who was refused, and which certificates are in use.

    Assertions are used up in `store`, so that each counts once on all workers; no other method needs it.
    `clock` gives epoch seconds. Without `certificate_optional` a connection without a certificate is refused whoever it
    is.
    """

    def __init__(
        self,
        store: Store,
        registered: Registered,
        refusals: Refusals,
        sightings: Sightings,
        *,
        clock: Callable[[], float],
        certificate_optional: bool,
    ) -> None:
        self._store = store
        self._registered = registered
        self._refusals = refusals
        self._sightings = sightings
        self._clock = clock
        self._certificate_optional = certificate_optional

    async def authenticate(self, request: ClientRequest) -> AuthenticatedClient:
        """Give the client that proved itself. Raises OAuthError, which is the client's answer, and StoreUnavailable."""
        credentials = read_credentials(request.form, request.authorization, request.presented)
        now = self._clock()
        if credentials.presented is None and not self._certificate_optional:
            decision = Decision((_NO_CERTIFICATE,))
        else:
            decision = await self._registered.decide(credentials, datetime.fromtimestamp(now, UTC))
        if decision.client is not None and decision.assertion is not None:
            decision = await self._use_up(decision, decision.assertion, credentials.client_id)
        if decision.client is None:
            raise refusal_answer(decision, self._refusals.keep(credentials, decision, request.address))
        self._see(decision.client, credentials, int(now))
        return decision.client

    async def _use_up(self, decision: Decision, assertion: Assertion, client_id: str) -> Decision:
        """Turn an acceptance by an assertion that was used before into a refusal (RFC 7523 section 3)."""
        # Where another worker's clock is behind, the assertion is good for longer.
        forgotten_at = assertion.expires_at + CLOCK_SECONDS
        unused = await self._store.writing(
            partial(once.use, kind=ASSERTIONS, parts=(client_id, assertion.jti), expires_at=forgotten_at)
        )
        found = "not used before" if unused else "used before"
        check = Check("assertion_unused", unused, "an assertion not used before", found, "RFC 7523 section 3")
        return replace(decision, checks=(*decision.checks, check), client=decision.client if unused else None)

    def _see(self, client: AuthenticatedClient, credentials: Credentials, now: int) -> None:
        if client.registration.client.token_endpoint_auth_method.is_mutual_tls and credentials.presented is not None:
            self._sightings.saw(credentials.client_id, parse_certificate(credentials.presented.leaf), now)


def refusal_answer(decision: Decision, reference: str) -> OAuthError:
    """Make the one answer for an unknown client, a missing credential and a wrong one (RFC 6749 section 5.2).

    The reference leads a support desk to the trace; a client with `diagnostics` gets the reasons themselves.
    """
    if decision.error == "invalid_request":
        text = "the request authenticates in more than one way: use one method only"
    else:
        text = "client authentication failed"
    reasons = "; ".join(f"{check.check}: expected {check.expected}, found {check.found}" for check in decision.failed)
    why = f": {printable(reasons, MAX_REASONS)}" if decision.tells_why else ""
    return OAuthError(decision.error, f"{text} (reference {reference}){why}")
