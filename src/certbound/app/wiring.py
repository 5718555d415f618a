"""One worker of the server, made from the settings: what it knows, its listeners, and what runs beside them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from starlette.routing import BaseRoute

from certbound.app.self_registration import make_registrations
from certbound.authority.blocked_list import BlockedList
from certbound.authority.client_keys import ClientKeySets
from certbound.authority.deciding import Decider
from certbound.authority.ocsp_answers import OCSPAnswers
from certbound.authority.outbound import Outbound
from certbound.authority.records import IssueTrail, keep_flushing
from certbound.authority.refusals import Refusals
from certbound.authority.registered import Registered
from certbound.authority.sightings import Sightings
from certbound.authority.tokens.answers import client_answers, people_answers
from certbound.authority.tokens.context import GrantContext, Policy
from certbound.config.settings import LimitSettings, ListenerSettings, Settings
from certbound.fetch.document import fetch
from certbound.fetch.trust import trust_roots
from certbound.jose.sealing import MASTER_KEY_LENGTH
from certbound.store.engine import Store
from certbound.tls.listener import Limits, Listener
from certbound.upkeep.plan import plan
from certbound.upkeep.removal import Retention
from certbound.upkeep.running import Upkeep
from certbound.web.faces import application
from certbound.web.health import health_routes
from certbound.web.metrics import metrics_routes
from certbound.web.oauth.routes import oauth_routes
from certbound.web.signin.sealed import Sealed


class StartError(RuntimeError):
    """The server cannot start; one line says what is missing and what to do."""


class Batch(Protocol):
    """Something recorded in batches."""

    async def flush(self) -> None:
        """Write what waits."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What one worker process holds."""

    store: Store
    registered: Registered
    batches: tuple[Batch, ...]
    upkeep: Upkeep
    outbound: tuple[Outbound, Outbound]
    listeners: tuple[Listener, ...]
    retiring: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once another worker takes its place: it goes on answering, and leaves the upkeep to that one."""

    @contextlib.asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Keep what is known current and the trail written while the listeners are open."""
        try:
            await self.registered.refresh()
        except BaseException:
            self.store.close()
            raise
        ending = asyncio.Event()
        keeping = asyncio.create_task(self.registered.keep_current(), name="keep current")
        flushes = [batch.flush for batch in self.batches]
        flushing = asyncio.create_task(keep_flushing(flushes, ending), name="write batches")
        upkeep = asyncio.create_task(self.upkeep.keep_running(self.retiring), name="upkeep")
        try:
            yield
        finally:
            keeping.cancel()
            ending.set()
            self.retiring.set()
            await asyncio.gather(keeping, flushing, upkeep, return_exceptions=True)
            for outbound in self.outbound:
                outbound.close()
            self.store.close()


def make_worker(settings: Settings) -> Worker:
    """Make a worker; nothing is connected or bound yet. Raises StartError, and DoorError for a certificate file."""
    master_key = read_master_key(settings.store.master_key_file)
    store = Store(settings.store.url)
    policy = _policy(settings)
    way_out = _way_out(settings)
    outbound = Outbound(**way_out), Outbound(**way_out)
    decider = _decider(*outbound)
    registered = Registered(
        store,
        master_key,
        decider,
        methods=policy.methods,
        issuer=policy.issuer,
        max_age=settings.store.max_snapshot_age,
        signing_algorithm=settings.oauth.signing_algorithm,
    )
    trail, refusals, sightings = IssueTrail(store), Refusals(store, time.time), Sightings(store)
    context = GrantContext(store, policy, time.time)
    answers = client_answers(context, registered, trail, refusals, sightings)
    blocked = BlockedList(registered, policy.issuer, lifetime=policy.access_token_lifetime, clock=time.time)
    routes = {
        "oauth": oauth_routes(
            policy,
            answers,
            people_answers(context, registered, master_key),
            registered,
            blocked,
            sealed=Sealed(master_key, time.time),
            mtls_alias=settings.oauth.mtls_endpoint_aliases,
            max_body=settings.limits.request_body,
            registrations=make_registrations(settings, policy, store, outbound[0], decider),
        ),
        "metrics": metrics_routes(store, time.time),
    }
    health = health_routes(registered)
    listeners = tuple(
        _listener(listener, settings.limits, [*health, *(r for face in listener.serves for r in routes[face])])
        for listener in settings.listener
    )
    duties = partial(
        plan, store=store, fetch=partial(fetch, **way_out), retention=_retention(settings), reading=asyncio.Lock()
    )
    upkeep = Upkeep(store, duties, time.time)
    return Worker(store, registered, (trail, refusals, sightings), upkeep, outbound, listeners)


def make_decider(settings: Settings) -> Decider:
    """Make what decides who a client is, for those who explain a decision."""
    way_out = _way_out(settings)
    return _decider(Outbound(**way_out), Outbound(**way_out))


def read_master_key(path: Path) -> bytes:
    """Read the master key. Raises StartError."""
    try:
        key = path.read_bytes()
    except OSError as error:
        raise StartError(
            f"the master key cannot be read: {path}: {error.strerror}: put back the file made by `certbound init`"
        ) from None
    if len(key) != MASTER_KEY_LENGTH:
        raise StartError(f"{path} is no master key: it has {len(key)} bytes where {MASTER_KEY_LENGTH} were expected")
    return key


def _way_out(settings: Settings) -> dict[str, Any]:
    outbound = settings.outbound
    return {"trust": trust_roots(outbound.ca_file), "allow": outbound.allow, "proxy": outbound.proxy}


def _decider(for_keys: Outbound, for_answers: Outbound) -> Decider:
    """Keep the two apart, so that slow clients do not hold up responders."""
    return Decider(ClientKeySets(for_keys), OCSPAnswers(for_answers))


def _retention(settings: Settings) -> Retention:
    kept = settings.retention
    return Retention(kept.refusals, kept.refusal_days, kept.issued_token_days, kept.sighting_days)


def _policy(settings: Settings) -> Policy:
    return Policy(
        issuer=settings.issuer,
        default_audience=settings.default_audience,
        methods=frozenset(settings.oauth.client_authentication_methods),
        token_endpoint_without_certificate=settings.oauth.token_endpoint_without_certificate,
        password_grant=settings.oauth.password_grant,
        access_token_lifetime=settings.lifetimes.access_token,
        refresh_token_lifetime=settings.lifetimes.refresh_token,
        code_lifetime=settings.lifetimes.code,
        pushed_request_lifetime=settings.lifetimes.pushed_request,
        session_lifetime=settings.lifetimes.session,
    )


def _listener(settings: ListenerSettings, limits: LimitSettings, routes: Sequence[BaseRoute]) -> Listener:
    return Listener(
        name=settings.name,
        bind=settings.bind,
        app=application(routes),
        client_certificate=settings.client_certificate,
        certificate=settings.tls_certificate,
        key=settings.tls_key,
        limits=Limits(
            handshake_seconds=limits.handshake_seconds,
            header_seconds=limits.header_seconds,
            body_seconds=limits.body_seconds,
            keep_alive_seconds=limits.keep_alive_seconds,
            header_bytes=limits.request_header,
        ),
    )
