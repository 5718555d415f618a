"""Who sent this? Decided by the rules, and again once a JWK Set or an OCSP answer that was missing is gathered."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from certbound.authority.blocks import load_blocked
from certbound.authority.client_keys import ClientKeySets, KnownKeys
from certbound.authority.clients import find_registration
from certbound.authority.ocsp_answers import OCSPAnswers
from certbound.oauth.authentication import Decision, Known, Needs, authenticate
from certbound.oauth.blocking import Blocked
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
        published = None
        known = replace(known, ocsp=self.ocsp_answers.known(known.now))
        decision = authenticate(registration, credentials, known)
        for _ in range(MAX_ROUNDS):
            if registration is None or decision.needs is None:
                break
            if decision.needs.jwks:
                published = await self._publish(registration, published)
                registration = _with(registration, published)
            known = await self._answer(known, decision.needs)
            decision = authenticate(registration, credentials, known)
        return Decided(decision, published)

    def still_rests(self, decided: Decided) -> bool:
        """Say whether an acceptance that rested on published keys would rest on the same ones now."""
        client = decided.decision.client
        uri = client.registration.client.jwks_uri if client is not None else None
        return uri is None or self.client_keys.current(uri) is decided.published

    async def _publish(self, registration: Registration, lacking: KnownKeys | None) -> KnownKeys | None:
        uri = registration.client.jwks_uri
        if uri is None:
            return None
        return await (self.client_keys.get(uri) if lacking is None else self.client_keys.refetch(uri, lacking))

    async def _answer(self, known: Known, needs: Needs) -> Known:
        if not needs.ocsp:
            return known
        return replace(known, ocsp={**known.ocsp, **await self.ocsp_answers.gather(needs.ocsp)})


def _with(registration: Registration, published: KnownKeys | None) -> Registration:
    if published is None or published.keys is None:
        return registration
    by_key = registration.client.match_by_key
    return replace(registration, certificates=published.keys.certificates, keys=published.keys.keys if by_key else ())


async def decide_once(
    store: Store,
    decider: Decider,
    credentials: Credentials,
    *,
    enabled: Collection[AuthenticationMethod],
    now: datetime,
) -> Decision:
    """Decide by what the store says at this moment, for those who explain a decision."""

    def gather(connection: Connection) -> tuple[Registration | None, Blocked]:
        blocked, _ = load_blocked(connection, int(now.timestamp()))
        return find_registration(connection, credentials.client_id), blocked

    registration, blocked = await store.reading(gather)
    decided = await decider.decide(registration, credentials, Known(now=now, enabled=enabled, blocked=blocked))
    return decided.decision
