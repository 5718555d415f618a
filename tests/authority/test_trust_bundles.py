import json
from functools import partial
from typing import Any

import pytest
from tests.authority.house import House
from tests.oauth.making import Identity, authority, uri

from certbound.authority import trust, trust_bundles, trust_policies
from certbound.authority.trust import TrustError
from certbound.authority.trust_bundles import BundleChange
from certbound.authority.trust_policies import PolicyChanges
from certbound.certificates.spiffe import parse_bundle
from certbound.store import audit, revision
from certbound.store.trust import TrustStore

ONE, TWO, THREE = (authority(f"CN={name}", san=[uri("spiffe://example.org")]) for name in "123")


def replace(
    house: House, *anchors: Identity, trust_domain: str | None = "example.org", name: str = "mesh", **members: Any
) -> BundleChange:
    keys = [anchor.jwk(use="x509-svid") for anchor in anchors]
    bundle = parse_bundle(json.dumps({"keys": keys, **members}).encode())
    work = partial(trust_bundles.replace_bundle, name=name, bundle=bundle, trust_domain=trust_domain, **house.by)
    return house.store.write(work)


def anchors(house: House, name: str = "mesh") -> dict[str, bool]:
    held, _ = house.store.read(partial(trust.show, name=name))
    return {certificate.subject: certificate.disabled for certificate in held if certificate.kind == "anchor"}


def store(house: House) -> TrustStore:
    return house.store.read(partial(trust.existing, name="mesh"))


def test_a_bundle_makes_a_store_and_the_next_one_exchanges_its_anchors(house: House) -> None:
    first = replace(house, ONE, TWO, spiffe_refresh_hint=60, spiffe_sequence=3)
    assert [added.subject for added in first.added] == ["CN=1", "CN=2"]
    assert (store(house).trust_domain, store(house).bundle_refresh, store(house).bundle_sequence) == (
        "example.org",
        60,
        3,
    )
    second = replace(house, TWO, THREE, trust_domain=None, spiffe_sequence=4)
    assert [added.subject for added in second.added] == ["CN=3"]
    assert [removed.subject for removed in second.removed] == ["CN=1"]
    assert anchors(house).keys() == {"CN=2", "CN=3"}
    assert store(house).bundle_refresh == trust_bundles.DEFAULT_REFRESH
    *_, recorded = house.store.read(lambda connection: audit.page(connection, limit=100))
    assert (recorded.action, recorded.target) == ("trust.bundle_replaced", "mesh")
    detail = json.loads(recorded.detail)
    assert (detail["trust_domain"], detail["sequence"]) == ("example.org", 4)
    assert [len(detail[which]) for which in ("added", "removed")] == [1, 1]


def test_a_bundle_that_says_nothing_new_raises_no_revision(house: House) -> None:
    replace(house, ONE, TWO, spiffe_sequence=3)
    before = house.store.read(revision.read)
    assert replace(house, TWO, ONE, ONE, spiffe_sequence=3) == BundleChange()
    assert house.store.read(revision.read) == before
    assert replace(house, TWO, ONE, spiffe_sequence=4) == BundleChange()
    assert store(house).bundle_sequence == 4


def test_an_older_bundle_is_refused_and_the_newer_set_stays(house: House) -> None:
    replace(house, ONE, spiffe_sequence=3)
    for kept in (ONE, TWO):
        with pytest.raises(TrustError, match="its spiffe_sequence is 2, after 3"):
            replace(house, kept, spiffe_sequence=2)
    assert anchors(house).keys() == {"CN=1"}
    replace(house, TWO)
    with pytest.raises(TrustError, match="its spiffe_sequence is 2, after 3"):
        replace(house, TWO, spiffe_sequence=2)
    source = PolicyChanges(bundle_url="https://spire.example/bundle")
    house.store.write(partial(trust_policies.update, name="mesh", changes=source, **house.by))
    replace(house, THREE, spiffe_sequence=1)
    assert anchors(house).keys() == {"CN=3"}


def test_a_bundle_is_of_one_named_trust_domain(house: House) -> None:
    with pytest.raises(TrustError, match="say with --trust-domain"):
        replace(house, ONE, trust_domain=None)
    with pytest.raises(TrustError, match="--trust-domain: "):
        replace(house, ONE, trust_domain="Example.org")
    with pytest.raises(TrustError, match="1 to 64 letters"):
        replace(house, ONE, name="a b")
    with pytest.raises(TrustError, match="no trust store 'mesh'"):
        store(house)
    replace(house, ONE)
    with pytest.raises(TrustError, match="is of the trust domain example"):
        replace(house, TWO, trust_domain="other.org")
    change = PolicyChanges(trust_domain="other.org")
    with pytest.raises(TrustError, match="are those of the trust domain example"):
        house.store.write(partial(trust_policies.update, name="mesh", changes=change, **house.by))
    assert anchors(house).keys() == {"CN=1"}


def test_a_store_holds_the_anchors_of_its_bundle_or_others_but_never_both(house: House) -> None:
    with pytest.raises(TrustError, match="holds CN=Root, which came in no bundle"):
        replace(house, ONE, name="partners")
    replace(house, ONE)
    with pytest.raises(TrustError, match="are those of the SPIFFE bundle of example"):
        house.trust("mesh", TWO)
    middle = authority("CN=Middle", issuer=ONE)
    for held in (middle, TWO):
        add = partial(trust.add, name="mesh", certificates=[held.certificate], intermediate=True, **house.by)
        house.store.write(add)
    replace(house, ONE, TWO)
    held_now, _ = house.store.read(partial(trust.show, name="mesh"))
    kinds = {certificate.subject: certificate.kind for certificate in held_now}
    assert kinds == {"CN=1": "anchor", "CN=2": "anchor", "CN=Middle": "intermediate"}


def test_an_anchor_of_a_bundle_is_disabled_and_not_removed_and_stays_so(house: House) -> None:
    replace(house, ONE, TWO)
    by_id = {"name": "mesh", "certificate_id": ONE.certificate.sha256.hex(), **house.by}
    with pytest.raises(
        TrustError, match=f"would bring it back: `certbound trust disable mesh {by_id['certificate_id']}"
    ):
        house.store.write(partial(trust.remove, **by_id))
    house.store.write(partial(trust.set_disabled, disabled=True, **by_id))
    replace(house, ONE, TWO, THREE)
    assert anchors(house) == {"CN=1": True, "CN=2": False, "CN=3": False}


def test_an_absurd_hint_is_bounded(house: House) -> None:
    replace(house, ONE, spiffe_refresh_hint=2**62)
    assert store(house).bundle_refresh == 7 * 86_400
