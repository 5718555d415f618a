"""To whom a certificate leads: rows 10, 11 and 27 of the threats, and bad inputs B1 and B8."""

from functools import partial
from http.client import RemoteDisconnected
from ipaddress import ip_network

import pytest
from cryptography import x509
from tests.oauth.making import Identity, dns, email, ip, new_key, uri
from tests.rfc.conftest import authority, identity

from certbound.authority import trust

from .conftest import Target, bounded, failures
from .handmade import shaken

VICTIM = [dns("victim.example")]


@pytest.mark.threat("B1")
def test_the_right_name_from_nobody_or_from_the_wrong_authority_is_refused(target: Target) -> None:
    client_id, others = target.client(), authority("CN=Others")
    target.accepts(target.client(others), identity("CN=victim", issuer=others, san=VICTIM))
    target.refuses(client_id, None, "certificate_presented")
    strangers = {
        "from an authority that another client trusts": identity("CN=victim", issuer=others, san=VICTIM),
        "from nobody's authority": identity("CN=victim", issuer=authority("CN=Unknown"), san=VICTIM),
        "from one of the same name": identity("CN=victim", issuer=authority("CN=Partners"), san=VICTIM),
        "signed by itself": identity("CN=victim", san=VICTIM),
        "signed by itself under the authority's name": identity("CN=Partners", san=VICTIM),
    }
    for shown in strangers.values():
        target.refuses(client_id, shown, "chain")


@pytest.mark.threat("B1")
def test_a_twin_that_signs_itself_with_the_key_of_a_good_certificate_is_refused(target: Target) -> None:
    client_id = target.client()
    good = identity("CN=victim", issuer=target.partners, san=VICTIM)
    target.accepts(client_id, good)
    twin = identity("CN=victim", key=good.key, san=VICTIM, serial_number=good.certificate.serial_number)
    target.refuses(client_id, Identity(twin.der, twin.key, (good, target.partners)), "path_is_a_ca", "chain")


def _excluded(*names: x509.GeneralName) -> x509.NameConstraints:
    return x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=names)


def _permitted(*names: x509.GeneralName) -> x509.NameConstraints:
    return x509.NameConstraints(permitted_subtrees=names, excluded_subtrees=None)


_NETWORK = x509.IPAddress(ip_network("192.0.2.0/24"))
_OWN, _OTHERS = (x509.DirectoryName(x509.Name.from_rfc4514_string(name)) for name in ("O=Own", "O=Victim"))
_CONSTRAINED = {
    "excluded DNS name": (_excluded(dns("victim.example")), dns("victim.example")),
    "excluded DNS name, below": (_excluded(dns("victim.example")), dns("a.victim.example")),
    "excluded DNS name, upper case": (_excluded(dns("victim.example")), dns("A.VICTIM.EXAMPLE")),
    "excluded DNS name in upper case": (_excluded(dns("VICTIM.EXAMPLE")), dns("victim.example")),
    "the second of two excluded": (_excluded(dns("other.example"), dns("victim.example")), dns("victim.example")),
    "no permitted DNS name": (_permitted(dns("own.example")), dns("victim.example")),
    "no permitted DNS name, but its end": (_permitted(dns("own.example")), dns("victimown.example")),
    "excluded mail domain": (_excluded(email("victim.example")), email("api@victim.example")),
    "excluded mail domain, upper case": (_excluded(email("victim.example")), email("api@VICTIM.EXAMPLE")),
    "excluded mailbox, first of two": (
        _excluded(email("api@victim.example"), email("api@other.example")),
        email("api@victim.example"),
    ),
    "no permitted mailbox": (_permitted(email("api@own.example")), email("other@own.example")),
    "excluded mail domains below": (_excluded(email(".victim.example")), email("api@a.victim.example")),
    "excluded URI host": (_excluded(uri("victim.example")), uri("spiffe://victim.example/api")),
    "excluded URI host, upper case": (_excluded(uri("victim.example")), uri("https://VICTIM.EXAMPLE:8443/api")),
    "no permitted URI host": (_permitted(uri(".own.example")), uri("https://victim.example/api")),
    "excluded network": (_excluded(_NETWORK), ip("192.0.2.7")),
    "no permitted network": (_permitted(_NETWORK), ip("198.51.100.7")),
}
_PARAMETERS: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "san_dns",
    x509.RFC822Name: "san_email",
    x509.UniformResourceIdentifier: "san_uri",
    x509.IPAddress: "san_ip",
}


@pytest.mark.threat("10", "11")
@pytest.mark.parametrize("case", _CONSTRAINED)
@pytest.mark.parametrize("beside", [[], [dns("api.own.example")]], ids=["alone", "beside a permitted name"])
def test_a_name_that_its_authority_may_not_give_is_refused_though_it_is_the_registered_one(
    target: Target, case: str, beside: list[x509.GeneralName]
) -> None:
    constraint, name = _CONSTRAINED[case]
    client_id = target.server.pki_client(target.partners, _PARAMETERS[type(name)], str(name.value))
    free = authority("CN=Free", issuer=target.partners)
    target.accepts(client_id, identity(issuer=free, san=[*beside, name]))
    bound = authority("CN=Bound", issuer=target.partners, extensions=[(constraint, True)])
    kept = target.refuses(client_id, identity(issuer=bound, san=[*beside, name]), "chain")
    assert "subtree violation" in failures(kept)["chain"]
    below = authority("CN=Below", issuer=bound)
    target.refuses(client_id, identity(issuer=below, san=[*beside, name]), "chain")


@pytest.mark.threat("10", "11")
@pytest.mark.parametrize("constraint", [_excluded(_OTHERS), _permitted(_OWN)], ids=["excluded", "permitted"])
@pytest.mark.parametrize("subject", ["CN=api,O=Victim", "CN=api,O=VICTIM", "CN=api,O=\\ victim"])
def test_a_subject_that_its_authority_may_not_give_is_refused(
    target: Target, constraint: x509.NameConstraints, subject: str
) -> None:
    client_id = target.server.pki_client(target.partners, "subject_dn", "CN=api,O=Victim")
    bound = authority("CN=Bound", issuer=target.partners, extensions=[(constraint, True)])
    target.refuses(client_id, identity(subject, issuer=bound), "chain")
    target.accepts(client_id, identity(subject, issuer=target.partners))


@pytest.mark.threat("11")
@pytest.mark.parametrize("wildcard", ["*.example", "*", "*.VICTIM.example", "v*.example"])
def test_a_wildcard_stands_for_nobody_whatever_its_authority_may_give(target: Target, wildcard: str) -> None:
    """So that no constraint can be got round by one."""
    for constraint in (_excluded(dns("victim.example")), _permitted(dns("example"))):
        bound = authority("CN=Bound", issuer=target.partners, extensions=[(constraint, True)])
        shown = identity(issuer=bound, san=[dns(wildcard)])
        answer = target.server.token(target.client(), shown)
        assert answer.error == (401, "invalid_client")
        assert "tls_client_auth_san_dns" in failures(target.kept(answer))


@pytest.mark.threat("27")
def test_thousands_of_names_and_constraints_cost_little(target: Target) -> None:
    client_id = target.client()
    constraint = _permitted(*(dns(f"n{i}.example") for i in range(1000)))
    bound = authority("CN=Bound", issuer=target.partners, extensions=[(constraint, True)])
    with_1000 = identity(issuer=bound, san=[dns(f"n{i}.example") for i in range(1, 1000)] + VICTIM)
    with_10000 = identity(issuer=bound, san=[dns("a")] * 9_999 + VICTIM)
    with_addresses = identity(issuer=bound, san=[ip("192.0.2.1")] * 9_999 + VICTIM)
    with bounded():
        target.refuses(client_id, with_1000, "chain")
        for many in (with_10000, with_addresses):
            kept = target.refuses(client_id, many, "certificate_presented")
            assert "more than 1000" in failures(kept)["certificate_presented"]


def _is_shut_out(target: Target, shown: Identity) -> None:
    """See the connection end without a word, as nobody has use for so much."""
    with pytest.raises((RemoteDisconnected, ConnectionError)):
        target.server.token(target.good_client, shown)


@pytest.mark.threat("27", "B8")
def test_a_hundred_certificates_are_not_looked_at(target: Target) -> None:
    key, leaf = new_key(), identity(issuer=target.partners, san=[dns("good.example")])
    same = tuple(authority("CN=Same", issuer=target.partners, key=key) for _ in range(99))
    with bounded():
        _is_shut_out(target, Identity(leaf.der, leaf.key, same))
        assert "ALERT" in shaken(target.lax_in_tls_1_2, leaf, [leaf.der, *(one.der for one in same)])


@pytest.mark.threat("B8")
def test_a_certificate_of_a_megabyte_is_not_looked_at(target: Target) -> None:
    own = identity(issuer=target.partners)
    padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), bytes(1 << 20))
    large = identity(issuer=target.partners, san=[dns("good.example")], extensions=[(padding, False)])
    with bounded():
        assert "ALERT" in shaken(target.lax_in_tls_1_2, own, [large.der])
        assert "ALERT" in shaken(target.lax_in_tls_1_2, own, [own.der, large.der])


@pytest.mark.threat("B8")
def test_authorities_that_vouch_for_each_other_lead_nowhere_and_cost_little(target: Target) -> None:
    one, two = authority("CN=One"), authority("CN=Two")
    circle = (authority("CN=One", issuer=two, key=one.key), authority("CN=Two", issuer=one, key=two.key))
    shown = identity(issuer=one, san=VICTIM)
    with bounded():
        target.refuses(target.client(), Identity(shown.der, shown.key, circle), "chain")
        target.accepts(target.client(two), Identity(shown.der, shown.key, circle))


@pytest.mark.threat("B8")
def test_twenty_cross_signed_certificates_lead_nowhere_and_cost_little(target: Target) -> None:
    """Eight of them sent along, the others in the trust store."""
    issuing = authority("CN=Issuing")
    crosses = [authority("CN=Issuing", issuer=authority(f"CN=Cross {i}"), key=issuing.key) for i in range(20)]
    name = target.server.trust(target.partners)
    subject = {"tls_client_auth_san_dns": "victim.example"}
    client_id = target.server.register("tls_client_auth", subject=subject, trust=(name,)).client.client_id
    held = [cross.certificate for cross in crosses[8:]]
    target.server.write(partial(trust.add, certificates=held, intermediate=True), name=name)
    shown = identity(issuer=issuing, san=VICTIM)
    right = authority("CN=Issuing", issuer=target.partners, key=issuing.key)
    with bounded():
        target.refuses(client_id, Identity(shown.der, shown.key, tuple(crosses[:8])), "chain")
        target.accepts(client_id, Identity(shown.der, shown.key, (right, *crosses[:7])))


@pytest.mark.threat("B8")
def test_a_leaf_sent_along_again_changes_nothing(target: Target) -> None:
    client_id = target.client()
    shown = identity(issuer=target.partners, san=VICTIM)
    target.accepts(client_id, Identity(shown.der, shown.key, (shown,) * 9))
    stranger = identity(san=VICTIM)
    target.refuses(client_id, Identity(stranger.der, stranger.key, (shown,) * 8), "path_is_a_ca", "chain")
