import asyncio
import json
from base64 import urlsafe_b64decode
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from tests.authority.house import API, CALLBACK, ISSUER, VERIFIER, House, furnish, orders

from certbound.authority import attributes, authorizations, people, sessions
from certbound.authority.secrets import digest
from certbound.jose.jwt import verify
from certbound.oauth.access_token import TokenResponse
from certbound.oauth.claims_request import ClaimRequest, ClaimsRequest
from certbound.oauth.errors import OAuthError
from certbound.oauth.id_token import left_half_hash
from certbound.store import blocks, codes, tokens
from certbound.store import sessions as stored_sessions
from certbound.store.engine import Connection, Store

OTHER_API = "https://two.example.com"


async def open_for_codes(store: Store, **policy: Any) -> House:
    """Give a house with a public and two confidential clients that redeem codes."""
    house = await furnish(store, **policy)
    for client_id, method in (("web", "none"), ("bank", "tls_client_auth"), ("other", "none")):
        grants = ("authorization_code", "refresh_token")
        house.client(client_id, method, grant_types=grants, redirect_uris=(CALLBACK,), resources=(OTHER_API,))
        house.update(client_id, scopes=("read", "write", "openid", "profile", "offline_access"))
    house.client("short", "none", grant_types=("authorization_code",), redirect_uris=(CALLBACK,))
    await house.registered.refresh()
    return house


@pytest_asyncio.fixture
async def house(store: Store) -> House:
    return await open_for_codes(store)


async def refused(house: House, client_id: str, code: str, **form: Any) -> str:
    return (await house.refusal(house.redeem(client_id, code, **form))).error


def claims(token: str | None) -> dict[str, Any]:
    assert token is not None
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


async def is_revoked(house: House, answer: TokenResponse) -> bool:
    await house.registered.refresh()
    return claims(answer.access_token)["jti"] in house.registered.blocked.tokens


async def test_a_code_gives_the_person_who_allowed_it_and_what_was_allowed(house: House) -> None:
    ada = house.sit_down()
    answer = await house.redeem("web", house.allow("web", ada, scopes=("write",)))
    found = claims(answer.access_token)
    assert (found["sub"], found["client_id"], found["scope"], found["aud"]) == (ada.person.sub, "web", "write", API)
    assert answer.refresh_token is not None
    assert (answer.id_token, "id_token" in answer.as_json()) == (None, False)


async def test_a_bound_client_gets_bound_tokens(house: House) -> None:
    identity = orders()
    answer = await house.redeem("bank", house.allow("bank"), identity)
    assert claims(answer.access_token)["cnf"] == {"x5t#S256": identity.certificate.x5t_s256}
    assert (await house.refresh("bank", answer.refresh_token, orders())).access_token


@pytest.mark.req("9700-19")
@pytest.mark.parametrize(("client_id", "identity"), [("web", None), ("bank", orders()), ("short", None)])
async def test_the_second_use_of_a_code_revokes_all_that_came_from_it(
    house: House, client_id: str, identity: Any
) -> None:
    code = house.allow(client_id)
    first = await house.redeem(client_id, code, identity)
    other = await house.redeem(client_id, house.allow(client_id), identity)
    assert await refused(house, client_id, code, identity=identity) == "invalid_grant"
    assert await is_revoked(house, first)
    assert not await is_revoked(house, other)
    if first.refresh_token is not None:
        error = await house.refusal(house.refresh(client_id, first.refresh_token, identity))
        assert error.error == "invalid_grant"
        assert (await house.refresh(client_id, other.refresh_token, identity)).access_token


async def test_what_was_refreshed_goes_with_the_code_it_came_from(house: House) -> None:
    code = house.allow("web")
    first = await house.redeem("web", code)
    second = await house.refresh("web", first.refresh_token, None)
    assert await refused(house, "web", code) == "invalid_grant"
    assert await is_revoked(house, second)
    assert (await house.refusal(house.refresh("web", second.refresh_token, None))).error == "invalid_grant"


@pytest.mark.threat("34")
@pytest.mark.req("9700-19")
@pytest.mark.parametrize("client_id", ["web", "short"])
async def test_one_of_50_parallel_redemptions_on_two_workers_succeeds_and_is_worth_nothing(
    shared_store: Store, other_store: Store, client_id: str
) -> None:
    house = await open_for_codes(shared_store)
    workers = (house, await house.neighbour(other_store))
    code = house.allow(client_id)
    redeeming = (workers[number % 2].redeem(client_id, code) for number in range(50))
    outcomes = await asyncio.gather(*redeeming, return_exceptions=True)
    won = [outcome for outcome in outcomes if isinstance(outcome, TokenResponse)]
    lost = [outcome for outcome in outcomes if isinstance(outcome, OAuthError)]
    assert len(won) == 1
    assert [error.error for error in lost] == ["invalid_grant"] * 49
    assert await is_revoked(house, won[0])
    if won[0].refresh_token is not None:
        error = await house.refusal(house.refresh(client_id, won[0].refresh_token, None))
        assert error.error == "invalid_grant"


@pytest.mark.parametrize("client_id", ["web", "short"])
async def test_a_second_use_that_is_noticed_only_when_it_is_recorded_revokes_as_well(
    house: House, client_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = house.allow(client_id)
    unused = house.store.read(partial(codes.load_code, code_sha256=digest(code)))
    first = await house.redeem(client_id, code)
    monkeypatch.setattr(codes, "load_code", lambda *_, **__: unused)  # as it was read before the first was recorded
    assert await refused(house, client_id, code) == "invalid_grant"
    assert await is_revoked(house, first)


@pytest.mark.threat("31")
async def test_another_client_can_neither_redeem_a_code_nor_use_it_up_nor_revoke_what_came_from_it(
    house: House,
) -> None:
    code = house.allow("web")
    assert await refused(house, "other", code) == "invalid_grant"
    assert await refused(house, "bank", code, identity=orders()) == "invalid_grant"
    first = await house.redeem("web", code)
    assert await refused(house, "other", code) == "invalid_grant"
    assert not await is_revoked(house, first)


@pytest.mark.threat("32")
async def test_a_code_with_any_byte_changed_is_no_code(house: House) -> None:
    code = house.allow("web")
    changed = [code[:i] + ("A" if code[i] != "A" else "B") + code[i + 1 :] for i in range(len(code))]
    for tampered in (*changed, code[:-1], code + "A", code + ".x", code.swapcase()):
        assert await refused(house, "web", tampered) == "invalid_grant"
    assert (await house.redeem("web", code)).access_token


@pytest.mark.threat("33")
async def test_no_other_secret_that_the_server_keeps_is_a_code(house: House) -> None:
    request = house.request("web")
    push = partial(authorizations.push_request, request=request, lifetime=90, now=house.now)
    request_uri = house.store.write(push)
    ada = house.sit_down()
    begin = partial(sessions.begin, person=ada.person, amr=("pwd",), lifetime=60, now=house.now)
    answer = await house.redeem("web", house.allow("web"))
    others = (request_uri, request_uri.rpartition(":")[2], house.store.write(begin), answer.refresh_token)
    for other in (*others, answer.access_token, claims(answer.access_token)["jti"], ada.session.id_sha256):
        assert await refused(house, "web", str(other)) == "invalid_grant"
    code = house.allow("web")
    assert (await house.refusal(house.refresh("web", code, None))).error == "invalid_grant"
    assert (await house.redeem("web", code)).access_token


@pytest.mark.req("9700-04", "9700-05")
@pytest.mark.threat("35")
@pytest.mark.parametrize(
    ("request_has", "verifier"),
    [(True, None), (True, "x" * 43), (True, VERIFIER[:-1]), (False, VERIFIER), (True, "")],
)
async def test_a_code_needs_the_verifier_of_its_challenge_and_none_without_one(
    house: House, request_has: bool, verifier: str | None
) -> None:
    members = {} if request_has else {"code_challenge": None}
    code = house.allow("bank", **members)
    assert await refused(house, "bank", code, identity=orders(), code_verifier=verifier) == "invalid_grant"
    right = VERIFIER if request_has else None
    assert (await house.redeem("bank", code, orders(), code_verifier=right)).access_token


@pytest.mark.parametrize(
    ("sent", "shown", "accepted"),
    [
        (True, CALLBACK, True),
        (True, None, False),
        (True, CALLBACK + "/", False),
        (True, "https://evil.example.com/callback", False),
        (False, None, True),
        (False, CALLBACK, True),
        (False, CALLBACK + "?", False),
    ],
)
async def test_the_redirect_uri_is_the_one_of_the_authorization_request(
    house: House, sent: bool, shown: str | None, accepted: bool
) -> None:
    code = house.allow("web", redirect_uri_sent=sent)
    if accepted:
        assert (await house.redeem("web", code, redirect_uri=shown)).access_token
    else:
        assert await refused(house, "web", code, redirect_uri=shown) == "invalid_grant"


@pytest.mark.req("F2-11")
async def test_a_code_ends_with_its_lifetime(house: House) -> None:
    in_time, late = house.allow("web"), house.allow("web")
    house.now += 59
    assert (await house.redeem("web", in_time)).access_token
    house.now += 1
    assert await refused(house, "web", late) == "invalid_grant"


async def test_a_code_ends_with_the_session_and_the_account_it_came_from(house: House) -> None:
    ada = house.sit_down()
    code = house.allow("web", ada)
    house.store.write(lambda connection: stored_sessions.end(connection, ada.session.id_sha256, house.now))
    assert await refused(house, "web", code) == "invalid_grant"
    last = house.allow("web")
    house.store.write(partial(people.disable, username="ada", disabled=True, **house.by))
    assert await refused(house, "web", last) == "invalid_grant"


async def test_a_client_disabled_since_gets_nothing_before_the_worker_has_seen_it(house: House) -> None:
    await house.redeem("web", house.allow("web"))  # so that the worker knows the client
    code = house.allow("web")
    house.disable("web")
    assert await refused(house, "web", code) == "invalid_grant"


async def test_a_certificate_blocked_since_gets_nothing(house: House) -> None:
    identity = orders()
    code = house.allow("bank")
    made = blocks.Block("b1", "certificate", identity.certificate.sha256.hex(), "stolen", "tester", house.now)
    house.store.write(lambda connection: blocks.add(connection, made))
    assert await refused(house, "bank", code, identity=identity) == "invalid_grant"


async def test_a_code_bound_to_a_key_is_not_redeemed_without_proof_of_it(house: House) -> None:
    code = house.allow("web", dpop_jkt="x" * 43)
    assert await refused(house, "web", code) == "invalid_grant"


@pytest.mark.parametrize("form", [{"code": ""}, {"code": "x" * 9000}])
async def test_a_malformed_request_gets_the_error_of_the_rfc(house: House, form: dict[str, str]) -> None:
    asked: dict[str, Any] = {"grant_type": "authorization_code", "client_id": "web"} | form
    assert (await house.refusal(house.ask(**asked))).error == "invalid_request"


async def test_a_client_not_registered_for_codes_redeems_none(house: House) -> None:
    assert await refused(house, "app", house.allow("app")) == "unauthorized_client"


@pytest.mark.parametrize(
    ("client_id", "scopes", "expected"),
    [
        ("web", ("read",), True),
        ("web", ("openid", "read"), False),
        ("web", ("openid", "offline_access"), True),
        ("short", ("read",), False),
    ],
)
async def test_a_refresh_token_is_for_clients_with_the_grant_and_with_openid_for_offline_access(
    house: House, client_id: str, scopes: tuple[str, ...], expected: bool
) -> None:
    answer = await house.redeem(client_id, house.allow(client_id, scopes=scopes))
    assert (answer.refresh_token is not None) is expected


async def test_a_scope_taken_from_the_client_since_is_not_given(house: House) -> None:
    code = house.allow("web", scopes=("openid", "read"))
    house.update("web", scopes=("read",))
    await house.registered.refresh()
    answer = await house.redeem("web", code)
    assert (answer.scopes, answer.id_token) == (("read",), None)


async def test_without_resource_in_the_authorization_request_a_token_is_for_the_default_or_what_is_asked(
    house: House,
) -> None:
    assert claims((await house.redeem("web", house.allow("web"))).access_token)["aud"] == API
    answer = await house.redeem("web", house.allow("web"), resource=(OTHER_API,))
    assert claims(answer.access_token)["aud"] == OTHER_API


async def test_a_token_is_narrowed_to_the_resource_asked_for_and_its_refresh_token_is_not(house: House) -> None:
    both = (API, OTHER_API)
    code = house.allow("web", resources=both)
    assert await refused(house, "web", code, resource=("https://three.example.com",)) == "invalid_target"
    answer = await house.redeem("web", code, resource=(OTHER_API,))
    assert claims(answer.access_token)["aud"] == OTHER_API
    again = await house.refresh("web", answer.refresh_token, None)
    assert claims(again.access_token)["aud"] == list(both)
    narrow = house.allow("web", resources=(API,))
    assert await refused(house, "web", narrow, resource=(OTHER_API,)) == "invalid_target"


async def test_a_resource_taken_from_the_client_since_is_not_given(house: House) -> None:
    code = house.allow("web", resources=(OTHER_API,))
    house.update("web", resources=())
    await house.registered.refresh()
    assert await refused(house, "web", code) == "invalid_target"


async def test_an_id_token_says_who_signed_in_when_and_how(house: House) -> None:
    ada = house.sit_down(amr=("pwd", "otp", "mfa"))
    house.now += 20
    answer = await house.redeem("web", house.allow("web", ada, scopes=("openid",), nonce="n" * 64))
    assert answer.as_json()["id_token"] == answer.id_token
    keys, key = house.registered.verification_keys, house.registered.signing_key
    verified = verify(answer.id_token or "", keys, algorithms=[key.algorithm], typ={"jwt"})
    assert verified.header["typ"] == "JWT"
    assert verified.claims == {
        "iss": ISSUER,
        "sub": ada.person.sub,
        "aud": "web",
        "iat": house.now,
        "exp": house.now + 300,
        "auth_time": house.now - 20,
        "nonce": "n" * 64,
        "acr": "https://refeds.org/profile/mfa",
        "amr": ["pwd", "otp", "mfa"],
        "at_hash": left_half_hash(key.algorithm, answer.access_token),
    }
    assert str(answer.id_token) not in repr(answer)


async def test_an_id_token_has_the_claims_asked_for_by_name_and_known(house: House) -> None:
    known = {"name": "Ada", "email": "ada@example.com", "birthdate": "1815-12-10"}
    house.store.write(partial(attributes.set_attributes, username="ada", attributes=known, **house.by))
    wanted = {"name": ClaimRequest(essential=True), "gender": ClaimRequest(), "sub": ClaimRequest()}
    asked = ClaimsRequest(id_token=wanted, userinfo={"email": ClaimRequest()})
    answer = await house.redeem("web", house.allow("web", scopes=("openid",), claims=asked))
    found = claims(answer.id_token)
    assert found["name"] == "Ada"
    assert not found.keys() & {"gender", "email", "birthdate", "acr", "nonce"}
    assert "name" not in claims(answer.access_token)


async def test_the_claims_asked_for_at_the_userinfo_endpoint_are_kept_with_every_token_of_the_grant(
    house: House,
) -> None:
    asked = ClaimsRequest(userinfo={"employee": ClaimRequest(), "email": ClaimRequest(), "sub": ClaimRequest()})
    code = house.allow("web", scopes=("openid", "offline_access", "read"), claims=asked)
    first = await house.redeem("web", code)
    narrow = await house.refresh("web", first.refresh_token, None, scope="read")
    last = await house.refresh("web", narrow.refresh_token, None)
    # The client is not registered for the scope `email`, and so has its claims by no other way.
    for answer, kept in ((first, ("employee",)), (narrow, ()), (last, ("employee",))):
        jti = claims(answer.access_token)["jti"]
        row = house.store.read(partial(tokens.load_issued_token, jti=jti))
        assert row is not None
        assert row.claims == kept


async def test_a_token_with_openid_is_for_the_issuer_too_and_the_grant_reaches_what_it_did(house: House) -> None:
    answer = await house.redeem("web", house.allow("web", scopes=("openid", "offline_access", "read")))
    assert claims(answer.access_token)["aud"] == [API, ISSUER]
    narrow = await house.refresh("web", answer.refresh_token, None, scope="read")
    assert claims(narrow.access_token)["aud"] == API
    assert claims((await house.refresh("web", narrow.refresh_token, None)).access_token)["aud"] == [API, ISSUER]


async def test_no_id_token_comes_with_a_refreshed_token(house: House) -> None:
    answer = await house.redeem("web", house.allow("web", scopes=("openid", "offline_access")))
    assert (await house.refresh("web", answer.refresh_token, None)).id_token is None


async def test_a_code_is_used_up_together_with_the_record_of_its_tokens_or_not_at_all(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = house.allow("web")

    def failing(_connection: Connection, _tokens: Any) -> None:
        raise RuntimeError("no record")

    monkeypatch.setattr(tokens, "add_issued_tokens", failing)
    with pytest.raises(RuntimeError, match="no record"):
        await house.redeem("web", code)
    monkeypatch.undo()
    assert (await house.redeem("web", code)).access_token


async def test_what_came_from_a_code_is_in_the_trail_before_the_answer(house: House) -> None:
    answer = await house.redeem("short", house.allow("short"))
    jti = claims(answer.access_token)["jti"]
    issued = house.store.read(partial(tokens.load_issued_token, jti=jti))
    assert issued is not None
    assert (issued.grant_type, issued.family is not None) == ("authorization_code", True)


async def test_what_a_confidential_client_has_just_refreshed_goes_with_the_grant(
    shared_store: Store, other_store: Store
) -> None:
    house = await open_for_codes(shared_store)
    other = await house.neighbour(other_store)
    code, kept = house.allow("bank"), house.allow("bank")
    first = await house.redeem("bank", code, orders())
    stays = await house.refresh("bank", (await house.redeem("bank", kept, orders())).refresh_token, orders())
    late = await house.refresh("bank", first.refresh_token, orders())  # its row waits to be written
    assert await refused(other, "bank", code, identity=orders()) == "invalid_grant"
    await house.trail.flush()
    assert await is_revoked(house, late)
    assert not await is_revoked(house, stays)


async def test_of_a_grant_revoked_while_its_rows_are_written_nothing_is_left(
    shared_store: Store, other_store: Store
) -> None:
    house = await open_for_codes(shared_store)
    other = await house.neighbour(other_store)
    for _ in range(10):
        code = house.allow("bank")
        first = await house.redeem("bank", code, orders())
        late = await house.refresh("bank", first.refresh_token, orders())
        await asyncio.gather(house.trail.flush(), other.refusal(other.redeem("bank", code, orders())))
        assert await is_revoked(house, late)
