"""Why was this client refused: kept for a while, under the short reference that the client was told."""

import logging
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from certbound.certificates.certificate import Certificate, CertificateError, parse_certificate
from certbound.oauth.authentication import Decision
from certbound.oauth.credentials import Credentials
from certbound.oauth.registering import MAX_CLIENT_ID
from certbound.store import refusals
from certbound.store.engine import Store, StoreUnavailable
from certbound.store.refusals import Refusal

log = logging.getLogger(__name__)

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
REFERENCE_LENGTH = 10
MAX_TEXT = 1000
"""Characters of one text of a kept refusal."""


class Refusals:
    """The refusals of one worker, kept in batches.

    Anonymous traffic must buy no endless writing: at most `BURST` wait, and `PER_SECOND` of them are written. What is
    above that is in the log only, under its reference.
    """

    BURST = 100
    PER_SECOND = 10

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._waiting: list[Refusal] = []
        self._left, self._renewed_at, self._passed_over = float(self.BURST), clock(), 0

    def keep(self, credentials: Credentials, decision: Decision, address: str | None) -> str:
        """Log a refusal, keep it while there is room, and give its reference."""
        reference = _new_reference()
        checks = [{name: _short(value) for name, value in check.as_json().items()} for check in decision.checks]
        client_id = _plain(credentials.client_id)
        log.warning(
            "client authentication refused",
            extra={
                "reference": reference,
                "client_id": client_id,
                "address": address,
                "error": decision.error,
                "failed": [check for check in checks if not check["passed"]],
            },
        )
        now = self._clock()
        earned = max(0.0, now - self._renewed_at) * self.PER_SECOND  # clocks are set back at times
        self._left, self._renewed_at = min(float(self.BURST), self._left + earned), now
        if self._left < 1 or len(self._waiting) >= self.BURST:
            self._passed_over += 1
            return reference
        self._left -= 1
        facts = certificate_facts(credentials)
        self._waiting.append(Refusal(reference, int(now), client_id, address, decision.error, facts, checks))
        return reference

    async def flush(self) -> None:
        """Write what waits; where that fails it is dropped, as it is in the log."""
        if self._passed_over:
            log.warning("refusals not kept, too many at once", extra={"count": self._passed_over})
            self._passed_over = 0
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            await self._store.writing(partial(refusals.add_refusals, refusals=batch))
        except StoreUnavailable as error:
            log.error("refusals cannot be kept", extra={"count": len(batch), "reason": str(error)})
        except Exception:  # a duty that ended would never run again
            log.exception("refusals cannot be kept", extra={"count": len(batch)})


def certificate_facts(credentials: Credentials) -> dict[str, Any] | None:
    """Give the public facts of the connection's certificate, or why it cannot be read; None without one."""
    if credentials.presented is None:
        return None
    try:
        certificate = parse_certificate(credentials.presented.leaf)
    except CertificateError as error:
        return {"unreadable": _short(str(error))}
    return _facts(certificate)


def parse_reference(text: str) -> str:
    """Read a reference as people say it: case aside, O for 0, I and L for 1, with or without hyphens."""
    return text.upper().translate(str.maketrans("OIL", "011", "- \t\r\n"))


def is_whole(text: str) -> bool:
    """Say whether a kept text is what it was, and not the beginning of a longer one."""
    return len(text) <= MAX_TEXT


def _facts(certificate: Certificate) -> dict[str, Any]:
    return {
        "sha256": certificate.sha256.hex(),
        "public_key_sha256": certificate.spki_sha256.hex(),
        "subject": _short(certificate.subject.text),
        "issuer": _short(certificate.issuer.text),
        "serial_number": f"{certificate.serial_number:x}",
        "not_before": int(certificate.not_before.timestamp()),
        "not_after": int(certificate.not_after.timestamp()),
    }


def _short(value: Any) -> Any:
    if isinstance(value, str) and not is_whole(value):
        return f"{value[:MAX_TEXT]}..."
    return value


def _plain(client_id: str) -> str:
    """Give what somebody calls himself: a registered id whole, as refusals are looked up by it, and no controls."""
    return "".join(c if " " <= c <= "~" else "?" for c in client_id[:MAX_CLIENT_ID])


def _new_reference() -> str:
    number = secrets.randbits(5 * REFERENCE_LENGTH)
    return "".join(_CROCKFORD[number >> (5 * place) & 31] for place in range(REFERENCE_LENGTH))
