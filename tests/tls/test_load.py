"""Many at once, on kept and on fresh connections: everybody is answered and nothing hangs."""

import json
import ssl
from concurrent.futures import ThreadPoolExecutor

from certbound.tls.door import Door

from .conftest import Application, OpenDoor, Pki, listener, opened, read_response

REQUESTS = 500
KEPT = 8
FRESH = 4
BOUND_SECONDS = 60  # a hang, not a measure
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def ask(connection: ssl.SSLSocket, requests: int) -> list[tuple[int, str]]:
    answers = []
    stream = connection.makefile("rb")
    for _ in range(requests):
        connection.sendall(GET)
        status, _, body = read_response(stream)
        answers.append((status, json.loads(body)["leaf"]))
    return answers


def over_one_kept(door: OpenDoor, context: ssl.SSLContext, requests: int) -> list[tuple[int, str]]:
    with door.tls(context=context) as connection:
        return ask(connection, requests)


def over_fresh_ones(door: OpenDoor, context: ssl.SSLContext, requests: int) -> list[tuple[int, str]]:
    return [answer for _ in range(requests) for answer in over_one_kept(door, context, 1)]


def test_a_thousand_requests_with_certificates_are_all_answered(pki: Pki, loop_kind: str) -> None:
    app = Application()
    contexts = {identity: pki.client_context(identity) for identity in ("issued", "chained")}
    shares = [REQUESTS // KEPT + (one < REQUESTS % KEPT) for one in range(KEPT)]
    with (
        opened(Door([listener(pki, "want", app)]), app, pki, loop_kind) as door,
        ThreadPoolExecutor(KEPT + FRESH) as clients,
    ):
        kept = [clients.submit(over_one_kept, door, contexts["issued"], share) for share in shares]
        fresh = [clients.submit(over_fresh_ones, door, contexts["chained"], REQUESTS // FRESH) for _ in range(FRESH)]
        kept_answers = [answer for one in kept for answer in one.result(BOUND_SECONDS)]
        fresh_answers = [answer for one in fresh for answer in one.result(BOUND_SECONDS)]
    assert kept_answers == [(200, pki.identities["issued"].leaf)] * REQUESTS
    assert fresh_answers == [(200, pki.identities["chained"].leaf)] * REQUESTS
    assert len(app.calls) == 2 * REQUESTS
