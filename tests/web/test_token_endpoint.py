"""What clients see of the token endpoint."""

import asyncio
import base64
import logging
import re
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from certbound.authority import clients, people
from certbound.authority.tokens.issuing import GRANTS
from certbound.store.engine import Store, StoreUnavailable
from certbound.web.oauth.client_endpoint import ANSWER_FLOOR

from .conftest import ISSUER, MAX_BODY, ORDERS, PASSWORD, STRANGER, Face, registration

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BODY = "grant_type=client_credentials&client_id=orders"


async def test_a_token_is_answered_for_nobody_to_keep(face: Face) -> None:
    answer = await face.token()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "scope"}


REFERENCE = re.compile(rb" \(reference [0-9A-HJKMNP-TV-Z]{10}\)")
"""What alone tells two refusals apart."""


async def test_an_unknown_client_a_missing_and_a_wrong_certificate_get_the_same_answer(face: Face) -> None:
    answers = [
        await face.token(client_id="nobody"),
        await face.token(client_id="nobody", shown=None),
        await face.token(None),
        await face.token(STRANGER),
        await face.token(client_secret="guess", shown=None),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({REFERENCE.sub(b"", answer.content) for answer in answers}) == 1
    assert len({answer.content for answer in answers}) == len(answers)
    assert len({tuple(sorted(answer.headers.multi_items())) for answer in answers}) == 1


async def test_a_disabled_client_gets_the_answer_of_an_unknown_one(face: Face) -> None:
    face.write(clients.set_disabled, client_id="orders", disabled=True)
    disabled, unknown = await face.token(), await face.token(client_id="nobody")
    assert disabled.status_code == 401
    assert REFERENCE.sub(b"", disabled.content) == REFERENCE.sub(b"", unknown.content)


async def test_a_refusal_of_authentication_names_a_scheme_and_is_not_kept(face: Face) -> None:
    answer = await face.token(STRANGER)
    assert answer.json()["error"] == "invalid_client"
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")


@pytest.mark.parametrize(
    "form",
    [
        {"client_id": "nobody"},
        {"client_secret": "guess", "client_id": "nobody"},
        {"grant_type": "refresh_token", "refresh_token": "cbr_guess"},
        {"grant_type": "password", "username": "nobody", "password": "wrong password"},
    ],
    ids=["unknown client", "unknown client with secret", "refresh token", "password"],
)
async def test_no_failed_authentication_is_answered_before_the_floor(face: Face, form: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    answer = await face.token(**form)
    assert loop.time() - started >= ANSWER_FLOOR
    assert answer.json()["error"] in {"invalid_client", "invalid_grant"}


async def test_the_floor_holds_up_nobody_else(face: Face) -> None:
    refused = [asyncio.ensure_future(face.token(client_id="nobody")) for _ in range(20)]
    assert (await face.token()).status_code == 200
    assert {answer.status_code for answer in await asyncio.gather(*refused)} == {401}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_another_method_than_post_is_refused_in_json(face: Face, method: str) -> None:
    answer = await face.ask(method, "/oauth2/token")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json()["error"] == "invalid_request"


async def test_a_body_that_announces_too_much_is_not_read(face: Face) -> None:
    asked: list[bool] = []

    async def endless() -> AsyncIterator[bytes]:
        asked.append(True)
        yield b"x"

    headers = {**FORM, "Content-Length": str(MAX_BODY + 1)}
    answer = await face.ask("POST", "/oauth2/token", ORDERS, content=endless(), headers=headers)
    assert (answer.status_code, asked) == (413, [])


async def test_a_body_that_turns_out_too_long_ends_the_connection(face: Face) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 1024 + 1):
            yield b"x" * 1024

    answer = await face.ask("POST", "/oauth2/token", ORDERS, content=pieces(), headers=FORM)
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["error"] == "invalid_request"


async def test_a_body_of_the_greatest_size_is_read(face: Face) -> None:
    body = BODY + "&ignored="
    answer = await face.ask("POST", "/oauth2/token", ORDERS, content=body + "x" * (MAX_BODY - len(body)), headers=FORM)
    assert answer.status_code == 200


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
async def test_another_media_type_is_refused(face: Face, media_type: str) -> None:
    answer = await face.ask("POST", "/oauth2/token", ORDERS, content=BODY, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_charset_beside_the_media_type_is_taken(face: Face) -> None:
    headers = {"Content-Type": "Application/X-WWW-Form-Urlencoded; charset=UTF-8"}
    assert (await face.ask("POST", "/oauth2/token", ORDERS, content=BODY, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        "",
        "grant_type=client_credentials",
        "client_id=orders",
        f"{BODY}&client_id=orders",
        f"{BODY}&scope=",
        f"{BODY}&scope=&scope=read",
        f"{BODY}&client_secret=a%00b",
        f"{BODY}&state=%ff",
        f"grant_type=client_credentials&client_id={'x' * 257}",
        "&".join(["a=b"] * 101),
        '{"grant_type": "client_credentials"}',
    ],
    ids=lambda body: str(body)[:60] or "empty",
)
async def test_a_bad_form_is_refused_by_the_errors_of_the_rfc(face: Face, body: str) -> None:
    answer = await face.ask("POST", "/oauth2/token", ORDERS, content=body, headers=FORM)
    expected = 200 if body == f"{BODY}&scope=" else 400  # an empty value is an absent one (RFC 6749 section 3.2)
    assert answer.status_code == expected
    assert answer.headers["cache-control"] == "no-store"
    if expected == 400:
        assert answer.json()["error"] == "invalid_request"


async def test_a_query_is_refused(face: Face) -> None:
    answer = await face.ask("POST", "/oauth2/token?client_id=orders", ORDERS, content=BODY, headers=FORM)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_an_authorization_header_given_twice_is_refused(face: Face) -> None:
    once = ("Authorization", "Basic " + base64.b64encode(b"orders:secret").decode())
    headers = [("Content-Type", FORM["Content-Type"]), once, once]
    answer = await face.ask("POST", "/oauth2/token", ORDERS, content=BODY, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "more than once" in answer.json()["error_description"]


@pytest.mark.parametrize("text", ['"quoted"\\', "é€", "new\nline", "x" * 256])
async def test_what_a_client_sent_comes_back_as_printable_ascii_only(face: Face, text: str) -> None:
    answer = await face.token(grant_type=text)
    description = answer.json()["error_description"]
    assert answer.json()["error"] == "unsupported_grant_type"
    assert all(" " <= c <= "~" and c not in '"\\' for c in description)
    assert len(description) < 200


async def test_a_listener_without_certificates_can_be_closed_to_the_token_endpoint(face: Face) -> None:
    closed = face.with_policy(token_endpoint_without_certificate=False)
    refused = await closed.token(None)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert (await closed.token()).status_code == 200


async def test_a_database_that_is_away_is_a_503_to_come_back_after(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> object:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(Store, "reading", away)
    answer = await face.token()
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["cache-control"] == "no-store"


async def test_what_could_not_be_confirmed_for_too_long_is_not_served(face: Face) -> None:
    assert (await face.token()).status_code == 200
    face.registered._confirmed_at -= 31
    answer = await face.token()
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) >= 1


async def test_an_unexpected_fault_is_a_500_that_tells_nothing(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> object:
        raise OperationalError("SELECT secret", {}, sqlite3.OperationalError("inner workings"))

    monkeypatch.setattr(Store, "reading", broken)
    answer = await face.token()
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert not any(word in answer.text for word in ("Traceback", "SELECT", "inner", "sqlite", ".py"))


async def test_nothing_secret_is_in_the_log(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    face.write(people.add, username="alice", password=PASSWORD, operator=False)
    person: dict[str, Any] = {"grant_type": "password", "username": "alice", "password": PASSWORD}
    made = face.write(clients.register, request=registration("batch", "client_secret_post"), known_grants=GRANTS)
    granted = (await face.token(**person)).json()
    refreshed = await face.token(grant_type="refresh_token", refresh_token=granted["refresh_token"])
    by_secret = await face.token(None, client_id="batch", client_secret=made.client_secret)
    assert refreshed.status_code == by_secret.status_code == 200
    await face.token(None, client_id="batch", client_secret="a wrong guess")
    await face.token(**person | {"password": "another wrong guess"})
    await face.token(STRANGER, grant_type="refresh_token", refresh_token=granted["refresh_token"])
    await face.token(grant_type="refresh_token", refresh_token="cbr_no_such_token")
    await face.token(None, client_secret="guessed for another method")
    basic = base64.b64encode(b"batch:a basic guess").decode()
    await face.token(None, client_id="batch", headers={"Authorization": f"Basic {basic}"})
    assert [record for record in caplog.records if record.getMessage() == "client authentication refused"]
    logged = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    secrets = [
        PASSWORD,
        made.client_secret,
        granted["access_token"],
        granted["refresh_token"],
        refreshed.json()["access_token"],
        by_secret.json()["access_token"],
        "wrong guess",
        "cbr_no_such_token",
        "guessed for another method",
        "a basic guess",
        basic,
        "BEGIN CERTIFICATE",
        base64.b64encode(STRANGER.der).decode()[:64],
        repr(STRANGER.der)[:64],
    ]
    assert [secret for secret in secrets if secret in logged] == []


@pytest.mark.threat("58")
@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded"])
async def test_no_header_changes_the_issuer_of_a_token(face: Face, header: str) -> None:
    answer = await face.token(headers={header: "host=evil.example"})
    claims = answer.json()["access_token"].split(".")[1]
    assert ISSUER.encode() in base64.urlsafe_b64decode(claims + "==")
    assert b"evil" not in base64.urlsafe_b64decode(claims + "==")
