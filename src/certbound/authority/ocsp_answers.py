"""What a worker knows of OCSP: answers asked for when a decision needs them, and kept while they hold (RFC 6960)."""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from certbound.authority.outbound import BusyError, Flights, Outbound
from certbound.certificates.certificate import Certificate
from certbound.certificates.ocsp import MAXIMUM_ANSWER, OCSPAnswer, OCSPError, build_request, read_response
from certbound.fetch.document import FetchError

log = logging.getLogger(__name__)

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

Pair = tuple[bytes, bytes]
"""The `sha256` of a certificate and that of its issuer."""

BRIEF = timedelta(seconds=60)
"""How long an answer is kept that names no nextUpdate, or that does not know the certificate (yet)."""
AFTER_FAILURE = timedelta(seconds=10)
"""How long a responder is not asked again about a certificate, after it gave no answer that can be used."""
MOST_GRACE = timedelta(days=30)
"""How long after its end an answer is kept for trust stores with a grace period, while there is no newer one."""
MAX_ANSWERS = 10_000
"""Answers kept at one time, and as many failures."""
NONCE_BYTES = 32


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    what: T
    until: datetime
    """When it is asked for anew."""


class OCSPAnswers:
    """One worker's memory of answers, bounded in number; it belongs to one event loop.

    Whether an answer is good enough for a decision is `certificates.revocation`'s matter.
    """

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._kept: OrderedDict[Pair, _Kept[OCSPAnswer]] = OrderedDict()
        self._failures: OrderedDict[tuple[Pair, str], _Kept[str]] = OrderedDict()
        self._flights: Flights[tuple[Pair, str], OCSPAnswer | str] = Flights()

    def known(self, now: datetime) -> Mapping[Pair, OCSPAnswer]:
        """Look at what needs not be asked for at `now` (aware); for the decision at hand, and not to be kept."""
        return _Known(self._kept, now)

    async def gather(
        self, pairs: Sequence[tuple[Certificate, Certificate, str | None]]
    ) -> dict[Pair, OCSPAnswer | str]:
        """Ask about each (certificate, issuer, responder's URL) what is not known, all at one time.

        Only of a path that is trusted, as the URLs may stand in its certificates. A text says in one line why there is
        no answer; an old answer comes back where there is no newer one. Where several responders are asked about one
        certificate, the newest answer counts. Takes at most the time of a fetch (`outbound.FETCH_SECONDS`), and never
        raises.
        """
        gathered = dict[Pair, OCSPAnswer | str]()
        answers = await asyncio.gather(*(self._answer(*pair) for pair in pairs))
        for (certificate, issuer, _), said in zip(pairs, answers, strict=True):
            key = _key(certificate, issuer)
            gathered[key] = _newer(gathered.get(key), said)
        return gathered

    async def _answer(self, certificate: Certificate, issuer: Certificate, url: str | None) -> OCSPAnswer | str:
        if url is None:
            return "neither the certificate nor its trust store names a responder"
        key = _key(certificate, issuer)
        kept, failure = self._kept.get(key), self._failures.get((key, url))
        if kept is not None and _now() < kept.until:
            return kept.what
        if failure is not None and _now() < failure.until:
            return self._old(key) or failure.what
        return await self._flights.join((key, url), lambda: self._ask(certificate, issuer, url))

    async def _ask(self, certificate: Certificate, issuer: Certificate, url: str) -> OCSPAnswer | str:
        key, shown = _key(certificate, issuer), url.partition("?")[0]
        nonce = secrets.token_bytes(NONCE_BYTES)
        try:
            answer = await self._outbound.bring(
                url,
                lambda fetched: read_response(
                    fetched.body, certificate, issuer, nonce=nonce, now=_now(), grace=MOST_GRACE
                ),
                body=build_request(certificate, issuer, nonce=nonce),
                content_type="application/ocsp-request",
                accept="application/ocsp-response",
                max_bytes=MAXIMUM_ANSWER,
                signed_content=True,
            )
        except (FetchError, OCSPError, ValueError) as error:
            log.warning("ocsp_not_answered", extra={"url": shown, "reason": str(error)})
            if not isinstance(error, BusyError):
                _put(self._failures, (key, url), _Kept(str(error), _now() + AFTER_FAILURE))
            return self._old(key) or str(error)
        log.info("ocsp_answered", extra={"url": shown, "status": answer.status})
        kept = self._kept.get(key)
        if kept is not None and kept.what.this_update > answer.this_update:
            answer = kept.what  # an older one, replayed or of a responder that lags behind, takes nothing back
        _put(self._kept, key, _Kept(answer, _until(answer)))
        return answer

    def _old(self, key: Pair) -> OCSPAnswer | None:
        """Give the last answer, for whoever grants it grace."""
        kept = self._kept.get(key)
        return kept.what if kept is not None and _now() <= kept.what.ends + MOST_GRACE else None


class _Known(Mapping[Pair, OCSPAnswer]):
    """The kept answers as far as they need not be asked for at `now`."""

    def __init__(self, kept: OrderedDict[Pair, _Kept[OCSPAnswer]], now: datetime) -> None:
        self._kept = kept
        self._now = now

    def __getitem__(self, key: Pair) -> OCSPAnswer:
        kept = self._kept[key]
        if self._now >= kept.until:
            raise KeyError(key)
        self._kept.move_to_end(key)
        return kept.what

    def __iter__(self) -> Iterator[Pair]:
        return iter([key for key, kept in self._kept.items() if self._now < kept.until])

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _key(certificate: Certificate, issuer: Certificate) -> Pair:
    return certificate.sha256, issuer.sha256


def _newer(one: OCSPAnswer | str | None, other: OCSPAnswer | str) -> OCSPAnswer | str:
    """Choose between what two responders say of one certificate."""
    if isinstance(one, OCSPAnswer) and isinstance(other, OCSPAnswer):
        return max(one, other, key=lambda answer: answer.this_update)
    return one if isinstance(one, OCSPAnswer) else other


def _put(entries: "OrderedDict[K, V]", key: K, value: V) -> None:
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > MAX_ANSWERS:
        entries.popitem(last=False)


def _until(answer: OCSPAnswer) -> datetime:
    """Say until when an answer just read is not asked for again."""
    now = _now()
    if answer.ends <= now:
        return now + AFTER_FAILURE
    if answer.next_update is None or answer.status == "unknown":
        return min(now + BRIEF, answer.ends)
    return answer.ends


def _now() -> datetime:
    return datetime.now(UTC)
