import json
from functools import partial
from typing import Any

import pytest
from tests.authority.house import House
from tests.oauth.making import authority

from certbound.authority import trust_policies
from certbound.authority.trust import TrustError
from certbound.authority.trust_policies import PolicyChanges, TrustPolicy
from certbound.store import audit, revision

CRL_URL, OCSP_URL, BUNDLE_URL = "http://ca.example/crl", "http://ocsp.example", "https://spire.example/bundle"


def update(house: House, name: str = "partners", **changes: Any) -> TrustPolicy:
    return house.store.write(partial(trust_policies.update, name=name, changes=PolicyChanges(**changes), **house.by))


def policy(house: House, name: str = "partners") -> TrustPolicy:
    return house.store.read(partial(trust_policies.policy, name=name))


def test_a_store_asks_nothing_more_until_it_is_told(house: House) -> None:
    assert policy(house).as_members() == {
        "revocation": "off",
        "on_unavailable": "refuse",
        "grace_seconds": 0,
        "extended_key_usage": "optional",
        "trust_domain": None,
        "bundle_url": None,
        "ocsp_url": None,
        "crl_urls": [],
    }


def test_what_is_not_named_stays_and_an_empty_text_takes_it_away(house: House) -> None:
    asked: dict[str, Any] = {"revocation": "crl+ocsp", "on_unavailable": "accept", "grace_seconds": 60}
    asked["ocsp_url"] = OCSP_URL
    before = house.store.read(revision.read)
    set_now = update(house, **asked, extended_key_usage="require", crl_urls=(CRL_URL, "https://b.example/", CRL_URL))
    assert house.store.read(revision.read) == before + 1
    assert set_now == policy(house)
    assert asked.items() <= set_now.as_members().items()
    assert set(set_now.crl_urls) == {CRL_URL, "https://b.example/"}
    later = update(house, ocsp_url="", crl_urls=(CRL_URL,))
    assert later.as_members() == set_now.as_members() | {"ocsp_url": None, "crl_urls": [CRL_URL]}
    assert update(house, crl_urls=("",), trust_domain="spiffe://example.org").crl_urls == ()
    assert policy(house).store.trust_domain == "example.org"
    assert update(house, trust_domain="").store.trust_domain is None


def test_a_change_is_recorded_with_what_was_before(house: House) -> None:
    before = policy(house).as_members()
    after = update(house, revocation="ocsp").as_members()
    *_, recorded = house.store.read(lambda connection: audit.page(connection, limit=100))
    assert (recorded.action, recorded.target) == ("trust.policy_changed", "partners")
    assert json.loads(recorded.detail) == {"before": before, "after": after}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"revocation": "never"}, "--revocation is one of off, crl, ocsp, crl"),
        ({"on_unavailable": "ask"}, "--on-unavailable is one of refuse, accept"),
        ({"extended_key_usage": "no"}, "--extended-key-usage is one of optional, require"),
        ({"grace_seconds": -1}, "--grace is 0 to"),
        ({"grace_seconds": 30 * 86_400 + 1}, "--grace is 0 to"),
        ({"trust_domain": "Example.org"}, "--trust-domain: .* lower case"),
        ({"ocsp_url": "ftp://ocsp.example"}, "--ocsp-url ftp://ocsp.example: only https: and http:"),
        ({"crl_urls": ("file:///etc/passwd",)}, "--crl-url file:///etc/passwd: only https: and http:"),
        ({"crl_urls": tuple(f"https://ca.example/{n}" for n in range(21))}, "at most 20 URLs"),
        ({"bundle_url": "http://spire.example", "trust_domain": "a"}, "--bundle-url .*: only https:"),
        ({"bundle_url": BUNDLE_URL}, "say which with --trust-domain"),
        ({"bundle_url": BUNDLE_URL, "trust_domain": "a"}, "holds anchors that came in no bundle"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(house: House, changes: dict[str, Any], reason: str) -> None:
    before = policy(house)
    with pytest.raises(TrustError, match=reason):
        update(house, **{"revocation": "crl", "crl_urls": (CRL_URL,)} | changes)
    assert policy(house) == before


def test_a_store_that_a_bundle_will_fill_is_made_by_naming_where_it_comes_from(house: House) -> None:
    with pytest.raises(TrustError, match="no trust store 'mesh'"):
        update(house, "mesh", revocation="crl")
    with pytest.raises(TrustError, match="no trust store 'mesh'"):
        update(house, "mesh", bundle_url=BUNDLE_URL)
    made = update(house, "mesh", bundle_url=BUNDLE_URL, trust_domain="example.org")
    assert (made.store.bundle_url, made.store.anchors) == (BUNDLE_URL, 0)
    with pytest.raises(TrustError, match="are those of the SPIFFE bundle of example"):
        house.trust("mesh", authority())
    with pytest.raises(TrustError, match="say which with --trust-domain"):
        update(house, "mesh", trust_domain="")
    assert update(house, "mesh", bundle_url="", trust_domain="").store.bundle_url is None
    house.trust("mesh", authority())


def test_there_is_no_policy_of_a_store_that_is_not_there(house: House) -> None:
    with pytest.raises(TrustError, match="no trust store 'x'"):
        policy(house, "x")
