"""The parts of an authority, put together as the server's wiring does, with a clock of the test's own."""

from collections.abc import Callable, Collection

from certbound.authority.blocked_list import BlockedList
from certbound.authority.client_keys import ClientKeySets
from certbound.authority.deciding import Decider
from certbound.authority.ocsp_answers import OCSPAnswers
from certbound.authority.outbound import Outbound
from certbound.authority.records import IssueTrail
from certbound.authority.refusals import Refusals
from certbound.authority.registered import Registered
from certbound.authority.sightings import Sightings
from certbound.authority.tokens.context import GrantContext, Policy
from certbound.authority.tokens.issuing import TokenIssuer
from certbound.fetch.trust import trust_roots
from certbound.oauth.registration import AuthenticationMethod
from certbound.store.engine import Store

TRUST = trust_roots()


def new_registered(
    store: Store, master_key: bytes, methods: Collection[AuthenticationMethod], outbound: Outbound | None = None
) -> Registered:
    outbound = outbound or Outbound(TRUST)
    decider = Decider(ClientKeySets(outbound), OCSPAnswers(outbound))
    return Registered(store, master_key, decider, methods=methods, max_age=30)


def new_issuer(
    store: Store, policy: Policy, registered: Registered, clock: Callable[[], float], trail: IssueTrail | None = None
) -> TokenIssuer:
    context = GrantContext(store, policy, clock)
    return TokenIssuer(context, registered, trail or IssueTrail(store), Refusals(store, clock), Sightings(store))


def new_blocked_list(registered: Registered, policy: Policy, clock: Callable[[], float]) -> BlockedList:
    return BlockedList(registered, policy.issuer, lifetime=policy.access_token_lifetime, clock=clock)
