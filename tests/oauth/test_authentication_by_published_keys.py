"""`self_signed_tls_client_auth`: registered certificates, published ones, and keys without certificate."""

from dataclasses import replace
from typing import Any

import pytest
from tests.oauth.making import DAY, ISSUER, NOW, Identity, authority, make, new_key

from certbound.oauth.authentication import Decision, Known, Needs, authenticate
from certbound.oauth.blocking import Blocked
from certbound.oauth.client_jwks import read_client_jwks
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.oauth.registration import AuthenticationMethod, Client, Registration

KEY = new_key()
MINE = make("CN=mine", key=KEY)
RENEWED = make("CN=mine", key=KEY, not_after=NOW + 9 * DAY)
BY_AUTHORITY = make("CN=whoever", key=KEY, issuer=authority())
STRANGER = make("CN=mine")
URI = "https://client.example/jwks"


def published(*keys: dict[str, Any], match_by_key: bool = False, **members: Any) -> Registration:
    """Register a client whose set holds these keys, as it is put together from a `jwks` or a `jwks_uri`."""
    found = read_client_jwks({"keys": list(keys)})
    method = AuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH
    client = Client("orders", "Orders", method, match_by_key=match_by_key, **members)
    return Registration(client, certificates=found.certificates, keys=found.keys if match_by_key else ())


def bare(identity: Identity) -> dict[str, Any]:
    return {name: value for name, value in identity.jwk().items() if name != "x5c"}


def decide(
    registration: Registration, identity: Identity, shown: ShownMethod = ShownMethod.NOTHING, **known: Any
) -> Decision:
    credentials = Credentials("orders", shown, identity.presented())
    return authenticate(registration, credentials, Known(NOW, set(AuthenticationMethod), ISSUER, **known))


def failed(decision: Decision) -> list[str]:
    return [check.check for check in decision.failed]


@pytest.mark.req("8705-17")
def test_a_certificate_in_a_set_stands_for_itself_only_even_where_keys_match() -> None:
    for match_by_key in (False, True):
        client = published(MINE.jwk(), match_by_key=match_by_key)
        assert decide(client, MINE).client is not None
        for other in (RENEWED, BY_AUTHORITY, STRANGER):
            assert failed(decide(client, other)) == ["certificate_registered"]


def test_a_key_without_certificate_stands_for_every_certificate_of_it_where_the_client_is_registered_so() -> None:
    client = published(bare(MINE), match_by_key=True)
    for identity in (MINE, RENEWED, BY_AUTHORITY):
        decision = decide(client, identity)
        assert decision.client is not None
        assert decision.good_until == identity.certificate.not_after
    assert failed(decide(client, STRANGER)) == ["certificate_registered"]


def test_a_key_without_certificate_stands_for_nothing_by_default() -> None:
    decision = decide(published(bare(MINE)), MINE)
    assert failed(decision) == ["certificate_registered"]
    assert [check.expected for check in decision.failed] == ["none registered"]


def test_a_certificate_of_a_registered_key_must_be_in_force_too() -> None:
    client = published(bare(MINE), match_by_key=True)
    late = make("CN=mine", key=KEY, not_before=NOW - 2 * DAY, not_after=NOW - DAY)
    assert failed(decide(client, late)) == ["validity"]


def test_several_certificates_and_keys_mean_one_client_and_a_trace_lists_no_more_than_ten() -> None:
    others = [make(f"CN=other {number}") for number in range(12)]
    client = published(*(other.jwk() for other in others), bare(MINE), match_by_key=True)
    assert decide(client, others[-1]).client is not None
    [check] = decide(client, STRANGER).failed
    assert check.expected.count(", ") == 9
    assert check.expected.endswith(" and 3 more")
    assert others[0].certificate.sha256.hex() in check.expected
    [check] = decide(published(bare(MINE), match_by_key=True), STRANGER).failed
    assert check.expected == f"any certificate of the key {MINE.certificate.spki_sha256.hex()}"


@pytest.mark.req("8705-20")
def test_an_unknown_certificate_needs_the_set_as_it_is_now_and_only_if_the_rest_is_right() -> None:
    client = published(MINE.jwk(), jwks_uri=URI)
    assert decide(client, MINE).needs is None
    assert decide(client, RENEWED).needs == Needs(jwks=True)
    late = make("CN=mine", not_before=NOW - 2 * DAY, not_after=NOW - DAY)
    wrong = [
        decide(published(MINE.jwk()), RENEWED),  # what is registered inline is looked for nowhere else
        decide(client, late),
        decide(client, RENEWED, blocked=Blocked(keys=frozenset({RENEWED.certificate.spki_sha256}))),
        decide(replace(client, client=replace(client.client, disabled=True)), RENEWED),
        *(decide(client, RENEWED, shown) for shown in ShownMethod if shown is not ShownMethod.NOTHING),
        decide(client, RENEWED, is_all=True),
    ]
    assert [(decision.client, decision.needs) for decision in wrong] == [(None, None)] * len(wrong)
    off = authenticate(
        client, Credentials("orders", ShownMethod.NOTHING, RENEWED.presented()), Known(NOW, set(), ISSUER)
    )
    assert off.needs is None
    nothing = authenticate(
        client, Credentials("orders", ShownMethod.NOTHING, None), Known(NOW, client_methods(), ISSUER)
    )
    assert nothing.needs is None


def client_methods() -> set[AuthenticationMethod]:
    return {AuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH}


def test_a_trace_says_why_a_published_set_is_not_there() -> None:
    client = replace(published(MINE.jwk(), jwks_uri=URI), certificates=(), unpublished="the server is away")
    assert [check.expected for check in decide(client, MINE).failed] == ["none registered (the server is away)"]


@pytest.mark.parametrize("method", list(AuthenticationMethod))
def test_a_blocked_key_is_refused_by_every_method(method: AuthenticationMethod) -> None:
    client = Client("orders", "Orders", method)
    shown = ShownMethod(method) if method.has_secret else ShownMethod.NOTHING
    credentials = Credentials("orders", shown, MINE.presented(), "a secret" if method.has_secret else None)
    registration = Registration(client, certificates=(MINE.certificate,))
    for blocked in (
        Blocked(certificates=frozenset({MINE.certificate.sha256})),
        Blocked(keys=frozenset({MINE.certificate.spki_sha256})),
    ):
        decision = authenticate(
            registration, credentials, Known(NOW, set(AuthenticationMethod), ISSUER, blocked=blocked)
        )
        assert decision.client is None
        assert "not_blocked" in failed(decision)
        assert decision.needs is None
