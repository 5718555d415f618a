"""Clients that sign: the registered keys decide, and one assertion is one authentication."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.oauth.making import DAY, ISSUER, NOW, Identity, make
from tests.oauth.signing import KEYS, Private, public_jwk, signed

from certbound.jose.jwks import JWKSet, parse_jwks
from certbound.oauth.authentication import Decision, Known, Needs, authenticate
from certbound.oauth.blocking import Blocked
from certbound.oauth.client_assertion import Assertion
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.oauth.registration import AuthenticationMethod, Client, Registration

SECONDS = int(NOW.timestamp())
URI = "https://client.example/jwks"
CLAIMS = {"iss": "orders", "sub": "orders", "aud": ISSUER, "exp": SECONDS + 60, "iat": SECONDS, "jti": "7f9d1c0e"}
MINE, STRANGER = make("CN=mine"), ec.generate_private_key(ec.SECP256R1())
PUBLISHED = parse_jwks({"keys": [public_jwk(key, kid=alg) for alg, key in KEYS.items()]})


def registration(keys: JWKSet = PUBLISHED, *, unpublished: str | None = None, **members: Any) -> Registration:
    client = Client("orders", "Orders", AuthenticationMethod.PRIVATE_KEY_JWT, **members)
    return Registration(client, verification_keys=keys, unpublished=unpublished)


def assertion(algorithm: str = "ES256", key: Private | None = None, kid: str | None = None, **claims: Any) -> str:
    return signed({"alg": algorithm, "kid": kid or algorithm}, {**CLAIMS, **claims}, key)


def decide(registered: Registration, shown: str | None, presented: Identity | None = None, /, **known: Any) -> Decision:
    chain = presented.presented() if presented is not None else None
    credentials = Credentials("orders", ShownMethod.ASSERTION, chain, assertion=shown)
    return authenticate(registered, credentials, Known(NOW, set(AuthenticationMethod), ISSUER, **known))


def failed(decision: Decision) -> list[str]:
    assert (decision.client is None) == bool(decision.failed)
    if decision.client is None:
        assert (decision.assertion, decision.error) == (None, "invalid_client")
    return [check.check for check in decision.failed]


@pytest.mark.req("9700-13", "F2-07")
@pytest.mark.parametrize("algorithm", list(KEYS))
def test_an_assertion_signed_with_a_registered_key_authenticates_the_client(algorithm: str) -> None:
    decision = decide(registration(), assertion(algorithm))
    assert decision.client is not None
    assert decision.assertion == Assertion("7f9d1c0e", SECONDS + 60)
    assert (decision.good_until, decision.needs) == (None, None)


@pytest.mark.req("9700-13", "F2-07")
def test_an_assertion_of_another_key_authenticates_nobody() -> None:
    assert failed(decide(registration(), assertion(key=STRANGER))) == ["assertion_signature"]
    assert failed(decide(registration(JWKSet()), assertion())) == ["assertion_key"]


@pytest.mark.req("F2-09", "9126-02")
@pytest.mark.threat("36")
@pytest.mark.parametrize("audience", [f"{ISSUER}/oauth2/token", f"{ISSUER}/oauth2/par", [ISSUER], "", None])
def test_an_assertion_for_anything_but_the_issuer_as_a_string_is_refused(audience: Any) -> None:
    assert failed(decide(registration(), assertion(aud=audience))) == ["assertion_aud"]


def test_a_client_registered_for_one_algorithm_uses_no_other() -> None:
    only = registration(token_endpoint_auth_signing_alg="PS256")
    assert decide(only, assertion("PS256")).client is not None
    for algorithm in KEYS.keys() - {"PS256"}:
        assert failed(decide(only, assertion(algorithm))) == ["assertion_signature"]


@pytest.mark.threat("41")
@pytest.mark.parametrize("shown", [shown for shown in ShownMethod if shown is not ShownMethod.ASSERTION])
@pytest.mark.parametrize("presented", [None, MINE.presented()])
def test_nothing_else_stands_for_an_assertion(shown: ShownMethod, presented: Any) -> None:
    credentials = Credentials("orders", shown, presented, "secret")
    decision = authenticate(registration(), credentials, Known(NOW, set(AuthenticationMethod), ISSUER))
    assert failed(decision) == ["method_used", "assertion_signature"]


@pytest.mark.threat("41")
@pytest.mark.parametrize("method", [method for method in AuthenticationMethod if method != "private_key_jwt"])
def test_an_assertion_stands_for_no_other_method(method: AuthenticationMethod) -> None:
    client = replace(registration().client, token_endpoint_auth_method=method)
    decision = decide(replace(registration(), client=client, certificates=(MINE.certificate,)), assertion(), MINE)
    assert decision.client is None
    assert "method_used" in {check.check for check in decision.failed}
    assert decision.assertion is None


def test_the_connections_certificate_is_no_second_method_and_neither_valid_nor_known() -> None:
    late = make("CN=whoever", not_before=NOW - 2 * DAY, not_after=NOW - DAY)
    for presented in (MINE, late):
        decision = decide(registration(), assertion(), presented)
        assert decision.client is not None
        assert decision.good_until is None


def test_a_blocked_certificate_on_the_connection_refuses_an_assertion() -> None:
    for blocked in (
        Blocked(certificates=frozenset({MINE.certificate.sha256})),
        Blocked(keys=frozenset({MINE.certificate.spki_sha256})),
    ):
        assert failed(decide(registration(), assertion(), MINE, blocked=blocked)) == ["not_blocked"]
        assert decide(registration(), assertion(), blocked=blocked).client is not None


def test_a_blocked_key_signs_nothing_that_counts_and_the_clients_other_keys_do() -> None:
    first, *_ = PUBLISHED.keys
    blocked = Blocked(keys=frozenset({sha256(first.spki).digest()}))
    refused = decide(registration(), assertion("ES256"), blocked=blocked)
    assert failed(refused) == ["assertion_key"]
    assert refused.failed[0].found.endswith("(a key of the client is blocked)")
    assert decide(registration(), assertion("PS256"), blocked=blocked).client is not None


def test_a_disabled_client_and_a_method_that_is_off_are_refused() -> None:
    assert failed(decide(registration(disabled=True), assertion())) == ["client_enabled"]
    credentials = Credentials("orders", ShownMethod.ASSERTION, None, assertion=assertion())
    assert failed(authenticate(registration(), credentials, Known(NOW, set(), ISSUER))) == ["method_offered"]


def test_an_unknown_key_needs_the_set_as_it_is_now_and_only_if_the_rest_is_right() -> None:
    client = registration(jwks_uri=URI)
    new = assertion(key=STRANGER, kid="new")
    assert decide(client, assertion()).needs is None
    assert decide(client, new).needs == Needs(jwks=True)
    assert decide(registration(JWKSet(), jwks_uri=URI), assertion()).needs == Needs(jwks=True)
    wrong = [
        decide(registration(), new),  # what is registered inline is looked for nowhere else
        decide(client, assertion(key=STRANGER)),
        decide(client, assertion(aud="https://other.example")),
        decide(client, "junk"),
        decide(client, None),
        decide(registration(jwks_uri=URI, token_endpoint_auth_signing_alg="PS256"), new),
        decide(registration(jwks_uri=URI, disabled=True), new),
        decide(client, new, MINE, blocked=Blocked(certificates=frozenset({MINE.certificate.sha256}))),
        decide(client, new, is_all=True),
    ]
    assert [(decision.client, decision.needs) for decision in wrong] == [(None, None)] * len(wrong)


def test_a_trace_says_why_a_published_set_is_not_there() -> None:
    away = registration(JWKSet(), jwks_uri=URI, unpublished="the server is away")
    [check] = decide(away, assertion(), is_all=True).failed
    assert check.found.endswith("(the server is away)")
    [check] = decide(registration(jwks_uri=URI, unpublished="the server is away"), assertion(key=STRANGER)).failed
    assert "away" not in check.found
