"""Whether a path's certificates are revoked: CRLs and OCSP answers weighed by a trust store's policy.

The caller gathers what is `missing` and asks again; nothing is fetched from here (RFC 5280 section 6.3, RFC 6960).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final, Literal

from certbound.certificates.certificate import Certificate
from certbound.certificates.check import Check
from certbound.certificates.crl import CRL
from certbound.certificates.ocsp import LEEWAY, NO_REASON, OCSPAnswer
from certbound.certificates.revoked import REMOVE_FROM_CRL, Revoked

ACCEPTED_UNKNOWING: Final = timedelta(seconds=60)
"""How long a decision holds that was made without knowing, or by an OCSP answer in its grace."""
_REFERENCE: Final = "RFC 5280 section 6.3"


OnUnavailable = Literal["refuse", "accept"]


class Revocation(StrEnum):
    """What a trust store asks; `crl+ocsp` is content with either."""

    OFF = "off"
    CRL = "crl"
    OCSP = "ocsp"
    CRL_OCSP = "crl+ocsp"


@dataclass(frozen=True, slots=True)
class RevocationPolicy:
    """How a trust store asks: `grace_seconds` is how long after nextUpdate a CRL or answer still counts."""

    mode: Revocation = Revocation.OFF
    on_unavailable: OnUnavailable = "refuse"
    grace_seconds: int = 0


OCSPAnswers = Mapping[tuple[bytes, bytes], OCSPAnswer | str]
"""By `sha256` of the certificate and of its issuer; a text says in one line why there is no answer."""


@dataclass(frozen=True, slots=True)
class RevocationDecision:
    """One check for each certificate but the anchor, leaf first; none where the policy is off."""

    checks: tuple[Check, ...] = ()
    missing: tuple[tuple[Certificate, Certificate], ...] = ()
    """Certificates with their issuers whose OCSP answer would help: gather them and decide again."""
    good_until: datetime | None = None
    """Until when the same path needs no new decision (aware); None where nothing ends, or a check failed."""


@dataclass(frozen=True, slots=True)
class _Good:
    found: str
    until: datetime


@dataclass(frozen=True, slots=True)
class _Refused:
    found: str


@dataclass(frozen=True, slots=True)
class _Unavailable:
    found: str
    is_missing: bool = False


_Verdict = _Good | _Refused | _Unavailable


def check_path(
    path: Sequence[Certificate], policy: RevocationPolicy, crls: Sequence[CRL], answers: OCSPAnswers, now: datetime
) -> RevocationDecision:
    """Decide about every certificate of a validated path, leaf first, except the anchor at its end; `now` is aware.

    Revoked by either source refuses, and so does OCSP's `unknown`. Where nothing in force speaks of a certificate, the
    policy's `on_unavailable` decides and the check says what was missing.
    """
    if policy.mode is Revocation.OFF:
        return RevocationDecision()
    if len(path) < 2:  # noqa: PLR2004 - a leaf and an anchor
        return RevocationDecision((_check("no path to a trust anchor", passed=False),))
    grace, checks, missing, ends = timedelta(seconds=policy.grace_seconds), [], [], list[datetime]()
    for certificate, issuer in pairwise(path):
        verdicts = list[_Verdict]()
        if policy.mode is not Revocation.OCSP:
            verdicts.append(_judge_by_crl(certificate, issuer, crls, grace, now))
        if policy.mode is not Revocation.CRL:
            verdicts.append(_judge_by_ocsp(answers.get((certificate.sha256, issuer.sha256)), grace, now))
        verdict = _judge(verdicts)
        name = certificate.subject.text[:200] or f"serial number {certificate.serial_number:x}"
        found, passed = f"{name}: {verdict.found}", isinstance(verdict, _Good)
        if isinstance(verdict, _Good):
            ends.append(verdict.until)
        elif isinstance(verdict, _Unavailable):
            missing += [(certificate, issuer)] if verdict.is_missing else []
            if passed := policy.on_unavailable == "accept":
                found += "; accepted, as the trust store's on_unavailable says"
                ends.append(now + ACCEPTED_UNKNOWING)
        checks.append(_check(found, passed=passed))
    good = all(check.passed for check in checks)
    return RevocationDecision(tuple(checks), tuple(missing), min(ends) if good else None)


def _check(found: str, *, passed: bool) -> Check:
    return Check("revocation", passed, "not revoked, by a CRL or an OCSP answer in force", found, _REFERENCE)


def _judge(verdicts: Sequence[_Verdict]) -> _Verdict:
    """Weigh what the sources say: a refusal before a clearance, and either before knowing nothing."""
    for kind in (_Refused, _Good):
        for verdict in verdicts:
            if isinstance(verdict, kind):
                return verdict
    is_missing = any(isinstance(verdict, _Unavailable) and verdict.is_missing for verdict in verdicts)
    return _Unavailable("; ".join(verdict.found for verdict in verdicts), is_missing)


def _judge_by_ocsp(answer: OCSPAnswer | str | None, grace: timedelta, now: datetime) -> _Verdict:
    if answer is None:
        return _Unavailable("no OCSP answer yet", is_missing=True)
    if isinstance(answer, str):
        return _Unavailable(f"no OCSP answer: {answer}")
    if answer.this_update > now + LEEWAY:
        return _Unavailable(f"the OCSP answer begins at {_text(answer.this_update)}", is_missing=True)
    if answer.status == "revoked":  # also after its end: nobody gains by keeping the next answer away
        at = _text(answer.revoked_at) if answer.revoked_at else "an unknown time"
        return _Refused(f"revoked at {at}: {answer.reason or NO_REASON}, says OCSP")
    if answer.ends + grace < now:
        return _Unavailable(f"the OCSP answer ended at {_text(answer.ends)}", is_missing=True)
    if answer.status == "unknown":
        return _Refused("unknown to its issuer's OCSP responder")
    # In its grace an answer is no reason not to ask for a newer one soon.
    until = answer.ends if now < answer.ends else min(answer.ends + grace, now + ACCEPTED_UNKNOWING)
    return _Good(f"not revoked, says OCSP of {_text(answer.this_update)}", until)


def _judge_by_crl(
    certificate: Certificate, issuer: Certificate, crls: Sequence[CRL], grace: timedelta, now: datetime
) -> _Verdict:
    """Look the serial number up in the newest CRLs (RFC 5280 section 6.3.3).

    Only CRLs in force clear a certificate; the newest one that lists it refuses it also after its nextUpdate, so that
    nobody gains by keeping the next CRL away.
    """
    fitting = _fitting(certificate, issuer, crls)
    if isinstance(fitting, str):
        return _Unavailable(fitting)
    begun = [crl for crl in fitting if crl.this_update <= now + LEEWAY]
    in_force = [crl for crl in begun if now <= crl.next_update + grace]
    used = _newest(in_force)
    for asked in (used,) if len(in_force) == len(begun) else (_newest(begun), used):
        listed = next(((crl, entry) for crl in asked if (entry := crl.find(certificate.serial_number))), None)
        if listed and listed[1].reason != REMOVE_FROM_CRL:
            return _Refused(_revoked(*listed))
    if not used:
        return _Unavailable(_why_none_is_in_force(fitting, now))
    until = min(crl.next_update for crl in used) + grace
    return _Good(f"not on the {_name(used[0])} of {_text(used[0].this_update)}", until)


def _newest(crls: Sequence[CRL]) -> list[CRL]:
    """Give the newest complete CRL, after its newest delta if there is one; nothing without a complete one."""
    bases = [crl for crl in crls if crl.delta_base is None]
    if not bases:
        return []
    base = max(bases, key=lambda crl: crl.this_update)
    deltas = [crl for crl in crls if _is_delta_to(crl, base)]
    return [*([max(deltas, key=lambda crl: crl.number or 0)] if deltas else []), base]


def _fitting(certificate: Certificate, issuer: Certificate, crls: Sequence[CRL]) -> list[CRL] | str:
    """Give the CRLs that speak of the certificate, or why there is none.

    The issuer's very key must have signed, not another one of the same CA's: many a CA that took a new key goes on to
    publish one list for each, and what is revoked is on one of them only.
    """
    name = certificate.issuer.text or "(no name)"
    named = [crl for crl in crls if crl.issuer == certificate.issuer]
    if not named:
        return f"no CRL of {name}"
    signed = [crl for crl in named if issuer.spki_sha256 in crl.signers]
    if not signed:
        return f"no CRL of {name} that is signed with the key of the issuer in the path"
    fitting = [crl for crl in signed if crl.covers(certificate)]
    if not fitting:
        kind = "CA" if certificate.is_ca else "user"
        return f"no CRL of {name} for its distribution point and for {kind} certificates"
    return fitting


def _is_delta_to(delta: CRL, base: CRL) -> bool:
    """Whether the two make a complete CRL together (RFC 5280 section 5.2.4)."""
    return (
        delta.delta_base is not None
        and base.number is not None
        and delta.number is not None
        and delta.delta_base <= base.number < delta.number
        and delta.signers == base.signers
        and (delta.scope, delta.distribution_point) == (base.scope, base.distribution_point)
    )


def _why_none_is_in_force(fitting: Sequence[CRL], now: datetime) -> str:
    bases = [crl for crl in fitting if crl.delta_base is None]
    if not bases:
        return f"only a {_name(fitting[0])}, without the complete one it changes"
    newest = max(bases, key=lambda crl: crl.next_update)
    if newest.this_update > now + LEEWAY:
        return f"the {_name(newest)} begins at {_text(newest.this_update)}"
    return f"the {_name(newest)} ended at {_text(newest.next_update)}"


def _revoked(crl: CRL, entry: Revoked) -> str:
    return f"revoked at {_text(entry.at)}: {entry.reason}, says the {_name(crl)}"


def _name(crl: CRL) -> str:
    return f"{'delta CRL' if crl.delta_base is not None else 'CRL'} of {crl.issuer.text or '(no name)'}"


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
