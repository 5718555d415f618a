"""The line that users of the original have in their scripts."""

import shlex
import subprocess
from pathlib import Path

import pytest

from .conftest import PASSWORD, SECONDS, USER, Answer, Client, Server, confirmation, free_port, serving, thumbprint

LINE = (
    'curl -k -d "grant_type=password&username={user}&password={password}&client_id={client_id}" '
    '-H "Content-Type: application/x-www-form-urlencoded" https://localhost:{port}/oauth2/token '
    "-i --cert client-certificate.pem --key key.pem"
)


def original_line(client: Client, port: int, user: str = USER, password: str = PASSWORD) -> Answer:
    line = LINE.format(user=user, password=password, client_id=client.client_id, port=port)
    done = subprocess.run(
        shlex.split(line),
        cwd=client.folder,
        capture_output=True,
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return Answer.read(done.stdout)


@pytest.mark.req("8705-10", "8705-18", "8705-26", "8705-27")
def test_the_line_gets_a_token_that_is_bound_to_the_certificate(server: Server, client: Client) -> None:
    answer = original_line(client, server.port)
    assert answer.status == 200, answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json["token_type"] == "Bearer"
    assert confirmation(answer.json["access_token"]) == {"x5t#S256": thumbprint(client.certificate)}


def test_a_wrong_password_an_unknown_user_and_an_operator_are_refused_alike(server: Server, client: Client) -> None:
    wrong = original_line(client, server.port, password="wrong")
    assert wrong.is_refusal(400, "invalid_grant")
    assert original_line(client, server.port, user="nobody").body == wrong.body
    assert original_line(client, server.port, user="admin", password=server.admin_password).body == wrong.body


def test_the_line_is_refused_with_the_certificate_of_another(server: Server, clients: dict[str, Client]) -> None:
    one, other = clients.values()
    for swapped in (Client(one.client_id, other.folder), Client(other.client_id, one.folder)):
        assert original_line(swapped, server.port).is_refusal(401, "invalid_client")


def test_a_client_that_may_not_use_passwords_is_refused(server: Server, tmp_path: Path) -> None:
    machine = server.self_signed("machine", tmp_path)
    assert original_line(machine, server.port).is_refusal(400, "unauthorized_client")


def test_the_line_is_refused_where_the_grant_is_switched_off(server: Server, clients: dict[str, Client]) -> None:
    port = free_port()
    config = server.config.with_name("switched-off.toml")
    bind = 'bind = "127.0.0.1:{}"'.format
    config.write_text(server.config.read_text().replace(bind(server.port), bind(port)))
    with serving(config, {}):
        for client in clients.values():
            assert original_line(client, port).is_refusal(400, "unsupported_grant_type")
