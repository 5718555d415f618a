"""What happened, so that it can be proved later: the audit chain and the trail of issued tokens."""

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from certbound.store import audit, revision, revoked, tokens
from certbound.store.engine import Connection, Store, StoreUnavailable

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.5
"""How often what is recorded in batches is written."""


def record(
    connection: Connection, *, at: int, actor: str, action: str, target: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Append an audit row within the transaction of what it speaks of; `at` in seconds since the epoch.

    Each row's hash covers its content and the hash before it, so that no row can be changed, removed or slipped in
    without breaking the chain. `detail` must hold no secret.
    """
    head = audit.locked_head(connection)
    text = json.dumps(detail or {}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    sequence = head.sequence + 1
    row = audit.AuditRow(
        sequence=sequence,
        at=at,
        actor=actor,
        action=action,
        target=target,
        detail=text,
        previous=head.hash,
        hash=chain_hash(head.hash, sequence=sequence, at=at, actor=actor, action=action, target=target, detail=text),
    )
    audit.append(connection, (row,))


def chain_hash(previous: bytes, *, sequence: int, at: int, actor: str, action: str, target: str, detail: str) -> bytes:
    """Give SHA-256 over the previous row's hash and this row's content, as unambiguous JSON."""
    content = json.dumps([sequence, at, actor, action, target, detail], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(previous + content.encode()).digest()


class IssueTrail:
    """The trail of self-contained tokens, written in batches of at most one second.

    A token is handed out before its row is written, so a kill -9 may lose the last batch and nothing else; a shutdown
    writes it. Where rows cannot be written, issuing stops: `is_open` turns false until they can be again.
    """

    MAX_WAITING = 10_000
    MAX_FAILURES = 3

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[tokens.IssuedToken] = []
        self._failures = 0

    @property
    def is_open(self) -> bool:
        """Whether a token may be issued: its row can be expected to be written."""
        return self._failures < self.MAX_FAILURES and len(self._waiting) < self.MAX_WAITING

    def add(self, issued: tokens.IssuedToken) -> None:
        """Take the row of a token that is about to be handed out."""
        self._waiting.append(issued)

    async def flush(self) -> None:
        """Write what waits in one transaction, with one audit row over the batch; keeps it where that fails."""
        batch = self._waiting[: self.MAX_WAITING]
        if not batch and self.is_open:
            return
        try:
            await self._store.writing(partial(_write_waiting, batch=batch))
        except StoreUnavailable as error:
            self._failures += 1
            log.error("issue trail cannot be written", extra={"waiting": len(self._waiting), "reason": str(error)})
            return
        except Exception:  # a trail that ended would never be written again
            self._failures += 1
            log.exception("issue trail cannot be written", extra={"waiting": len(self._waiting)})
            return
        self._failures = 0
        del self._waiting[: len(batch)]


async def keep_flushing(flushes: Sequence[Callable[[], Awaitable[None]]], ending: asyncio.Event) -> None:
    """Flush until the event is set, then once more; to cancel it would lose track of a write under way."""
    while not ending.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), FLUSH_SECONDS)
        for flush in flushes:
            await flush()


def revoke_grant(connection: Connection, family: str, *, at: int) -> int:
    """Revoke all tokens that came from one grant; tell how many refresh tokens that were."""
    revoked_refresh_tokens = tokens.revoke_family(connection, family, at)
    if revoked.revoke_family(connection, family, at):
        revision.bump_revoked(connection)
    return revoked_refresh_tokens


def write_batch(connection: Connection, batch: Sequence[tokens.IssuedToken]) -> None:
    """Write rows of the trail, with one audit row over them."""
    if not batch:
        audit.locked_head(connection)  # nothing to write: only whether writing is possible again
        return
    tokens.add_issued_tokens(connection, batch)
    digest = hashlib.sha256("\n".join(issued.jti for issued in batch).encode()).hexdigest()
    record(
        connection,
        at=batch[-1].issued_at,
        actor="certbound",
        action="tokens.issued",
        target=batch[0].jti,
        detail={"count": len(batch), "jti_sha256": digest},
    )


def _write_waiting(connection: Connection, batch: Sequence[tokens.IssuedToken]) -> None:
    """Write rows whose tokens are handed out already: of a grant that was revoked meanwhile, they are revoked too."""
    families = {issued.family for issued in batch if issued.family is not None}
    ended = tokens.revoked_families(connection, families) if families else frozenset()
    late = [issued for issued in batch if issued.family in ended]
    if late:
        at = max(issued.issued_at for issued in late)
        rows = [revoked.RevokedToken(issued.jti, issued.client_id, at, issued.expires_at) for issued in late]
        revoked.add(connection, rows)
        revision.bump_revoked(connection)
    write_batch(connection, batch)
