"""RFC 8705, line by line, over real handshakes."""

import base64
import hashlib
import re
from typing import Any

import pytest
from cryptography import x509
from tests.oauth.making import CLIENT_AUTH, Identity, dns, email, ip, uri

from certbound.authority import clients
from certbound.oauth.registration import RegistrationError

from .conftest import Server, authority, identity

REFUSED = (401, "invalid_client")


@pytest.fixture(scope="module")
def partners() -> Identity:
    return authority("CN=Partners")


def thumbprint(shown: Identity) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(shown.der).digest()).rstrip(b"=").decode()


@pytest.mark.req("8705-01")
@pytest.mark.threat("2")
@pytest.mark.parametrize("header", ["Client-Cert", "X-SSL-Client-Cert", "X-Forwarded-Client-Cert", "ssl-client-cert"])
def test_a_certificate_in_a_header_or_a_parameter_proves_nothing(server: Server, header: str) -> None:
    own = identity()
    client_id = server.self_signed_client(own)
    encoded = base64.b64encode(own.der).decode()
    value = f":{encoded}:" if header == "Client-Cert" else encoded
    answer = server.token(client_id, headers={header: value}, client_certificate=encoded)
    assert answer.error == REFUSED
    assert server.token(client_id, own).status == 200


@pytest.mark.req("8705-02")
def test_a_certificate_without_client_id_is_nobody(server: Server) -> None:
    own = identity()
    server.self_signed_client(own)
    assert server.token(None, own).error == (400, "invalid_request")


@pytest.mark.req("8705-02", "8705-03")
@pytest.mark.threat("5", "B1")
def test_the_client_is_the_one_named_and_not_the_one_the_certificate_belongs_to(server: Server) -> None:
    own, other = identity(), identity()
    server.self_signed_client(own)
    named = server.self_signed_client(other)
    assert server.token(named, own).error == REFUSED
    assert server.token(named, other).claims["client_id"] == named


@pytest.mark.req("8705-03")
def test_a_certificate_that_would_do_for_another_method_does_not_do_for_the_registered_one(
    server: Server, partners: Identity
) -> None:
    own = identity("CN=both", san=[dns("both.example")], issuer=partners)
    alone = identity("CN=both", san=[dns("both.example")])
    by_pki = server.pki_client(partners, "san_dns", "both.example")
    by_itself = server.self_signed_client(alone)
    assert server.token(by_itself, own).error == REFUSED
    assert server.token(by_pki, alone).error == REFUSED
    assert server.token(by_pki, own).status == server.token(by_itself, alone).status == 200


@pytest.mark.req("8705-03")
def test_a_secret_does_not_stand_in_for_the_registered_certificate(server: Server) -> None:
    client_id = server.self_signed_client(identity())
    assert server.token(client_id, client_secret="anything").error == REFUSED


@pytest.mark.req("8705-04")
def test_a_missing_certificate_is_invalid_client(server: Server) -> None:
    assert server.token(server.self_signed_client(identity())).error == REFUSED


@pytest.mark.req("8705-04")
def test_another_certificate_is_invalid_client(server: Server) -> None:
    assert server.token(server.self_signed_client(identity()), identity()).error == REFUSED


@pytest.mark.req("8705-05")
def test_every_endpoint_that_clients_call_refuses_them_without_their_certificate(server: Server) -> None:
    client_id = server.self_signed_client(identity())
    called = {
        "token_endpoint",
        "introspection_endpoint",
        "revocation_endpoint",
        "pushed_authorization_request_endpoint",
    }
    endpoints = {name: url for name, url in server.metadata().items() if name in called}
    assert "token_endpoint" in endpoints
    for url in endpoints.values():
        form = {"client_id": client_id, "grant_type": "client_credentials", "token": "any"}
        assert server.ask(url.removeprefix(server.issuer), form).error == REFUSED


@pytest.mark.req("8705-06")
def test_a_valid_chain_with_another_subject_is_refused(server: Server, partners: Identity) -> None:
    client_id = server.pki_client(partners, "san_dns", "orders.example")
    assert server.token(client_id, identity(san=[dns("billing.example")], issuer=partners)).error == REFUSED


@pytest.mark.req("8705-06")
@pytest.mark.threat("B1")
def test_the_right_subject_without_a_valid_chain_is_refused(server: Server, partners: Identity) -> None:
    client_id = server.pki_client(partners, "san_dns", "orders.example")
    names = [dns("orders.example")]
    forged = authority("CN=Partners")  # the same name, another key
    assert server.token(client_id, identity(san=names, issuer=forged)).error == REFUSED
    assert server.token(client_id, identity(san=names)).error == REFUSED
    assert server.token(client_id, identity(san=names, issuer=partners)).status == 200


@pytest.mark.req("8705-06")
def test_the_right_subject_below_an_intermediate_is_accepted_with_its_chain(server: Server, partners: Identity) -> None:
    client_id = server.pki_client(partners, "san_dns", "deep.example")
    issuing = authority("CN=Issuing", issuer=partners)
    assert server.token(client_id, identity(san=[dns("deep.example")], issuer=issuing)).status == 200


@pytest.mark.req("8705-06")
@pytest.mark.threat("B2")
def test_an_expired_certificate_is_refused(server: Server, partners: Identity) -> None:
    long_ago = partners.x509.not_valid_before_utc
    client_id = server.pki_client(partners, "san_dns", "orders.example")
    expired = identity(san=[dns("orders.example")], issuer=partners, not_before=long_ago, not_after=long_ago)
    assert server.token(client_id, expired).error == REFUSED


@pytest.mark.req("8705-06")
@pytest.mark.threat("9", "B3")
def test_a_servers_certificate_is_refused_for_a_client(server: Server, partners: Identity) -> None:
    client_id = server.pki_client(partners, "san_dns", "orders.example")
    for purposes, status in (([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH], 401), ([CLIENT_AUTH], 200)):
        shown = identity(san=[dns("orders.example")], issuer=partners, purposes=purposes)
        assert server.token(client_id, shown).status == status


@pytest.mark.req("8705-07")
@pytest.mark.threat("13")
@pytest.mark.parametrize("registered", ["CN=orders,O=Example Corp,C=DE", "cn=ORDERS, o=example  corp, c=de"])
def test_names_are_compared_as_names_and_not_as_texts(server: Server, partners: Identity, registered: str) -> None:
    client_id = server.pki_client(partners, "subject_dn", registered)
    assert server.token(client_id, identity("CN=orders,O=Example Corp,C=DE", issuer=partners)).status == 200


@pytest.mark.req("8705-07")
@pytest.mark.threat("7")
@pytest.mark.parametrize(
    "shown", ["CN=orders,O=Example Corp", "CN=orders,C=DE,O=Example Corp", "CN=orders+O=Example Corp,C=DE"]
)
def test_a_name_of_other_parts_or_in_another_order_is_another_name(
    server: Server, partners: Identity, shown: str
) -> None:
    client_id = server.pki_client(partners, "subject_dn", "CN=orders,O=Example Corp,C=DE")
    assert server.token(client_id, identity(shown, issuer=partners)).error == REFUSED


@pytest.mark.req("8705-09")
def test_a_renewed_certificate_works_without_registering_it(server: Server, partners: Identity) -> None:
    client_id = server.pki_client(partners, "subject_dn", "CN=renewed")
    first, second = identity("CN=renewed", issuer=partners), identity("CN=renewed", issuer=partners)
    assert server.token(client_id, first).bound_to == thumbprint(first)
    assert server.token(client_id, second).bound_to == thumbprint(second)


@pytest.mark.req("8705-10", "8705-18")
@pytest.mark.parametrize("method", ["tls_client_auth", "self_signed_tls_client_auth"])
def test_the_method_is_published_by_its_name(server: Server, method: str) -> None:
    assert method in server.metadata()["token_endpoint_auth_methods_supported"]


@pytest.mark.req("8705-10")
def test_tls_client_auth_is_registered_by_its_name(server: Server, partners: Identity) -> None:
    made = server.register(
        "tls_client_auth", subject={"tls_client_auth_san_dns": "a.example"}, trust=(server.trust(partners),)
    )
    assert made.client.as_metadata()["token_endpoint_auth_method"] == "tls_client_auth"


@pytest.mark.req("8705-18")
def test_self_signed_tls_client_auth_is_registered_by_its_name(server: Server) -> None:
    made = server.register("self_signed_tls_client_auth", certificates=(identity().certificate,))
    assert made.client.as_metadata()["token_endpoint_auth_method"] == "self_signed_tls_client_auth"


@pytest.mark.req("8705-11")
@pytest.mark.parametrize(
    "subject", [{}, {"tls_client_auth_san_dns": "a.example", "tls_client_auth_subject_dn": "CN=a"}], ids=len
)
def test_registering_no_subject_or_two_is_refused(server: Server, partners: Identity, subject: dict[str, str]) -> None:
    store = server.trust(partners)
    with pytest.raises(RegistrationError, match="exactly one"):
        server.register("tls_client_auth", subject=subject, trust=(store,))


@pytest.mark.req("8705-12")
@pytest.mark.threat("12")
@pytest.mark.parametrize("text", ["orders", "CN=orders,", "CN=orders\\", 'CN="orders'])
def test_a_subject_that_does_not_parse_is_not_registered(server: Server, partners: Identity, text: str) -> None:
    with pytest.raises(RegistrationError) as refused:
        server.pki_client(partners, "subject_dn", text)
    assert refused.value.member == "tls_client_auth_subject_dn"


@pytest.mark.req("8705-12")
def test_a_subject_is_registered_in_its_normal_form(server: Server, partners: Identity) -> None:
    subject = {"tls_client_auth_subject_dn": "cn=orders ,  2.5.4.10=Corp"}
    made = server.register("tls_client_auth", subject=subject, trust=(server.trust(partners),))
    assert made.client.as_metadata()["tls_client_auth_subject_dn"] == "CN=orders,O=Corp"


@pytest.mark.req("8705-13")
@pytest.mark.threat("8", "B7")
@pytest.mark.parametrize(
    "shown",
    [
        {"subject": "CN=api.orders.example"},
        {"san": [dns("*.orders.example")]},
        {"san": [uri("api.orders.example")]},
        {"san": [email("api.orders.example")]},
        {"san": [dns("orders.example")]},
    ],
    ids=["common name", "wildcard", "URI", "email", "parent"],
)
def test_only_the_dns_name_itself_is_the_registered_dns_name(
    server: Server, partners: Identity, shown: dict[str, Any]
) -> None:
    client_id = server.pki_client(partners, "san_dns", "api.orders.example")
    assert server.token(client_id, identity(issuer=partners, **shown)).error == REFUSED


@pytest.mark.req("8705-13", "8705-14", "8705-15", "8705-16")
@pytest.mark.parametrize(
    ("parameter", "registered", "name"),
    [
        ("san_dns", "api.orders.example", dns("API.orders.example")),
        ("san_uri", "spiffe://orders.example/api", uri("spiffe://orders.example/api")),
        ("san_ip", "2001:DB8:0:0:0:0:0:1", ip("2001:db8::1")),
        ("san_ip", "192.0.2.7", ip("192.0.2.7")),
        ("san_email", "api@orders.example", email("api@orders.example")),
    ],
)
def test_the_registered_alternative_name_is_accepted(
    server: Server, partners: Identity, parameter: str, registered: str, name: x509.GeneralName
) -> None:
    client_id = server.pki_client(partners, parameter, registered)
    assert server.token(client_id, identity(san=[dns("first.example"), name], issuer=partners)).status == 200


@pytest.mark.req("8705-14", "8705-15", "8705-16")
@pytest.mark.threat("8", "B7")
@pytest.mark.parametrize(
    ("parameter", "registered", "name"),
    [
        ("san_uri", "spiffe://orders.example/api", dns("spiffe://orders.example/api")),
        ("san_uri", "spiffe://orders.example/api", uri("spiffe://orders.example/api/")),
        ("san_ip", "192.0.2.7", dns("192.0.2.7")),
        ("san_ip", "192.0.2.7", ip("::ffff:192.0.2.7")),
        ("san_ip", "192.0.2.7", ip("192.0.2.8")),
        ("san_email", "api@orders.example", dns("api@orders.example")),
        ("san_email", "api@orders.example", uri("api@orders.example")),
        ("san_email", "api@orders.example", email("API@orders.example")),
    ],
)
def test_the_same_text_in_another_kind_of_name_is_refused(
    server: Server, partners: Identity, parameter: str, registered: str, name: x509.GeneralName
) -> None:
    client_id = server.pki_client(partners, parameter, registered)
    assert server.token(client_id, identity(san=[name], issuer=partners)).error == REFUSED


@pytest.mark.req("8705-17")
def test_the_registered_certificate_needs_no_chain(server: Server) -> None:
    from_nowhere = identity(issuer=authority("CN=Unknown"))
    assert server.token(server.self_signed_client(from_nowhere), from_nowhere).status == 200


@pytest.mark.req("8705-17")
@pytest.mark.threat("4")
def test_another_certificate_of_the_same_name_and_key_is_not_the_registered_one(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own)
    assert server.token(client_id, identity(key=own.key)).error == REFUSED


@pytest.mark.req("8705-17")
def test_any_one_of_the_registered_certificates_does(server: Server) -> None:
    old, new = identity(), identity()
    client_id = server.self_signed_client(old, new)
    assert [server.token(client_id, shown).status for shown in (old, new)] == [200, 200]


@pytest.mark.req("8705-17")
def test_a_certificate_registered_later_is_accepted_from_then_on(server: Server) -> None:
    old, new = identity(), identity()
    client_id = server.self_signed_client(old)
    server.write(clients.add_certificate, client_id=client_id, certificate=new.certificate)
    assert server.token(client_id, new).status == 200


@pytest.mark.req("8705-19")
def test_a_certificate_registered_in_a_jwk_set_is_accepted(server: Server) -> None:
    own = identity()
    made = server.register("self_signed_tls_client_auth", jwks={"keys": [own.jwk()]})
    assert server.token(made.client.client_id, own).status == 200
    assert server.token(made.client.client_id, identity()).error == REFUSED


@pytest.mark.req("8705-19")
def test_a_jwk_whose_members_are_not_its_certificates_key_is_not_registered(server: Server) -> None:
    jwk = {**identity().jwk(), "x5c": identity().jwk()["x5c"]}
    with pytest.raises(RegistrationError) as refused:
        server.register("self_signed_tls_client_auth", jwks={"keys": [jwk]})
    assert refused.value.member == "jwks"


@pytest.mark.req("8705-26", "8705-27", "8705-28")
def test_the_token_carries_the_sha_256_of_the_shown_certificate(server: Server) -> None:
    own = identity()
    answer = server.token(server.self_signed_client(own), own)
    assert answer.claims["cnf"] == {"x5t#S256": thumbprint(own)}
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", answer.bound_to or "")
    assert answer.json["token_type"] == "Bearer"


@pytest.mark.req("8705-30")
def test_metadata_says_that_tokens_are_bound(server: Server) -> None:
    assert server.metadata()["tls_client_certificate_bound_access_tokens"] is True


@pytest.mark.req("8705-31")
def test_a_client_registered_for_bound_tokens_gets_an_error_without_a_certificate(server: Server) -> None:
    made = server.register("client_secret_post", bound=True)
    client_id, secret = made.client.client_id, made.client_secret or ""
    assert server.token(client_id, client_secret=secret).error == (400, "invalid_request")
    own = identity()
    assert server.token(client_id, own, client_secret=secret).bound_to == thumbprint(own)


@pytest.mark.req("8705-31")
def test_a_client_with_a_secret_is_not_bound_by_default(server: Server) -> None:
    made = server.register("client_secret_post")
    assert made.client.as_metadata()["tls_client_certificate_bound_access_tokens"] is False
    assert server.token(made.client.client_id, identity(), client_secret=made.client_secret or "").bound_to is None


@pytest.mark.req("8705-32")
@pytest.mark.threat("6")
def test_a_public_clients_refresh_token_is_good_with_its_certificate_only(server: Server) -> None:
    made = server.register("none", grant_types=("password", "refresh_token"), bound=True)
    client_id, own = made.client.client_id, identity()
    refresh = server.token(client_id, own, **server.alice).json["refresh_token"]
    again: dict[str, Any] = {"grant_type": "refresh_token", "refresh_token": refresh}
    assert server.token(client_id, identity(), **again).error == (400, "invalid_grant")
    assert server.token(client_id, **again).error == (400, "invalid_request")
    assert server.token(client_id, own, **again).bound_to == thumbprint(own)


@pytest.mark.req("8705-36")
def test_where_certificates_are_asked_for_a_client_without_one_can_still_use_its_secret(server: Server) -> None:
    made = server.register("client_secret_post")
    assert server.token(made.client.client_id, client_secret=made.client_secret or "").status == 200


@pytest.mark.req("8705-36")
def test_the_handshake_takes_a_certificate_that_no_authority_of_ours_issued(server: Server) -> None:
    answer = server.ask("/healthz", shown=identity(issuer=authority("CN=Unknown")))
    assert (answer.status, answer.body) == (200, b"ok\n")


@pytest.mark.req("8705-37", "8705-01")
@pytest.mark.threat("1", "B8")
def test_a_certificate_that_only_follows_the_proven_one_counts_for_nothing(server: Server) -> None:
    own, victim = identity(), identity("CN=victim", issuer=authority("CN=Unknown"))
    posing = Identity(own.der, own.key, (victim,))
    assert server.token(server.self_signed_client(victim), posing).error == REFUSED
    assert server.token(server.self_signed_client(own), posing).bound_to == thumbprint(own)


@pytest.mark.req("8705-42")
def test_a_confidential_client_authenticates_on_every_refresh(server: Server, partners: Identity) -> None:
    client_id = server.pki_client(partners, "subject_dn", "CN=refreshing", grant_types=("password", "refresh_token"))
    own, renewed = identity("CN=refreshing", issuer=partners), identity("CN=refreshing", issuer=partners)
    refresh = server.token(client_id, own, **server.alice).json["refresh_token"]
    again: dict[str, Any] = {"grant_type": "refresh_token", "refresh_token": refresh}
    assert server.token(client_id, **again).error == REFUSED
    assert server.token(client_id, identity("CN=billing", issuer=partners), **again).error == REFUSED
    assert server.token(client_id, renewed, **again).bound_to == thumbprint(renewed)


@pytest.mark.req("8705-44")
def test_no_authority_is_trusted_unless_one_is_named(server: Server) -> None:
    with pytest.raises(RegistrationError, match="no authority is trusted by default"):
        server.register("tls_client_auth", subject={"tls_client_auth_san_dns": "orders.example"})


@pytest.mark.req("8705-44")
@pytest.mark.threat("B1")
def test_an_authority_trusted_for_another_client_is_not_trusted_for_this_one(
    server: Server, partners: Identity
) -> None:
    others, names = authority("CN=Others"), [dns("orders.example")]
    client_id = server.pki_client(partners, "san_dns", "orders.example")
    elsewhere = server.pki_client(others, "san_dns", "orders.example")
    impersonating = identity(san=names, issuer=others)
    assert server.token(elsewhere, impersonating).status == 200
    assert server.token(client_id, impersonating).error == REFUSED
