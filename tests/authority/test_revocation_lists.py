import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.authority.house import House
from tests.certificates.openssl_ca import DAY, NOW, OpenSSLCA

from certbound.authority import revocation_lists, trust, trust_policies
from certbound.authority.trust import TrustError
from certbound.authority.trust_policies import PolicyChanges
from certbound.certificates.crl import CRLError
from certbound.store import audit, revision
from certbound.store import revocation as stored_revocation
from certbound.store.engine import Store
from certbound.store.revocation import StoredCRL

MOMENT = int(NOW.timestamp())
BY: dict[str, Any] = {"actor": "tester", "now": MOMENT}


class Lists:
    """The CRLs of the trust store `own`."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def trust(self, *authorities: OpenSSLCA, intermediate: bool = False) -> None:
        held = [authority.certificate for authority in authorities]
        self.store.write(partial(trust.add, name="own", certificates=held, intermediate=intermediate, **BY))

    def add(self, crl: bytes, url: str | None = None) -> StoredCRL:
        issuers = self.store.read(partial(revocation_lists.issuers, name="own"))
        verified = revocation_lists.read(crl, issuers, now=MOMENT)
        return self.store.write(partial(revocation_lists.add, name="own", verified=verified, url=url, **BY))

    @property
    def held(self) -> list[StoredCRL]:
        return list(self.store.read(partial(revocation_lists.listed, name="own")))

    @property
    def mode(self) -> str:
        return self.store.read(partial(trust.existing, name="own")).revocation

    @property
    def revision(self) -> int:
        return self.store.read(revision.read)


@pytest.fixture
def lists(house: House) -> Lists:
    return Lists(house.store)


@pytest.fixture
def ca(tmp_path: Path, lists: Lists) -> OpenSSLCA:
    made = OpenSSLCA(tmp_path / "ca")
    lists.trust(made)
    return made


def test_a_crl_is_kept_as_der_and_the_first_switches_revocation_on(lists: Lists, ca: OpenSSLCA) -> None:
    pem = ca.crl(number=1)
    before = lists.revision
    added = lists.add(pem)
    assert lists.revision == before + 1
    assert (added.issuer, added.number, added.is_delta, added.scope) == ("CN=CA", "1", False, "all")
    assert added.next_update == int((NOW + DAY).timestamp())
    assert (lists.held, lists.mode) == ([added], "crl")
    der = lists.store.read(partial(stored_revocation.load_der, store="own", sha256=added.sha256))
    assert der == ca.der_crl(pem)
    *_, recorded = lists.store.read(lambda connection: audit.page(connection, limit=100))
    assert (recorded.action, recorded.target) == ("trust.crl_added", "own")
    assert json.loads(recorded.detail) == {
        "id": added.sha256,
        "issuer": "CN=CA",
        "number": "1",
        "url": None,
        "revocation": "crl",
    }


def test_a_crl_that_is_there_changes_nothing_and_empties_no_workers_memory(lists: Lists, ca: OpenSSLCA) -> None:
    crl = ca.crl()
    lists.add(crl)
    before = lists.revision
    lists.add(ca.der_crl(crl), url="https://ca.example/crl")
    lists.add(crl)
    assert (lists.revision, len(lists.held)) == (before, 1)


def test_a_fetched_crl_leaves_it_to_the_policy_whether_it_is_asked(lists: Lists, ca: OpenSSLCA) -> None:
    crl = ca.crl()
    assert lists.add(crl, url="https://ca.example/crl").url == "https://ca.example/crl"
    assert lists.mode == "off"
    lists.add(crl)
    assert lists.mode == "crl"
    ocsp = partial(trust_policies.update, name="own", changes=PolicyChanges(revocation="ocsp"), **BY)
    lists.store.write(ocsp)
    lists.add(ca.crl())
    assert lists.mode == "ocsp"


def test_a_newer_crl_takes_the_place_of_the_older_and_never_the_other_way(lists: Lists, ca: OpenSSLCA) -> None:
    old, new = ca.crl(number=5), ca.crl(number=6)
    lists.add(old)
    kept = lists.add(new)
    with pytest.raises(TrustError, match="number 5 and is older than the one that is there, number 6"):
        lists.add(old)
    assert lists.held == [kept]


def test_of_two_crls_with_one_number_the_later_one_stays(lists: Lists, ca: OpenSSLCA) -> None:
    old, new = (ca.crl(begins=NOW - days * DAY, number=1) for days in (3, 2))
    kept = lists.add(new)
    with pytest.raises(TrustError, match="newer CRL of CN=CA is there"):
        lists.add(old)
    assert lists.held == [kept]


def test_of_crls_that_come_at_once_the_newest_stays(shared_store: Store, tmp_path: Path) -> None:
    lists, ca = Lists(shared_store), OpenSSLCA(tmp_path / "ca")
    lists.trust(ca)
    crls = [ca.crl(number=number) for number in (3, 1, 4, 2)]

    def add(crl: bytes) -> None:
        with contextlib.suppress(TrustError):
            lists.add(crl)

    with ThreadPoolExecutor(len(crls)) as workers:
        list(workers.map(add, crls))
    [kept] = lists.held
    assert kept.number == "4"
    assert lists.mode == "crl"


def test_what_may_not_be_used_is_refused_and_the_old_one_stays(lists: Lists, ca: OpenSSLCA, tmp_path: Path) -> None:
    kept = lists.add(ca.crl(number=9))
    before = lists.revision
    stranger = OpenSSLCA(tmp_path / "stranger", "Stranger")
    namesake = OpenSSLCA(tmp_path / "namesake")
    ended, to_come = NOW - DAY, NOW + DAY
    for crl, reason in (
        (ca.crl(begins=NOW - 2 * DAY, ends=ended), f"the CRL is stale: CN=CA .* {ended:%Y-%m-%dT%H:%M:%SZ}"),
        (ca.crl(begins=to_come, ends=to_come + DAY), "is to come: compare the clocks"),
        (stranger.crl(), "belongs to another issuer: CN=Stranger"),
        (namesake.crl(), "signature is not by CN=CA"),
        (ca.crl()[:-200], "cut off"),
        (b"", "is empty"),
        (b"<html>", "is a web page"),
        ((ca.folder / "ca.pem").read_bytes(), "no CRL"),
        ((ca.folder / "ca.key").read_bytes(), "no CRL but a block of type 'PRIVATE KEY'"),
    ):
        with pytest.raises(CRLError, match=reason):
            lists.add(crl)
    assert (lists.held, lists.revision) == ([kept], before)


def test_crls_of_several_cas_stand_side_by_side(lists: Lists, ca: OpenSSLCA, tmp_path: Path) -> None:
    below = OpenSSLCA(tmp_path / "below", "Below", issuer=ca)
    lists.trust(below, intermediate=True)
    namesake = OpenSSLCA(tmp_path / "namesake")
    lists.trust(namesake)
    for authority in (ca, below, namesake):
        lists.add(authority.crl(number=1))
    assert [crl.issuer for crl in lists.held] == ["CN=Below", "CN=CA", "CN=CA"]
    lists.add(namesake.crl(number=2))
    assert sorted((crl.issuer, crl.number) for crl in lists.held) == [("CN=Below", "1"), ("CN=CA", "1"), ("CN=CA", "2")]


def test_crls_for_parts_of_the_certificates_stand_side_by_side(lists: Lists, ca: OpenSSLCA) -> None:
    ca.configure("[users]\nissuingDistributionPoint=critical,@users_point\n[users_point]\nonlyuser=TRUE")
    ca.configure(
        "[part]\nissuingDistributionPoint=critical,@part_point\n[part_point]\nfullname=URI:http://ca.example/1"
    )
    for extensions in ("crl", "users", "part"):
        lists.add(ca.crl(extensions=extensions))
    assert {crl.scope for crl in lists.held} == {"all", "users", "all http://ca.example/1"}


def test_a_delta_needs_the_complete_crl_and_goes_with_the_next(lists: Lists, ca: OpenSSLCA) -> None:
    ca.configure("[delta]\n2.5.29.27=critical,DER:02:01:07")
    complete, delta, next_one = ca.crl(number=7), ca.crl(number=8, extensions="delta"), ca.crl(number=8)
    with pytest.raises(TrustError, match="delta to number 7, and no complete one"):
        lists.add(delta)
    lists.add(complete)
    assert lists.add(delta).is_delta
    assert len(lists.held) == 2
    kept = lists.add(next_one)
    assert lists.held == [kept]


def test_a_crl_goes_when_asked_or_with_the_ca_that_signed_it(lists: Lists, ca: OpenSSLCA, tmp_path: Path) -> None:
    other = OpenSSLCA(tmp_path / "other", "Other")
    lists.trust(other)
    first, second = lists.add(ca.crl()), lists.add(other.crl())
    remove = partial(revocation_lists.remove, name="own", sha256=first.sha256, **BY)
    before = lists.revision
    lists.store.write(remove)
    assert lists.revision == before + 1
    assert lists.held == [second]
    with pytest.raises(TrustError, match="holds no CRL"):
        lists.store.write(remove)
    lists.store.write(partial(trust.remove, name="own", certificate_id=other.certificate.sha256.hex(), **BY))
    assert not lists.held


def test_a_crl_whose_ca_went_while_it_was_read_is_not_added(lists: Lists, ca: OpenSSLCA) -> None:
    issuers = lists.store.read(partial(revocation_lists.issuers, name="own"))
    verified = revocation_lists.read(ca.crl(), issuers, now=MOMENT)
    lists.store.write(partial(trust.remove, name="own", certificate_id=ca.certificate.sha256.hex(), **BY))
    with pytest.raises(TrustError, match="no CA of the trust store 'own' any more"):
        lists.store.write(partial(revocation_lists.add, name="own", verified=verified, **BY))
    assert not lists.held


def test_a_store_holds_only_so_many(lists: Lists, ca: OpenSSLCA, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation_lists, "MAXIMUM_CRLS", 1)
    ca.configure("[users]\nissuingDistributionPoint=critical,@users_point\n[users_point]\nonlyuser=TRUE")
    lists.add(ca.crl())
    with pytest.raises(TrustError, match="holds 1 CRLs already"):
        lists.add(ca.crl(extensions="users"))
    renewed = lists.add(ca.crl(number=9))
    assert lists.held == [renewed]
