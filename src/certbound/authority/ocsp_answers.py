"""What a worker knows of OCSP: answers asked for when a decision needs them, and kept while they hold (RFC 6960)."""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from certbound.authority.outbound import BusyError, Flights, Outbound
from certbound.certificates.certificate import Certificate
from certbound.certificates.ocsp import MAXIMUM_ANSWER, OCSPAnswer, OCSPError, build_request, read_response
from certbound.fetch.document import FetchError

log = logging.getLogger(__name__)

Pair = tuple[bytes, bytes]
"""The `sha256` of a certificate and that of its issuer."""

BRIEF = timedelta(seconds=60)
"""How long an answer is kept that names no nextUpdate, or that does not know the certificate (yet)."""
AFTER_FAILURE = timedelta(seconds=10)
"""How long a responder is not asked again about a certificate, after it gave no answer that can be used."""
MOST_GRACE = timedelta(days=30)
"""How long after its end an answer is kept for trust stores with a grace period, while there is no newer one."""
MAX_ANSWERS = 10_000
NONCE_BYTES = 32


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: OCSPAnswer | str
    until: datetime
    url: str


class OCSPAnswers:
    """One worker's memory of answers, bounded in number; it belongs to one event loop.

    Whether an answer is good enough for a decision is `certificates.revocation`'s matter.
    """

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._kept: OrderedDict[Pair, _Kept] = OrderedDict()
        self._flights: Flights[tuple[Pair, str], OCSPAnswer | str] = Flights()

    def known(self, now: datetime) -> Mapping[Pair, OCSPAnswer | str]:
        """Look at what needs not be asked for at `now` (aware); for the decision at hand, and not to be kept."""
        return _Known(self._kept, now)

    async def gather(
        self, pairs: Sequence[tuple[Certificate, Certificate, str | None]]
    ) -> dict[Pair, OCSPAnswer | str]:
        """Ask about each (certificate, issuer, responder's URL) what is not known, all at one time.

        Only of a path that is trusted, as the URLs may stand in its certificates. A text says in one line why there is
        no answer; an old answer comes back where there is no newer one. Takes at most the time of a fetch
        (`outbound.FETCH_SECONDS`), and never raises.
        """
        answers = await asyncio.gather(*(self._answer(*pair) for pair in pairs))
        return {_key(certificate, issuer): said for (certificate, issuer, _), said in zip(pairs, answers, strict=True)}

    async def _answer(self, certificate: Certificate, issuer: Certificate, url: str | None) -> OCSPAnswer | str:
        if url is None:
            return "neither the certificate nor its trust store names a responder"
        key = _key(certificate, issuer)
        kept = self._kept.get(key)
        if kept is not None and _now() < kept.until and (kept.url == url or isinstance(kept.answer, OCSPAnswer)):
            return kept.answer
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
            return self._without_answer(key, url, error)
        log.info("ocsp_answered", extra={"url": shown, "status": answer.status})
        return self._keep(key, _Kept(answer, _until(answer), url))

    def _without_answer(self, key: Pair, url: str, error: Exception) -> OCSPAnswer | str:
        """Give the old answer, for whoever grants it grace, or the reason why there is none."""
        old = self._kept.get(key)
        answer = old.answer if old is not None and isinstance(old.answer, OCSPAnswer) else None
        if answer is None or answer.ends + MOST_GRACE < _now():
            answer = None
        if isinstance(error, BusyError):
            return answer or str(error)
        return self._keep(key, _Kept(answer or str(error), _now() + AFTER_FAILURE, url))

    def _keep(self, key: Pair, kept: _Kept) -> OCSPAnswer | str:
        self._kept[key] = kept
        self._kept.move_to_end(key)
        if len(self._kept) > MAX_ANSWERS:
            self._kept.popitem(last=False)
        return kept.answer


class _Known(Mapping[Pair, OCSPAnswer | str]):
    """The kept answers as far as they need not be asked for at `now`."""

    def __init__(self, kept: OrderedDict[Pair, _Kept], now: datetime) -> None:
        self._kept = kept
        self._now = now

    def __getitem__(self, key: Pair) -> OCSPAnswer | str:
        kept = self._kept[key]
        if self._now >= kept.until:
            raise KeyError(key)
        self._kept.move_to_end(key)
        return kept.answer

    def __iter__(self) -> Iterator[Pair]:
        return iter([key for key, kept in self._kept.items() if self._now < kept.until])

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _key(certificate: Certificate, issuer: Certificate) -> Pair:
    return certificate.sha256, issuer.sha256


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
