"""RFC 9700: what the best practice asks of refresh tokens, passwords and client authentication."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import update

from certbound.oauth.registration import RegistrationError
from certbound.store import schema

from .conftest import Server, identity, serving

GRANTS = ("password", "refresh_token")
INVALID_GRANT = (400, "invalid_grant")
API = "https://api.example"
OTHER = "https://other.example"


def refreshing(token: str) -> dict[str, Any]:
    return {"grant_type": "refresh_token", "refresh_token": token}


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as `init` makes it."""
    with serving(tmp_path_factory.mktemp("unchanged"), password_grant=False) as running:
        yield running


@pytest.mark.req("9700-09")
def test_a_public_clients_refresh_token_is_replaced_by_each_use(server: Server) -> None:
    own = identity()
    client_id = server.register("none", grant_types=GRANTS, bound=True).client.client_id
    first = server.token(client_id, own, **server.alice).json["refresh_token"]
    second = server.token(client_id, own, **refreshing(first)).json["refresh_token"]
    third = server.token(client_id, own, **refreshing(second)).json["refresh_token"]
    assert len({first, second, third}) == 3


@pytest.mark.req("9700-09")
@pytest.mark.parametrize("bound", [True, False])
def test_a_refresh_token_used_twice_revokes_its_whole_family(server: Server, bound: bool) -> None:
    own = identity()
    client_id = server.register("none", grant_types=GRANTS, bound=bound).client.client_id
    first = server.token(client_id, own, **server.alice).json["refresh_token"]
    second = server.token(client_id, own, **refreshing(first)).json["refresh_token"]
    assert server.token(client_id, own, **refreshing(first)).error == INVALID_GRANT
    assert server.token(client_id, own, **refreshing(second)).error == INVALID_GRANT


@pytest.mark.req("9700-12")
def test_the_password_grant_is_off_until_the_server_switches_it_on(unchanged: Server) -> None:
    own = identity()
    client_id = unchanged.self_signed_client(own, grant_types=("password", "client_credentials"))
    assert unchanged.token(client_id, own, **unchanged.person()).error == (400, "unsupported_grant_type")
    assert unchanged.token(client_id, own).status == 200
    assert "password" not in unchanged.metadata()["grant_types_supported"]


@pytest.mark.req("9700-12")
def test_the_password_grant_is_off_until_the_client_is_registered_for_it(server: Server) -> None:
    own = identity()
    assert server.token(server.self_signed_client(own), own, **server.alice).error == (400, "unauthorized_client")


@pytest.mark.req("9700-13")
@pytest.mark.parametrize("grant", ["client_credentials", "password", "refresh_token"])
def test_no_grant_runs_for_a_client_that_did_not_authenticate(server: Server, grant: str) -> None:
    own = identity()
    client_id = server.self_signed_client(own, grant_types=("client_credentials", *GRANTS))
    person = server.alice
    refresh = server.token(client_id, own, **person).json["refresh_token"]
    form = {**person, **refreshing(refresh), "grant_type": grant}
    assert server.token(client_id, **form).error == (401, "invalid_client")
    assert server.token(client_id, own, **form).status == 200


@pytest.mark.req("9700-13")
def test_a_public_client_is_not_registered_to_act_for_itself(server: Server) -> None:
    with pytest.raises(RegistrationError, match="clients that authenticate"):
        server.register("none", grant_types=("client_credentials",))


@pytest.mark.req("9700-25")
def test_only_a_client_registered_for_refreshing_is_given_a_refresh_token(server: Server) -> None:
    own = identity()
    without = server.self_signed_client(own, grant_types=("password",))
    with_it = server.self_signed_client(own, grant_types=GRANTS)
    assert "refresh_token" not in server.token(without, own, **server.alice).json
    assert "refresh_token" in server.token(with_it, own, **server.alice).json


@pytest.mark.req("9700-25")
def test_a_refresh_gives_no_more_scope_than_was_granted(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own, grant_types=GRANTS, scopes=("read", "write"))
    refresh = server.token(client_id, own, scope="read", **server.alice).json["refresh_token"]
    assert server.token(client_id, own, **refreshing(refresh)).claims["scope"] == "read"
    assert server.token(client_id, own, scope="write", **refreshing(refresh)).error == (400, "invalid_scope")


@pytest.mark.req("9700-25")
def test_a_refresh_gives_no_other_audience_than_was_granted(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own, grant_types=GRANTS, resources=(API, OTHER))
    refresh = server.token(client_id, own, resource=API, **server.alice).json["refresh_token"]
    assert server.token(client_id, own, **refreshing(refresh)).claims["aud"] == API
    assert server.token(client_id, own, resource=OTHER, **refreshing(refresh)).error == (400, "invalid_target")


@pytest.mark.req("9700-25")
def test_a_changed_refresh_token_is_refused(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own, grant_types=GRANTS)
    refresh = server.token(client_id, own, **server.alice).json["refresh_token"]
    changed = refresh[:-2] + ("A" if refresh[-2] != "A" else "B") + refresh[-1]
    assert server.token(client_id, own, **refreshing(changed)).error == INVALID_GRANT


@pytest.mark.req("9700-26")
def test_an_expired_refresh_token_is_refused(server: Server) -> None:
    own = identity()
    client_id = server.self_signed_client(own, grant_types=GRANTS)
    refresh = server.token(client_id, own, **server.alice).json["refresh_token"]
    assert server.token(client_id, own, **refreshing(refresh)).status == 200
    table = schema.refresh_token
    expired = update(table).where(table.c.client_id == client_id).values(expires_at=int(time.time()))
    server.worker.store.write(lambda connection: connection.execute(expired).rowcount)
    assert server.token(client_id, own, **refreshing(refresh)).error == INVALID_GRANT
