import ssl
import subprocess
import time
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from certbound.certificates.certificate import parse_certificate
from certbound.certificates.policy import check_pki_leaf
from certbound.chain import memory
from certbound.chain.validation import MAXIMUM_CERTIFICATES, MAXIMUM_PRESENTED_BYTES, ChainDecision, validate_chain

from .conftest import Holder


def _found(decision: ChainDecision) -> str:
    return next(check.found for check in decision.checks if check.check == "chain")


def _failed(decision: ChainDecision) -> set[str]:
    return {check.check for check in decision.checks if not check.passed}


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    memory._paths.clear()


@pytest.mark.req("8705-06", "8705-45")
def test_a_leaf_leads_to_its_root_over_a_presented_or_a_stored_intermediate(
    leaf: Any, intermediate: Any, root: Any, now: datetime
) -> None:
    for presented, stored in (([intermediate.der], []), ([], [intermediate.der])):
        decision = validate_chain(leaf.certificate, presented, [root.certificate], stored=stored, now=now)
        assert _failed(decision) == set()
        assert decision.path == (leaf.certificate, intermediate.certificate, root.certificate)
        assert _found(decision) == "CN=api <- CN=Intermediate <- CN=Root"


def test_an_intermediate_may_be_the_anchor(leaf: Any, intermediate: Any, now: datetime) -> None:
    decision = validate_chain(leaf.certificate, [], [intermediate.certificate], now=now)
    assert decision.path == (leaf.certificate, intermediate.certificate)


def test_without_the_intermediate_it_is_said_what_is_missing(leaf: Any, root: Any, now: datetime) -> None:
    decision = validate_chain(leaf.certificate, [], [root.certificate], now=now)
    assert _failed(decision) == {"chain"}
    assert decision.path == ()
    assert _found(decision) == "no usable trust anchor named CN=Intermediate"


@pytest.mark.req("8705-44")
def test_without_anchors_nothing_is_trusted(leaf: Any, intermediate: Any, root: Any, now: datetime) -> None:
    decision = validate_chain(leaf.certificate, [intermediate.der, root.der], [], now=now)
    assert not decision.path
    assert _failed(decision) == {"chain"}


@pytest.mark.req("8705-44")
@pytest.mark.threat("B1")
def test_another_ca_of_the_same_name_is_another_ca(
    authorities: Any, leaf: Any, intermediate: Any, now: datetime
) -> None:
    twins = [authorities.ca("Root", identifiers=identifiers) for identifiers in (True, False)]
    for twin in twins:
        decision = validate_chain(leaf.certificate, [intermediate.der], [twin.certificate], now=now)
        assert not decision.path, decision
        assert "CN=Intermediate" in _found(decision)


@pytest.mark.req("8705-44")
@pytest.mark.threat("B1")
def test_a_whole_hierarchy_of_the_same_names_is_another_hierarchy(
    authorities: Any, root: Any, leaf: Any, now: datetime
) -> None:
    evil_root = authorities.ca("Root")
    evil_intermediate = authorities.ca("Intermediate", evil_root)
    evil_leaf = authorities.issue("api", evil_intermediate)
    for presented in ([evil_intermediate.der], [evil_intermediate.der, evil_root.der], [evil_root.der]):
        assert not validate_chain(evil_leaf.certificate, presented, [root.certificate], now=now).path
        assert not validate_chain(leaf.certificate, presented, [evil_root.certificate], now=now).path


def test_a_leaf_is_never_its_own_anchor(authorities: Any, leaf: Any, intermediate: Any, now: datetime) -> None:
    assert not validate_chain(leaf.certificate, [intermediate.der], [leaf.certificate], now=now).path
    for ca in (False, True):
        alone = authorities.issue("alone", ca=ca)
        assert not validate_chain(alone.certificate, [alone.der], [alone.certificate], now=now).path


def test_an_anchor_that_is_no_ca_signs_for_nobody(
    authorities: Any, intermediate: Any, root: Any, now: datetime
) -> None:
    """CVE-2024-2048: a leaf registered as an anchor must not vouch for a certificate its key signed."""
    other = authorities.issue("other", intermediate)
    crafted = authorities.issue("api", other)
    decision = validate_chain(crafted.certificate, [], [other.certificate], now=now)
    assert _failed(decision) == {"path_is_a_ca", "chain"}
    decision = validate_chain(crafted.certificate, [other.der, intermediate.der], [root.certificate], now=now)
    assert not decision.path
    assert "path_is_a_ca" in _failed(decision)


@pytest.mark.threat("1", "B8")
def test_extra_certificates_never_authenticate(
    authorities: Any, leaf: Any, intermediate: Any, root: Any, now: datetime
) -> None:
    """CVE-2023-2422: whatever else is sent, the path begins at the leaf whose key was proved."""
    victim = authorities.issue("victim", intermediate)
    for presented in ([victim.der, intermediate.der], [intermediate.der, victim.der, leaf.der, leaf.der]):
        decision = validate_chain(leaf.certificate, presented, [root.certificate], now=now)
        assert decision.path[0] == leaf.certificate
        assert victim.certificate not in decision.path
    attacker = authorities.issue("attacker")
    assert not validate_chain(attacker.certificate, [victim.der, intermediate.der], [root.certificate], now=now).path


@pytest.mark.threat("B2")
@pytest.mark.parametrize("which", ["leaf", "intermediate", "root"])
def test_dates_of_the_whole_path_count_to_the_second(authorities: Any, now: datetime, which: str) -> None:
    dates = {"not_before": now - timedelta(hours=1), "not_after": now + timedelta(hours=1)}
    root = authorities.ca("Root", **(dates if which == "root" else {}))
    intermediate = authorities.ca("Intermediate", root, **(dates if which == "intermediate" else {}))
    leaf = authorities.issue("api", intermediate, **(dates if which == "leaf" else {}))

    def trusted(at: datetime) -> bool:
        decision = validate_chain(leaf.certificate, [intermediate.der], [root.certificate], now=at)
        assert decision.path or "certificate has expired" in _found(decision) or "not yet valid" in _found(decision)
        return bool(decision.path)

    second = timedelta(seconds=1)
    edges = [
        (dates["not_before"] - second, False),
        (dates["not_before"], True),
        (dates["not_after"], True),
        (dates["not_after"] + second, False),
    ]
    for _ in range(2):  # the second time with what was accepted remembered
        for at, expected in edges:
            assert trusted(at) is expected, at


def test_the_certificate_at_fault_is_named_in_openssl_s_words(authorities: Any, now: datetime) -> None:
    root = authorities.ca("Root")
    old = authorities.ca("Old intermediate", root, not_after=now - timedelta(seconds=1))
    leaf = authorities.issue("api", old)
    decision = validate_chain(leaf.certificate, [old.der], [root.certificate], now=now)
    assert _found(decision) == "certificate has expired, at depth 1: CN=Old intermediate"


@pytest.mark.threat("B4")
def test_path_lengths_are_kept(authorities: Any, now: datetime) -> None:
    root = authorities.ca("Root", path_length=0)
    intermediate = authorities.ca("Intermediate", root)
    leaf = authorities.issue("api", intermediate)
    decision = validate_chain(leaf.certificate, [intermediate.der], [root.certificate], now=now)
    assert "path length constraint exceeded" in _found(decision)


@pytest.mark.threat("10", "11")
@pytest.mark.parametrize(
    ("constraint", "san", "trusted"),
    [
        (x509.DNSName("example.org"), x509.DNSName("api.example.org"), True),
        (x509.DNSName("example.org"), x509.DNSName("api.example.com"), False),
        (x509.DNSName("example.org"), x509.DNSName("*.example.com"), False),
        (x509.DNSName("example.org"), x509.DNSName("API.EXAMPLE.ORG"), True),
        (x509.DNSName("example.org"), x509.DNSName("badexample.org"), False),
        (x509.RFC822Name("example.org"), x509.RFC822Name("a@example.com"), False),
        (x509.RFC822Name("example.org"), x509.RFC822Name("a@EXAMPLE.org"), True),
        (
            x509.IPAddress(ip_network("192.0.2.0/24")),
            x509.IPAddress(ip_address("198.51.100.1")),
            False,
        ),
        (x509.UniformResourceIdentifier("example.org"), x509.UniformResourceIdentifier("https://evil.com/a"), False),
    ],
)
def test_permitted_names_are_kept(
    authorities: Any, now: datetime, constraint: x509.GeneralName, san: x509.GeneralName, trusted: bool
) -> None:
    root = authorities.ca("Root")
    names = x509.NameConstraints(permitted_subtrees=[constraint], excluded_subtrees=None)
    constrained = authorities.ca("Constrained", root, names, critical=[x509.NameConstraints, x509.BasicConstraints])
    leaf = authorities.issue("api", constrained, x509.SubjectAlternativeName([san]))
    decision = validate_chain(leaf.certificate, [constrained.der], [root.certificate], now=now)
    assert bool(decision.path) is trusted, _found(decision)


@pytest.mark.threat("10", "11")
def test_excluded_names_are_kept(authorities: Any, now: datetime) -> None:
    root = authorities.ca("Root")
    names = x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=[x509.DNSName("victim.example")])
    constrained = authorities.ca("Constrained", root, names, critical=[x509.NameConstraints, x509.BasicConstraints])
    for name, trusted in (("victim.example", False), ("A.VICTIM.example", False), ("other.example", True)):
        leaf = authorities.issue("api", constrained, x509.SubjectAlternativeName([x509.DNSName(name)]))
        decision = validate_chain(leaf.certificate, [constrained.der], [root.certificate], now=now)
        assert bool(decision.path) is trusted, _found(decision)


@pytest.mark.threat("B4")
def test_unknown_critical_extensions_are_refused_everywhere_on_the_path(authorities: Any, now: datetime) -> None:
    unknown = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    critical = [x509.UnrecognizedExtension, x509.BasicConstraints]
    root = authorities.ca("Root")
    strange = authorities.ca("Strange", root, unknown, critical=critical)
    plain = authorities.ca("Plain", root)
    for issuer, leaf in (
        (strange, authorities.issue("api", strange)),
        (plain, authorities.issue("api", plain, unknown, critical=critical)),
    ):
        decision = validate_chain(leaf.certificate, [issuer.der], [root.certificate], now=now)
        assert "unhandled critical extension" in _found(decision)


@pytest.mark.threat("B5")
@pytest.mark.parametrize(
    "generate",
    [
        lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505
        lambda: dsa.generate_private_key(2048),
    ],
)
def test_a_weak_key_anywhere_on_the_path_is_refused(authorities: Any, now: datetime, generate: Any) -> None:
    weak = generate()
    root = authorities.ca("Root")
    weak_intermediate = authorities.ca("Weak", root, key=weak)
    below = authorities.issue("api", weak_intermediate)
    decision = validate_chain(below.certificate, [weak_intermediate.der], [root.certificate], now=now)
    assert _failed(decision) == {"path_key_strength", "chain"}
    assert any(check.found.startswith("CN=Weak: ") for check in decision.checks)
    weak_root = authorities.ca("Weak root", key=weak)
    below = authorities.issue("api", weak_root)
    assert _failed(validate_chain(below.certificate, [], [weak_root.certificate], now=now)) == {
        "path_key_strength",
        "chain",
    }
    leaf = authorities.issue("api", root, key=weak)
    assert _failed(validate_chain(leaf.certificate, [], [root.certificate], now=now)) == {"chain"}


@pytest.mark.threat("9")
def test_a_ca_for_another_purpose_is_refused(authorities: Any, now: datetime) -> None:
    root = authorities.ca("Root")
    for purpose, trusted in ((ExtendedKeyUsageOID.EMAIL_PROTECTION, False), (ExtendedKeyUsageOID.CLIENT_AUTH, True)):
        narrow = authorities.ca("Narrow", root, x509.ExtendedKeyUsage([purpose]))
        leaf = authorities.issue("api", narrow)
        decision = validate_chain(leaf.certificate, [narrow.der], [root.certificate], now=now)
        assert bool(decision.path) is trusted
        assert _failed(decision) == (set() if trusted else {"path_extended_key_usage", "chain"})


def test_what_is_refused_but_not_needed_does_no_harm(
    authorities: Any, leaf: Any, intermediate: Any, root: Any, now: datetime
) -> None:
    weak = authorities.ca("Intermediate", root, key=rsa.generate_private_key(65537, 1024))  # noqa: S505
    decision = validate_chain(
        leaf.certificate, [b"garbage", weak.der, intermediate.der, b""], [root.certificate], now=now
    )
    assert decision.path
    assert _failed(decision) == set()


def test_a_ca_that_changed_its_key_under_one_name_serves_old_and_new(authorities: Any, now: datetime) -> None:
    """Without key identifiers OpenSSL takes the first issuer of the right name, which may be the wrong one."""
    old, new = (authorities.ca("Root", identifiers=False) for _ in range(2))
    for issuer in (old, new):
        leaf = authorities.issue("api", issuer, identifiers=False)
        for anchors in ([old, new], [new, old]):
            decision = validate_chain(leaf.certificate, [], [a.certificate for a in anchors], now=now)
            assert decision.path == (leaf.certificate, issuer.certificate)


def test_an_anchor_that_openssl_cannot_read_is_a_refusal_and_no_failure(
    authorities: Any, root: Any, now: datetime
) -> None:
    date_for_a_name = (b"\x0c\x04Root", b"\x17\x04Root")
    anchor = parse_certificate(root.der.replace(*date_for_a_name))
    below = parse_certificate(authorities.issue("api", root).der.replace(*date_for_a_name))
    assert "OpenSSL cannot take" in _found(validate_chain(below, [], [anchor], now=now))


def test_ed25519_and_certificates_of_trustme_are_accepted(authorities: Any, now: datetime) -> None:
    root = authorities.ca("Root")
    leaf = authorities.issue("api", root, key=ed25519.Ed25519PrivateKey.generate())
    assert validate_chain(leaf.certificate, [], [root.certificate], now=now).path
    foreign = trustme.CA()
    issued = foreign.issue_cert("api.example.org")
    certificate, anchor = (
        parse_certificate(ssl.PEM_cert_to_DER_cert(blob.bytes().decode()))
        for blob in (issued.cert_chain_pems[0], foreign.cert_pem)
    )
    assert validate_chain(certificate, [], [anchor], now=now).path
    assert all(check.passed for check in check_pki_leaf(certificate, now))


def test_a_plain_private_ca_of_the_openssl_program_is_accepted(tmp_path: Path) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=CA")
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "c.key", "-out", "c.csr", "-subj", "/CN=c")
    (tmp_path / "ext").write_text("subjectAltName=DNS:c\n")
    openssl(
        "x509",
        "-req",
        "-in",
        "c.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-out",
        "c.pem",
        "-extfile",
        "ext",
    )
    leaf, anchor = (
        parse_certificate(ssl.PEM_cert_to_DER_cert((tmp_path / name).read_text())) for name in ("c.pem", "ca.pem")
    )
    decision = validate_chain(leaf, [], [anchor], now=leaf.not_before)
    assert decision.path == (leaf, anchor)
    assert all(check.passed for check in check_pki_leaf(leaf, leaf.not_before))


def test_an_svid_without_subject_is_accepted(authorities: Any, now: datetime) -> None:
    root = authorities.ca("Root")
    san = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("spiffe://example.org/api")])
    svid = authorities.issue("", root, san, critical=[x509.SubjectAlternativeName, x509.BasicConstraints])
    decision = validate_chain(svid.certificate, [], [root.certificate], now=now)
    assert _found(decision) == "(no subject) <- CN=Root"
    assert all(check.passed for check in check_pki_leaf(svid.certificate, now))


@pytest.mark.threat("27", "B8")
def test_the_number_of_presented_certificates_is_bounded(authorities: Any, now: datetime) -> None:
    root = authorities.ca("Root")
    chain = [root]
    for depth in range(MAXIMUM_CERTIFICATES):
        chain.append(authorities.ca(f"Level {depth}", chain[-1]))
    for length, trusted in ((MAXIMUM_CERTIFICATES - 2, True), (MAXIMUM_CERTIFICATES - 1, False)):
        leaf = authorities.issue("api", chain[length])
        presented = [holder.der for holder in chain[length:0:-1]]
        decision = validate_chain(leaf.certificate, presented, [root.certificate], now=now)
        assert bool(decision.path) is trusted, decision.checks
    leaf = authorities.issue("api", root)
    decision = validate_chain(leaf.certificate, [root.der] * MAXIMUM_CERTIFICATES, [root.certificate], now=now)
    assert _failed(decision) == {"chain_length", "chain"}
    decision = validate_chain(leaf.certificate, [root.der] * (MAXIMUM_CERTIFICATES - 1), [root.certificate], now=now)
    assert decision.path


@pytest.mark.threat("27", "B8")
def test_the_size_of_presented_intermediates_is_bounded(authorities: Any, now: datetime) -> None:
    root = authorities.ca("Root")
    leaf = authorities.issue("api", root)
    within = [bytes(MAXIMUM_PRESENTED_BYTES)]  # no certificate, so that it neither helps nor harms
    assert validate_chain(leaf.certificate, within, [root.certificate], now=now).path
    beyond = validate_chain(leaf.certificate, [*within, b"x"], [root.certificate], now=now)
    assert not beyond.path
    assert _failed(beyond) == {"chain"}
    assert "65537 bytes" in _found(beyond)


@pytest.mark.threat("27", "B8")
def test_hostile_chains_cost_bounded_time(authorities: Any, now: datetime) -> None:
    root = authorities.ca("Root")
    one, two = authorities.ca("One"), authorities.ca("Two")
    cycle = [authorities.ca("One", two, key=one.key), authorities.ca("Two", one, key=two.key)]
    leaf = authorities.issue("api", one)
    crosses = [authorities.ca("One", authorities.ca(f"Cross {i}"), key=one.key).der for i in range(60)]
    same = [authorities.ca("One", one, key=one.key, identifiers=False).der for _ in range(60)]
    constraints = x509.NameConstraints(
        permitted_subtrees=[x509.DNSName(f"n{i}.example") for i in range(1000)], excluded_subtrees=None
    )
    constrained = authorities.ca("Constrained", root, constraints)
    names = x509.SubjectAlternativeName([x509.DNSName(f"n{i}.example") for i in range(1000)])
    many_names = authorities.issue("api", constrained, names)
    started = time.process_time()
    for stored in ([holder.der for holder in cycle], crosses, same, crosses + same):
        assert not validate_chain(leaf.certificate, [], [root.certificate], stored=stored, now=now).path
        with_cycle = [holder.der for holder in cycle]
        assert validate_chain(leaf.certificate, with_cycle, [one.certificate], stored=stored, now=now).path
    validate_chain(many_names.certificate, [constrained.der], [root.certificate], now=now)
    assert time.process_time() - started < 2


class _PublicOnly:
    """A key of a size that takes minutes to make; nothing here needs its private half."""

    def public_key(self) -> rsa.RSAPublicKey:
        return rsa.RSAPublicNumbers(65537, (1 << 16384) - 1).public_key()


@pytest.mark.threat("27", "B5")
def test_a_key_of_16384_bits_is_refused_before_anything_is_computed_with_it(authorities: Any, now: datetime) -> None:
    root = authorities.ca("Root")
    leaf = authorities.issue("api", root, key=_PublicOnly())
    huge = authorities.ca("Huge", root, key=_PublicOnly())
    below = authorities.issue("api", Holder(huge.certificate, root.key))
    started = time.process_time()
    assert _failed(validate_chain(leaf.certificate, [], [root.certificate], now=now)) == {"chain"}
    assert "key_strength" in {check.check for check in check_pki_leaf(leaf.certificate, now) if not check.passed}
    decision = validate_chain(below.certificate, [huge.der], [root.certificate], now=now)
    assert _failed(decision) == {"path_key_strength", "chain"}
    assert time.process_time() - started < 1


def test_accepted_paths_are_remembered_within_bounds_and_refusals_never(
    authorities: Any, intermediate: Any, root: Any, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MAXIMUM_PATHS", 3)
    validate_chain(authorities.issue("api", intermediate).certificate, [], [root.certificate], now=now)
    assert memory._paths == {}
    for _ in range(5):
        other = authorities.issue("api", intermediate)
        decision = validate_chain(other.certificate, [intermediate.der], [root.certificate], now=now)
        again = validate_chain(other.certificate, [intermediate.der], [root.certificate], now=now)
        assert decision == again
        assert len(memory._paths) <= 3


def test_what_is_remembered_holds_for_exactly_the_same_anchors(
    leaf: Any, intermediate: Any, root: Any, now: datetime
) -> None:
    assert validate_chain(leaf.certificate, [intermediate.der], [root.certificate], now=now).path
    assert not validate_chain(leaf.certificate, [intermediate.der], [], now=now).path
    assert not validate_chain(leaf.certificate, [], [root.certificate], now=now).path
    assert not validate_chain(leaf.certificate, [intermediate.der, root.der], [], now=now).path
