"""Clients that sign assertions: each counts once, on every worker, and what counts follows their own keys."""

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import count
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select
from tests.authority.assembling import new_registered
from tests.authority.house import ISSUER, House, furnish, orders
from tests.fetch.peers import Server
from tests.oauth.making import DAY, NOW, Identity, make
from tests.oauth.signing import KEYS, Private, public_jwk, signed

from certbound.authority import blocks, client_keys, clients
from certbound.authority.deciding import Decided
from certbound.authority.outbound import Outbound
from certbound.authority.registered import Registered
from certbound.authority.tokens.authenticating import ClientRequest
from certbound.jose.jwks import parse_jwks
from certbound.jose.jwt import unverified_claims
from certbound.oauth.access_token import TokenResponse
from certbound.oauth.authentication import Decision
from certbound.oauth.client_assertion import ASSERTION_TYPE, CLOCK_SECONDS
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import parse_form
from certbound.store import once, refusals, schema
from certbound.store.engine import Store, StoreUnavailable

NUMBERS = count()
MINE, NEXT = KEYS["ES256"], ec.generate_private_key(ec.SECP256R1())
JWKS = {"keys": [public_jwk(MINE, kid="1")]}


def assertion(house: House, key: Private = MINE, *, by: str = "signer", kid: str = "1", **claims: Any) -> str:
    given = {"iss": by, "sub": by, "aud": ISSUER, "exp": house.now + 60, "jti": f"jti-{next(NUMBERS)}"}
    return signed({"alg": "ES256", "kid": kid}, given | claims, key)


def proof(shown: str) -> dict[str, str]:
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": shown}


async def ask(house: House, shown: str, identity: Identity | None = None, **form: Any) -> TokenResponse:
    return await house.ask(identity, **{"grant_type": "client_credentials"} | proof(shown) | form)


async def refused(house: House, shown: str, identity: Identity | None = None, **form: Any) -> tuple[str, list[str]]:
    """Give the error that an assertion ends in, and the checks of it that did not pass."""
    error = await house.refusal(ask(house, shown, identity, **form))
    await house.refusals.flush()
    reference = error.description.partition("reference ")[2].rstrip(")")
    kept = house.store.read(partial(refusals.load, reference=reference))
    assert kept is not None
    return error.error, [check["check"] for check in kept.checks if not check["passed"]]


def used(house: House) -> list[tuple[str, int]]:
    table = schema.used_identifier
    rows = house.store.read(lambda connection: connection.execute(select(table.c.kind, table.c.expires_at)).all())
    return [(kind, expires_at) for kind, expires_at in rows]


async def with_signer(house: House, **members: Any) -> House:
    house.client("signer", "private_key_jwt", **{"jwks": JWKS} | members)
    await house.registered.refresh()
    return house


@pytest_asyncio.fixture
async def signer(house: House) -> House:
    return await with_signer(house)


@pytest.mark.req("9700-13", "F2-07")
@pytest.mark.parametrize("named", [{}, {"client_id": "signer"}])
async def test_a_client_that_signs_is_issued_tokens(signer: House, named: dict[str, Any]) -> None:
    answer = await ask(signer, assertion(signer), **named)
    claims = unverified_claims(answer.access_token)
    assert (claims["client_id"], "cnf" in claims) == ("signer", False)


@pytest.mark.threat("37")
async def test_an_assertion_counts_once(signer: House) -> None:
    shown = assertion(signer)
    assert (await ask(signer, shown)).access_token
    assert await refused(signer, shown) == ("invalid_client", ["assertion_unused"])
    assert (await ask(signer, assertion(signer))).access_token


@pytest.mark.threat("37")
async def test_another_assertion_with_the_same_identifier_is_the_same_one(signer: House) -> None:
    assert (await ask(signer, assertion(signer, jti="mine"))).access_token
    again = assertion(signer, jti="mine", exp=signer.now + 200)
    assert await refused(signer, again) == ("invalid_client", ["assertion_unused"])


async def test_identifiers_are_each_clients_own(signer: House) -> None:
    signer.client("other", "private_key_jwt", jwks=JWKS)
    await signer.registered.refresh()
    for by in ("signer", "other"):
        assert (await ask(signer, assertion(signer, by=by, jti="mine"))).access_token


@pytest.mark.threat("37")
async def test_an_assertion_is_used_up_for_every_endpoint(signer: House) -> None:
    shown = assertion(signer)
    token = (await ask(signer, shown)).access_token

    def posted(shown: str) -> ClientRequest:
        body = urlencode({"token": token, **proof(shown)}).encode()
        return ClientRequest(parse_form(body, "application/x-www-form-urlencoded"), None, None, None)

    for answering in (signer.answers.introspection, signer.answers.revocation):
        with pytest.raises(OAuthError) as error:
            await answering(posted(shown))
        assert error.value.error == "invalid_client"
        await answering(posted(assertion(signer)))


@pytest.mark.threat("37")
async def test_one_of_50_parallel_uses_on_two_workers_succeeds(shared_store: Store, other_store: Store) -> None:
    house = await with_signer(await furnish(shared_store))
    workers, shown = (house, await house.neighbour(other_store)), assertion(house)
    using = (ask(workers[number % 2], shown) for number in range(50))
    outcomes = await asyncio.gather(*using, return_exceptions=True)
    assert len([outcome for outcome in outcomes if isinstance(outcome, TokenResponse)]) == 1
    lost = [outcome for outcome in outcomes if isinstance(outcome, OAuthError)]
    assert [error.error for error in lost] == ["invalid_client"] * 49


@pytest.mark.threat("37")
async def test_a_used_assertion_is_remembered_until_every_worker_refuses_it_for_its_age(signer: House) -> None:
    shown = assertion(signer, exp=signer.now + 59.5)
    assert (await ask(signer, shown)).access_token
    assert used(signer) == [("client_assertion", signer.now + 60 + CLOCK_SECONDS)]
    for seconds, check in ((59, "assertion_unused"), (60, "assertion_exp")):
        began, signer.now = signer.now, signer.now + seconds
        signer.store.write(partial(once.delete_expired, now=signer.now + CLOCK_SECONDS - 1, limit=10))
        assert await refused(signer, shown) == ("invalid_client", [check])
        signer.now = began
    signer.store.write(partial(once.delete_expired, now=signer.now + 60 + CLOCK_SECONDS, limit=10))
    assert used(signer) == []


async def test_only_an_accepted_assertion_is_used_up(signer: House) -> None:
    signer.client("closed", "private_key_jwt", jwks=JWKS)
    signer.disable("closed")
    await signer.registered.refresh()
    for shown, failing in (
        (assertion(signer, NEXT), "assertion_signature"),
        (assertion(signer, aud=f"{ISSUER}/oauth2/token"), "assertion_aud"),
        (assertion(signer, jti=""), "assertion_jti"),
        (assertion(signer, by="closed"), "client_enabled"),
        (assertion(signer, by="orders"), "method_used"),
    ):
        error, checks = await refused(signer, shown)
        assert error == "invalid_client"
        assert failing in checks
    assert used(signer) == []


@pytest.mark.threat("41")
@pytest.mark.parametrize("form", [{"client_secret": "x"}, {"client_id": "orders"}])
async def test_an_assertion_beside_another_credential_or_another_client_is_refused(
    signer: House, form: dict[str, str]
) -> None:
    error = await signer.refusal(ask(signer, assertion(signer), orders(), **form))
    assert error.error == "invalid_request"
    assert used(signer) == []


@pytest.mark.threat("41")
async def test_neither_a_certificate_nor_a_secret_stands_for_an_assertion(signer: House) -> None:
    forms: tuple[dict[str, Any], ...] = ({}, {"client_secret": "x"})
    for form in forms:
        asking = signer.ask(orders(), grant_type="client_credentials", client_id="signer", **form)
        assert (await signer.refusal(asking)).error == "invalid_client"


async def test_nothing_is_issued_where_the_use_cannot_be_recorded(
    signer: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: Any) -> Any:
        raise StoreUnavailable("the database is away")

    monkeypatch.setattr(signer.store, "writing", away)
    with pytest.raises(StoreUnavailable):
        await ask(signer, assertion(signer))
    monkeypatch.undo()
    await signer.trail.flush()
    assert used(signer) == []


async def test_an_assertion_costs_one_write_and_mutual_tls_no_call_at_all(
    signer: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutual: dict[str, Any] = {"grant_type": "client_credentials", "client_id": "orders"}
    await signer.ask(orders(), **mutual)
    await ask(signer, assertion(signer))
    calls: list[str] = []

    def counting(name: str, real: Callable[[Any], Awaitable[Any]]) -> None:
        async def counted(work: Any) -> Any:
            calls.append(name)
            return await real(work)

        monkeypatch.setattr(signer.store, name, counted)

    counting("reading", signer.store.reading)
    counting("writing", signer.store.writing)
    await signer.ask(orders(), **mutual)
    assert calls == []
    await ask(signer, assertion(signer), orders())
    assert calls == ["writing"]


async def test_an_acceptance_by_assertion_is_never_remembered(signer: House) -> None:
    shown = assertion(signer)
    credentials = Credentials("signer", ShownMethod.ASSERTION, orders().presented(), assertion=shown)
    first = await signer.registered.decide(credentials, NOW)
    assert first.client is not None
    assert await signer.registered.decide(credentials, NOW) is not first
    snapshot = signer.registered._snapshot
    assert not snapshot._decisions
    snapshot.remember(credentials, Decided(replace(first, good_until=NOW + DAY)))  # as if it rested on a certificate
    assert snapshot.remembered(credentials, NOW) is None


async def test_where_a_certificate_is_always_asked_for_an_assertion_alone_is_not_looked_at(store: Store) -> None:
    house = await with_signer(await furnish(store, token_endpoint_without_certificate=False))
    assert await refused(house, assertion(house)) == ("invalid_client", ["certificate_presented"])
    assert used(house) == []
    assert (await ask(house, assertion(house), make("CN=whoever"))).access_token


async def test_bound_tokens_of_a_client_that_signs_are_bound_to_the_connections_certificate(house: House) -> None:
    await with_signer(house, bound=True)
    identity = make("CN=whoever")
    claims = unverified_claims((await ask(house, assertion(house), identity)).access_token)
    assert claims["cnf"] == {"x5t#S256": identity.certificate.x5t_s256}
    error = await house.refusal(ask(house, assertion(house)))
    assert (error.error, "bound to its certificate" in error.description) == ("invalid_request", True)


async def test_a_blocked_certificate_and_a_blocked_key_are_refused_with_whatever_is_signed(signer: House) -> None:
    identity, [own] = make("CN=whoever"), parse_jwks(JWKS).keys
    block = partial(blocks.block, reason="", **signer.by)
    signer.store.write(partial(block, kind="certificate", sha256=identity.certificate.sha256.hex()))
    await signer.registered.refresh()
    assert await refused(signer, assertion(signer), identity) == ("invalid_client", ["not_blocked"])
    assert (await ask(signer, assertion(signer))).access_token
    signer.store.write(partial(block, kind="public_key", sha256=sha256(own.spki).hexdigest()))
    await signer.registered.refresh()
    assert await refused(signer, assertion(signer)) == ("invalid_client", ["assertion_key"])


async def test_new_keys_count_and_old_ones_stop_after_the_next_refresh(signer: House) -> None:
    signer.update("signer", jwks={"keys": [public_jwk(NEXT, kid="2")]})
    await signer.registered.refresh()
    assert (await ask(signer, assertion(signer, NEXT, kid="2"))).access_token
    assert await refused(signer, assertion(signer)) == ("invalid_client", ["assertion_key"])


async def test_keys_and_algorithm_stay_while_other_members_change_and_go_with_the_method(signer: House) -> None:
    signer.update("signer", token_endpoint_auth_signing_alg="ES256")
    signer.update("signer", client_name="Renamed")
    client = signer.store.read(partial(clients.existing, client_id="signer")).client
    assert (client.client_name, client.jwks, client.token_endpoint_auth_signing_alg) == ("Renamed", JWKS, "ES256")
    signer.update("signer", jwks_uri="https://client.example/jwks")
    client = signer.store.read(partial(clients.existing, client_id="signer")).client
    assert (client.jwks, client.jwks_uri) == (None, "https://client.example/jwks")
    signer.update("signer", token_endpoint_auth_method="client_secret_basic")
    client = signer.store.read(partial(clients.existing, client_id="signer")).client
    assert client.certificate_metadata() == {}


# --- published keys


def published(*keys: dict[str, Any]) -> bytes:
    body = json.dumps({"keys": keys}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest_asyncio.fixture
async def worker(house: House, trust: ssl.SSLContext, server: Server) -> Any:
    """What one worker knows of a client that publishes its key, and may ask servers on loopback."""
    house.client("signer", "private_key_jwt", jwks_uri=server.url())
    server.says(published(public_jwk(MINE, kid="1")))
    outbound = Outbound(trust, allow=("127.0.0.0/8",))
    registered = new_registered(house.store, house.master_key, house.policy.methods, outbound)
    await registered.refresh()
    yield registered
    outbound.close()


async def decide(worker: Registered, shown: str) -> Decision:
    return await worker.decide(Credentials("signer", ShownMethod.ASSERTION, None, assertion=shown), NOW)


async def test_published_keys_are_fetched_once_for_all_the_assertions_they_verify(
    house: House, worker: Registered, server: Server
) -> None:
    for _ in range(3):
        assert (await decide(worker, assertion(house))).client is not None
    assert [check.check for check in (await decide(worker, assertion(house, NEXT))).failed] == ["assertion_signature"]
    assert len(server.requests) == 1


async def test_a_key_published_just_now_is_known_after_one_more_fetch_and_strangers_cause_no_more_of_them(
    house: House, worker: Registered, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = 0.0
    monkeypatch.setattr(client_keys, "monotonic", lambda: time.monotonic() + passed)
    assert (await decide(worker, assertion(house))).client is not None
    server.says(published(public_jwk(NEXT, kid="2")))
    for second in range(0, 30, 3):
        passed = float(second)
        new = await decide(worker, assertion(house, NEXT, kid="2"))
        assert [check.check for check in new.failed] == ["assertion_key"]
    passed = 31.0
    assert (await decide(worker, assertion(house, NEXT, kid="2"))).client is not None
    assert [check.check for check in (await decide(worker, assertion(house))).failed] == ["assertion_key"]
    assert len(server.requests) == 2


async def test_a_new_key_is_looked_for_too_where_assertions_name_none(
    house: House, worker: Registered, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = 0.0
    monkeypatch.setattr(client_keys, "monotonic", lambda: time.monotonic() + passed)

    def unnamed(key: Private) -> str:
        return signed({"alg": "ES256"}, dict(unverified_claims(assertion(house))), key)

    assert (await decide(worker, unnamed(MINE))).client is not None
    server.says(published(public_jwk(NEXT)))
    passed = 31.0
    assert (await decide(worker, unnamed(NEXT))).client is not None
    assert (await decide(worker, unnamed(MINE))).client is None
    assert len(server.requests) == 2


async def test_a_trace_says_why_published_keys_could_not_be_had(
    house: House, worker: Registered, server: Server
) -> None:
    server.says(b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n")
    decision = await decide(worker, assertion(house))
    assert (decision.error, decision.needs) == ("invalid_client", None)
    [check] = decision.failed
    assert "status 503" in check.found
