"""A stolen key, first minute: which certificates and keys are refused everywhere, and what they obtained."""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from certbound.authority.records import record
from certbound.oauth.blocking import MAXIMUM_ENTRIES, Blocked
from certbound.store import blocks as stored_blocks
from certbound.store import revision, revoked
from certbound.store import tokens as stored_tokens
from certbound.store.blocks import Block
from certbound.store.blocks import BlockKind as Kind
from certbound.store.engine import Connection
from certbound.store.tokens import IssuedToken, RefreshToken

log = logging.getLogger(__name__)

MAX_OBTAINED = 1000
"""How many tokens of each kind are listed for a block, the newest first."""
MAX_UNBOUND = 10_000
"""How many living tokens without binding a block denies one by one, those that expire last; more are only logged."""
MAX_REVOKED = 50_000
"""How many revoked tokens APIs are told of, a share of each client's; introspection knows all."""
MAX_REASON = 1000
"""Characters of a reason."""
UNSETTLED_SECONDS = 10
"""How long after a block the tokens that were under way when it came may still be turning up in the trail."""


class BlockError(ValueError):
    """The block cannot be made or lifted; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Obtained:
    """What a blocked certificate or key obtained, when, from where; and how many refresh tokens the block revoked."""

    access_tokens: tuple[IssuedToken, ...]
    refresh_tokens: tuple[RefreshToken, ...]


@dataclass(frozen=True, slots=True)
class Blocking:
    """A block just made."""

    block: Block
    revoked: int
    obtained: Obtained


def block(connection: Connection, kind: Kind, sha256: str, *, reason: str, actor: str, now: int) -> Blocking:
    """Refuse a certificate, or every certificate of a key, for every client and method, and revoke what it obtained.

    `sha256` is lower-case hex: of the certificate's DER, or of the key's SubjectPublicKeyInfo. Of the `reason` as much
    is kept as can be. Raises BlockError.
    """
    revision.bump(connection)
    if (there := stored_blocks.find_in_force(connection, kind, sha256)) is not None:
        raise BlockError(f"it is blocked already, by {there.id}: see `certbound block list`")
    made = Block(_new_id(), kind, sha256, _plain(reason), actor, now)
    stored_blocks.add(connection, made)
    count = stored_tokens.revoke_obtained_with(connection, **_of(made), at=now)
    found = obtained(connection, made)
    detail = {"kind": kind, "sha256": sha256, "reason": made.reason, "refresh_tokens_revoked": count}
    record(connection, at=now, actor=actor, action="block.made", target=made.id, detail=detail)
    return Blocking(made, count, found)


def lift(connection: Connection, block_id: str, *, actor: str, now: int) -> Block:
    """Lift a block; refresh tokens it revoked stay revoked. Raises BlockError."""
    revision.bump(connection)
    lifted = existing(connection, block_id)
    # A token that was being recorded while the block was made may have escaped: it must not come to life now.
    stored_tokens.revoke_obtained_with(connection, **_of(lifted), at=now)
    if not stored_blocks.lift(connection, block_id, now, actor):
        raise BlockError(f"block {block_id} was lifted before")
    detail = {"kind": lifted.kind, "sha256": lifted.sha256}
    record(connection, at=now, actor=actor, action="block.lifted", target=block_id, detail=detail)
    return lifted


def existing(connection: Connection, block_id: str) -> Block:
    """Load a block, in force or lifted. Raises BlockError."""
    found = stored_blocks.load(connection, block_id)
    if found is None:
        raise BlockError(f"there is no block {block_id!r}: see `certbound block list`")
    return found


def obtained(connection: Connection, of: Block) -> Obtained:
    """List what the blocked certificate or key obtained, as far as the trail is kept."""
    return Obtained(
        stored_tokens.issued_with(connection, **_of(of), limit=MAX_OBTAINED),
        stored_tokens.refresh_tokens_with(connection, **_of(of), limit=MAX_OBTAINED),
    )


def obtained_by_blocked(connection: Connection, token: RefreshToken | IssuedToken) -> bool:
    """Say whether the certificate that obtained a token is blocked, or its key."""
    shown: tuple[tuple[Kind, str | None], ...] = (
        ("certificate", token.certificate_sha256),
        ("public_key", token.spki_sha256),
    )
    return any(
        sha256 is not None and stored_blocks.find_in_force(connection, kind, sha256) is not None
        for kind, sha256 in shown
    )


def load_blocked(connection: Connection, now: int) -> tuple[Blocked, bool]:
    """Load what is blocked now, and say whether that is settled: no token can still be missing from it."""
    in_force = stored_blocks.in_force(connection)
    unbound = _living_unbound(connection, in_force, now)
    room = min(MAX_REVOKED, max(0, MAXIMUM_ENTRIES - len(in_force) - len(unbound)))
    blocked = Blocked(
        certificates=frozenset(bytes.fromhex(one.sha256) for one in in_force if one.kind == "certificate"),
        keys=frozenset(bytes.fromhex(one.sha256) for one in in_force if one.kind == "public_key"),
        tokens=unbound | frozenset(revoked.living(connection, now, limit=room)),
    )
    return blocked, all(one.created_at + UNSETTLED_SECONDS < now for one in in_force)


def _living_unbound(connection: Connection, in_force: Sequence[Block], now: int) -> frozenset[str]:
    """Name the tokens that no certificate check would stop: they are bound to nothing.

    No more in all than a list has room for: one that no API reads would be worse than one that lacks some.
    """
    found: set[str] = set()
    for one in reversed(in_force):
        most = min(MAX_UNBOUND, max(0, MAXIMUM_ENTRIES - len(in_force) - len(found)))
        living = stored_tokens.living_unbound_with(connection, **_of(one), now=now, limit=most + 1)
        if len(living) > most:
            log.error("tokens without binding stay good until they expire, too many to deny", extra={"block": one.id})
        found.update(living[:most])
    return frozenset(found)


def _of(one: Block) -> dict[str, str]:
    return {"certificate_sha256" if one.kind == "certificate" else "spki_sha256": one.sha256}


def _plain(reason: str) -> str:
    """Give a reason that any database and terminal bears: a block must not fail for how it is explained."""
    words = " ".join(reason[:MAX_REASON].split())
    return "".join(c if c.isprintable() else "?" for c in words)


def _new_id() -> str:
    return secrets.token_hex(6)
