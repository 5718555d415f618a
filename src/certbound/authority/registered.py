"""What a worker knows of clients, their trust and the signing keys, and whether that is still true.

Everything is read on first need, kept in bounded memory and forgotten whole when the store's revision moves on; the
revision is polled, so a change anywhere is in force here within two seconds. A worker that could not confirm the
revision for `max_age` seconds stops answering: it never serves stale trust.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from certbound.authority import blocks, clients, keys
from certbound.authority.deciding import Decided, Decider
from certbound.certificates.presented import PresentedChain
from certbound.jose.jwks import JWKSet, jwks_document, parse_jwks
from certbound.jose.keys import ALGORITHMS, SigningKey
from certbound.oauth.authentication import Decision, Known
from certbound.oauth.blocking import Blocked
from certbound.oauth.credentials import Credentials
from certbound.oauth.errors import OAuthError
from certbound.oauth.registration import AuthenticationMethod, Registration
from certbound.oauth.trust import TrustStore
from certbound.store import revision
from certbound.store.engine import Connection, Store, StoreUnavailable

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")

POLL_SECONDS = 0.5
MAX_ATTEMPTS = 3
MAX_CLIENTS = 10_000
MAX_UNKNOWN = 1_000
MAX_DECISIONS = 10_000
MAX_REMEMBERED_CHAIN = 16_384
"""Bytes of certificates up to which an acceptance is remembered."""
MAX_REMEMBERED_BYTES = 32 * 1024 * 1024
"""Bytes of certificates of all remembered acceptances together; the oldest go first."""


class Registered:
    """One worker's knowledge of what is registered."""

    def __init__(
        self,
        store: Store,
        master_key: bytes,
        decider: Decider,
        *,
        methods: Collection[AuthenticationMethod],
        issuer: str,
        max_age: float,
        signing_algorithm: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._master_key = master_key
        self._decider = decider
        self._methods = methods
        self._issuer = issuer
        self._max_age = max_age
        self._signing_algorithm = signing_algorithm
        self._clock = clock
        self._confirmed_at = float("-inf")
        self._snapshot = _Snapshot(-1, keys.NO_KEYS, _Denied(-1, Blocked(), settled=False))

    @property
    def is_current(self) -> bool:
        """Whether the revision was confirmed recently enough to answer anybody."""
        return time.monotonic() - self._confirmed_at <= self._max_age

    @property
    def signing_key(self) -> SigningKey:
        """Give the key that signs what nobody asked to be signed otherwise."""
        return self.signing_key_for(None)

    def signing_key_for(self, algorithm: str | None) -> SigningKey:
        """Give the key that signs by an algorithm (RFC 7518 section 3.1), by the server's own if None."""
        algorithm = algorithm or self._signing_algorithm
        key = self._snapshot.ring.signing_key(self._clock(), algorithm)
        if key is None:
            rotate = f"certbound keys rotate --algorithm {algorithm}" if algorithm else "certbound keys rotate"
            raise OAuthError("temporarily_unavailable", "no signing key is available", detail=f"run `{rotate}`")
        return key

    @property
    def signing_algorithms(self) -> tuple[str, ...]:
        """Name the algorithms that there is a key for which signs now, in the order of preference."""
        now, ring = self._clock(), self._snapshot.ring
        return tuple(algorithm for algorithm in ALGORITHMS if ring.signing_key(now, algorithm) is not None)

    @property
    def public_jwks(self) -> tuple[dict[str, Any], ...]:
        """Give the public keys to publish: those that sign or soon will, and those whose tokens may be about."""
        return self._snapshot.ring.public_jwks

    @property
    def verification_keys(self) -> JWKSet:
        """Give the published keys in the form that verifies with them."""
        return self._snapshot.verification_keys

    @property
    def blocked(self) -> Blocked:
        """Give what is blocked and revoked; a new value whenever that may have changed."""
        return self._snapshot.denied.blocked

    def require_current(self) -> None:
        """Raise OAuthError where what is known may be stale."""
        if not self.is_current:
            raise OAuthError("temporarily_unavailable", "the server cannot confirm its registrations: try again")

    async def decide(self, credentials: Credentials, now: datetime) -> Decision:
        """Decide who the sender of these credentials is, by what is registered now (`oauth.authentication`)."""
        self.require_current()
        remembered = self._snapshot.remembered(credentials, now)
        if remembered is not None and self._decider.still_rests(remembered):
            return remembered.decision
        for _ in range(MAX_ATTEMPTS):
            snapshot = self._snapshot
            registration = await self._registration(snapshot, credentials.client_id)
            known = Known(now, self._methods, self._issuer, blocked=snapshot.denied.blocked)
            decided = await self._decider.decide(registration, credentials, known)
            if snapshot is self._snapshot:  # else something was changed, blocked perhaps, while it was decided
                snapshot.remember(credentials, decided)
                return decided.decision
        raise OAuthError("temporarily_unavailable", "the registrations change too fast: try again")

    async def registration(self, client_id: str) -> Registration | None:
        """Give what is registered of a client; whether its sender is that client is for `decide`."""
        self.require_current()
        return await self._registration(self._snapshot, client_id)

    async def refresh(self) -> None:
        """Confirm the revision; where it moved on, read the keys and forget the rest."""
        asked_at = time.monotonic()
        changed = await self._store.reading(
            partial(_read_changes, known=self._snapshot, master_key=self._master_key, now=int(self._clock()))
        )
        self._confirmed_at = asked_at
        if isinstance(changed, _Snapshot):
            self._snapshot = changed
        elif changed is not None:
            self._snapshot.denied = changed

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
        registration = await self._store.reading(
            partial(clients.find_registration, client_id=client_id, known=dict(snapshot.trust))
        )
        if registration is None:
            _put(snapshot.unknown, client_id, None, MAX_UNKNOWN)
        else:
            _put(snapshot.clients, client_id, registration, MAX_CLIENTS)
            snapshot.trust.update({store.name: store for store in registration.trust})
        return registration


@dataclass(frozen=True, slots=True)
class _Denied:
    """What is blocked and revoked; `settled` unless a token may still turn up that a block denies."""

    revision: int
    blocked: Blocked
    settled: bool


class _Snapshot:
    """What is known at one revision; what is denied may be renewed in it."""

    def __init__(self, revision_: int, ring: keys.KeyRing, denied: _Denied) -> None:
        self.revision = revision_
        self.ring = ring
        self.denied = denied
        self.verification_keys = parse_jwks(jwks_document(ring.public_jwks))
        self.clients: OrderedDict[str, Registration] = OrderedDict()
        self.unknown: OrderedDict[str, None] = OrderedDict()
        self.trust: dict[str, TrustStore] = {}
        self._decisions: OrderedDict[Credentials, Decided] = OrderedDict()
        self._size = 0

    def remembered(self, credentials: Credentials, now: datetime) -> Decided | None:
        """Give an earlier acceptance of exactly this certificate for this client, while all of its path is valid."""
        if credentials.secret is not None or credentials.assertion is not None or credentials.presented is None:
            return None
        decided = self._decisions.get(credentials)
        if decided is None or decided.decision.good_until is None or now > decided.decision.good_until:
            return None
        return decided

    def remember(self, credentials: Credentials, decided: Decided) -> None:
        """Keep an acceptance by certificate; refusals are decided anew, so that each leaves its trace."""
        presented, decision = credentials.presented, decided.decision
        if decision.client is None or decision.good_until is None or presented is None:
            return
        # What is sent along is the client's choice, and must not fill this memory.
        if (size := _size(presented)) > MAX_REMEMBERED_CHAIN:
            return
        if credentials not in self._decisions:
            self._size += size
        self._decisions[credentials] = decided
        self._decisions.move_to_end(credentials)
        while len(self._decisions) > MAX_DECISIONS or self._size > MAX_REMEMBERED_BYTES:
            oldest, _ = self._decisions.popitem(last=False)
            self._size -= _size(oldest.presented)


def _size(presented: PresentedChain | None) -> int:
    return len(presented.leaf) + sum(map(len, presented.intermediates)) if presented is not None else 0


def _put(entries: "OrderedDict[K, V]", key: K, value: V, most: int) -> None:
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > most:
        entries.popitem(last=False)


def _read_changes(
    connection: Connection, known: _Snapshot, master_key: bytes, now: int
) -> "_Snapshot | _Denied | None":
    registered, revoked = revision.read_both(connection)
    denied = known.denied
    if registered != known.revision:
        ring = keys.load_ring(connection, master_key, known.ring)
        return _Snapshot(registered, ring, _Denied(revoked, *blocks.load_blocked(connection, now)))
    if revoked != denied.revision or not denied.settled:
        return _Denied(revoked, *blocks.load_blocked(connection, now))
    return None
