"""Which client a certificate means: rows 1 to 6 of the threats."""

import base64
import hashlib
import itertools
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route
from tests.oauth.making import Identity, dns, make
from tests.rfc.conftest import authority, identity, now

from certbound.web.signin.pages import STYLESHEET_PATH

from .conftest import Target, failures

VICTIM = [dns("victim.example")]


@pytest.mark.threat("1", "B8")
@pytest.mark.parametrize("place", ["behind the leaf", "behind the issuer", "twice"])
def test_certificates_behind_the_leaf_never_authenticate(target: Target, place: str) -> None:
    """A certificate of the client's own, and behind it the one of somebody else whom the same authority vouches for."""
    issuing = authority("CN=Issuing", issuer=target.partners)
    own = identity("CN=own", san=[dns("own.example")], issuer=issuing)
    victim = identity("CN=victim", san=VICTIM, issuer=target.partners)
    behind = {"behind the leaf": (victim, issuing), "behind the issuer": (issuing, victim)}
    posing = Identity(own.der, own.key, behind.get(place, (victim, issuing, victim)))
    kept = target.refuses(target.client(), posing, "tls_client_auth_san_dns")
    assert kept.certificate is not None
    assert kept.certificate["sha256"] == hashlib.sha256(own.der).hexdigest()
    target.accepts(target.client(name="own.example"), posing)


@pytest.mark.threat("1")
def test_a_registered_certificate_behind_another_leaf_never_authenticates(target: Target) -> None:
    own = identity("CN=alone")
    posing = Identity(own.der, own.key, (target.alone,))
    target.refuses(target.alone_client, posing, "certificate_registered")


_NAMES = (
    "Client-Cert",
    "Client-Cert-Chain",
    "X-SSL-Client-Cert",
    "X-SSL-Client-Chain",
    "SSL-Client-Cert",
    "SSL_CLIENT_CERT",
    "X-Client-Cert",
    "X-Client-Certificate",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Tls-Client-Cert",
    "X-Forwarded-Tls-Client-Cert-Info",
    "X-Amzn-Mtls-Clientcert",
    "X-Amzn-Mtls-Clientcert-Leaf",
    "X-ARR-ClientCert",
    "X-SSL-Client-Verify",
    "X-SSL-Client-S-DN",
    "X-SSL-Client-SHA256",
    "Cf-Client-Cert-Der-Base64",
    "X-Client-Cert-Leaf",
    "X-WSO2-Mutual-Auth-Cert",
)


def _values(victim: Identity) -> Iterable[str]:
    encoded, pem = base64.b64encode(victim.der).decode(), victim.pem.decode()
    yield f":{encoded}:"
    yield encoded
    yield quote(pem, safe="")
    yield pem.replace("\n", "")
    yield f'Hash={hashlib.sha256(victim.der).hexdigest()};Cert="{quote(pem, safe="")}";Subject="CN=victim"'
    yield from ("SUCCESS", "CN=alone", hashlib.sha256(victim.der).hexdigest())


@pytest.mark.threat("2")
@settings(max_examples=30)
@given(data=st.data())
def test_no_header_of_a_proxy_is_believed_by_a_listener_for_clients(running: Target, data: st.DataObject) -> None:
    """Every name that a proxy is known to use, in any case and with either kind of dash, and every known encoding."""
    victim = running.alone
    known = st.sampled_from(_NAMES).flatmap(
        lambda name: st.tuples(*[st.sampled_from(_spellings(character)) for character in name]).map("".join)
    )
    names = data.draw(st.lists(known, min_size=1, max_size=3, unique_by=str.lower))
    headers = {name: data.draw(st.sampled_from(list(_values(victim)))) for name in names}
    shown = data.draw(st.sampled_from([None, running.good]))
    answer = running.server.token(running.alone_client, shown, headers=headers)
    assert answer.error == (401, "invalid_client")
    found = hashlib.sha256(shown.der).hexdigest() if shown else None
    certificate = running.kept(answer).certificate
    assert (certificate and certificate["sha256"]) == found


def _spellings(character: str) -> str:
    return "-_" if character in "-_" else character.lower() + character.upper()


# Anybody may read these: they hold nothing of any client.
_PUBLIC = {
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/oauth2/jwks",
    "/oauth2/blocked",
    STYLESHEET_PATH,
    "/healthz",
    "/readyz",
    "/metrics",
}
_FOR_CLIENTS = {"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/par"}
_FOR_TOKENS = {"/oauth2/userinfo"}
# A certificate says nothing about people: they sign in.
_FOR_PEOPLE = {"/oauth2/authorize": 400, "/oauth2/consents": 200, "/oauth2/logout": 200}
_FORM = {"grant_type": "client_credentials", "token": "anything"}


def _strangers(target: Target) -> dict[str, Identity | None]:
    long_ago = target.partners.x509.not_valid_before_utc
    expired: dict[str, Any] = {"not_before": long_ago, "not_after": long_ago}
    return {
        "no certificate": None,
        "an untrusted one": identity("CN=good", san=[dns("good.example")], issuer=authority("CN=Partners")),
        "an expired one": identity("CN=good", san=[dns("good.example")], issuer=target.partners, **expired),
        "another client's": target.alone,
    }


@pytest.mark.threat("3")
def test_every_address_is_public_or_refuses_whoever_is_no_client(target: Target) -> None:
    """A new address must be put on one of the lists, and keep its promise."""
    strangers = _strangers(target)
    application: Any = target.server.worker.listeners[0].app
    assert isinstance(application, Starlette)
    routes = {route.path for route in application.routes if isinstance(route, Route)}
    assert routes == _PUBLIC | _FOR_CLIENTS | _FOR_TOKENS | _FOR_PEOPLE.keys()
    for path, shown in itertools.product(_FOR_CLIENTS, strangers.values()):
        assert target.server.ask(path, _FORM, shown).status in {400, 401}
        for client_id in (target.good_client, "nobody"):
            assert target.server.ask(path, {**_FORM, "client_id": client_id}, shown).error == (401, "invalid_client")
    for path in _PUBLIC:
        said = {target.server.ask(path, None, shown).status for shown in [*strangers.values(), target.good]}
        assert said == {200}
        assert target.good_client.encode() not in target.server.ask(path, None, target.good).body
    for path, shown in itertools.product(_FOR_TOKENS, [*strangers.values(), target.good]):
        assert target.server.ask(path, None, shown).status == 401
    for path, status in _FOR_PEOPLE.items():
        for shown in [*strangers.values(), target.good]:
            assert target.server.ask(path, None, shown).status == status


@pytest.mark.threat("3")
@pytest.mark.parametrize("path", ["/api/admin/v1/clients", "/api/admin/v1/openapi.json", "/console", "/console/"])
def test_what_administers_is_not_there_for_anybody(target: Target, path: str) -> None:
    for shown in [*_strangers(target).values(), target.good]:
        assert target.server.ask(path, None, shown).status == 404
        assert target.server.ask(path, {"client_id": target.good_client}, shown).status == 404


@pytest.mark.threat("4")
def test_a_certificate_that_copies_every_field_but_the_key_is_another(target: Target) -> None:
    """Same subject, issuer, serial number, dates and key identifier: only the whole certificate counts."""
    dates: dict[str, Any] = {
        "not_before": now(),
        "not_after": now().replace(year=now().year + 1),
        "serial_number": 4711,
    }
    key_identifier = x509.SubjectKeyIdentifier(b"the same for both of them")
    registered = make("CN=registered", extensions=[(key_identifier, False)], **dates)
    crafted = make("CN=registered", extensions=[(key_identifier, False)], **dates)
    client_id = target.server.self_signed_client(registered)
    target.refuses(client_id, crafted, "certificate_registered")
    target.accepts(client_id, registered)


@pytest.mark.threat("4")
@pytest.mark.parametrize("ca", [False, True])
def test_a_registered_certificate_vouches_for_no_other(target: Target, ca: bool) -> None:
    """Not even where it is a CA's: what is registered is the certificate, not an authority."""
    registered = identity("CN=registered", ca=ca)
    client_id = target.server.self_signed_client(registered)
    for subject in ("CN=registered", "CN=below"):
        target.refuses(client_id, identity(subject, issuer=registered), "certificate_registered")


@pytest.mark.threat("5", "B1")
def test_the_certificate_of_one_client_is_not_that_of_another(target: Target) -> None:
    other = target.server.self_signed_client(identity("CN=other"))
    target.refuses(other, target.alone, "certificate_registered")
    target.refuses(target.client(), target.good, "tls_client_auth_san_dns")
    target.refuses(target.good_client, target.alone, "tls_client_auth_san_dns", "chain")
    target.refuses(target.alone_client, target.good, "certificate_registered")


@pytest.mark.threat("6")
@pytest.mark.parametrize("shown", ["of another client", "of the same client", "none"])
def test_a_public_clients_refresh_token_is_of_no_use_with_another_certificate(target: Target, shown: str) -> None:
    own = identity("CN=phone")
    other = {"of another client": target.good, "of the same client": identity("CN=phone"), "none": None}[shown]
    made = target.server.register("none", grant_types=("password", "refresh_token"), bound=True)
    client_id = made.client.client_id
    refresh = target.server.token(client_id, own, **target.server.alice).json["refresh_token"]
    again: dict[str, Any] = {"grant_type": "refresh_token", "refresh_token": refresh}
    error = "invalid_request" if other is None else "invalid_grant"
    assert target.server.token(client_id, other, **again).error == (400, error)
    assert target.server.token(client_id, own, **again).status == 200


@pytest.mark.threat("6")
def test_a_confidential_client_refreshes_with_a_certificate_of_its_own_only(target: Target) -> None:
    """A renewed one is its own; one of another client is refused before anybody looks at the refresh token."""
    first, second = identity("CN=first"), identity("CN=second")
    client_id = target.server.self_signed_client(first, second, grant_types=("password", "refresh_token"))
    refresh = target.server.token(client_id, first, **target.server.alice).json["refresh_token"]
    again: dict[str, Any] = {"grant_type": "refresh_token", "refresh_token": refresh}
    assert target.server.token(client_id, target.alone, **again).error == (401, "invalid_client")
    assert target.server.token(target.alone_client, target.alone, **again).error[0] == 400
    assert target.server.token(client_id, second, **again).bound_to == second.certificate.x5t_s256
    assert failures(target.refuses(client_id, target.alone, "certificate_registered"))
