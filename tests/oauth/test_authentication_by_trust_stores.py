"""`tls_client_auth`: which of a client's trust stores vouches for a certificate, under which rules, and until when."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from tests.certificates.splicing import twin
from tests.oauth.making import DAY, ISSUER, NOW, Identity, authority, dns, make, uri
from tests.oauth.revoking import crl

from certbound.certificates.ocsp import OCSPAnswer
from certbound.certificates.revocation import ACCEPTED_UNKNOWING, Revocation, RevocationPolicy
from certbound.certificates.subject import SubjectMatch
from certbound.certificates.subject_attributes import SubjectAttributes
from certbound.oauth.authentication import Decision, Known, authenticate
from certbound.oauth.blocking import Blocked
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.oauth.registration import AuthenticationMethod, Client, Registration
from certbound.oauth.trust import TrustStore

HOUR = timedelta(hours=1)
ROOT, OTHER, SAME_NAME = authority(), authority("CN=Other"), authority()
MID = authority("CN=Mid", issuer=ROOT)
SAN = [dns("orders.example.com")]
GOOD, BELOW_MID, BELOW_OTHER = (make(issuer=issuer, san=SAN) for issuer in (ROOT, MID, OTHER))
BY_CRL, BY_OCSP, BY_EITHER = map(RevocationPolicy, (Revocation.CRL, Revocation.OCSP, Revocation.CRL_OCSP))


def store(name: str = "partners", *anchors: Identity, **rules: Any) -> TrustStore:
    return TrustStore(name, tuple(anchor.certificate for anchor in anchors or (ROOT,)), **rules)


def registered(*stores: TrustStore, **members: Any) -> Registration:
    """Register the client of the SAN above, or of what `members` say, with these stores."""
    subject = SubjectMatch.parse("tls_client_auth_san_dns", "orders.example.com")
    names = tuple(one.name for one in stores)
    given: dict[str, Any] = {"subject": subject, "trust": names} | members
    return Registration(Client("orders", "Orders", AuthenticationMethod.TLS_CLIENT_AUTH, **given), trust=stores)


def decide(
    registration: Registration,
    identity: Identity,
    *others: Identity,
    shown: ShownMethod = ShownMethod.NOTHING,
    now: datetime = NOW,
    **known: Any,
) -> Decision:
    credentials = Credentials("orders", shown, identity.presented(*others))
    return authenticate(registration, credentials, Known(now, set(AuthenticationMethod), ISSUER, **known))


def failed(decision: Decision) -> list[str]:
    return [check.check for check in decision.failed]


def pair(identity: Identity) -> tuple[bytes, bytes]:
    return identity.certificate.sha256, identity.above[0].certificate.sha256


def answer(status: Any = "good", *, begins: datetime = NOW - HOUR, ends: datetime | None = NOW + HOUR) -> OCSPAnswer:
    return OCSPAnswer(status, begins, ends)


def by_subject(**subject: str) -> dict[str, Any]:
    [(parameter, text)] = subject.items()
    return {"subject": SubjectMatch.parse(f"tls_client_auth_{parameter}", text)}


# --- several stores, in order


def test_the_first_store_that_accepts_vouches_and_those_after_it_are_not_looked_at() -> None:
    both = store("first", OTHER), store("second", ROOT), store("third", ROOT)
    decision = decide(registered(*both), GOOD)
    assert decision.client is not None
    [chain] = [check for check in decision.checks if check.check == "chain"]
    assert chain.expected.endswith(" of second")
    assert not decision.failed


def test_a_store_that_asks_nothing_may_accept_what_the_one_before_it_refused() -> None:
    revoked = store("strict", revocation=BY_CRL, crls=(crl(ROOT, GOOD),))
    assert decide(registered(revoked), GOOD).client is None
    assert decide(registered(revoked, store("lax")), GOOD).client is not None


def test_of_stores_that_all_refuse_each_says_why_under_its_name_and_nothing_is_said_twice() -> None:
    stores = (
        store("revoked", revocation=BY_CRL, crls=(crl(ROOT, GOOD),)),
        store("elsewhere", OTHER),
        store("purposes", extended_key_usage="require"),
        store("workloads", trust_domain="example.org"),
    )
    decision = decide(registered(*stores), GOOD)
    assert decision.client is None
    reasons = {check.check: check.expected for check in decision.failed}
    assert list(reasons) == ["revocation", "chain", "extended_key_usage", "spiffe_id"]
    for check, name in zip(reasons, ("revoked", "elsewhere", "purposes", "workloads"), strict=True):
        assert reasons[check].endswith(f" of {name}")
    assert len(set(decision.checks)) == len(decision.checks)
    assert [check.check for check in decision.checks].count("validity") == 1


def test_a_certificate_that_has_run_out_is_refused_once_however_many_stores_there_are() -> None:
    late = make(issuer=ROOT, san=SAN, not_after=NOW - HOUR)
    decision = decide(registered(*(store(name) for name in "abc")), late)
    assert failed(decision).count("validity") == 1


@pytest.mark.req("8705-44")
def test_an_authority_of_the_same_name_is_another_authority() -> None:
    impostor = make(issuer=SAME_NAME, san=SAN)
    for others in ((), (SAME_NAME,), (SAME_NAME, ROOT)):
        decision = decide(registered(store()), impostor, *others)
        assert failed(decision) == ["chain"], [check.found for check in decision.failed]
    assert decide(registered(store("partners", SAME_NAME)), impostor).client is not None


def test_another_authority_of_the_same_name_and_key_is_another_anchor() -> None:
    again = authority(key=ROOT.key)
    assert decide(registered(store("partners", again)), GOOD).client is not None  # its key signed, whoever it names
    shortened = authority(key=ROOT.key, not_after=NOW - HOUR)
    assert failed(decide(registered(store("partners", shortened)), GOOD, ROOT)) == ["chain"]


@pytest.mark.req("8705-44")
def test_the_stores_of_other_clients_vouch_for_nobody_here() -> None:
    assert failed(decide(registered(store("partners", OTHER)), GOOD, ROOT)) == ["chain"]
    assert failed(decide(registered(), GOOD, ROOT)) == ["chain"]


def test_an_intermediate_of_the_store_completes_a_path_and_never_ends_one() -> None:
    completes = store("partners", intermediates=(MID.der,))
    assert decide(registered(completes), BELOW_MID).client is not None
    assert failed(decide(registered(store()), BELOW_MID)) == ["chain"]
    alone = TrustStore("partners", intermediates=(MID.der, ROOT.der))
    assert failed(decide(registered(alone), BELOW_MID)) == ["chain"]


def test_an_intermediate_may_be_an_anchor_and_then_its_root_is_not_needed() -> None:
    decision = decide(registered(store("partners", MID)), BELOW_MID)
    assert decision.client is not None
    assert failed(decide(registered(store("partners", MID)), GOOD, ROOT, MID)) == ["chain"]


def test_a_disabled_intermediate_is_part_of_no_path_also_where_it_is_presented() -> None:
    off = store("partners", disabled_keys=frozenset({MID.certificate.spki_sha256}))
    assert failed(decide(registered(off), BELOW_MID, MID)) == ["chain"]
    assert decide(registered(off), GOOD).client is not None
    again = authority("CN=Mid", issuer=ROOT, key=MID.key)
    for others in ((again,), (MID, again), (Identity(twin(MID.der), MID.key),)):
        assert failed(decide(registered(off), BELOW_MID, *others)) == ["chain"]
    assert decide(registered(off, store("others")), BELOW_MID, MID).client is not None


@pytest.mark.parametrize(
    ("purposes", "optional", "require"),
    [
        (None, True, False),
        ([ExtendedKeyUsageOID.CLIENT_AUTH], True, True),
        ([ExtendedKeyUsageOID.SERVER_AUTH], False, False),
        ([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], False, False),
    ],
)
def test_each_store_says_whether_a_leaf_must_be_made_for_clients(
    purposes: list[x509.ObjectIdentifier] | None, *, optional: bool, require: bool
) -> None:
    leaf = make(issuer=ROOT, san=SAN, purposes=purposes)
    lax, strict = store("lax"), store("strict", extended_key_usage="require")
    assert (decide(registered(lax), leaf).client is not None) == optional
    assert (decide(registered(strict), leaf).client is not None) == require
    assert (decide(registered(strict, lax), leaf).client is not None) == optional


# --- revocation by CRL, per store


def test_a_revoked_leaf_is_refused_with_time_and_reason() -> None:
    decision = decide(registered(store(revocation=BY_CRL, crls=(crl(ROOT, GOOD),))), GOOD)
    [check] = decision.failed
    assert check.check == "revocation"
    assert "CN=orders: revoked at " in check.found
    assert "keyCompromise" in check.found
    assert check.expected.endswith(" of partners")


def test_a_revoked_intermediate_is_refused_though_the_leaf_is_not() -> None:
    lists = (crl(ROOT, MID), crl(MID))
    decision = decide(registered(store(revocation=BY_CRL, crls=lists)), BELOW_MID, MID)
    assert [check.found.split(":")[0] for check in decision.failed] == ["CN=Mid"]
    clear = store(revocation=BY_CRL, crls=(crl(ROOT), crl(MID)))
    assert decide(registered(clear), BELOW_MID, MID).client is not None


@pytest.mark.parametrize("on_unavailable", ["refuse", "accept"])
@pytest.mark.parametrize(
    ("lists", "found"),
    [
        ((), "no CRL of CN=Root"),
        ((crl(ROOT, ends=NOW - timedelta(minutes=30)),), "ended at"),
        ((crl(ROOT, begins=NOW + HOUR),), "begins at"),
        ((crl(OTHER),), "no CRL of CN=Root"),
        ((crl(SAME_NAME),), "signed with the key"),
    ],
    ids=["none", "stale", "of the future", "of another authority", "of a namesake"],
)
def test_without_a_list_in_force_the_store_says_what_happens(
    lists: tuple[Any, ...], found: str, on_unavailable: Any
) -> None:
    policy = replace(BY_CRL, on_unavailable=on_unavailable)
    decision = decide(registered(store(revocation=policy, crls=lists)), GOOD)
    [check] = [check for check in decision.checks if check.check == "revocation"]
    assert found in check.found
    assert check.passed == (on_unavailable == "accept") == (decision.client is not None)
    assert decision.needs is None
    assert decision.good_until == (NOW + ACCEPTED_UNKNOWING if check.passed else None)


@pytest.mark.parametrize(("grace_seconds", "right"), [(0, False), (1799, False), (1800, True)])
def test_grace_lets_a_list_count_for_that_long_after_its_end(grace_seconds: int, *, right: bool) -> None:
    policy = replace(BY_CRL, grace_seconds=grace_seconds)
    late = store(revocation=policy, crls=(crl(ROOT, ends=NOW - timedelta(minutes=30)),))
    decision = decide(registered(late), GOOD)
    assert (decision.client is not None) == right
    assert decision.good_until == (NOW if right else None)


def test_a_stale_list_still_refuses_whom_it_names_whatever_the_policy() -> None:
    policy = replace(BY_CRL, on_unavailable="accept")
    stale = store(revocation=policy, crls=(crl(ROOT, GOOD, ends=NOW - HOUR),))
    assert failed(decide(registered(stale), GOOD)) == ["revocation"]


# --- revocation by OCSP


def test_ocsp_is_asked_for_only_when_everything_else_is_right() -> None:
    asking = registered(store(revocation=BY_OCSP, ocsp_url="http://ocsp.example/"))
    needs = decide(asking, GOOD).needs
    assert needs is not None
    [question] = needs.ocsp
    assert question == (GOOD.certificate, ROOT.certificate, "http://ocsp.example/")
    wrong: list[Decision] = [
        decide(asking, make(issuer=ROOT, san=[dns("billing.example.com")])),
        decide(asking, make(issuer=ROOT, san=SAN, not_after=NOW - HOUR)),
        decide(asking, make(issuer=ROOT, san=SAN, purposes=[ExtendedKeyUsageOID.SERVER_AUTH])),
        decide(asking, make(issuer=OTHER, san=SAN), OTHER),
        decide(replace(asking, client=replace(asking.client, disabled=True)), GOOD),
        decide(asking, GOOD, blocked=Blocked(certificates=frozenset({GOOD.certificate.sha256}))),
        *(decide(asking, GOOD, shown=method) for method in ShownMethod if method is not ShownMethod.NOTHING),
        decide(registered(store(revocation=BY_OCSP, trust_domain="example.org")), GOOD),
    ]
    for decision in wrong:
        assert (decision.client, decision.needs) == (None, None), failed(decision)


def test_the_stores_responder_stands_in_for_the_one_that_the_certificate_names() -> None:
    there = x509.UniformResourceIdentifier("http://ocsp.ca.example/")
    access = x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, there)])
    named = make(issuer=ROOT, san=SAN, extensions=[(access, False)])
    for own, asked in ((None, "http://ocsp.ca.example/"), ("http://own.example/", "http://own.example/")):
        needs = decide(registered(store(revocation=BY_OCSP, ocsp_url=own)), named).needs
        assert needs is not None
        assert [question.url for question in needs.ocsp] == [asked]
    needs = decide(registered(store(revocation=BY_OCSP)), GOOD).needs
    assert needs is not None
    assert [question.url for question in needs.ocsp] == [None]


@pytest.mark.parametrize(("on_unavailable", "right"), [("refuse", False), ("accept", True)])
def test_without_an_answer_the_store_says_what_happens(on_unavailable: Any, *, right: bool) -> None:
    asking = registered(store(revocation=replace(BY_OCSP, on_unavailable=on_unavailable)))
    assert decide(asking, GOOD).client is None  # not before somebody was asked
    nothing = {pair(GOOD): "neither the certificate nor its trust store names a responder"}
    for known in ({"ocsp": nothing}, {"ocsp": {pair(GOOD): answer(ends=NOW - HOUR)}, "is_all": True}):
        decision = decide(asking, GOOD, **known)
        assert (decision.client is not None, decision.needs) == (right, None)
        assert decision.good_until == (NOW + ACCEPTED_UNKNOWING if right else None)


def test_an_answer_that_has_ended_is_asked_for_anew() -> None:
    decision = decide(registered(store(revocation=BY_OCSP)), GOOD, ocsp={pair(GOOD): answer(ends=NOW - HOUR)})
    assert decision.client is None
    assert decision.needs is not None


@pytest.mark.parametrize(("status", "right"), [("good", True), ("revoked", False), ("unknown", False)])
def test_an_answer_decides_until_it_ends(status: str, *, right: bool) -> None:
    decision = decide(registered(store(revocation=BY_OCSP)), GOOD, ocsp={pair(GOOD): answer(status)})
    assert (decision.client is not None, decision.needs) == (right, None)
    assert decision.good_until == (NOW + HOUR if right else None)


def test_every_certificate_of_the_path_is_asked_about_at_once() -> None:
    needs = decide(registered(store(revocation=BY_OCSP)), BELOW_MID, MID).needs
    assert needs is not None
    asked = [(question.certificate, question.issuer) for question in needs.ocsp]
    assert asked == [(BELOW_MID.certificate, MID.certificate), (MID.certificate, ROOT.certificate)]


def test_of_lists_and_answers_either_clears_and_either_refuses() -> None:
    def decided(lists: tuple[Any, ...], ocsp: dict[Any, Any]) -> Decision:
        return decide(registered(store(revocation=BY_EITHER, crls=lists)), GOOD, ocsp=ocsp)

    clear, good, revoked = (crl(ROOT),), {pair(GOOD): answer()}, {pair(GOOD): answer("revoked")}
    assert decided(clear, {}).client is not None
    assert decided((), good).client is not None
    assert failed(decided((crl(ROOT, GOOD),), good)) == ["revocation"]
    assert failed(decided(clear, revoked)) == ["revocation"]
    nothing = decided((), {})
    assert nothing.needs is not None
    assert decided((), {pair(GOOD): "the responder is away"}).needs is None


def test_a_store_that_needs_an_answer_does_not_hold_up_the_next_one() -> None:
    asking = store("asking", revocation=BY_OCSP)
    assert decide(registered(asking, store("plain")), GOOD).client is not None
    needs = decide(registered(asking, replace(asking, name="asking too", ocsp_url="http://other.example/")), GOOD).needs
    assert needs is not None
    assert [question.url for question in needs.ocsp] == [None, "http://other.example/"]


# --- workload identities


WORKLOAD = "spiffe://example.org/orders"
SIGNS = x509.KeyUsage(True, False, False, False, False, False, False, False, False)


def svid(spiffe_id: str = WORKLOAD, *, issuer: Identity = ROOT) -> Identity:
    """Make an X.509-SVID as it is issued: no subject, critical SAN, short life."""
    san = x509.SubjectAlternativeName([uri(spiffe_id)])
    extensions = [(san, True), (SIGNS, True)]
    return make("", issuer=issuer, extensions=extensions, not_before=NOW - HOUR / 2, not_after=NOW + HOUR / 2)


def workloads(*names: str, root: Identity = ROOT, spiffe_id: str = WORKLOAD) -> Registration:
    stores = [store(name, root, trust_domain=name) for name in names]
    return registered(*stores, **by_subject(san_uri=spiffe_id))


def test_a_svid_without_subject_and_with_a_critical_san_is_its_workload() -> None:
    decision = decide(workloads("example.org"), svid())
    assert decision.client is not None
    assert decision.good_until == NOW + HOUR / 2


@pytest.mark.parametrize(
    "spiffe_id", ["spiffe://example.org/billing", "spiffe://example.org/orders/", "spiffe://EXAMPLE.org/orders"]
)
def test_a_svid_of_another_workload_is_another_client(spiffe_id: str) -> None:
    assert decide(workloads("example.org"), svid(spiffe_id)).client is None


def test_a_svid_of_another_trust_domain_never_matches() -> None:
    stranger = svid("spiffe://example.com/orders")
    assert "spiffe_id" in failed(decide(workloads("example.org"), stranger))
    # Not even where its very id is registered, and the authority is the same one.
    wanted = workloads("example.org", spiffe_id="spiffe://example.com/orders")
    assert failed(decide(wanted, stranger)) == ["spiffe_id"]
    federated = workloads("example.org", "example.com", spiffe_id="spiffe://example.com/orders")
    assert decide(federated, stranger).client is not None


def test_a_trust_domains_authority_vouches_for_no_other_trust_domain() -> None:
    stores = (
        store("example.org", ROOT, trust_domain="example.org"),
        store("example.com", OTHER, trust_domain="example.com"),
    )
    client = registered(*stores, **by_subject(san_uri=WORKLOAD))
    assert decide(client, svid()).client is not None
    forged = decide(client, svid(issuer=OTHER))
    assert {check.expected.rpartition(" of ")[2] for check in forged.failed} == {"example.org", "example.com"}


# --- the subject


def test_attributes_alone_mean_the_client_whatever_else_the_subject_says() -> None:
    attributes = SubjectAttributes.parse({"serialNumber": "1234", "O": "Example"})
    client = registered(store(), subject=None, subject_attributes=attributes)
    right = make("CN=2026,2.5.4.5=1234,O=Example", issuer=ROOT)
    assert decide(client, right).client is not None
    for subject in ("CN=2026,2.5.4.5=1234", "CN=2026,2.5.4.5=12345,O=Example", "CN=1234,O=Example", ""):
        san = [dns("x.example")] if not subject else []
        decision = decide(client, make(subject, issuer=ROOT, san=san))
        assert failed(decision) == ["certbound_subject_attributes"]


def test_with_a_subject_and_attributes_both_must_match() -> None:
    attributes = SubjectAttributes.parse({"serialNumber": "1234"})
    client = registered(store(), subject_attributes=attributes)
    assert decide(client, make("2.5.4.5=1234", issuer=ROOT, san=SAN)).client is not None
    half = make("2.5.4.5=1234", issuer=ROOT), make("2.5.4.5=4321", issuer=ROOT, san=SAN)
    assert [failed(decide(client, one)) for one in half] == [
        ["tls_client_auth_san_dns"],
        ["certbound_subject_attributes"],
    ]


@pytest.mark.req("8705-09")
def test_a_new_certificate_of_the_same_subject_needs_no_new_registration() -> None:
    client = registered(store("partners", ROOT, OTHER))
    for identity in (GOOD, make(issuer=ROOT, san=SAN), BELOW_OTHER):
        assert decide(client, identity).client is not None


# --- blocks, and until when a decision holds


def test_a_blocked_certificate_or_key_is_refused_though_everything_else_is_right() -> None:
    renewed = make(issuer=ROOT, san=SAN, key=GOOD.key)
    certificate = Blocked(certificates=frozenset({GOOD.certificate.sha256}))
    key = Blocked(keys=frozenset({GOOD.certificate.spki_sha256}))
    for blocked, renewal in ((certificate, []), (key, ["not_blocked"])):
        assert failed(decide(registered(store()), GOOD, blocked=blocked)) == ["not_blocked"]
        assert failed(decide(registered(store()), renewed, blocked=blocked)) == renewal


@pytest.mark.parametrize(
    ("leaf_ends", "mid_ends", "crl_ends", "answer_ends", "expected"),
    [
        (1, 2, 3, 4, 1),
        (2, 1, 3, 4, 1),
        (4, 3, 1, 2, 1),
        (9, 8, 7, 5, 5),
    ],
)
def test_a_decision_holds_until_the_first_thing_ends_that_it_rests_on(
    leaf_ends: int, mid_ends: int, crl_ends: int, answer_ends: int, expected: int
) -> None:
    mid = authority("CN=Mid", issuer=ROOT, not_after=NOW + mid_ends * HOUR)
    leaf = make(issuer=mid, san=SAN, not_after=NOW + leaf_ends * HOUR)
    lists = (crl(mid, ends=NOW + crl_ends * HOUR),)
    answers = {pair(mid): answer(ends=NOW + answer_ends * HOUR)}
    decision = decide(registered(store(revocation=BY_EITHER, crls=lists)), leaf, mid, ocsp=answers)
    assert decision.client is not None, decision.failed
    assert decision.good_until == NOW + expected * HOUR


def test_an_anchor_that_runs_out_ends_it_too() -> None:
    short = authority("CN=Short", not_after=NOW + HOUR)
    assert decide(registered(store("s", short)), make(issuer=short, san=SAN)).good_until == NOW + HOUR


@pytest.mark.parametrize("diagnostics", [True, False])
def test_only_a_client_that_is_registered_so_may_be_told_why(*, diagnostics: bool) -> None:
    client = registered(store(), diagnostics=diagnostics)
    stranger = make("CN=stranger")
    assert decide(client, stranger).tells_why == diagnostics
    assert decide(client, GOOD, shown=ShownMethod.SECRET_POST).tells_why == diagnostics
    asking = registered(store(revocation=BY_OCSP), diagnostics=diagnostics)
    assert decide(asking, GOOD).tells_why == diagnostics
    disabled = decide(registered(store(), diagnostics=diagnostics, disabled=True), GOOD)
    assert disabled.tells_why == diagnostics


def test_a_path_is_decided_by_the_time_it_is_shown_not_by_memory() -> None:
    assert decide(registered(store()), GOOD).client is not None
    assert failed(decide(registered(store()), GOOD, now=NOW + 2 * DAY))[0] == "validity"
