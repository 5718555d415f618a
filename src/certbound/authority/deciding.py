"""Who sent this? Decided by the rules, and again once a JWK Set or an OCSP answer that was missing is gathered."""

from collections import ChainMap
from collections.abc import Collection, MutableMapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from certbound.authority.blocks import load_blocked
from certbound.authority.client_keys import ClientKeySets, KnownKeys
from certbound.authority.clients import find_registration
from certbound.authority.ocsp_answers import OCSPAnswers, Pair
from certbound.certificates.ocsp import OCSPAnswer
from certbound.oauth.authentication import Decision, Known, authenticate
from certbound.oauth.blocking import Blocked
from certbound.oauth.client_jwks import ClientKeys
from certbound.oauth.credentials import Credentials
from certbound.oauth.registration import AuthenticationMethod, Registration
from certbound.store.engine import Connection, Store

MAX_ROUNDS = 2
"""How often something missing is gathered for one decision: a set that is kept, then one fetched anew."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, and the published keys it rests on where the client has a `jwks_uri`."""

    decision: Decision
    published: KnownKeys | None = None


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides with what lies outside the store: clients' `jwks_uri` and OCSP responders."""

    client_keys: ClientKeySets
    ocsp_answers: OCSPAnswers

    async def decide(self, registration: Registration | None, credentials: Credentials, known: Known) -> Decided:
        """Decide as `oauth.authentication` does; what a decision needs is gathered, within 3 seconds, at most twice."""
        published, answers = None, dict[Pair, OCSPAnswer | str]()
        kept = cast("MutableMapping[Pair, OCSPAnswer | str]", self.ocsp_answers.known(known.now))
        known = replace(known, ocsp=ChainMap(answers, kept))  # which would be written to in its first part only
        for _ in range(MAX_ROUNDS):
            decision = authenticate(registration, credentials, known)
            if registration is None or decision.needs is None:
                return Decided(decision, published)
            if decision.needs.jwks:
                published = await self._publish(registration, published)
                registration = _with(registration, published)
            answers |= await self.ocsp_answers.gather(decision.needs.ocsp)
        return Decided(authenticate(registration, credentials, replace(known, is_all=True)), published)

    def still_rests(self, decided: Decided) -> bool:
        """Say whether an acceptance that rested on published keys would rest on the same ones now."""
        client = decided.decision.client
        uri = client.registration.client.jwks_uri if client is not None else None
        return uri is None or (decided.published is not None and decided.published is self.client_keys.current(uri))

    async def _publish(self, registration: Registration, lacking: KnownKeys | None) -> KnownKeys | None:
        uri = registration.client.jwks_uri
        if uri is None or (lacking is not None and lacking.failure is not None):
            return lacking  # asked a moment ago in vain: asking once more would take the time twice
        return await (self.client_keys.get(uri) if lacking is None else self.client_keys.refetch(uri, lacking))


def _with(registration: Registration, published: KnownKeys | None) -> Registration:
    if published is None:
        return registration
    keys = published.keys or ClientKeys()
    return replace(
        registration,
        certificates=keys.certificates,
        keys=keys.keys if registration.client.match_by_key else (),
        verification_keys=keys.verification_keys,
        unpublished=published.failure,
    )


async def decide_once(
    store: Store,
    decider: Decider,
    credentials: Credentials,
    *,
    enabled: Collection[AuthenticationMethod],
    issuer: str,
    now: datetime,
) -> Decision:
    """Decide by what the store says at this moment, for those who explain a decision."""

    def gather(connection: Connection) -> tuple[Registration | None, Blocked]:
        blocked, _ = load_blocked(connection, int(now.timestamp()))
        return find_registration(connection, credentials.client_id), blocked

    registration, blocked = await store.reading(gather)
    known = Known(now=now, enabled=enabled, issuer=issuer, blocked=blocked)
    decided = await decider.decide(registration, credentials, known)
    return decided.decision
