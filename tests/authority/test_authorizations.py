import asyncio
from functools import partial
from typing import Any

import pytest
from tests.authority.house import CALLBACK, House, furnish

from certbound.authority import authorizations, people
from certbound.authority.authorizations import Allowed
from certbound.authority.secrets import REQUEST_URI_PREFIX, digest
from certbound.authority.sessions import SignedIn
from certbound.oauth.authorization_request import AuthorizationRefusedError, AuthorizationRequest
from certbound.oauth.claims_request import ClaimRequest, ClaimsRequest
from certbound.store import audit, codes, sessions
from certbound.store.codes import AuthorizationCode
from certbound.store.engine import Store, StoreConflict

FULL: dict[str, Any] = {
    "response_mode": "form_post",
    "scopes": ("openid", "read"),
    "resources": ("https://api.example.com",),
    "state": "s" * 2000,
    "nonce": "n",
    "prompt": frozenset({"login", "consent"}),
    "max_age": 0,
    "login_hint": "ada",
    "acr_values": ("one", "two"),
    "claims": ClaimsRequest(id_token={"acr": ClaimRequest(essential=True, values=("one",))}),
    "pushed": True,
}


@pytest.fixture
def open_house(house: House) -> House:
    house.client("web", "none", grant_types=("authorization_code", "refresh_token"), redirect_uris=(CALLBACK,))
    return house


def push(house: House, client_id: str = "web", **members: Any) -> str:
    request = house.request(client_id, **members)
    work = partial(authorizations.push_request, request=request, lifetime=90, now=house.now)
    return house.store.write(work)


def pushed(house: House, request_uri: str, client_id: str = "web") -> AuthorizationRequest | None:
    found = partial(authorizations.find_pushed_request, request_uri=request_uri, client_id=client_id, now=house.now)
    return house.store.read(found)


def issue(house: House, signed_in: SignedIn, **how: Any) -> str:
    request = how.pop("request", None) or house.request("web")
    allowed = Allowed(request, signed_in.session, **how)
    return house.store.write(partial(authorizations.issue_code, allowed=allowed, lifetime=60, now=house.now))


def code(house: House, given: str) -> AuthorizationCode | None:
    return house.store.read(partial(codes.load_code, code_sha256=digest(given)))


def consented(house: House, sub: str, *scopes: str, client_id: str = "web") -> bool:
    found = partial(authorizations.has_consented, sub=sub, client_id=client_id, scopes=scopes)
    return house.store.read(found)


def take_back(house: House, sub: str, client_id: str = "web") -> bool:
    work = partial(authorizations.take_back_consent, sub=sub, client_id=client_id, **house.by)
    return house.store.write(work)


def trail(house: House) -> list[audit.AuditRow]:
    return list(house.store.read(lambda connection: audit.page(connection, limit=500)))


@pytest.mark.req("9126-05", "9126-09")
def test_a_pushed_request_is_found_by_a_uri_that_nobody_can_guess(open_house: House) -> None:
    uris = {push(open_house) for _ in range(3)}
    assert len(uris) == 3
    for uri in uris:
        assert uri.startswith("urn:ietf:params:oauth:request_uri:")
        assert len(uri.removeprefix(REQUEST_URI_PREFIX)) == 43


def test_a_pushed_request_comes_back_as_it_was_however_often_a_page_is_loaded(open_house: House) -> None:
    uri = push(open_house, **FULL)
    for _ in range(3):
        assert pushed(open_house, uri) == open_house.request("web", **FULL)


@pytest.mark.req("9126-05", "9126-08")
def test_a_pushed_request_is_its_clients_own_and_expires(open_house: House) -> None:
    uri = push(open_house)
    assert pushed(open_house, uri, "orders") is None
    assert pushed(open_house, uri + "x") is None
    assert pushed(open_house, REQUEST_URI_PREFIX) is None
    open_house.now += 89
    assert pushed(open_house, uri) is not None
    open_house.now += 1
    assert pushed(open_house, uri) is None


def test_a_request_of_nobody_cannot_be_pushed(open_house: House) -> None:
    with pytest.raises(StoreConflict):
        push(open_house, "nobody")


def test_a_code_keeps_what_was_allowed_by_whom(open_house: House) -> None:
    ada = open_house.sit_down(amr=("pwd", "otp", "mfa"))
    open_house.now += 10
    given = issue(open_house, ada, request=open_house.request("web", **FULL))
    kept = code(open_house, given)
    assert kept is not None
    assert AuthorizationRequest.from_parameters(kept.request) == open_house.request("web", **FULL)
    assert (kept.client_id, kept.sub, kept.session) == ("web", ada.person.sub, ada.session.id_sha256)
    assert (kept.auth_time, kept.amr) == (ada.session.auth_time, ("pwd", "otp", "mfa"))
    assert (kept.issued_at, kept.expires_at, kept.used_at) == (open_house.now, open_house.now + 60, None)


def test_a_code_is_recorded_and_neither_it_nor_the_state_is_in_the_audit(open_house: House) -> None:
    ada = open_house.sit_down()
    given = issue(open_house, ada, request=open_house.request("web", **FULL))
    row = trail(open_house)[-1]
    assert (row.action, row.actor, row.target) == ("code.issued", f"user:{ada.person.sub}", "web")
    assert not [row for row in trail(open_house) if given in row.detail or "sss" in row.detail]


@pytest.mark.req("9126-08", "F2-18")
def test_a_pushed_request_is_answered_once(open_house: House) -> None:
    uri, ada = push(open_house), open_house.sit_down()
    assert issue(open_house, ada, request_uri=uri)
    assert pushed(open_house, uri) is None
    before = trail(open_house)
    with pytest.raises(AuthorizationRefusedError) as refused:
        issue(open_house, ada, request_uri=uri, consented=True)
    assert (refused.value.error, refused.value.redirect_uri) == ("invalid_request", CALLBACK)
    assert trail(open_house) == before
    assert not consented(open_house, ada.person.sub, "read")


def test_a_refusal_answers_a_pushed_request_too(open_house: House) -> None:
    uri = push(open_house)
    use = partial(authorizations.use_pushed_request, request_uri=uri, now=open_house.now)
    assert [open_house.store.write(use) for _ in range(2)] == [True, False]
    assert pushed(open_house, uri) is None


@pytest.mark.threat("34")
async def test_of_fifty_answers_at_once_to_one_pushed_request_exactly_one_is_given(
    shared_store: Store, other_store: Store
) -> None:
    house = await furnish(shared_store)
    house.client("web", "none", grant_types=("authorization_code",), redirect_uris=(CALLBACK,))
    allowed = Allowed(house.request("web"), house.sit_down().session, push(house))
    unit = partial(authorizations.issue_code, allowed=allowed, lifetime=60, now=house.now)
    stores = (shared_store, other_store)
    outcomes = await asyncio.gather(*(stores[n % 2].writing(unit) for n in range(50)), return_exceptions=True)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, AuthorizationRefusedError) for outcome in outcomes) == 49


@pytest.mark.parametrize("gone", ["client", "session", "person", "time"])
def test_nothing_is_allowed_for_what_is_gone_and_the_pushed_request_stays_as_it_is(
    open_house: House, gone: str
) -> None:
    uri, ada = push(open_house), open_house.sit_down()
    match gone:
        case "client":
            open_house.disable("web")
        case "session" | "person":
            how = partial(people.disable, username="ada", **open_house.by)
            open_house.store.write(partial(how, disabled=True))
            if gone == "session":  # which a disablement ends for good
                open_house.store.write(partial(how, disabled=False))
        case "time":
            open_house.now = ada.session.expires_at
    with pytest.raises(AuthorizationRefusedError) as refused:
        issue(open_house, ada, request_uri=uri)
    assert refused.value.error == ("unauthorized_client" if gone == "client" else "access_denied")
    open_house.now = ada.session.auth_time
    assert pushed(open_house, uri) is not None


def test_a_consent_is_remembered_where_it_was_given_and_adds_up(open_house: House) -> None:
    ada = open_house.sit_down()
    sub = ada.person.sub
    issue(open_house, ada)
    assert not consented(open_house, sub, "read")
    issue(open_house, ada, consented=True)
    assert consented(open_house, sub, "read")
    assert consented(open_house, sub)
    assert not consented(open_house, sub, "read", "write")
    issue(open_house, ada, request=open_house.request("web", scopes=("write",)), consented=True)
    assert consented(open_house, sub, "read", "write")
    assert not consented(open_house, sub, "read", client_id="orders")
    assert not consented(open_house, open_house.person("eve").sub, "read")


def test_a_consent_taken_back_is_asked_for_again(open_house: House) -> None:
    ada = open_house.sit_down()
    issue(open_house, ada, consented=True)
    assert [take_back(open_house, ada.person.sub) for _ in range(2)] == [True, False]
    assert not consented(open_house, ada.person.sub, "read")
    assert [row.action for row in trail(open_house)[-2:]] == ["consent.taken_back"] * 2


async def test_taking_a_consent_back_revokes_all_that_the_client_has_for_the_person(open_house: House) -> None:
    await open_house.registered.refresh()
    eve = open_house.person("eve")
    ada = open_house.sit_down()
    mine = await open_house.redeem("web", open_house.allow("web", ada))
    hers = await open_house.redeem("web", open_house.allow("web", open_house.sit_down("eve")))
    waiting = open_house.allow("web", ada)
    take_back(open_house, ada.person.sub)
    assert (await open_house.refusal(open_house.redeem("web", waiting))).error == "invalid_grant"
    assert (await open_house.refusal(open_house.refresh("web", mine.refresh_token, None))).error == "invalid_grant"
    await open_house.registered.refresh()
    assert len(open_house.registered.blocked.tokens) == 1
    assert (await open_house.refresh("web", hers.refresh_token, None)).access_token
    assert eve.sub != ada.person.sub


async def test_of_a_consent_taken_back_while_a_code_is_redeemed_nothing_is_left(shared_store: Store) -> None:
    house = await furnish(shared_store)
    house.client("web", "none", grant_types=("authorization_code", "refresh_token"), redirect_uris=(CALLBACK,))
    await house.registered.refresh()
    ada = house.sit_down()
    for _ in range(5):
        given = house.allow("web", ada)
        work = partial(authorizations.take_back_consent, sub=ada.person.sub, client_id="web", **house.by)
        outcome, _ = await asyncio.gather(house.redeem("web", given), house.store.writing(work), return_exceptions=True)
        if not isinstance(outcome, BaseException):
            refused = await house.refusal(house.refresh("web", outcome.refresh_token, None))
            assert refused.error == "invalid_grant"
        assert (await house.refusal(house.redeem("web", given))).error == "invalid_grant"


def test_who_signed_out_allows_nothing_more(open_house: House) -> None:
    ada = open_house.sit_down()
    open_house.store.write(lambda connection: sessions.end(connection, ada.session.id_sha256, 1))
    with pytest.raises(AuthorizationRefusedError):
        issue(open_house, ada)
