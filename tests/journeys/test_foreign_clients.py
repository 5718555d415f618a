"""Programs that know nothing of certbound get their tokens, and those that send nonsense get a decent answer."""

import json
import re
import shlex
import socket
import ssl
import subprocess
from collections.abc import Callable
from urllib.parse import urlencode

import httpx2
import pytest
import requests

from .conftest import SECONDS, Answer, Client, Server, confirmation, thumbprint

FORM = "application/x-www-form-urlencoded"
NODE = """
const fs = require("fs"), [url, ca, cert, key, body] = process.argv.slice(1);
const [caFile, certFile, keyFile] = [ca, cert, key].map((name) => fs.readFileSync(name));
const options = {method: "POST", ca: caFile, cert: certFile, key: keyFile, headers: {"Content-Type": "%s"}};
require("https").request(url, options, (answer) => {
  answer.on("data", (chunk) => process.stdout.write(chunk));
  answer.on("end", () => process.exitCode = answer.statusCode === 200 ? 0 : 1);
}).end(body);
"""


def fields(client: Client) -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": client.client_id}


def run(command: list[str], stdin: bytes = b"") -> bytes:
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def by_curl(server: Server, client: Client) -> bytes:
    files = f"--cacert {server.ca_file} --cert {client.certificate} --key {client.key}"
    return run(shlex.split(f"curl -sSf {files} {server.url} -d '{urlencode(fields(client))}'"))


def by_s_client(server: Server, client: Client) -> bytes:
    files = f"-CAfile {server.ca_file} -cert {client.certificate} -key {client.key}"
    connect = f"openssl s_client -connect localhost:{server.port} -verify_hostname localhost -verify_return_error"
    answer = Answer.read(run(shlex.split(f"{connect} {files} -quiet -ign_eof"), request(urlencode(fields(client)))))
    assert answer.status == 200
    return answer.body


def by_httpx2(server: Server, client: Client) -> bytes:
    with httpx2.Client(verify=context(server, client), timeout=SECONDS) as session:
        return session.post(server.url, data=fields(client)).raise_for_status().content


def by_requests(server: Server, client: Client) -> bytes:
    files = (str(client.certificate), str(client.key))
    answer = requests.post(server.url, data=fields(client), cert=files, verify=str(server.ca_file), timeout=SECONDS)
    answer.raise_for_status()
    return answer.content


def by_node(server: Server, client: Client) -> bytes:
    files = map(str, (server.ca_file, client.certificate, client.key))
    return run(["node", "-e", NODE % FORM, server.url, *files, urlencode(fields(client))])


@pytest.mark.req("8705-26", "8705-27")
@pytest.mark.parametrize("program", [by_curl, by_s_client, by_httpx2, by_requests, by_node])
def test_any_program_with_a_certificate_gets_a_bound_token(
    server: Server, client: Client, program: Callable[[Server, Client], bytes]
) -> None:
    answer = json.loads(program(server, client))
    assert answer["token_type"] == "Bearer"
    assert confirmation(answer["access_token"]) == {"x5t#S256": thumbprint(client.certificate)}


def context(server: Server, client: Client | None) -> ssl.SSLContext:
    trusting = ssl.create_default_context(cafile=server.ca_file)
    if client is not None:
        trusting.load_cert_chain(client.certificate, client.key)
    return trusting


def request(body: str, content_type: str | None = FORM, query: str = "", headers: tuple[str, ...] = ()) -> bytes:
    typed = (f"Content-Type: {content_type}",) if content_type else ()
    length = f"Content-Length: {len(body)}"
    lines = (f"POST /oauth2/token{query} HTTP/1.1", "Host: localhost", "Connection: close", length, *typed, *headers)
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def exchange(server: Server, client: Client | None, wire: bytes) -> Answer:
    with (
        socket.create_connection(("127.0.0.1", server.port), SECONDS) as plain,
        context(server, client).wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall(wire)
        return Answer.read(b"".join(iter(lambda: tls.recv(65536), b"")))


GOOD = "grant_type=client_credentials&client_id=orders"
BASIC = "Authorization: Basic b3JkZXJzOnNlY3JldA=="


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        pytest.param(request(""), "invalid_request", id="nothing"),
        pytest.param(request("client_id=orders"), "invalid_request", id="no grant_type"),
        pytest.param(request("grant_type=&client_id=orders"), "invalid_request", id="empty grant_type"),
        pytest.param(request("grant_type=password&client_id=orders&username=u"), "invalid_request", id="no password"),
        pytest.param(request(f"{GOOD}&client_id=orders"), "invalid_request", id="client_id twice"),
        pytest.param(request(f"{GOOD}&grant_type=password"), "invalid_request", id="grant_type twice"),
        pytest.param(request(f"{GOOD}&scope={'s' * 4097}"), "invalid_request", id="long scope"),
        pytest.param(request(f"grant_type={'g' * 257}&client_id=orders"), "invalid_request", id="long grant_type"),
        pytest.param(request(f"{GOOD}&{'n' * 9000}={'v' * 9000}"), "invalid_request", id="long unknown parameter"),
        pytest.param(request(f"{GOOD}{'&a=b' * 101}"), "invalid_request", id="too many parameters"),
        pytest.param(request(f"{GOOD}&scope=%00"), "invalid_request", id="NUL"),
        pytest.param(request(f"{GOOD}&scope=%ff"), "invalid_request", id="no UTF-8"),
        pytest.param(request(GOOD, None), "invalid_request", id="no content type"),
        pytest.param(request(GOOD, "text/plain"), "invalid_request", id="another content type"),
        pytest.param(request(json.dumps({"client_id": "orders"}), "application/json"), "invalid_request", id="JSON"),
        pytest.param(request(json.dumps({"client_id": "orders"})), "invalid_request", id="JSON that says it is a form"),
        pytest.param(request(GOOD, query="?client_id=orders"), "invalid_request", id="client_id in query and body"),
        pytest.param(request(GOOD, query="?client_id=other"), "invalid_request", id="another client_id in the query"),
        pytest.param(request(f"{GOOD}&client_secret=s", headers=(BASIC,)), "invalid_request", id="Basic and Post"),
        pytest.param(request(GOOD, headers=(BASIC, BASIC)), "invalid_request", id="Basic twice"),
        pytest.param(request(f"{GOOD}&client_secret=s"), "invalid_request", id="certificate and Post"),
        pytest.param(request(GOOD, headers=(BASIC,)), "invalid_request", id="certificate and Basic"),
        pytest.param(request("grant_type=magic&client_id=orders"), "unsupported_grant_type", id="unknown grant"),
        pytest.param(request(f"{GOOD}&scope=none"), "invalid_scope", id="unknown scope"),
        pytest.param(request(f"{GOOD}&resource=https://nobody.example"), "invalid_target", id="unknown resource"),
    ],
)
def test_a_bad_request_gets_the_error_answer(
    server: Server, clients: dict[str, Client], wire: bytes, error: str
) -> None:
    assert exchange(server, clients["tls_client_auth"], wire).is_refusal(400, error)


REFERENCE = re.compile(rb" \(reference [0-9A-Z]{10}\)")
"""What alone tells two refusals apart."""


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(request("grant_type=client_credentials&client_id=nobody"), id="unknown client"),
        pytest.param(request(f"{GOOD}&client_secret=s"), id="another method, in the body"),
        pytest.param(request(GOOD, headers=(BASIC,)), id="another method, in the header"),
    ],
)
def test_who_cannot_be_made_out_gets_one_and_the_same_answer(
    server: Server, clients: dict[str, Client], wire: bytes
) -> None:
    stranger = clients["self_signed_tls_client_auth"]
    expected = exchange(server, stranger, request(GOOD))
    assert expected.is_refusal(401, "invalid_client")
    for client in (None, stranger):
        answer = exchange(server, client, wire)
        assert (answer.status, REFERENCE.sub(b"", answer.body)) == (expected.status, REFERENCE.sub(b"", expected.body))


def test_a_body_that_is_too_large_is_refused_unread(server: Server, clients: dict[str, Client]) -> None:
    wire = request("").replace(b"Content-Length: 0", b"Content-Length: 99999999999")
    assert exchange(server, clients["tls_client_auth"], wire).is_refusal(413, "invalid_request")


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(request(GOOD), id="plain HTTP"),
        pytest.param(bytes(range(256)) * 64, id="garbage"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01" + b"\xff" * 600, id="a handshake of garbage"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", id="another protocol"),
    ],
)
def test_what_is_no_tls_is_closed_and_keeps_nobody_waiting(
    server: Server, clients: dict[str, Client], wire: bytes
) -> None:
    client = clients["tls_client_auth"]
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as left_open:
        left_open.sendall(b"\x16\x03\x01")
        told = b""
        with socket.create_connection(("127.0.0.1", server.port), SECONDS) as plain:
            try:
                plain.sendall(wire)
                told = b"".join(iter(lambda: plain.recv(65536), b""))
            except ConnectionError:  # closed while there was more to read
                pass
        assert not told.startswith(b"HTTP/") or Answer.read(told).status == 400
        assert b"{" not in told
        assert b"Traceback" not in told
        assert exchange(server, client, request(GOOD)).status == 200
