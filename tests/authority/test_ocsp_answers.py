import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.certificates.openssl_ca import OpenSSLCA
from tests.fetch.peers import Server, proxying, serving

from certbound.authority import ocsp_answers, outbound
from certbound.authority.ocsp_answers import OCSPAnswers
from certbound.authority.outbound import Outbound
from certbound.certificates.certificate import Certificate
from certbound.certificates.ocsp import OCSPAnswer
from certbound.certificates.revocation import Revocation, RevocationPolicy, check_path

LOOPBACK = ("127.0.0.0/8",)
HOUR = timedelta(hours=1)


class Clock:
    """The time that `ocsp_answers` sees; openssl keeps the real one."""

    def __init__(self) -> None:
        self.passed = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.passed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(ocsp_answers, "_now", clock)
    return clock


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> OpenSSLCA:
    ca = OpenSSLCA(tmp_path_factory.mktemp("ocsp"))
    for name in ("good", "other", "bad"):
        ca.issue(name)
    ca.issue("responder", "responder")
    ca.revoke("bad")
    return ca


@pytest.fixture
def good(ca: OpenSSLCA) -> Certificate:
    return ca.read("good.pem")


@pytest.fixture
def responder() -> Iterator[Server]:
    with serving(ssl.create_default_context(), None) as running:
        yield running


@pytest_asyncio.fixture
async def answers() -> Any:
    fetching = Outbound(ssl.create_default_context(), allow=LOOPBACK)
    yield OCSPAnswers(fetching)
    fetching.close()


def answers_by_openssl(responder: Server, ca: OpenSSLCA, *options: str, signer: str = "responder") -> None:
    """Let `openssl ocsp` answer what is posted; its own server would listen on every interface."""

    def respond(connection: socket.socket) -> None:
        head, _, question = responder.requests[-1].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /ocsp HTTP/1.1\r\n")
        assert b"Content-Type: application/ocsp-request\r\n" in head
        body = ca.answer(question, *options, signer=signer)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    responder.answer = respond


async def ask(answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, certificate: Certificate) -> OCSPAnswer | str:
    gathered = await answers.gather([(certificate, ca.certificate, responder.url("/ocsp"))])
    return gathered[certificate.sha256, ca.certificate.sha256]


@pytest.mark.threat("28")
@pytest.mark.parametrize(("name", "status"), [("good", "good"), ("bad", "revoked")])
@pytest.mark.parametrize("signer", ["ca", "responder"])
async def test_openssl_says_what_became_of_a_certificate(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, *, name: str, status: str, signer: str
) -> None:
    answers_by_openssl(responder, ca, "-ndays", "1", signer=signer)
    certificate = ca.read(f"{name}.pem")
    said = await ask(answers, responder, ca, certificate)
    assert isinstance(said, OCSPAnswer)
    assert said.status == status
    known = answers.known(datetime.now(UTC))
    assert known == {(certificate.sha256, ca.certificate.sha256): said}
    decision = check_path(
        (certificate, ca.certificate), RevocationPolicy(Revocation.OCSP), (), known, datetime.now(UTC)
    )
    assert all(check.passed for check in decision.checks) == (status == "good")
    assert not decision.missing


async def test_an_answer_is_kept_until_its_next_update(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate, clock: Clock
) -> None:
    answers_by_openssl(responder, ca, "-nmin", "60")
    first = await ask(answers, responder, ca, good)
    clock.passed = 0.9 * HOUR
    assert await ask(answers, responder, ca, good) is first
    assert len(answers.known(clock())) == 1
    clock.passed = 1.1 * HOUR
    assert not answers.known(clock())
    await ask(answers, responder, ca, good)
    assert len(responder.requests) == 2


async def test_an_answer_without_next_update_is_kept_for_a_minute(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate, clock: Clock
) -> None:
    answers_by_openssl(responder, ca)
    first = await ask(answers, responder, ca, good)
    clock.passed = timedelta(seconds=55)
    assert await ask(answers, responder, ca, good) is first
    clock.passed = timedelta(seconds=65)
    assert not answers.known(clock())
    assert await ask(answers, responder, ca, good) is not first
    assert len(responder.requests) == 2


async def test_a_certificate_its_responder_does_not_know_is_asked_for_again_after_a_minute(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate, *, clock: Clock, tmp_path: Path
) -> None:
    answers_by_openssl(responder, ca, "-ndays", "1", "-index", str(tmp_path / "empty.txt"))
    (tmp_path / "empty.txt").touch()
    said = await ask(answers, responder, ca, good)
    assert isinstance(said, OCSPAnswer)
    assert said.status == "unknown"
    clock.passed = timedelta(seconds=65)
    answers_by_openssl(responder, ca, "-ndays", "1")
    said = await ask(answers, responder, ca, good)
    assert isinstance(said, OCSPAnswer)
    assert said.status == "good"


async def test_all_who_wait_share_one_question(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate
) -> None:
    answers_by_openssl(responder, ca, "-ndays", "1")
    said = await asyncio.gather(*(ask(answers, responder, ca, good) for _ in range(20)))
    assert all(one is said[0] for one in said)
    assert len(responder.requests) == 1


async def test_a_path_is_asked_for_at_one_time(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate
) -> None:
    both = threading.Barrier(2)

    def together(connection: socket.socket) -> None:
        both.wait(2)
        connection.sendall(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")

    responder.answer = together
    url = responder.url("/ocsp")
    other = ca.read("other.pem")
    gathered = await answers.gather([(good, ca.certificate, url), (other, ca.certificate, url)])
    assert [str(said).partition("with ")[2] for said in gathered.values()] == ["status 500", "status 500"]


async def test_every_question_has_a_nonce_of_its_own(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate, clock: Clock
) -> None:
    answers_by_openssl(responder, ca)
    await ask(answers, responder, ca, good)
    clock.passed = HOUR
    await ask(answers, responder, ca, good)
    first, second = (request.partition(b"\r\n\r\n")[2] for request in responder.requests)
    assert len(first) == len(second)
    assert first[:-32] == second[:-32]
    assert first[-32:] != second[-32:]


async def test_an_answer_to_somebody_elses_question_is_refused(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate, clock: Clock
) -> None:
    recorded = bytearray()

    def respond(connection: socket.socket) -> None:
        if not recorded:
            recorded.extend(ca.answer(responder.requests[-1].partition(b"\r\n\r\n")[2], "-ndays", "7"))
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + recorded)

    responder.answer = respond
    assert isinstance(await ask(answers, responder, ca, good), OCSPAnswer)
    answers._kept.clear()
    assert "another nonce" in str(await ask(answers, responder, ca, good))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "status 500"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\x30\x03\x0a\x01\x03", "gave no answer but: try later"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n", "larger than 65536 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000, "larger than 65536 bytes"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", "redirects"),
        (b"", "/ocsp"),
    ],
    ids=["500", "html", "try later", "announced too large", "too large", "redirect", "nothing"],
)
async def test_a_failure_is_kept_for_ten_seconds(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate, *, clock: Clock, raw: bytes, reason: str
) -> None:
    responder.says(raw)
    for seconds in (0, 5, 9):
        clock.passed = timedelta(seconds=seconds)
        said = await ask(answers, responder, ca, good)
        assert reason in str(said)
        assert len(str(said).splitlines()) == 1
        assert not answers.known(clock())  # of another responder there may be an answer
    assert len(responder.requests) == 1
    clock.passed = timedelta(seconds=11)
    await ask(answers, responder, ca, good)
    assert len(responder.requests) == 2


async def test_the_failure_of_one_responder_is_not_that_of_another(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate
) -> None:
    answers_by_openssl(responder, ca, "-ndays", "1")
    nowhere = await answers.gather([(good, ca.certificate, "http://127.0.0.1:1/")])
    assert "Connection refused" in str(*nowhere.values())
    assert isinstance(await ask(answers, responder, ca, good), OCSPAnswer)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_where_one_responder_fails_the_answer_of_another_counts(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate, *, order: tuple[int, int]
) -> None:
    answers_by_openssl(responder, ca, "-ndays", "1")
    urls = "http://127.0.0.1:1/", responder.url("/ocsp")
    for _ in range(2):
        [said] = (await answers.gather([(good, ca.certificate, urls[place]) for place in order])).values()
        assert isinstance(said, OCSPAnswer)
    assert len(responder.requests) == 1


async def test_responders_that_fail_are_left_alone_each_for_itself(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate, clock: Clock
) -> None:
    responder.says(b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n")
    for seconds in (0, 4, 8):
        clock.passed = timedelta(seconds=seconds)
        for path in ("/one", "/two"):
            assert "status 503" in str(*(await answers.gather([(good, ca.certificate, responder.url(path))])).values())
    assert len(responder.requests) == 2


@pytest.mark.threat("28")
async def test_an_older_answer_takes_nothing_back(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate
) -> None:
    now, key = datetime.now(UTC), (good.sha256, ca.certificate.sha256)
    newer = OCSPAnswer("revoked", now + timedelta(minutes=1), now + HOUR, now, "keyCompromise")
    answers._kept[key] = ocsp_answers._Kept(newer, until=now)
    answers_by_openssl(responder, ca, "-ndays", "1")
    assert await ask(answers, responder, ca, good) is newer
    assert answers.known(datetime.now(UTC)) == {key: newer}
    assert len(responder.requests) == 1


@pytest.mark.threat("28")
async def test_an_answer_of_another_authority_is_refused(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate, tmp_path: Path
) -> None:
    stranger = OpenSSLCA(tmp_path / "stranger")
    answers_by_openssl(responder, stranger, "-ndays", "1", signer="ca")
    said = await ask(answers, responder, ca, good)
    assert isinstance(said, str)
    assert "not one of the issuer's" in said


async def test_an_old_answer_comes_back_where_there_is_no_newer_one_for_whoever_grants_it_grace(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate, clock: Clock
) -> None:
    answers_by_openssl(responder, ca, "-nmin", "60")
    first = await ask(answers, responder, ca, good)
    responder.says(b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n")
    clock.passed = 1.5 * HOUR
    assert await ask(answers, responder, ca, good) is first
    path, now = (good, ca.certificate), clock()
    again = {(good.sha256, ca.certificate.sha256): await ask(answers, responder, ca, good)}
    assert len(responder.requests) == 2
    for grace, passed in ((3600, True), (60, False)):
        policy = RevocationPolicy(Revocation.OCSP, grace_seconds=grace)
        [check] = check_path(path, policy, (), again, now).checks
        assert check.passed is passed
    clock.passed = timedelta(days=32)
    assert "status 503" in str(await ask(answers, responder, ca, good))


@pytest.mark.threat("28")
async def test_a_responder_that_is_slow_is_left_within_three_seconds(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate
) -> None:
    done = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(100):
            if done.wait(1):
                return
            connection.sendall(b"x")

    responder.answer = drip
    began = time.monotonic()
    said = await ask(answers, responder, ca, good)
    took = time.monotonic() - began
    done.set()
    assert "no complete answer within 2." in str(said)
    assert took < 5


async def test_what_no_thread_was_free_for_is_asked_at_once_the_next_time(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, good: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "HOST_THREADS", 0)
    monkeypatch.setattr(outbound, "WAIT_SECONDS", 0.05)
    assert "too many fetches" in str(await ask(answers, responder, ca, good))
    assert not answers.known(datetime.now(UTC))
    monkeypatch.undo()
    answers_by_openssl(responder, ca, "-ndays", "1")
    assert isinstance(await ask(answers, responder, ca, good), OCSPAnswer)


async def test_private_addresses_are_asked_only_by_allowance(
    responder: Server, ca: OpenSSLCA, good: Certificate
) -> None:
    with fetching() as outbound_:
        assert "no public address" in str(await ask(OCSPAnswers(outbound_), responder, ca, good))
    assert not responder.requests


async def test_questions_go_through_the_proxy(responder: Server, ca: OpenSSLCA, good: Certificate) -> None:
    with proxying() as proxy, fetching(proxy=proxy.url) as outbound_:
        url = responder.url("/ocsp", host="ocsp.example")
        responder.says(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")
        await OCSPAnswers(outbound_).gather([(good, ca.certificate, url)])
    assert proxy.heads[0].startswith(f"POST {url} HTTP/1.1\r\n".encode())


async def test_without_a_responder_nobody_is_asked(answers: OCSPAnswers, ca: OpenSSLCA, good: Certificate) -> None:
    [said] = (await answers.gather([(good, ca.certificate, None)])).values()
    assert "names a responder" in str(said)
    assert await answers.gather([]) == {}


async def test_memory_is_bounded_and_what_is_used_stays(
    answers: OCSPAnswers, responder: Server, ca: OpenSSLCA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocsp_answers, "MAX_ANSWERS", 2)
    answers_by_openssl(responder, ca, "-ndays", "1")
    first, second, third = (ca.read(f"{name}.pem") for name in ("good", "other", "bad"))
    for certificate in (first, second):
        await ask(answers, responder, ca, certificate)
    assert answers.known(datetime.now(UTC))[first.sha256, ca.certificate.sha256]
    await ask(answers, responder, ca, third)
    assert {key[0] for key in answers.known(datetime.now(UTC))} == {first.sha256, third.sha256}


@contextmanager
def fetching(**options: Any) -> Iterator[Outbound]:
    made = Outbound(ssl.create_default_context(), **options)
    try:
        yield made
    finally:
        made.close()
