"""What the issuer blocked does not pass, and what its list costs."""

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey
from tests.oauth.making import make
from tests.oauth.making import new_key as new_certificate_key

from certbound.certificates.presented import PresentedChain
from certbound.jose.jwks import JWKSet
from certbound.oauth.blocking import CLOCK_SECONDS, Blocked
from certbound.resource import CertificateBoundMiddleware, blocked, keys
from certbound.resource.blocked import (
    OLD_SECONDS,
    RETRY_SECONDS,
    STALE_SECONDS,
    BlockedUnavailableError,
    IssuerBlocked,
)
from certbound.resource.keys import UNKNOWN_KEY_SECONDS, IssuerKeys, KeysUnavailableError

from .test_asgi import AUDIENCE, Answer, call, echo, scope_of

NOW = 1_800_000_000
METADATA = "/.well-known/oauth-authorization-server"


def spki(presented: PresentedChain) -> bytes:
    certificate = x509.load_der_x509_certificate(presented.leaf)
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass
class Api:
    """What an API holds of an issuer, asked at times of the test's own: `now` is 0 at NOW."""

    issuer: Any
    keys: IssuerKeys
    blocked: IssuerBlocked
    known: JWKSet

    def refresh(self, now: float, clock: int | None = None, known: JWKSet | None = None) -> None:
        at = NOW + int(now) if clock is None else clock
        self.blocked.refresh(f"{self.issuer.url}/blocked", now, at, known or self.known)

    @property
    def fetched(self) -> int:
        return int(self.issuer.asked.count("/blocked"))


@pytest.fixture
def api(issuer: Any) -> Api:
    issuer.now = NOW
    issuer.block(tokens=["first"])
    keys = IssuerKeys(issuer.url, issuer.ca_file)
    return Api(issuer, keys, IssuerBlocked(issuer.url, keys, issuer.ca_file), keys.obtain(0))


def tokens(*jti: str) -> Blocked:
    return Blocked(tokens=frozenset(jti))


def test_nothing_is_known_before_the_list_was_fetched(api: Api) -> None:
    assert api.blocked.is_due(0)
    assert api.blocked.is_old(0, NOW)
    with pytest.raises(BlockedUnavailableError):
        api.blocked.current(NOW)
    assert api.fetched == 0
    api.refresh(0)
    assert api.blocked.current(NOW) == tokens("first")


def test_a_list_is_fetched_anew_when_it_is_stale_and_waited_for_when_it_is_old(api: Api) -> None:
    api.refresh(0)
    for now, due, old in [
        (STALE_SECONDS - 0.01, False, False),
        (STALE_SECONDS, True, False),
        (OLD_SECONDS - 0.01, True, False),
        (OLD_SECONDS, True, True),
    ]:
        assert (api.blocked.is_due(now), api.blocked.is_old(now, NOW)) == (due, old)
    api.issuer.block(tokens=["second"])
    api.refresh(STALE_SECONDS)
    assert api.blocked.current(NOW) == tokens("second")
    assert not api.blocked.is_due(STALE_SECONDS + 0.01)


def test_however_many_requests_there_are_the_list_is_fetched_once_in_a_while(api: Api) -> None:
    for hundredth in range(600):
        now = hundredth / 100
        if api.blocked.is_due(now):
            api.refresh(now)
        api.refresh(now)
    assert api.fetched == 8


def test_a_list_serves_until_it_expires_while_the_issuer_is_away(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    api.refresh(0)
    kept = dict(api.issuer.answers)
    api.issuer.answers.clear()
    for now in range(1, 299, 3):
        assert api.blocked.is_due(now)
        api.refresh(now)
        assert not api.blocked.is_due(now + RETRY_SECONDS - 0.01)
        assert not api.blocked.is_old(now + 0.5, NOW + now)
        assert api.blocked.current(NOW + now) == tokens("first")
        if now == 4:
            now_on = [record.message for record in caplog.records]
    assert now_on == [record.message for record in caplog.records] == ["blocked_list_not_fetched"]
    with pytest.raises(BlockedUnavailableError, match="status 404"):
        api.blocked.current(NOW + 300)
    assert api.blocked.is_old(299, NOW + 300)
    api.issuer.answers |= kept
    api.issuer.now = NOW + 300
    api.issuer.block(tokens=["second"])
    api.refresh(300)
    assert api.blocked.current(NOW + 300) == tokens("second")
    assert not api.blocked.is_due(300 + STALE_SECONDS - 0.01)
    assert api.blocked.is_old(300 + OLD_SECONDS, NOW + 301)


def stranger(api: Api) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": api.issuer.key.kid})


@pytest.mark.parametrize(
    ("publish", "why"),
    [
        (lambda api: api.issuer.block(key=stranger(api)), "signature does not hold"),
        (lambda api: api.issuer.block(header={"typ": "at+jwt"}), "typ"),
        (lambda api: api.issuer.block(header={"typ": "JWT"}), "typ"),
        (lambda api: api.issuer.block(header={"alg": "none"}), "algorithm"),
        (lambda api: api.issuer.block(header={"alg": "HS256"}), "algorithm"),
        (lambda api: api.issuer.block(header={"jku": "https://evil.example"}), "header members"),
        (lambda api: api.issuer.block(iss="https://other.example"), "another issuer"),
        (lambda api: api.issuer.block(exp=NOW), "expired"),
        (lambda api: api.issuer.block(iat=NOW + CLOCK_SECONDS + 2), "future"),
        (lambda api: api.issuer.block(jti=None), "no list"),
        (lambda api: api.issuer.block(tokens=[str(i) for i in range(100_001)]), "100001 entries"),
        (lambda api: api.issuer.say("/blocked", {}), "not a compact JWS"),
        (lambda api: api.issuer.answers.update({"/blocked": (200, "é".encode())}), "no signed list"),
        (lambda api: api.issuer.answers.update({"/blocked": (200, b"")}), "not a compact JWS"),
        (lambda api: api.issuer.answers.update({"/blocked": (200, b"x" * (8 * 1024 * 1024 + 1))}), "larger than"),
        (lambda api: api.issuer.answers.update({"/blocked": (500, b"")}), "status 500"),
    ],
)
def test_a_list_that_may_not_be_used_does_not_replace_the_one_that_may(
    api: Api, publish: Callable[[Api], None], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    api.refresh(0)
    publish(api)
    api.refresh(1)
    assert api.blocked.current(NOW + 1) == tokens("first")
    assert why in vars(caplog.records[0])["detail"]
    alone = IssuerBlocked(api.issuer.url, api.keys, api.issuer.ca_file)
    alone.refresh(f"{api.issuer.url}/blocked", 0, NOW, api.known)
    with pytest.raises(BlockedUnavailableError, match=why):
        alone.current(NOW)
    api.issuer.block(tokens=["second"])
    api.refresh(2)
    assert api.blocked.current(NOW + 2) == tokens("second")


def test_an_older_list_of_another_process_of_the_issuer_brings_nothing_back_and_is_no_failure(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    api.refresh(0)
    api.issuer.block(iat=NOW - 1, tokens=["older"])
    api.refresh(1)
    assert api.blocked.current(NOW + 1) == tokens("first")
    assert not api.blocked.is_old(2, NOW + 2)
    assert not caplog.records


def test_a_token_of_the_issuer_is_no_list(api: Api) -> None:
    api.issuer.answers["/blocked"] = (200, api.issuer.sign(b"leaf", **{"x5t#S256": [], "spki#S256": []}).encode())
    api.refresh(0)
    with pytest.raises(BlockedUnavailableError, match="typ"):
        api.blocked.current(NOW)


def test_a_list_is_verified_once_and_again_when_the_keys_changed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[JWKSet] = []
    real = blocked._verify

    def verify(token: str, keys: JWKSet) -> Any:
        verified.append(keys)
        return real(token, keys)

    monkeypatch.setattr(blocked, "_verify", verify)
    for now in range(10):
        api.refresh(now)
    assert (api.fetched, len(verified)) == (10, 1)
    renewed = api.keys.obtain(keys.FRESH_SECONDS)
    api.refresh(10, known=renewed)
    assert verified == [api.known, renewed]
    api.issuer.publish(stranger(api))
    withdrawn = api.keys.obtain(2 * keys.FRESH_SECONDS)
    api.refresh(11, known=withdrawn)
    assert api.blocked.is_due(11 + RETRY_SECONDS)
    assert not api.blocked.is_due(11 + STALE_SECONDS)


def test_an_unchanged_list_is_not_good_beyond_its_expiry(api: Api) -> None:
    api.refresh(0)
    api.refresh(1, NOW + 300)
    with pytest.raises(BlockedUnavailableError, match="expired"):
        api.blocked.current(NOW + 300)


def test_a_new_key_of_the_issuer_is_asked_for_but_not_for_every_unknown_one(
    api: Api, new_key: Callable[[str], Any]
) -> None:
    api.refresh(0)
    two = new_key("two")
    api.issuer.publish(api.issuer.key, two)
    api.issuer.block(key=two, tokens=["second"])
    api.refresh(1)
    assert api.blocked.current(NOW) == tokens("first")
    api.refresh(UNKNOWN_KEY_SECONDS)
    assert api.blocked.current(NOW) == tokens("second")
    api.issuer.block(key=new_key("three"))
    for now in range(1, 29):
        api.refresh(UNKNOWN_KEY_SECONDS + now)
    assert api.issuer.asked.count("/jwks") == 2


def test_keys_that_cannot_be_had_are_a_failure_like_another(api: Api, new_key: Callable[[str], Any]) -> None:
    api.refresh(0)
    api.issuer.block(key=new_key("two"))
    api.issuer.answers["/jwks"] = (500, b"")
    api.refresh(keys.KEPT_SECONDS)
    assert api.blocked.current(NOW) == tokens("first")
    with pytest.raises(KeysUnavailableError):
        api.keys.ready(keys.KEPT_SECONDS)


def test_an_issuer_that_is_not_trusted_has_no_list(api: Api) -> None:
    distrustful = IssuerBlocked(api.issuer.url, api.keys)
    distrustful.refresh(f"{api.issuer.url}/blocked", 0, NOW, api.known)
    with pytest.raises(BlockedUnavailableError, match="not trusted"):
        distrustful.current(NOW)


def test_roots_that_were_replaced_on_disk_are_read_again(api: Api, tmp_path: Path) -> None:
    ca_file = tmp_path / "roots.pem"
    trustme.CA().cert_pem.write_to_path(str(ca_file))
    renewing = IssuerBlocked(api.issuer.url, api.keys, ca_file)
    renewing.refresh(f"{api.issuer.url}/blocked", 0, NOW, api.known)
    with pytest.raises(BlockedUnavailableError, match="not trusted"):
        renewing.current(NOW)
    ca_file.write_bytes(api.issuer.ca_file.read_bytes())
    renewing.refresh(f"{api.issuer.url}/blocked", 30, NOW, api.known)
    assert renewing.current(NOW) == tokens("first")


def test_threads_share_one_fetch(api: Api) -> None:
    api.issuer.gate.clear()
    threads = [threading.Thread(target=api.refresh, args=(0,)) for _ in range(10)]
    for thread in threads:
        thread.start()
    api.issuer.gate.set()
    for thread in threads:
        thread.join(10)
    assert api.fetched == 1


def test_the_longest_list_there_may_be_is_read(api: Api) -> None:
    api.issuer.block(certificates=[number.to_bytes(4, "big") for number in range(100_000)])
    api.refresh(0)
    found = api.blocked.current(NOW).certificates
    assert len(found) == 100_000
    assert hashlib.sha256(bytes(4)).digest() in found


class Clocks:
    """Both clocks of the middleware, moved by hand."""

    def __init__(self) -> None:
        self.passed = 0.0
        self._began = time.time()

    def monotonic(self) -> float:
        return 1000 + self.passed

    def time(self) -> float:
        return self._began + self.passed


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr("certbound.resource.asgi.time", clocks)
    return clocks


@pytest.fixture
def app(issuer: Any, clocks: Clocks) -> CertificateBoundMiddleware:
    issuer.block()
    return CertificateBoundMiddleware(
        echo, issuer=issuer.url, audience=AUDIENCE, verify=issuer.ca_file, require_binding=False
    )


def refusal(answer: Answer) -> str:
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.challenge
    return answer.challenge.partition("error_description=")[2]


async def test_a_certificate_that_is_blocked_is_refused_though_its_token_was_seen_before(
    app: Any, issuer: Any, certificate: PresentedChain, other_certificate: PresentedChain, clocks: Clocks
) -> None:
    mine, others = (issuer.sign(one.leaf) for one in (certificate, other_certificate))
    unbound = issuer.sign(certificate.leaf, without=("cnf",))
    for token in (mine, unbound):
        assert (await call(app, scope_of(certificate, token))).status == 200
    issuer.block(certificates=[certificate.leaf])
    clocks.passed = OLD_SECONDS
    for token in (mine, unbound, issuer.sign(certificate.leaf, jti="new")):
        for _ in range(2):
            assert refusal(await call(app, scope_of(certificate, token))) == '"the certificate is blocked"'
    assert (await call(app, scope_of(other_certificate, others))).status == 200
    assert (await call(app, scope_of(None, unbound))).status == 200
    issuer.block()
    clocks.passed += OLD_SECONDS
    assert (await call(app, scope_of(certificate, mine))).status == 200


async def test_a_key_that_is_blocked_is_refused_in_every_certificate(app: Any, issuer: Any, clocks: Clocks) -> None:
    key = new_certificate_key()
    first, renewed = (make(f"CN={name}", key=key).presented() for name in ("first", "renewed"))
    token = issuer.sign(renewed.leaf)
    assert (await call(app, scope_of(renewed, token))).status == 200
    issuer.block(keys=[spki(first)])
    clocks.passed = OLD_SECONDS
    for sent in (token, issuer.sign(renewed.leaf)):
        answer = await call(app, scope_of(renewed, sent))
        assert refusal(answer) == '"the key of the certificate is blocked"'


async def test_a_token_that_is_bound_to_nothing_is_refused_by_its_name(
    app: Any, issuer: Any, certificate: PresentedChain, clocks: Clocks
) -> None:
    stolen, good = (issuer.sign(certificate.leaf, without=("cnf",), jti=jti) for jti in ("stolen", "good"))
    odd = issuer.sign(certificate.leaf, without=("cnf",), jti=["stolen"])
    assert (await call(app, scope_of(None, stolen))).status == 200
    issuer.block(tokens=["stolen"])
    clocks.passed = OLD_SECONDS
    for presented in (None, certificate):
        assert refusal(await call(app, scope_of(presented, stolen))) == '"the token is blocked"'
    for token in (good, odd):
        assert (await call(app, scope_of(None, token))).status == 200


async def test_a_websocket_of_a_blocked_certificate_is_not_accepted(
    app: Any, issuer: Any, certificate: PresentedChain
) -> None:
    issuer.block(certificates=[certificate.leaf])
    closed = await call(app, scope_of(certificate, issuer.sign(certificate.leaf), type="websocket"))
    assert closed.sent == [{"type": "websocket.close", "code": 1008}]


async def test_an_issuer_that_lists_nothing_is_not_asked_for_a_list(
    issuer: Any, certificate: PresentedChain, clocks: Clocks
) -> None:
    app = CertificateBoundMiddleware(echo, issuer=issuer.url, audience=AUDIENCE, verify=issuer.ca_file)
    for second in range(5):
        clocks.passed = second
        assert (await call(app, scope_of(certificate, issuer.sign(certificate.leaf)))).status == 200
    assert issuer.asked == [METADATA, "/jwks"]


async def test_a_name_of_the_list_that_is_no_url_stops_everything(issuer: Any, certificate: PresentedChain) -> None:
    issuer.say(METADATA, {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks", "certbound_blocked_endpoint": 1})
    app = CertificateBoundMiddleware(echo, issuer=issuer.url, audience=AUDIENCE, verify=issuer.ca_file)
    assert (await call(app, scope_of(certificate, issuer.sign(certificate.leaf)))).status == 503


async def test_while_it_is_not_known_what_is_blocked_nothing_passes(
    app: Any, issuer: Any, certificate: PresentedChain, clocks: Clocks
) -> None:
    del issuer.answers["/blocked"]
    token = issuer.sign(certificate.leaf)
    for _ in range(3):
        answer = await call(app, scope_of(certificate, token))
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.body == b'{"error": "temporarily_unavailable"}'
    assert issuer.asked.count("/blocked") == 1
    issuer.block()
    clocks.passed = RETRY_SECONDS
    assert (await call(app, scope_of(certificate, token))).status == 200


async def test_when_the_last_list_has_expired_nothing_passes(
    app: Any, issuer: Any, certificate: PresentedChain, clocks: Clocks
) -> None:
    token = issuer.sign(certificate.leaf, exp=int(clocks.time()) + 1000)
    assert (await call(app, scope_of(certificate, token))).status == 200
    del issuer.answers["/blocked"]
    clocks.passed = 10
    assert (await call(app, scope_of(certificate, token))).status == 200
    clocks.passed = 298
    assert (await call(app, scope_of(certificate, token))).status == 200
    clocks.passed = 301
    assert (await call(app, scope_of(certificate, token))).status == 503


async def test_requests_that_wait_share_one_fetch_whoever_goes_away(
    app: Any, issuer: Any, certificate: PresentedChain, clocks: Clocks
) -> None:
    token = issuer.sign(certificate.leaf)
    assert (await call(app, scope_of(certificate, token))).status == 200
    issuer.block(certificates=[certificate.leaf])
    issuer.gate.clear()
    clocks.passed = OLD_SECONDS
    calls = [asyncio.create_task(call(app, scope_of(certificate, token))) for _ in range(50)]
    await asyncio.sleep(0)
    calls[0].cancel()
    issuer.gate.set()
    answers = await asyncio.gather(*calls[1:])
    assert {answer.status for answer in answers} == {401}
    assert issuer.asked.count("/blocked") == 2


async def test_a_list_that_is_stale_serves_while_the_issuer_takes_its_time(
    app: Any, issuer: Any, certificate: PresentedChain, clocks: Clocks
) -> None:
    token = issuer.sign(certificate.leaf)
    assert (await call(app, scope_of(certificate, token))).status == 200
    issuer.block(certificates=[certificate.leaf])
    issuer.gate.clear()
    clocks.passed = STALE_SECONDS
    for _ in range(20):
        assert (await call(app, scope_of(certificate, token))).status == 200
    issuer.gate.set()
    await app._refreshing.under_way
    assert (await call(app, scope_of(certificate, token))).status == 401
    assert issuer.asked.count("/blocked") == 2


async def test_nobody_waits_for_an_issuer_that_failed_a_moment_ago(
    app: Any, issuer: Any, certificate: PresentedChain, clocks: Clocks
) -> None:
    token = issuer.sign(certificate.leaf)
    assert (await call(app, scope_of(certificate, token))).status == 200
    good = issuer.answers.pop("/blocked")
    clocks.passed = OLD_SECONDS
    assert (await call(app, scope_of(certificate, token))).status == 200
    issuer.gate.clear()
    clocks.passed += 60
    for _ in range(20):
        assert (await call(app, scope_of(certificate, token))).status == 200
    issuer.answers["/blocked"] = good
    issuer.gate.set()
    await app._refreshing.under_way
    assert issuer.asked.count("/blocked") == 3


def test_another_event_loop_does_not_wait_for_a_task_of_the_first(
    app: Any, issuer: Any, certificate: PresentedChain
) -> None:
    for _ in range(2):
        assert asyncio.run(call(app, scope_of(certificate, issuer.sign(certificate.leaf)))).status == 200


async def test_an_app_that_keeps_every_thread_of_the_loop_busy_does_not_hold_up_the_list(
    app: Any, issuer: Any, certificate: PresentedChain
) -> None:
    busy, over = ThreadPoolExecutor(1), threading.Event()
    asyncio.get_running_loop().set_default_executor(busy)
    working = asyncio.create_task(asyncio.to_thread(over.wait, 10))
    await asyncio.sleep(0)
    issuer.block(certificates=[certificate.leaf])
    assert (await call(app, scope_of(certificate, issuer.sign(certificate.leaf)))).status == 401
    assert not working.done()
    over.set()
    await working
