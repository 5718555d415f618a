"""RFC 6749 sections 2.3 and 5.2: client authentication by a secret, and how refusals look."""

import base64
from typing import Any
from urllib.parse import quote_plus

import pytest

from .conftest import Answer, Server, identity

REFUSED = (401, "invalid_client")


def basic(client_id: str, secret: str) -> dict[str, str]:
    joined = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(joined.encode()).decode()}


def with_secret(server: Server, method: str) -> tuple[str, str]:
    made = server.register(method)
    assert made.client_secret is not None
    return made.client.client_id, made.client_secret


def test_a_secret_in_the_header_authenticates_the_client(server: Server) -> None:
    client_id, secret = with_secret(server, "client_secret_basic")
    assert server.token(None, headers=basic(client_id, secret)).claims["client_id"] == client_id


def test_a_secret_in_the_body_authenticates_the_client(server: Server) -> None:
    client_id, secret = with_secret(server, "client_secret_post")
    assert server.token(client_id, client_secret=secret).claims["client_id"] == client_id


def test_identifier_and_secret_are_form_encoded_in_the_header(server: Server) -> None:
    client_id, secret = with_secret(server, "client_secret_basic")
    escaped = "".join(f"%{ord(c):02X}" for c in client_id)
    raw = base64.b64encode(f"{escaped}:{secret}".encode()).decode()
    answer = server.token(None, headers={"Authorization": f"basic {raw}"})
    assert answer.claims["client_id"] == client_id


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_wrong_secret_is_refused(server: Server, method: str) -> None:
    client_id, secret = with_secret(server, method)
    wrong = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    answer = (
        server.token(None, headers=basic(client_id, wrong))
        if method == "client_secret_basic"
        else server.token(client_id, client_secret=wrong)
    )
    assert answer.error == REFUSED


def test_a_client_cannot_choose_another_way_than_its_own(server: Server) -> None:
    in_header, first = with_secret(server, "client_secret_basic")
    in_body, second = with_secret(server, "client_secret_post")
    assert server.token(in_header, client_secret=first).error == REFUSED
    assert server.token(None, headers=basic(in_body, second)).error == REFUSED


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_secret_that_is_not_shown_is_refused(server: Server, method: str) -> None:
    client_id, _ = with_secret(server, method)
    assert server.token(client_id).error == REFUSED
    assert server.token(client_id, identity()).error == REFUSED


def test_two_methods_in_one_request_are_an_invalid_request(server: Server) -> None:
    client_id, secret = with_secret(server, "client_secret_basic")
    twice = server.token(client_id, headers=basic(client_id, secret), client_secret=secret)
    asserted = server.token(client_id, client_secret=secret, client_assertion="a.b.c")
    assert twice.error == asserted.error == (400, "invalid_request")


def test_a_certificate_with_a_secret_beside_it_is_an_invalid_request(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own)
    assert server.token(client_id, own, client_secret="more").error == (400, "invalid_request")


def test_another_client_id_in_the_body_than_in_the_header_is_an_invalid_request(server: Server) -> None:
    client_id, secret = with_secret(server, "client_secret_basic")
    assert server.token("another", headers=basic(client_id, secret)).error == (400, "invalid_request")


@pytest.mark.parametrize("value", ["Bearer abc", "Basic", "Basic !!!", "Basic YWJj", "Basic Og==", "Basic gICA"])
def test_a_malformed_authorization_header_is_an_invalid_request(server: Server, value: str) -> None:
    assert server.token(None, headers={"Authorization": value}).error == (400, "invalid_request")


def test_credentials_in_the_query_are_refused(server: Server) -> None:
    client_id, secret = with_secret(server, "client_secret_post")
    form = {"grant_type": "client_credentials"}
    answer = server.ask(f"/oauth2/token?client_id={client_id}&client_secret={secret}", form)
    assert answer.error == (400, "invalid_request")


def test_an_unknown_client_is_invalid_client(server: Server) -> None:
    assert server.token("nobody", identity()).error == REFUSED


def test_invalid_client_names_the_scheme_that_would_do(server: Server) -> None:
    answer = server.token(None, headers=basic("nobody", "nothing"))
    assert answer.error == REFUSED
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_missing_grant_type_is_an_invalid_request(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own)
    assert server.token(client_id, own, grant_type="").error == (400, "invalid_request")


@pytest.mark.parametrize("name", ["grant_type", "client_id", "scope"])
def test_a_parameter_given_twice_is_an_invalid_request(server: Server, name: str) -> None:
    own = identity()
    form: dict[str, str | list[str]] = {
        "grant_type": "client_credentials",
        "client_id": server.self_signed_client(own, scopes=("read",)),
        "scope": "read",
    }
    assert server.ask("/oauth2/token", form, own).status == 200
    form[name] = [str(form[name])] * 2
    assert server.ask("/oauth2/token", form, own).error == (400, "invalid_request")


@pytest.mark.parametrize("grant", ["implicit", "urn:ietf:params:oauth:grant-type:nothing", "Password"])
def test_an_unknown_grant_is_an_unsupported_grant_type(server: Server, grant: str) -> None:
    own = identity()
    client_id = server.self_signed_client(own)
    assert server.token(client_id, own, grant_type=grant).error == (400, "unsupported_grant_type")


def test_a_grant_that_the_client_is_not_registered_for_is_unauthorized(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own)
    assert server.token(client_id, own, **server.alice).error == (400, "unauthorized_client")


def test_a_wrong_password_is_an_invalid_grant(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own, grant_types=("password",))
    wrong, unknown = server.alice | {"password": "wrong password"}, server.alice | {"username": "nobody"}
    answers = [server.token(client_id, own, **person) for person in (wrong, unknown)]
    assert [answer.error for answer in answers] == [(400, "invalid_grant")] * 2
    assert answers[0].body == answers[1].body


def test_a_refresh_token_of_another_client_is_an_invalid_grant(server: Server) -> None:
    first, second = identity(), identity()
    grants = ("password", "refresh_token")
    owner = server.self_signed_client(first, grant_types=grants)
    thief = server.self_signed_client(second, grant_types=grants)
    refresh = server.token(owner, first, **server.alice).json["refresh_token"]
    again: dict[str, Any] = {"grant_type": "refresh_token", "refresh_token": refresh}
    assert server.token(thief, second, **again).error == (400, "invalid_grant")
    assert server.token(owner, first, **again).status == 200


def test_client_credentials_give_no_refresh_token(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own, grant_types=("client_credentials", "password", "refresh_token"))
    assert "refresh_token" not in server.token(client_id, own).json
    assert "refresh_token" in server.token(client_id, own, **server.alice).json


def test_nothing_of_the_token_endpoint_is_kept_by_a_cache(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own)
    answers: list[Answer] = [server.token(client_id, own), server.token(client_id), server.token(None)]
    assert [answer.status for answer in answers] == [200, 401, 400]
    for answer in answers:
        assert answer.headers["Content-Type"] == "application/json"
        assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
