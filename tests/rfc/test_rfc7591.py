"""RFC 7591 and RFC 7592, over real handshakes: clients that register themselves and then use what they registered."""

import contextlib
import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.oauth.making import Identity, dns
from tests.oauth.signing import KEYS, public_jwk, signed

from certbound.authority import registered, registration_tokens
from certbound.store import revision

from .conftest import SECONDS, Answer, Server, authority, identity, serving

STATING = "https://directory.example"
PATH = "/tenant"


@dataclass
class Desk:
    server: Server

    def initial(self, **how: Any) -> str:
        given: dict[str, Any] = {"scopes": ("read",), "trust": (), "uses": 1, "days": 1} | how
        return str(self.server.write(registration_tokens.issue_initial, **given).value)

    def ask(
        self,
        method: str,
        url: str,
        token: str | None = None,
        document: Any = None,
        shown: Identity | None = None,
    ) -> Answer:
        place = urlsplit(url)
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPSConnection(
            place.hostname or "", place.port, context=self.server.context(shown), timeout=SECONDS
        )
        with contextlib.closing(connection):
            body = None if document is None else json.dumps(document)
            connection.request(method, place.path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def register(self, document: dict[str, Any], token: str | None = None, shown: Identity | None = None) -> Answer:
        endpoint = self.server.metadata()["registration_endpoint"]
        return self.ask("POST", endpoint, token or self.initial(), document, shown)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("registering")
    keys = folder / "directory.json"
    keys.write_text(json.dumps({"keys": [public_jwk(KEYS["ES256"])]}))
    issuer = {"issuer": STATING, "jwks": str(keys), "certificate_subject": {"CN": "software_id"}}
    environ = {
        "CERTBOUND__OAUTH__DYNAMIC_REGISTRATION": "initial-access-token",
        "CERTBOUND__OAUTH__SOFTWARE_STATEMENT_ISSUER": json.dumps([issuer]),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registered, "POLL_SECONDS", 0.05)
        with serving(folder, path=PATH, environ=environ) as server:
            yield Desk(server)


def self_signed(shown: Identity, **members: Any) -> dict[str, Any]:
    return {
        "client_name": "Alone",
        "token_endpoint_auth_method": "self_signed_tls_client_auth",
        "jwks": {"keys": [shown.jwk()]},
        "grant_types": ["client_credentials"],
    } | members


@pytest.mark.req("7591-06")
def test_section_3_the_endpoint_is_there_only_where_it_is_switched_on(desk: Desk, tmp_path: Path) -> None:
    assert desk.server.metadata()["registration_endpoint"] == f"{desk.server.issuer}/oauth2/register"
    with serving(tmp_path) as closed:
        assert "registration_endpoint" not in closed.metadata()
        assert closed.ask("/oauth2/register", {}).status == 404
        assert closed.ask("/oauth2/register/x").status == 404


@pytest.mark.req("7591-06", "7591-07", "7592-04", "8705-18")
def test_section_3_2_1_a_client_is_told_all_and_gets_tokens_at_once(desk: Desk) -> None:
    shown = identity("CN=alone")
    answer = desk.register(self_signed(shown, scope="read"))
    assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
    made = answer.json
    assert made["registration_client_uri"] == f"{desk.server.issuer}/oauth2/register/{made['client_id']}"
    assert made["jwks"] == {"keys": [shown.jwk()]}
    assert desk.server.token(made["client_id"], shown).bound_to == shown.certificate.x5t_s256
    assert desk.server.token(made["client_id"], identity("CN=alone")).error == (401, "invalid_client")


@pytest.mark.req("8705-10", "8705-11", "8705-12", "7591-07")
def test_rfc_8705_section_2_1_2_a_pki_client_registers_the_one_subject_it_has(desk: Desk) -> None:
    partners = authority()
    store = desk.server.trust(partners)
    members = {
        "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_subject_dn": "cn = app , O = Example",
        "grant_types": ["client_credentials"],
    }
    made = desk.register(members, desk.initial(trust=(store,))).json
    assert made["tls_client_auth_subject_dn"] == "CN=app,O=Example"
    assert made["tls_client_certificate_bound_access_tokens"] is True
    assert desk.server.token(made["client_id"], identity("CN=app,O=Example", issuer=partners)).bound_to
    assert desk.server.token(made["client_id"], identity("CN=app,O=Example")).error == (401, "invalid_client")
    for wrong in ({"tls_client_auth_san_dns": "a.example"}, {"tls_client_auth_subject_dn": "no name"}):
        answer = desk.register(members | wrong, desk.initial(trust=(store,)))
        assert answer.error == (400, "invalid_client_metadata")


@pytest.mark.threat("51")
@pytest.mark.req("7591-09")
def test_section_5_what_a_client_says_of_itself_opens_nothing(desk: Desk) -> None:
    shown = identity("CN=alone")
    beyond: tuple[dict[str, Any], ...] = ({"scope": "certbound.admin"}, {"scope": "read write"})
    for members in beyond:
        assert desk.register(self_signed(shown, **members)).error == (400, "invalid_client_metadata")
    members = {"certbound_resources": ["https://other.example"], "certbound_diagnostics": True}
    made = desk.register(self_signed(shown, **members)).json
    assert not made.keys() & members.keys()
    asked = desk.server.token(made["client_id"], shown, resource="https://other.example")
    assert asked.error == (400, "invalid_target")
    assert desk.server.token(made["client_id"], shown, scope="certbound.admin").error == (400, "invalid_scope")


@pytest.mark.req("7591-05", "7591-08")
def test_section_2_3_a_statement_is_believed_of_a_known_issuer_and_for_the_stated_certificate(desk: Desk) -> None:
    partners = authority()
    store = desk.server.trust(partners)
    text = signed({"alg": "ES256"}, {"iss": STATING, "software_id": "app-7", "client_name": "Stated"})
    members = {
        "client_name": "Bank",
        "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_subject_dn": "CN=app-7",
        "grant_types": ["client_credentials"],
        "software_statement": text,
    }
    right = identity("CN=app-7", issuer=partners)
    answer = desk.register(members, desk.initial(trust=(store,)), right)
    assert (answer.status, answer.json["client_name"], answer.json["software_statement"]) == (201, "Stated", text)
    assert desk.server.token(answer.json["client_id"], right).bound_to
    for wrong in (None, identity("CN=app-7"), identity("CN=app-8", issuer=partners)):
        refused = desk.register(members, desk.initial(trust=(store,)), wrong)
        assert refused.error == (400, "unapproved_software_statement")
    forged = signed({"alg": "ES256"}, {"iss": STATING, "software_id": "app-7"}, KEYS["ES384"])
    refused = desk.register(members | {"software_statement": forged}, desk.initial(trust=(store,)), right)
    assert refused.error == (400, "invalid_software_statement")


@pytest.mark.req("7592-01", "7592-02", "7592-03", "7592-05", "7592-06")
def test_rfc_7592_section_2_a_client_keeps_its_registration_by_itself(desk: Desk) -> None:
    old, new = identity("CN=old"), identity("CN=new")
    made = desk.register(self_signed(old, scope="read")).json
    ask = partial(desk.ask, url=made["registration_client_uri"], token=made["registration_access_token"])
    assert ask("GET").json == made
    assert ask("GET", token="x").error == (401, "invalid_token")
    assert 'error="invalid_token"' in ask("GET", token="x").headers["WWW-Authenticate"]
    assert desk.server.token(made["client_id"], old).status == 200

    replaced = ask("PUT", document=self_signed(new, client_id=made["client_id"]))
    assert (replaced.status, "scope" in replaced.json) == (200, False)
    _known(desk.server)
    assert desk.server.token(made["client_id"], new).status == 200
    assert desk.server.token(made["client_id"], old).error == (401, "invalid_client")

    assert (ask("DELETE").status, ask("GET").error) == (204, (401, "invalid_token"))
    _known(desk.server)
    assert desk.server.token(made["client_id"], new).error == (401, "invalid_client")


def _known(server: Server) -> None:
    """Wait until the worker has what was changed, as it must within two seconds."""
    written, ends = server.worker.store.read(revision.read), time.monotonic() + SECONDS
    while server.worker.registered._snapshot.revision < written:
        assert time.monotonic() < ends, "the change is not known"
        time.sleep(0.005)


@pytest.mark.threat("51")
@pytest.mark.req("7591-01")
def test_section_5_redirect_uris_are_held_to_their_schemes(desk: Desk) -> None:
    token = desk.initial()
    shown = identity("CN=alone", san=[dns("alone.example")])
    for uri in ("javascript:alert(1)", "JavaScript:alert(1)", "http://app.example/cb", "https://a@b@app.example/"):
        refused = desk.register(self_signed(shown, redirect_uris=[uri]), token)
        assert refused.error == (400, "invalid_redirect_uri")
    assert desk.register(self_signed(shown, redirect_uris=["https://app.example/cb"]), token).status == 201
