"""What a worker knows of clients, their trust and the signing keys, and whether that is still true.

Everything is read on first need, kept in bounded memory and forgotten whole when the store's revision moves on; the
revision is polled, so a change anywhere is in force here within two seconds. A worker that could not confirm the
revision for `max_age` seconds stops answering: it never serves stale trust.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Collection
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from certbound.authority import clients, keys
from certbound.jose.keys import SigningKey
from certbound.oauth.authentication import Decision, authenticate
from certbound.oauth.credentials import Credentials
from certbound.oauth.errors import OAuthError
from certbound.oauth.registration import AuthenticationMethod, Registration
from certbound.store import revision
from certbound.store.engine import Connection, Store, StoreUnavailable

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")

POLL_SECONDS = 1.0
MAX_CLIENTS = 10_000
MAX_UNKNOWN = 1_000
MAX_DECISIONS = 10_000
MAX_REMEMBERED_CHAIN = 16_384
"""Bytes of certificates up to which an acceptance is remembered."""


class Registered:
    """One worker's knowledge of what is registered."""

    def __init__(
        self, store: Store, master_key: bytes, *, methods: Collection[AuthenticationMethod], max_age: float
    ) -> None:
        self._store = store
        self._master_key = master_key
        self._methods = methods
        self._max_age = max_age
        self._confirmed_at = float("-inf")
        self._snapshot = _Snapshot(-1, None, ())

    @property
    def is_current(self) -> bool:
        """Whether the revision was confirmed recently enough to answer anybody."""
        return time.monotonic() - self._confirmed_at <= self._max_age

    @property
    def signing_key(self) -> SigningKey:
        """Give the key that new tokens are signed with."""
        if self._snapshot.signing_key is None:
            raise OAuthError(
                "temporarily_unavailable", "no signing key is available", detail="run `certbound keys rotate`"
            )
        return self._snapshot.signing_key

    @property
    def public_jwks(self) -> tuple[dict[str, Any], ...]:
        """Give the public keys to publish: the signing key and those whose tokens are still about."""
        return self._snapshot.public_jwks

    async def decide(self, credentials: Credentials, now: datetime) -> Decision:
        """Decide who the sender of these credentials is, by what is registered now (`oauth.authentication`)."""
        if not self.is_current:
            raise OAuthError("temporarily_unavailable", "the server cannot confirm its registrations: try again")
        snapshot = self._snapshot
        remembered = snapshot.remembered(credentials, now)
        if remembered is not None:
            return remembered
        registration = await self._registration(snapshot, credentials.client_id)
        decision = authenticate(registration, credentials, enabled=self._methods, now=now)
        snapshot.remember(credentials, decision)
        return decision

    async def refresh(self) -> None:
        """Confirm the revision; where it moved on, read the keys and forget the rest."""
        asked_at = time.monotonic()
        known = await self._store.reading(
            partial(_read_changes, known=self._snapshot.revision, master_key=self._master_key)
        )
        self._confirmed_at = asked_at
        if known is not None:
            self._snapshot = known

    async def keep_current(self) -> None:
        """Poll the revision until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.refresh()
            except StoreUnavailable as error:
                log.error("revision cannot be confirmed", extra={"reason": str(error)})
            except keys.MasterKeyError as error:
                log.error("signing keys cannot be opened", extra={"reason": str(error)})
            except Exception:  # a duty that ended would end the service for good
                log.exception("revision cannot be confirmed")

    async def _registration(self, snapshot: "_Snapshot", client_id: str) -> Registration | None:
        if client_id in snapshot.clients:
            snapshot.clients.move_to_end(client_id)
            return snapshot.clients[client_id]
        if client_id in snapshot.unknown:
            return None
        registration = await self._store.reading(partial(clients.find_registration, client_id=client_id))
        if registration is None:
            _put(snapshot.unknown, client_id, None, MAX_UNKNOWN)
        else:
            _put(snapshot.clients, client_id, registration, MAX_CLIENTS)
        return registration


class _Snapshot:
    """What is known at one revision."""

    def __init__(self, revision_: int, signing_key: SigningKey | None, public_jwks: tuple[dict[str, Any], ...]) -> None:
        self.revision = revision_
        self.signing_key = signing_key
        self.public_jwks = public_jwks
        self.clients: OrderedDict[str, Registration] = OrderedDict()
        self.unknown: OrderedDict[str, None] = OrderedDict()
        self._decisions: OrderedDict[Credentials, Decision] = OrderedDict()

    def remembered(self, credentials: Credentials, now: datetime) -> Decision | None:
        """Give an earlier acceptance of exactly this certificate for this client, while all of its path is valid."""
        if credentials.secret is not None or credentials.presented is None:
            return None
        decision = self._decisions.get(credentials)
        if decision is None or decision.good_until is None or now > decision.good_until:
            return None
        return decision

    def remember(self, credentials: Credentials, decision: Decision) -> None:
        """Keep an acceptance by certificate; refusals are decided anew, so that each leaves its trace."""
        presented = credentials.presented
        if decision.client is None or decision.good_until is None or presented is None:
            return
        # What is sent along is the client's choice, and must not fill this memory.
        if len(presented.leaf) + sum(map(len, presented.intermediates)) <= MAX_REMEMBERED_CHAIN:
            _put(self._decisions, credentials, decision, MAX_DECISIONS)


def _put(entries: "OrderedDict[K, V]", key: K, value: V, most: int) -> None:
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > most:
        entries.popitem(last=False)


def _read_changes(connection: Connection, known: int, master_key: bytes) -> _Snapshot | None:
    current = revision.read(connection)
    if current == known:
        return None
    ring = keys.load_ring(connection, master_key)
    return _Snapshot(current, ring.signing_key, ring.public_jwks)
