"""The second factor: one-time passwords that go by the time (RFC 6238), from any authenticator application."""

import hashlib
import hmac
import logging
import secrets
from base64 import b32encode
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

from certbound.authority.people import existing
from certbound.authority.records import record
from certbound.jose.sealing import SealError, seal, unseal
from certbound.store import people as stored_people
from certbound.store.engine import Connection
from certbound.store.people import Person

log = logging.getLogger(__name__)

STEP_SECONDS = 30
DIGITS = 6
WINDOW = 1
"""Steps before and after the current one that are taken too: clocks differ, people type slowly (section 5.2)."""
_SECRET_LENGTH = 20
"""Bytes: what RFC 4226 section 4 recommends, with SHA-1, which every application knows; its collisions do not matter in
HMAC."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a person gives an authenticator application, shown this once."""

    secret: str = field(repr=False)
    """In base32."""
    uri: str = field(repr=False)
    """`otpauth://totp/...`, for a QR code."""


def enrol(connection: Connection, *, username: str, issuer: str, master_key: bytes, actor: str, now: int) -> Enrolment:
    """Give a person a new second factor in the place of the one before. Raises PersonError for somebody unknown."""
    found = existing(connection, username)
    secret = secrets.token_bytes(_SECRET_LENGTH)
    stored_people.set_totp(connection, username, seal(secret, master_key, _context(found)))
    record(connection, at=now, actor=actor, action="user.second_factor_set", target=found.sub)
    text = b32encode(secret).decode()
    return Enrolment(text, _uri(username, issuer, text))


def remove(connection: Connection, *, username: str, actor: str, now: int) -> bool:
    """Take a person's second factor away; False if there was none. Raises PersonError for somebody unknown."""
    found = existing(connection, username)
    if found.sealed_totp is None:
        return False
    stored_people.set_totp(connection, username, None)
    record(connection, at=now, actor=actor, action="user.second_factor_removed", target=found.sub)
    return True


def use(connection: Connection, person: Person, code: str, *, master_key: bytes, now: int) -> bool:
    """Check a one-time password and use it up, with all before it; each is good once (section 5.2)."""
    if person.sealed_totp is None:
        return False
    try:
        secret = unseal(person.sealed_totp, master_key, _context(person))
    except SealError as error:
        log.error("second factor cannot be opened", extra={"sub": person.sub, "reason": str(error)})
        return False
    step = _matching_step(secret, code.replace(" ", ""), now // STEP_SECONDS)
    return step is not None and stored_people.use_totp_step(connection, person.username, step)


def one_time_password(secret: bytes, step: int) -> str:
    """Give the one-time password of a step (RFC 4226 section 5.3)."""
    mac = hmac.digest(secret, step.to_bytes(8), hashlib.sha1)
    offset = mac[-1] & 0xF
    number = int.from_bytes(mac[offset : offset + 4]) & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def _matching_step(secret: bytes, code: str, current: int) -> int | None:
    """Find the newest step of the window that the code belongs to; all are compared, whichever it is."""
    matching = None
    for step in range(current - WINDOW, current + WINDOW + 1):
        if hmac.compare_digest(one_time_password(secret, step).encode(), code.encode()):
            matching = step
    return matching


def _context(person: Person) -> str:
    return f"second factor of {person.sub}"


def _uri(username: str, issuer: str, secret: str) -> str:
    host = urlsplit(issuer).hostname or ""  # a label has one colon only
    label = f"{quote(host, safe='')}:{quote(username, safe='')}"
    members = {"secret": secret, "issuer": host, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_SECONDS}
    return f"otpauth://totp/{label}?{urlencode(members, quote_via=quote, safe='')}"
