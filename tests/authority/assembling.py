"""The parts of an authority, put together as the server's wiring does, with a clock of the test's own."""

import time
from collections.abc import Callable, Collection

from tests.oauth.making import ISSUER

from certbound.authority.blocked_list import BlockedList
from certbound.authority.client_keys import ClientKeySets
from certbound.authority.deciding import Decider
from certbound.authority.ocsp_answers import OCSPAnswers
from certbound.authority.outbound import Outbound
from certbound.authority.records import IssueTrail
from certbound.authority.refusals import Refusals
from certbound.authority.registered import Registered
from certbound.authority.sightings import Sightings
from certbound.authority.tokens.answers import ClientAnswers, client_answers
from certbound.authority.tokens.context import GrantContext, Policy
from certbound.fetch.trust import trust_roots
from certbound.oauth.registration import AuthenticationMethod
from certbound.store.engine import Store

TRUST = trust_roots()


def new_registered(
    store: Store,
    master_key: bytes,
    methods: Collection[AuthenticationMethod],
    outbound: Outbound | None = None,
    clock: Callable[[], float] = time.time,
    *,
    issuer: str = ISSUER,
) -> Registered:
    outbound = outbound or Outbound(TRUST)
    decider = Decider(ClientKeySets(outbound), OCSPAnswers(outbound))
    return Registered(store, master_key, decider, methods=methods, issuer=issuer, max_age=30, clock=clock)


def new_answers(
    store: Store,
    policy: Policy,
    registered: Registered,
    clock: Callable[[], float],
    *,
    trail: IssueTrail | None = None,
    refusals: Refusals | None = None,
    sightings: Sightings | None = None,
) -> ClientAnswers:
    context = GrantContext(store, policy, clock)
    return client_answers(
        context,
        registered,
        trail or IssueTrail(store),
        refusals or Refusals(store, clock),
        sightings or Sightings(store),
    )


def new_blocked_list(registered: Registered, policy: Policy, clock: Callable[[], float]) -> BlockedList:
    return BlockedList(registered, policy.issuer, lifetime=policy.access_token_lifetime, clock=clock)
