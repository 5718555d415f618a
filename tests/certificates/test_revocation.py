from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certbound.certificates.certificate import Certificate
from certbound.certificates.check import Check
from certbound.certificates.crl import CRL, read_crl
from certbound.certificates.ocsp import OCSPAnswer, build_request, read_response
from certbound.certificates.revocation import (
    OCSPAnswers,
    Revocation,
    RevocationDecision,
    RevocationPolicy,
    check_path,
)

from .openssl_ca import DAY, NOW, OpenSSLCA

_BY_CRL = RevocationPolicy(Revocation.CRL)
_BY_OCSP = RevocationPolicy(Revocation.OCSP)
_BY_EITHER = RevocationPolicy(Revocation.CRL_OCSP)
_HOUR = timedelta(hours=1)
_DELTA = "[delta{base}]\n2.5.29.27 = critical,ASN1:INTEGER:{base}\n"


@dataclass(frozen=True)
class House:
    """Root -> Sub -> leaf."""

    root: OpenSSLCA
    sub: OpenSSLCA
    leaf: Certificate

    @property
    def path(self) -> tuple[Certificate, ...]:
        return self.leaf, self.sub.certificate, self.root.certificate

    @property
    def pairs(self) -> tuple[tuple[Certificate, Certificate], ...]:
        return (self.path[0], self.path[1]), (self.path[1], self.path[2])

    def read(self, *crls: bytes) -> list[CRL]:
        return [read_crl(crl, [self.root.certificate, self.sub.certificate]) for crl in crls]

    def crls(self) -> list[CRL]:
        return self.read(self.sub.crl(), self.root.crl())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("house")
    root = OpenSSLCA(folder / "root", "Root")
    sub = OpenSSLCA(folder / "sub", "Sub", issuer=root)
    return House(root, sub, sub.issue("leaf"))


@pytest.fixture
def house(built: House, tmp_path: Path) -> House:
    return House(built.root.copy(tmp_path / "root"), built.sub.copy(tmp_path / "sub"), built.leaf)


def _by_crl(
    house: House, crls: list[CRL], policy: RevocationPolicy = _BY_CRL, now: datetime = NOW
) -> RevocationDecision:
    return check_path(house.path, policy, crls, {}, now)


def _keyed(house: House, *answers: OCSPAnswer | str) -> OCSPAnswers:
    return {
        (certificate.sha256, issuer.sha256): answer
        for (certificate, issuer), answer in zip(house.pairs, answers, strict=False)
    }


def _passed(decision: RevocationDecision) -> list[bool]:
    return [check.passed for check in decision.checks]


def _good(*, ends: datetime = NOW + _HOUR) -> OCSPAnswer:
    return OCSPAnswer("good", NOW - _HOUR, ends)


# --- the policy


def test_off_asks_nothing(house: House) -> None:
    assert check_path(house.path, RevocationPolicy(), [], {}, NOW) == RevocationDecision((), (), None)


@pytest.mark.parametrize("policy", [_BY_CRL, _BY_OCSP, replace(_BY_CRL, on_unavailable="accept")])
def test_a_path_without_an_anchor_is_refused(house: House, policy: RevocationPolicy) -> None:
    for path in ((), house.path[:1]):
        decision = check_path(path, policy, [], {}, NOW)
        assert _passed(decision) == [False]
        assert decision.good_until is None


# --- CRLs: the whole path (threats 28)


def test_every_certificate_but_the_anchor_is_looked_up(house: House) -> None:
    sub, root = house.sub.crl(ends=NOW + 2 * DAY), house.root.crl(ends=NOW + DAY)
    decision = _by_crl(house, house.read(sub, root))
    assert decision == RevocationDecision(
        (
            Check(
                "revocation",
                True,
                "not revoked, by a CRL or an OCSP answer in force",
                f"CN=leaf: not on the CRL of CN=Sub of {(NOW - _HOUR).isoformat()}",
                "RFC 5280 section 6.3",
            ),
            Check(
                "revocation",
                True,
                "not revoked, by a CRL or an OCSP answer in force",
                f"CN=Sub: not on the CRL of CN=Root of {(NOW - _HOUR).isoformat()}",
                "RFC 5280 section 6.3",
            ),
        ),
        (),
        NOW + DAY,
    )


@pytest.mark.threat("28")
def test_a_revoked_leaf_is_refused_with_time_and_reason_whatever_the_policy(house: House) -> None:
    house.sub.revoke("leaf", "keyCompromise")
    crls = house.crls()
    entry = crls[0].find(house.leaf.serial_number)
    assert entry
    for policy in (_BY_CRL, replace(_BY_CRL, on_unavailable="accept"), replace(_BY_CRL, grace_seconds=9), _BY_EITHER):
        decision = _by_crl(house, crls, policy)
        assert _passed(decision) == [False, True]
        expected = f"CN=leaf: revoked at {entry.at.isoformat()}: keyCompromise, says the CRL of CN=Sub"
        assert decision.checks[0].found == expected
        assert decision.good_until is None


@pytest.mark.threat("28")
def test_a_revoked_intermediate_is_refused_though_the_leaf_is_not_listed(house: House) -> None:
    (house.root.folder / "Sub.pem").write_bytes((house.sub.folder / "ca.pem").read_bytes())
    house.root.revoke("Sub", "CACompromise")
    decision = _by_crl(house, house.crls())
    assert _passed(decision) == [True, False]
    assert "CN=Sub: revoked at " in decision.checks[1].found
    assert "cACompromise" in decision.checks[1].found


def test_a_certificate_on_hold_is_refused(house: House) -> None:
    house.sub.revoke("leaf", "certificateHold")
    assert "certificateHold" in _by_crl(house, house.crls()).checks[0].found


# --- CRLs that are not there (threats R9)


@pytest.mark.threat("28")
def test_a_missing_crl_refuses_and_is_named(house: House) -> None:
    only_sub, only_root = house.read(house.sub.crl()), house.read(house.root.crl())
    assert _by_crl(house, only_root).checks[0].found == "CN=leaf: no CRL of CN=Sub"
    assert _by_crl(house, only_sub).checks[1].found == "CN=Sub: no CRL of CN=Root"
    assert (_passed(_by_crl(house, only_root)), _passed(_by_crl(house, only_sub))) == ([False, True], [True, False])
    assert _passed(_by_crl(house, [])) == [False, False]


def test_accepting_without_knowing_says_so_and_holds_a_minute(house: House) -> None:
    policy = replace(_BY_CRL, on_unavailable="accept")
    decision = _by_crl(house, house.read(house.sub.crl()), policy)
    assert _passed(decision) == [True, True]
    assert decision.checks[1].found == "CN=Sub: no CRL of CN=Root; accepted, as the trust store's on_unavailable says"
    assert decision.good_until == NOW + timedelta(seconds=60)


@pytest.mark.threat("28")
def test_a_stale_crl_refuses_beyond_grace(house: House) -> None:
    ends = NOW + _HOUR
    crls = house.read(house.sub.crl(ends=ends), house.root.crl(ends=NOW + DAY))
    second, graced = timedelta(seconds=1), replace(_BY_CRL, grace_seconds=600)
    assert _passed(_by_crl(house, crls, now=ends)) == [True, True]
    late = _by_crl(house, crls, now=ends + second)
    assert _passed(late) == [False, True]
    assert late.checks[0].found == f"CN=leaf: the CRL of CN=Sub ended at {ends.isoformat()}"
    in_grace = _by_crl(house, crls, graced, ends + timedelta(seconds=600))
    assert (_passed(in_grace), in_grace.good_until) == ([True, True], ends + timedelta(seconds=600))
    assert _passed(_by_crl(house, crls, graced, ends + timedelta(seconds=601))) == [False, True]


def test_a_certificate_that_a_stale_crl_lists_stays_refused_until_a_newer_one_does_not(house: House) -> None:
    """Keeping the next CRL away buys nothing, even where not knowing is accepted."""
    root = house.root.crl()
    before = house.sub.crl(begins=NOW - 3 * _HOUR)
    house.sub.revoke("leaf", "certificateHold")
    stale = house.sub.crl(begins=NOW - 2 * _HOUR, ends=NOW - timedelta(minutes=1))
    accepting = replace(_BY_CRL, on_unavailable="accept")
    for pems in ((stale,), (stale, before), (before, stale)):
        decision = _by_crl(house, house.read(*pems, root), accepting)
        assert _passed(decision) == [False, True]
        assert "certificateHold, says the CRL of CN=Sub" in decision.checks[0].found
    (house.sub.folder / "index.txt").write_text("")
    assert _passed(_by_crl(house, house.read(stale, house.sub.crl(begins=NOW - _HOUR), root))) == [True, True]


def test_a_crl_of_the_future_is_not_in_force_but_for_a_clock_five_minutes_ahead(house: House) -> None:
    begins = NOW + timedelta(minutes=5)
    crls = house.read(house.sub.crl(begins=begins), house.root.crl())
    assert _passed(_by_crl(house, crls)) == [True, True]
    early = _by_crl(house, crls, now=NOW - timedelta(seconds=1))
    assert _passed(early) == [False, True]
    assert early.checks[0].found == f"CN=leaf: the CRL of CN=Sub begins at {begins.isoformat()}"


def test_a_crl_of_a_namesake_of_the_issuer_is_not_the_issuers(house: House, tmp_path: Path) -> None:
    namesake = OpenSSLCA(tmp_path / "namesake", "Sub")
    foreign = read_crl(namesake.crl(), [namesake.certificate, house.sub.certificate])
    decision = _by_crl(house, [foreign, *house.read(house.root.crl())])
    assert _passed(decision) == [False, True]
    assert decision.checks[0].found == "CN=leaf: no CRL of CN=Sub that is signed with the key of the issuer in the path"
    assert _passed(_by_crl(house, [foreign, *house.crls()])) == [True, True]


def test_the_list_of_another_key_of_the_same_ca_clears_nothing(house: House, tmp_path: Path) -> None:
    """Sub takes a new key, which the old one certifies, and publishes one CRL for each key."""
    renewed = OpenSSLCA(tmp_path / "renewed", "Sub", issuer=house.sub)
    leaf = renewed.issue("young")
    path = (leaf, renewed.certificate, *house.path[1:])
    renewed.revoke("young")
    certificates = [each.certificate for each in (renewed, house.sub, house.root)]
    own, old, root = (read_crl(ca.crl(), certificates) for ca in (renewed, house.sub, house.root))
    assert _passed(check_path(path, _BY_CRL, [old, root], {}, NOW)) == [False, True, True]
    newer = replace(old, this_update=NOW)
    for crls in ([own, newer, root], [newer, own, root]):
        decision = check_path(path, _BY_CRL, crls, {}, NOW)
        assert _passed(decision) == [False, True, True]
        assert "keyCompromise" in decision.checks[0].found


# --- scope and distribution points


def test_a_crl_counts_only_for_those_it_speaks_of(house: House) -> None:
    users = "[users]\nissuingDistributionPoint = critical,@p\n[p]\nonlyuser = TRUE\n"
    cas = "[cas]\nissuingDistributionPoint = critical,@p\n[p]\nonlyCA = TRUE\n"
    house.sub.configure(users)
    house.root.configure(cas)
    right = house.read(house.sub.crl(extensions="users"), house.root.crl(extensions="cas"))
    assert _passed(_by_crl(house, right)) == [True, True]
    wrong = [replace(right[0], scope="cas"), replace(right[1], scope="users")]
    assert [check.found for check in _by_crl(house, wrong).checks] == [
        "CN=leaf: no CRL of CN=Sub for its distribution point and for user certificates",
        "CN=Sub: no CRL of CN=Root for its distribution point and for CA certificates",
    ]


def test_a_crl_of_another_distribution_point_does_not_count(house: House) -> None:
    house.sub.configure(
        "[one]\nissuingDistributionPoint = critical,@p1\n[p1]\nfullname = URI:http://pki/1.crl\n"
        "[two]\nissuingDistributionPoint = critical,@p2\n[p2]\nfullname = URI:http://pki/2.crl\n"
        "[at_two]\nbasicConstraints = CA:FALSE\ncrlDistributionPoints = URI:http://pki/2.crl\n"
    )
    leaf = house.sub.issue("at_two", "at_two")
    path, root = (leaf, *house.path[1:]), house.root.crl()
    one, two = (house.read(house.sub.crl(extensions=name), root) for name in ("one", "two"))
    assert "no CRL of CN=Sub for its distribution point" in check_path(path, _BY_CRL, one, {}, NOW).checks[0].found
    assert _passed(check_path(path, _BY_CRL, two, {}, NOW)) == [True, True]


# --- the newest, and deltas (RFC 5280 section 5.2.4)


def test_the_newest_complete_crl_wins_whatever_the_order(house: House) -> None:
    old = house.sub.crl(begins=NOW - 2 * _HOUR)
    house.sub.revoke("leaf")
    new = house.sub.crl(begins=NOW - _HOUR)
    for pems in ((old, new), (new, old)):
        assert _passed(_by_crl(house, house.read(*pems, house.root.crl()))) == [False, True]


def test_a_delta_crl_adds_to_its_base(house: House) -> None:
    house.sub.configure(_DELTA.format(base=5))
    base = house.sub.crl(number=5)
    house.sub.revoke("leaf", "superseded")
    delta = house.sub.crl(number=6, extensions="delta5", ends=NOW + _HOUR)
    decision = _by_crl(house, house.read(base, delta, house.root.crl()))
    assert _passed(decision) == [False, True]
    assert "superseded, says the delta CRL of CN=Sub" in decision.checks[0].found


def test_a_delta_crl_that_is_used_limits_how_long_a_decision_holds(house: House) -> None:
    house.sub.configure(_DELTA.format(base=5))
    base = house.sub.crl(number=5)
    delta = house.sub.crl(number=6, extensions="delta5", ends=NOW + _HOUR)
    crls = house.read(base, delta, house.root.crl())
    assert _by_crl(house, crls).good_until == NOW + _HOUR
    assert _by_crl(house, crls, now=NOW + 2 * _HOUR).good_until == NOW + DAY


def test_a_delta_crl_takes_a_certificate_off_hold(house: House) -> None:
    house.sub.configure(_DELTA.format(base=5))
    house.sub.revoke("leaf", "certificateHold")
    base = house.sub.crl(number=5)
    house.sub.rewrite("leaf", "certificateHold", "removeFromCRL")
    delta = house.sub.crl(number=6, extensions="delta5")
    root = house.root.crl()
    assert _passed(_by_crl(house, house.read(base, root))) == [False, True]
    assert _passed(_by_crl(house, house.read(base, delta, root))) == [True, True]


def test_the_newest_delta_counts(house: House) -> None:
    house.sub.configure(_DELTA.format(base=5))
    base, root = house.sub.crl(number=5), house.root.crl()
    house.sub.revoke("leaf", "certificateHold")
    held = house.sub.crl(number=6, extensions="delta5")
    house.sub.rewrite("leaf", "certificateHold", "removeFromCRL")
    released = house.sub.crl(number=7, extensions="delta5")
    assert _passed(_by_crl(house, house.read(base, held, root))) == [False, True]
    for pems in ((held, released), (released, held)):
        assert _passed(_by_crl(house, house.read(base, *pems, root))) == [True, True]


def test_a_delta_crl_alone_says_nothing(house: House) -> None:
    house.sub.configure(_DELTA.format(base=5))
    delta = house.sub.crl(number=6, extensions="delta5")
    decision = _by_crl(house, house.read(delta, house.root.crl()))
    assert decision.checks[0].found == "CN=leaf: only a delta CRL of CN=Sub, without the complete one it changes"


@pytest.mark.parametrize(("base", "delta_base", "delta"), [(4, 5, 6), (6, 5, 6), (7, 5, 6)])
def test_a_delta_crl_that_does_not_match_its_base_is_passed_over(
    house: House, base: int, delta_base: int, delta: int
) -> None:
    house.sub.configure(_DELTA.format(base=delta_base))
    complete = house.sub.crl(number=base)
    house.sub.revoke("leaf")
    other = house.sub.crl(number=delta, extensions=f"delta{delta_base}")
    assert _passed(_by_crl(house, house.read(complete, other, house.root.crl()))) == [True, True]


# --- OCSP (threats 28, R9)


def test_answers_that_are_missing_are_asked_for_and_decided_again(house: House) -> None:
    first = check_path(house.path, _BY_OCSP, [], {}, NOW)
    assert first.missing == house.pairs
    assert [check.found for check in first.checks] == ["CN=leaf: no OCSP answer yet", "CN=Sub: no OCSP answer yet"]
    now = datetime.now(UTC)
    answers = {}
    for (certificate, issuer), ca in zip(first.missing, (house.sub, house.root), strict=True):
        data = ca.answer(build_request(certificate, issuer, nonce=b"0123456789abcdef"), "-ndays", "1")
        read = read_response(data, certificate, issuer, nonce=b"0123456789abcdef", now=now)
        answers[certificate.sha256, issuer.sha256] = read
    second = check_path(house.path, _BY_OCSP, [], answers, now)
    assert (_passed(second), second.missing) == ([True, True], ())
    assert second.good_until == min(answer.ends for answer in answers.values())
    assert "CN=leaf: not revoked, says OCSP of " in second.checks[0].found


@pytest.mark.threat("28")
def test_a_revoked_certificate_is_refused_by_ocsp(house: House) -> None:
    for policy in (_BY_OCSP, _BY_EITHER, replace(_BY_OCSP, on_unavailable="accept")):
        revoked = OCSPAnswer("revoked", NOW, NOW + _HOUR, NOW - DAY, "keyCompromise")
        decision = check_path(house.path, policy, house.crls(), _keyed(house, revoked, _good()), NOW)
        assert _passed(decision) == [False, True]
        assert decision.checks[0].found == f"CN=leaf: revoked at {(NOW - DAY).isoformat()}: keyCompromise, says OCSP"


@pytest.mark.threat("28")
def test_what_ocsp_called_revoked_stays_refused_while_there_is_no_newer_answer(house: House) -> None:
    ended = OCSPAnswer("revoked", NOW - DAY, NOW - _HOUR, NOW - DAY, "keyCompromise")
    for policy in (_BY_OCSP, replace(_BY_EITHER, on_unavailable="accept"), replace(_BY_OCSP, on_unavailable="accept")):
        decision = check_path(house.path, policy, house.crls(), _keyed(house, ended, _good()), NOW)
        assert _passed(decision) == [False, True]
        assert "keyCompromise, says OCSP" in decision.checks[0].found


@pytest.mark.threat("28")
def test_an_intermediate_revoked_by_ocsp_is_refused(house: House) -> None:
    revoked = OCSPAnswer("revoked", NOW, NOW + _HOUR, NOW - DAY, None)
    decision = check_path(house.path, _BY_OCSP, [], _keyed(house, _good(), revoked), NOW)
    assert _passed(decision) == [True, False]
    assert "no reason given" in decision.checks[1].found


@pytest.mark.threat("28")
def test_unknown_refuses_even_where_not_knowing_is_accepted(house: House) -> None:
    answers = _keyed(house, OCSPAnswer("unknown", NOW, NOW + _HOUR), _good())
    for policy in (_BY_OCSP, _BY_EITHER):
        decision = check_path(house.path, replace(policy, on_unavailable="accept"), house.crls(), answers, NOW)
        assert _passed(decision) == [False, True]
        assert decision.checks[0].found == "CN=leaf: unknown to its issuer's OCSP responder"


@pytest.mark.threat("28")
def test_a_responder_that_is_down_is_quoted_and_not_asked_again(house: House) -> None:
    answers = _keyed(house, "ocsp.example: connection refused", _good())
    decision = check_path(house.path, _BY_OCSP, [], answers, NOW)
    assert (_passed(decision), decision.missing) == ([False, True], ())
    assert decision.checks[0].found == "CN=leaf: no OCSP answer: ocsp.example: connection refused"
    accepting = check_path(house.path, replace(_BY_OCSP, on_unavailable="accept"), [], answers, NOW)
    assert (_passed(accepting), accepting.good_until) == ([True, True], NOW + timedelta(seconds=60))


def test_in_its_grace_an_answer_clears_for_a_minute_so_that_a_newer_one_is_asked_for(house: House) -> None:
    ends, hour = NOW - timedelta(seconds=1), replace(_BY_OCSP, grace_seconds=3600)
    decision = check_path(house.path, hour, [], _keyed(house, _good(ends=ends), _good()), NOW)
    assert (_passed(decision), decision.good_until) == ([True, True], NOW + timedelta(seconds=60))
    in_force = check_path(house.path, hour, [], _keyed(house, _good(), _good()), NOW)
    assert in_force.good_until == NOW + _HOUR


def test_a_stale_answer_is_gathered_anew(house: House) -> None:
    ends = NOW - timedelta(seconds=1)
    answers = _keyed(house, _good(ends=ends), _good())
    decision = check_path(house.path, _BY_OCSP, [], answers, NOW)
    assert (_passed(decision), decision.missing) == ([False, True], house.pairs[:1])
    assert decision.checks[0].found == f"CN=leaf: the OCSP answer ended at {ends.isoformat()}"
    graced = check_path(house.path, replace(_BY_OCSP, grace_seconds=10), [], answers, NOW)
    assert (_passed(graced), graced.good_until) == ([True, True], ends + timedelta(seconds=10))


def test_an_answer_is_for_the_certificate_and_issuer_it_was_given_for(house: House) -> None:
    answers = {(issuer.sha256, certificate.sha256): _good() for certificate, issuer in house.pairs}
    assert _passed(check_path(house.path, _BY_OCSP, [], answers, NOW)) == [False, False]


# --- either


@pytest.mark.threat("28")
@pytest.mark.parametrize(
    ("crl", "answer", "passed", "missing"),
    [
        ("good", None, True, False),
        ("good", "down", True, False),
        ("good", "good", True, False),
        ("good", "revoked", False, False),
        ("good", "unknown", False, False),
        ("revoked", None, False, False),
        ("revoked", "good", False, False),
        ("none", None, False, True),
        ("none", "down", False, False),
        ("none", "good", True, False),
        ("none", "revoked", False, False),
        ("stale", "good", True, False),
        ("stale", None, False, True),
    ],
)
def test_a_crl_or_an_answer_suffices_and_a_revocation_by_either_refuses(
    house: House, crl: str, answer: str | None, *, passed: bool, missing: bool
) -> None:
    root = house.root.crl()
    if crl == "revoked":
        house.sub.revoke("leaf")
    ends = NOW - timedelta(minutes=1) if crl == "stale" else NOW + DAY
    crls = house.read(root) if crl == "none" else house.read(house.sub.crl(ends=ends), root)
    answers: dict[str, OCSPAnswer | str] = {
        "good": _good(),
        "revoked": OCSPAnswer("revoked", NOW, NOW + _HOUR, NOW, "superseded"),
        "unknown": OCSPAnswer("unknown", NOW, NOW + _HOUR),
        "down": "connection refused",
    }
    given = _keyed(house, answers[answer]) if answer else {}
    decision = check_path(house.path, _BY_EITHER, crls, given, NOW)
    assert _passed(decision) == [passed, True]
    assert decision.missing == (house.pairs[:1] if missing else ())
    assert (decision.good_until is not None) == passed


def test_what_neither_source_had_is_said_of_both(house: House) -> None:
    decision = check_path(house.path, _BY_EITHER, [], _keyed(house, "timed out", "timed out"), NOW)
    assert decision.checks[0].found == "CN=leaf: no CRL of CN=Sub; no OCSP answer: timed out"
