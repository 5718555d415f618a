"""One worker of the server, made from the settings: what it knows, its listeners, and what runs beside them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.routing import BaseRoute

from certbound.authority.records import IssueTrail
from certbound.authority.registered import Registered
from certbound.authority.tokens.context import GrantContext, Policy
from certbound.authority.tokens.issuing import TokenIssuer
from certbound.config.settings import LimitSettings, ListenerSettings, Settings
from certbound.jose.sealing import MASTER_KEY_LENGTH
from certbound.store.engine import Store
from certbound.tls.listener import Limits, Listener
from certbound.web.faces import application
from certbound.web.health import health_routes
from certbound.web.oauth.routes import oauth_routes


class StartError(RuntimeError):
    """The server cannot start; one line says what is missing and what to do."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What one worker process holds."""

    store: Store
    registered: Registered
    trail: IssueTrail
    listeners: tuple[Listener, ...]

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
        flushing = asyncio.create_task(self.trail.keep_flushing(ending), name="write the issue trail")
        try:
            yield
        finally:
            keeping.cancel()
            ending.set()
            await asyncio.gather(keeping, flushing, return_exceptions=True)
            self.store.close()


def make_worker(settings: Settings) -> Worker:
    """Make a worker; nothing is connected or bound yet. Raises StartError, and DoorError for a certificate file."""
    master_key = read_master_key(settings.store.master_key_file)
    store = Store(settings.store.url)
    policy = _policy(settings)
    registered = Registered(store, master_key, methods=policy.methods, max_age=settings.store.max_snapshot_age)
    trail = IssueTrail(store)
    issuer = TokenIssuer(GrantContext(store, policy, time.time), registered, trail)
    routes = {
        "oauth": oauth_routes(
            policy,
            issuer,
            registered,
            mtls_alias=settings.oauth.mtls_endpoint_aliases,
            max_body=settings.limits.request_body,
        )
    }
    health = health_routes(registered)
    listeners = tuple(
        _listener(listener, settings.limits, [*health, *(r for face in listener.serves for r in routes[face])])
        for listener in settings.listener
    )
    return Worker(store, registered, trail, listeners)


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


def _policy(settings: Settings) -> Policy:
    return Policy(
        issuer=settings.issuer,
        default_audience=settings.default_audience,
        methods=frozenset(settings.oauth.client_authentication_methods),
        token_endpoint_without_certificate=settings.oauth.token_endpoint_without_certificate,
        password_grant=settings.oauth.password_grant,
        access_token_lifetime=settings.lifetimes.access_token,
        refresh_token_lifetime=settings.lifetimes.refresh_token,
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
