"""Clients that register themselves: what they get, what they are refused, and what is on record of it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
from tests.authority.assembling import TRUST
from tests.authority.house import ISSUER, ROOT, House
from tests.oauth.making import Identity, make
from tests.oauth.signing import KEYS, public_jwk, signed

from certbound.authority import clients, registration_tokens
from certbound.authority.client_keys import ClientKeySets
from certbound.authority.deciding import Decider
from certbound.authority.ocsp_answers import OCSPAnswers
from certbound.authority.outbound import Outbound
from certbound.authority.registrations import RegistrationPolicy, Registrations
from certbound.authority.statement_issuers import StatementIssuers
from certbound.jose.jwks import parse_jwks
from certbound.oauth.errors import OAuthError
from certbound.oauth.registration import AuthenticationMethod, Client
from certbound.oauth.registration_metadata import Ceiling
from certbound.oauth.software_statement import StatementIssuer
from certbound.store import audit, revoked, tokens
from certbound.store import registration_tokens as stored
from certbound.store.engine import Store

ENDPOINT = f"{ISSUER}/oauth2/register"
DIRECTORY = StatementIssuer("https://directory.example", jwks=parse_jwks({"keys": [public_jwk(KEYS["ES256"])]}))
STRICT = replace(DIRECTORY, issuer="https://strict.example", certificate_subject={"CN": "software_id"})
SINGLE = replace(DIRECTORY, issuer="https://single.example", single_instance=True)
ALONE, OTHER = make("CN=alone"), make("CN=other")
PKI: dict[str, Any] = {
    "client_name": "App",
    "token_endpoint_auth_method": "tls_client_auth",
    "tls_client_auth_san_dns": "app.example",
    "grant_types": ["client_credentials"],
}
SELF_SIGNED: dict[str, Any] = {
    "client_name": "Alone",
    "token_endpoint_auth_method": "self_signed_tls_client_auth",
    "jwks": {"keys": [ALONE.jwk()]},
    "grant_types": ["client_credentials"],
}


@dataclass
class Desk:
    """Where clients register themselves, in a house."""

    house: House
    registrations: Registrations

    def initial(self, **how: Any) -> str:
        """Make an initial access token for one client that may have `read` and be vouched for by `partners`."""
        given: dict[str, Any] = {"scopes": ("read",), "trust": ("partners",), "uses": 1, "days": 1} | how
        return self.house.store.write(partial(registration_tokens.issue_initial, **given, **self.house.by)).value

    async def register(self, token: str | None = None, shown: Identity | None = None, **members: Any) -> dict[str, Any]:
        presented = shown.presented() if shown is not None else None
        return await self.registrations.register(token or self.initial(), members, presented)

    async def replace(
        self, registered: dict[str, Any], shown: Identity | None = None, **members: Any
    ) -> dict[str, Any]:
        given = {"client_id": registered["client_id"], **members}
        presented = shown.presented() if shown is not None else None
        token = registered["registration_access_token"]
        return await self.registrations.replace(registered["client_id"], token, given, presented)

    async def read(self, registered: dict[str, Any]) -> dict[str, Any]:
        return await self.registrations.read(registered["client_id"], registered["registration_access_token"])

    async def delete(self, registered: dict[str, Any]) -> None:
        await self.registrations.delete(registered["client_id"], registered["registration_access_token"])

    def client(self, registered: dict[str, Any]) -> Client:
        return self.house.store.read(partial(clients.existing, client_id=registered["client_id"])).client

    def in_use(self, registered: dict[str, Any]) -> set[str]:
        found = self.house.store.read(partial(clients.existing, client_id=registered["client_id"]))
        return {certificate.sha256 for certificate in found.certificates if certificate.retired is None}

    def trail(self) -> list[audit.AuditRow]:
        return list(self.house.store.read(lambda connection: audit.page(connection, limit=1000)))


def new_desk(house: House, **policy: Any) -> Desk:
    outbound = Outbound(TRUST)
    given: dict[str, Any] = {
        "issuer": ISSUER,
        "endpoint": ENDPOINT,
        "open_to_all": False,
        "ceiling": Ceiling(),
        "methods": frozenset(AuthenticationMethod),
        "grants": ("authorization_code", "client_credentials", "password", "refresh_token"),
    }
    statements = StatementIssuers((DIRECTORY, STRICT, SINGLE), outbound, server=ISSUER)
    decider = Decider(ClientKeySets(outbound), OCSPAnswers(outbound))
    rules = RegistrationPolicy(**given | policy)
    return Desk(house, Registrations(house.store, rules, statements, decider, clock=lambda: house.now))


@pytest.fixture
def house(store: Store) -> House:
    """A house with a key and a trust store, and nobody in it."""
    made = House(store)
    made.rotate()
    made.trust("partners", ROOT)
    return made


@pytest.fixture
def desk(house: House) -> Desk:
    return new_desk(house)


async def refusal(asking: Any) -> str:
    with pytest.raises(OAuthError) as refused:
        await asking
    return refused.value.error


def statement(issuer: StatementIssuer = DIRECTORY, **claims: Any) -> str:
    return signed({"alg": "ES256"}, {"iss": issuer.issuer, "software_id": "app.example", **claims})


@pytest.mark.req("7591-07", "7592-04", "7592-05")
async def test_a_client_is_registered_and_told_all_that_is_registered(desk: Desk) -> None:
    made = await desk.register(**PKI, scope="read", logo_uri="https://10.0.0.1/logo", contacts=["me"])
    assert (PKI | {"scope": "read"}).items() <= made.items()
    assert made["certbound_trust"] == ["partners"]
    assert made["tls_client_certificate_bound_access_tokens"] is True
    assert made["client_id_issued_at"] == desk.house.now
    assert made["registration_client_uri"] == f"{ENDPOINT}/{made['client_id']}"
    assert len(made["registration_access_token"]) >= 43 + 4
    assert not {"client_secret", "logo_uri", "contacts"} & made.keys()
    assert await desk.read(made) == made


@pytest.mark.req("7591-07")
async def test_a_secret_is_told_once_and_kept_by_no_word_of_it(desk: Desk) -> None:
    made = await desk.register(grant_types=["client_credentials"])
    assert (made["token_endpoint_auth_method"], made["client_secret_expires_at"]) == ("client_secret_basic", 0)
    assert "client_secret" not in await desk.read(made)
    for secret in (made["client_secret"], made["registration_access_token"]):
        assert not [row for row in desk.trail() if secret in row.detail]


@pytest.mark.req("8705-11", "7591-07")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subject_dn", "CN=app,O=Example"),
        ("san_dns", "app.example"),
        ("san_uri", "spiffe://example/app"),
        ("san_ip", "2001:db8::1"),
        ("san_email", "app@example.com"),
    ],
)
async def test_each_member_that_names_a_subject_comes_back(desk: Desk, name: str, value: str) -> None:
    method: dict[str, Any] = {"token_endpoint_auth_method": "tls_client_auth", "grant_types": ["client_credentials"]}
    made = await desk.register(**method | {f"tls_client_auth_{name}": value})
    assert made[f"tls_client_auth_{name}"] == value
    none = await refusal(desk.register(**method))
    two = await refusal(desk.register(**PKI, tls_client_auth_san_email="a@example.com"))
    assert (none, two) == ("invalid_client_metadata", "invalid_client_metadata")


@pytest.mark.req("7591-06")
async def test_without_an_initial_access_token_nobody_registers(desk: Desk) -> None:
    used, revoked_one = desk.initial(), desk.initial()
    await desk.register(used, **SELF_SIGNED)
    [row] = [t for t in desk.house.store.read(stored.initial) if t.uses_left]
    desk.house.store.write(partial(registration_tokens.revoke_initial, token_id=row.id, **desk.house.by))
    late = desk.initial()
    own = (await desk.register(desk.initial(), **SELF_SIGNED))["registration_access_token"]
    for token in (used, revoked_one, own, "x", "cbi_" + "A" * 43):
        assert await refusal(desk.register(token, **SELF_SIGNED)) == "invalid_token"
    assert await refusal(desk.registrations.register(None, SELF_SIGNED, None)) == "invalid_token"
    desk.house.now += 86_400
    assert await refusal(desk.register(late, **SELF_SIGNED)) == "invalid_token"


@pytest.mark.req("7591-06")
async def test_a_refusal_uses_nothing_up(desk: Desk) -> None:
    token = desk.initial()
    assert await refusal(desk.register(token, **SELF_SIGNED, scope="more")) == "invalid_client_metadata"
    assert await refusal(desk.register(token, **SELF_SIGNED | {"jwks": {"keys": []}})) == "invalid_client_metadata"
    assert await desk.register(token, **SELF_SIGNED)


@pytest.mark.req("7591-06")
async def test_of_fifty_registrations_at_once_as_many_succeed_as_the_token_is_good_for(shared_store: Store) -> None:
    house = House(shared_store)
    house.trust("partners", ROOT)
    desk = new_desk(house)
    token = desk.initial(uses=3)
    outcomes = await asyncio.gather(*(desk.register(token, **SELF_SIGNED) for _ in range(50)), return_exceptions=True)
    made = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    assert len(made) == 3
    assert len({client["client_id"] for client in made}) == 3
    assert {str(outcome)[:13] for outcome in outcomes if not isinstance(outcome, dict)} == {"invalid_token"}


async def test_where_everybody_may_register_the_ceiling_is_the_settings(house: House) -> None:
    desk = new_desk(house, open_to_all=True, ceiling=Ceiling(scopes=("openid",)))
    made = await desk.registrations.register(None, SELF_SIGNED | {"scope": "openid"}, None)
    assert made["scope"] == "openid"
    assert await refusal(desk.registrations.register(None, SELF_SIGNED | {"scope": "read"}, None))
    assert await refusal(desk.registrations.register(None, PKI, None)) == "invalid_client_metadata"  # no trust store
    assert (await desk.register(desk.initial(), **PKI, scope="read"))["scope"] == "read"
    assert await refusal(desk.register("guess", **SELF_SIGNED)) == "invalid_token"


@pytest.mark.threat("51")
@pytest.mark.parametrize(
    "asked",
    [
        {"scope": "read write"},
        {"scope": "certbound.admin"},
        {"certbound_trust": ["everybody"]},
        {"grant_types": ["client_credentials", "password"]},
        {"token_endpoint_auth_method": "client_secret_jwt"},
    ],
)
async def test_nobody_registers_beyond_the_ceiling_of_the_token(desk: Desk, asked: dict[str, Any]) -> None:
    desk.house.trust("everybody", ROOT)
    assert await refusal(desk.register(**PKI | asked)) == "invalid_client_metadata"


async def test_a_method_that_is_not_offered_is_not_registered(house: House) -> None:
    desk = new_desk(house, methods=frozenset({AuthenticationMethod.TLS_CLIENT_AUTH}))
    assert await refusal(desk.register(**SELF_SIGNED)) == "invalid_client_metadata"
    assert await desk.register(**PKI)


@pytest.mark.threat("49", "51", "52")
@pytest.mark.req("7591-09")
@pytest.mark.parametrize(
    "uri",
    [
        "http://keys.example/jwks",
        "file:///etc/passwd",
        "ftp://keys.example/jwks",
        "https://localhost/jwks",
        "https://LOCALHOST/jwks",
        "https://localhost./jwks",
        "https://a.localhost/jwks",
        "https://127.0.0.1/jwks",
        "https://10.0.0.1/jwks",
        "https://192.168.1.1/jwks",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/jwks",
        "https://[::ffff:10.0.0.1]/jwks",
        "https://[fd00:ec2::254]/jwks",
        "https://2130706433/jwks",
        "https://0x7f.0.0.1/jwks",
        "https://0177.0.0.1/jwks",
        "https://127.1/jwks",
        "https://user@keys.example/jwks",
        "https://keys.example\\@10.0.0.1/jwks",
        "https://keys.example/jwks#x",
        "https://keys.example:99999/jwks",
        "https://",
        "javascript:alert(1)",
        "",
    ],
)
async def test_keys_are_never_said_to_be_at_an_address_that_is_none_of_the_public(desk: Desk, uri: str) -> None:
    asked: dict[str, Any] = {key: value for key, value in SELF_SIGNED.items() if key != "jwks"} | {"jwks_uri": uri}
    assert await refusal(desk.register(**asked)) == "invalid_client_metadata"


@pytest.mark.threat("49", "52", "53")
async def test_nothing_is_fetched_when_a_client_registers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(*_: Any, **__: Any) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr(Outbound, "bring", fetched)
    asked: dict[str, Any] = {key: value for key, value in SELF_SIGNED.items() if key != "jwks"}
    uris = ("logo_uri", "client_uri", "tos_uri", "policy_uri", "sector_identifier_uri", "request_uris")
    informing: dict[str, Any] = dict.fromkeys(uris, "https://10.0.0.1")
    made = await desk.register(**asked, jwks_uri="https://keys.example/jwks", **informing)
    assert made["jwks_uri"] == "https://keys.example/jwks"
    assert not made.keys() & set(uris)


async def test_a_network_that_the_operator_opened_may_hold_keys(house: House) -> None:
    desk = new_desk(house, networks=("10.0.0.0/8", "127.0.0.0/8"))
    asked: dict[str, Any] = {key: value for key, value in SELF_SIGNED.items() if key != "jwks"}
    for uri in ("https://10.1.2.3/jwks", "https://localhost:1/jwks"):
        assert (await desk.register(**asked, jwks_uri=uri))["jwks_uri"] == uri


@pytest.mark.req("7592-02")
async def test_an_update_replaces_the_whole_and_what_is_left_out_is_gone(desk: Desk) -> None:
    uris: dict[str, Any] = {
        "redirect_uris": ["https://app.example/cb"],
        "grant_types": ["authorization_code", "client_credentials"],
    }
    made = await desk.register(**PKI | uris, scope="read", tls_client_certificate_bound_access_tokens=False)
    changed = await desk.replace(made, **PKI, jwks=None)
    assert "scope" not in changed
    assert "redirect_uris" not in changed
    assert changed["grant_types"] == ["client_credentials"]
    assert changed["tls_client_certificate_bound_access_tokens"] is True
    assert changed["registration_access_token"] == made["registration_access_token"]
    assert await desk.read(made) == changed
    assert desk.client(made).scopes == ()


@pytest.mark.req("7592-02")
async def test_what_was_read_can_be_sent_back_but_for_what_is_the_servers(desk: Desk) -> None:
    made = await desk.register(**PKI, scope="read")
    servers = ("registration_access_token", "registration_client_uri", "client_id_issued_at")
    sent: dict[str, Any] = {name: value for name, value in made.items() if name not in servers}
    assert await desk.replace(made, **sent) == made
    for name in servers:
        assert await refusal(desk.replace(made, **sent, **{name: made[name]})) == "invalid_client_metadata"


@pytest.mark.req("7592-02")
async def test_a_client_picks_neither_its_id_nor_its_secret(desk: Desk) -> None:
    asked: dict[str, Any] = {"grant_types": ["client_credentials"]}
    made = await desk.register(**asked, client_id="orders", client_secret="mine")
    assert made["client_id"] != "orders"
    assert made["client_secret"] != "mine"
    assert await refusal(desk.replace(made | {"client_id": made["client_id"]}, **asked, client_secret="mine"))
    token = made["registration_access_token"]
    for other in ("orders", "", None):
        body = {"client_id": other, **asked}
        assert await refusal(desk.registrations.replace(made["client_id"], token, body, None))
    kept = await desk.replace(made, **asked, client_secret=made["client_secret"])
    assert "client_secret" not in kept
    with_keys = await desk.register(**SELF_SIGNED)
    assert await refusal(desk.replace(with_keys, **SELF_SIGNED, client_secret="")) == "invalid_client_metadata"


@pytest.mark.req("7592-02")
async def test_with_another_method_what_belonged_to_the_one_before_goes(desk: Desk) -> None:
    made = await desk.register(**SELF_SIGNED)
    assert desk.in_use(made) == {ALONE.certificate.sha256.hex()}
    renewed = await desk.replace(made, **SELF_SIGNED | {"jwks": {"keys": [OTHER.jwk()]}})
    assert renewed["jwks"] == {"keys": [OTHER.jwk()]}
    assert desk.in_use(made) == {OTHER.certificate.sha256.hex()}
    assert await refusal(desk.replace(made, **SELF_SIGNED)) == "invalid_client_metadata"  # retired, and stays so
    secret = await desk.replace(made, grant_types=["client_credentials"])
    assert (secret["token_endpoint_auth_method"], secret["client_secret_expires_at"]) == ("client_secret_basic", 0)
    assert desk.in_use(made) == set()
    assert "jwks" not in secret
    pki = await desk.replace(made, **PKI)
    assert desk.client(pki).secret_sha256 is None


@pytest.mark.req("7592-02")
async def test_the_algorithm_of_assertions_is_left_out_as_well(desk: Desk) -> None:
    keys: dict[str, Any] = {
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [public_jwk(KEYS["ES256"])]},
    }
    made = await desk.register(**keys, token_endpoint_auth_signing_alg="ES256")
    assert made["token_endpoint_auth_signing_alg"] == "ES256"
    assert "token_endpoint_auth_signing_alg" not in await desk.replace(made, **keys)


@pytest.mark.threat("51")
async def test_an_update_goes_no_further_than_the_token_of_the_first_day(desk: Desk) -> None:
    made = await desk.register(**PKI)
    desk.house.trust("everybody", ROOT)
    beyond: tuple[dict[str, Any], ...] = (
        {"scope": "write"},
        {"scope": "certbound.read"},
        {"certbound_trust": ["everybody"]},
    )
    for more in beyond:
        assert await refusal(desk.replace(made, **PKI | more)) == "invalid_client_metadata"
    assert (await desk.replace(made, **PKI, scope="read"))["scope"] == "read"


async def test_what_an_administrator_gave_stays_and_administrative_scopes_do_not(desk: Desk) -> None:
    made = await desk.register(**SELF_SIGNED)
    desk.house.update(
        made["client_id"],
        scopes=("more", "certbound.read"),
        resources=("https://api.example/a",),
        diagnostics=True,
        match_by_key=True,
    )
    assert await refusal(desk.replace(made, **SELF_SIGNED, scope="more certbound.read")) == "invalid_client_metadata"
    changed = desk.client(await desk.replace(made, **SELF_SIGNED, scope="more"))
    assert (changed.scopes, changed.resources) == (("more",), ("https://api.example/a",))
    assert (changed.diagnostics, changed.match_by_key) == (True, True)


@pytest.mark.req("7592-01", "7592-06")
async def test_only_the_clients_own_token_opens_its_registration(desk: Desk) -> None:
    one, other = await desk.register(**SELF_SIGNED), await desk.register(**PKI)
    foreign = one | {"registration_access_token": other["registration_access_token"]}
    guessed = one | {"registration_access_token": "x"}
    initial = one | {"registration_access_token": desk.initial()}
    unknown = one | {"client_id": "nobody"}
    for wrong in (foreign, guessed, initial, unknown):
        assert await refusal(desk.read(wrong)) == "invalid_token"
        assert await refusal(desk.replace(wrong, **SELF_SIGNED)) == "invalid_token"
        assert await refusal(desk.delete(wrong)) == "invalid_token"
    assert await refusal(desk.registrations.read(one["client_id"], None)) == "invalid_token"
    assert await desk.read(one) == one


@pytest.mark.req("7592-01")
async def test_a_disabled_client_may_do_nothing_with_its_registration(desk: Desk) -> None:
    made = await desk.register(**SELF_SIGNED)
    desk.house.disable(made["client_id"])
    for asking in (desk.read(made), desk.replace(made, **SELF_SIGNED), desk.delete(made)):
        assert await refusal(asking) == "insufficient_scope"


@pytest.mark.req("7592-03", "7592-05")
async def test_a_client_that_deletes_itself_ends_its_tokens_of_every_kind(desk: Desk) -> None:
    made = await desk.register(**SELF_SIGNED)
    await desk.house.registered.refresh()
    await desk.house.ask(ALONE, grant_type="client_credentials", client_id=made["client_id"])
    await desk.house.trail.flush()
    [issued] = desk.house.store.read(partial(tokens.issued_to_client, client_id=made["client_id"], limit=9))
    await desk.delete(made)
    assert desk.house.store.read(partial(revoked.is_revoked, jti=issued.jti))
    await desk.house.registered.refresh()
    error = await desk.house.refusal(
        desk.house.ask(ALONE, grant_type="client_credentials", client_id=made["client_id"])
    )
    assert error.error == "invalid_client"
    assert await refusal(desk.read(made)) == "invalid_token"
    assert await refusal(desk.delete(made)) == "invalid_token"


async def test_each_change_is_on_record_with_who_made_it(desk: Desk) -> None:
    before = len(desk.trail())
    made = await desk.register(**SELF_SIGNED)
    await desk.replace(made, **SELF_SIGNED, scope="read")
    await desk.delete(made)
    made_token, created, updated, deleted = desk.trail()[before:]
    client = f"client:{made['client_id']}"
    assert (made_token.action, made_token.actor) == ("initial_token.created", "tester")
    assert (created.action, created.actor, created.target) == (
        "client.created",
        f"initial-token:{made_token.target}",
        made["client_id"],
    )
    assert [(row.action, row.actor) for row in (updated, deleted)] == [
        ("client.updated", client),
        ("client.deleted", client),
    ]
    assert json.loads(updated.detail)["after"]["scope"] == "read"


@pytest.mark.req("7591-05", "7591-07")
async def test_what_a_known_issuer_states_wins_and_goes_on_to_win(desk: Desk) -> None:
    uris = ["https://app.example/cb"]
    text = statement(client_name="Stated", redirect_uris=uris, scope="read", grant_types=["authorization_code"])
    said = SELF_SIGNED | {"client_name": "Bank", "redirect_uris": ["https://evil.example/cb"], "scope": ""}
    made = await desk.register(**said, software_statement=text)
    assert (made["client_name"], made["redirect_uris"], made["scope"]) == ("Stated", uris, "read")
    assert made["software_statement"] == text
    statements: tuple[dict[str, Any], ...] = ({}, {"software_statement": text}, {"software_statement": None})
    for given in statements:
        changed = await desk.replace(made, **said, **given)
        assert (changed["client_name"], changed["redirect_uris"]) == ("Stated", uris)
        assert changed["software_statement"] == text
    renewed = statement(client_name="Renewed")
    changed = await desk.replace(made, **said, software_statement=renewed)
    assert (changed["client_name"], changed["redirect_uris"]) == ("Renewed", ["https://evil.example/cb"])
    assert (await desk.read(made))["software_statement"] == renewed
    other = statement(software_id="other")
    assert await refusal(desk.replace(made, **said, software_statement=other)) == "unapproved_software_statement"


@pytest.mark.req("7591-05", "7591-08")
async def test_what_is_stated_is_held_to_the_ceiling_too(desk: Desk) -> None:
    beyond: tuple[dict[str, Any], ...] = (
        {"scope": "write"},
        {"certbound_trust": ["no"]},
        {"grant_types": ["password"]},
    )
    for claims in beyond:
        text = statement(**claims)
        assert await refusal(desk.register(**SELF_SIGNED, software_statement=text)) == "invalid_client_metadata"


@pytest.mark.req("7591-05", "7591-08")
@pytest.mark.parametrize(
    ("given", "error"),
    [
        (statement(replace(DIRECTORY, issuer="https://unknown.example")), "unapproved_software_statement"),
        (signed({"alg": "ES256"}, {"software_id": "x"}), "invalid_software_statement"),
        (statement()[:-4] + "AAAA", "invalid_software_statement"),
        ("x", "invalid_software_statement"),
        (7, "invalid_software_statement"),
        ({"iss": DIRECTORY.issuer}, "invalid_software_statement"),
    ],
)
async def test_any_other_statement_is_refused(desk: Desk, given: Any, error: str) -> None:
    assert await refusal(desk.register(**SELF_SIGNED, software_statement=given)) == error


@pytest.mark.req("7591-10")
async def test_of_software_that_there_is_one_of_a_second_is_refused(desk: Desk) -> None:
    text = statement(SINGLE, software_version="1")
    first = await desk.register(**SELF_SIGNED, software_statement=text)
    again: dict[str, Any] = {"software_statement": statement(SINGLE, software_version="1", iat=1)}
    assert await refusal(desk.register(**SELF_SIGNED, **again)) == "unapproved_software_statement"
    assert await desk.register(**SELF_SIGNED, software_statement=statement(SINGLE, software_version="2"))
    renewed: dict[str, Any] = {"software_statement": statement(SINGLE, software_version="2")}
    assert await refusal(desk.replace(first, **SELF_SIGNED, **renewed)) == "unapproved_software_statement"
    assert await desk.replace(first, **SELF_SIGNED, **again)
    await desk.delete(first)
    assert await desk.register(**SELF_SIGNED, **again)


def stated(**how: Any) -> Identity:
    return make("CN=app.example", **{"issuer": ROOT} | how)


SUBJECT: dict[str, Any] = {
    "token_endpoint_auth_method": "tls_client_auth",
    "tls_client_auth_subject_dn": "CN=app.example",
}


@pytest.mark.req("7591-05")
async def test_a_certificate_that_is_the_stated_one_registers_its_client(desk: Desk) -> None:
    text = statement(STRICT)
    made = await desk.register(None, stated(), **SUBJECT, software_statement=text)
    assert made["tls_client_auth_subject_dn"] == "CN=app.example"
    assert await desk.replace(made, stated(), **SUBJECT) == made
    assert await refusal(desk.replace(made, **SUBJECT)) == "unapproved_software_statement"


@pytest.mark.req("7591-05", "7591-08")
@pytest.mark.parametrize(
    ("shown", "members"),
    [
        (lambda: None, SUBJECT),
        (lambda: make("CN=app.example"), SUBJECT),  # anybody can write the name
        (lambda: make("CN=other.example", issuer=ROOT), SUBJECT),
        (lambda: make("CN=other.example", issuer=ROOT), SUBJECT | {"tls_client_auth_subject_dn": "CN=other.example"}),
        (stated, SUBJECT | {"tls_client_auth_subject_dn": "CN=other.example"}),
        (lambda: Identity(b"x", stated().key), SUBJECT),
        (lambda: ALONE, SELF_SIGNED),
        (stated, SELF_SIGNED | {"grant_types": ["client_credentials"]}),
    ],
)
async def test_any_other_certificate_registers_nobody(
    desk: Desk, shown: Callable[[], Identity | None], members: dict[str, Any]
) -> None:
    asking = desk.register(None, shown(), **members, software_statement=statement(STRICT))
    assert await refusal(asking) == "unapproved_software_statement"
