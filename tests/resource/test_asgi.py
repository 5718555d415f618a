import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from certbound.certificates.presented import PresentedChain
from certbound.resource import BoundToken, CertificateBoundMiddleware, requires

AUDIENCE = "https://api.example.com"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(scope.get("certbound")).encode()})


class Answer:
    def __init__(self, sent: list[dict[str, Any]]) -> None:
        self.sent = sent
        self.status = sent[0].get("status")
        self.headers: dict[str, str] = {name.decode(): value.decode() for name, value in sent[0].get("headers", [])}
        self.body = b"".join(message.get("body", b"") for message in sent)

    @property
    def challenge(self) -> str:
        return self.headers["www-authenticate"]


def scope_of(presented: PresentedChain | None, token: str | None, **changed: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "path": "/orders",
        "headers": [] if token is None else [(b"authorization", f"Bearer {token}".encode())],
        "extensions": {"certbound": {"version": 1, "presented": presented, "listener": "main", "source": "tls"}},
        **changed,
    }


async def call(app: Any, scope: dict[str, Any]) -> Answer:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return Answer(sent)


@pytest.fixture
def app(issuer: Any) -> CertificateBoundMiddleware:
    return CertificateBoundMiddleware(
        echo, issuer=issuer.url, audience=AUDIENCE, verify=issuer.ca_file, exempt=["/healthz"]
    )


@pytest.mark.req("8705-22", "8705-23")
async def test_a_bound_token_reaches_the_app(app: Any, issuer: Any, certificate: PresentedChain) -> None:
    seen: list[Any] = []

    async def look(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["certbound"])
        await echo(scope, receive, send)

    app = CertificateBoundMiddleware(look, issuer=issuer.url, audience=AUDIENCE, verify=issuer.ca_file)
    answer = await call(app, scope_of(certificate, issuer.sign(certificate.leaf)))
    assert answer.status == 200
    assert isinstance(seen[0], BoundToken)
    assert seen[0].client_id == "robot"


@pytest.mark.req("8705-24", "9068-08")
async def test_the_refusals_and_their_challenges(
    app: Any, issuer: Any, certificate: PresentedChain, other_certificate: PresentedChain
) -> None:
    good = issuer.sign(certificate.leaf)
    for presented, token, why in [
        (other_certificate, good, "the token is bound to another certificate"),
        (None, good, "the connection has no client certificate"),
        (certificate, issuer.sign(certificate.leaf, without=("cnf",)), "the token is not bound to a certificate"),
        (certificate, issuer.sign(certificate.leaf, aud="https://other"), "the token is for another audience"),
        (certificate, issuer.sign(certificate.leaf, exp=1), "the token has expired"),
    ]:
        answer = await call(app, scope_of(presented, token))
        assert answer.status == 401
        assert answer.challenge == f'Bearer realm="{AUDIENCE}", error="invalid_token", error_description="{why}"'
        assert answer.headers["cache-control"] == "no-store"
        assert int(answer.headers["content-length"]) == len(answer.body)


@pytest.mark.req("F2-19")
async def test_a_token_anywhere_but_in_the_header_is_no_token(
    app: Any, issuer: Any, certificate: PresentedChain
) -> None:
    token = issuer.sign(certificate.leaf)
    answer = await call(app, scope_of(certificate, None, query_string=f"access_token={token}".encode()))
    assert (answer.status, answer.challenge, answer.body) == (401, f'Bearer realm="{AUDIENCE}"', b"")


async def test_a_malformed_header_is_an_invalid_request(app: Any, certificate: PresentedChain) -> None:
    answer = await call(app, scope_of(certificate, "a b"))
    assert answer.status == 400
    assert 'error="invalid_request"' in answer.challenge


async def test_a_token_seen_before_is_refused_with_another_certificate(
    app: Any, issuer: Any, certificate: PresentedChain, other_certificate: PresentedChain
) -> None:
    token = issuer.sign(certificate.leaf)
    assert (await call(app, scope_of(certificate, token))).status == 200
    assert (await call(app, scope_of(certificate, token))).status == 200
    assert (await call(app, scope_of(other_certificate, token))).status == 401
    assert (await call(app, scope_of(None, token))).status == 401
    assert (await call(app, scope_of(certificate, token))).status == 200


async def test_a_token_seen_before_is_refused_once_it_has_expired(
    app: Any, issuer: Any, certificate: PresentedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.sign(certificate.leaf)
    assert (await call(app, scope_of(certificate, token))).status == 200
    later = time.time() + 400
    monkeypatch.setattr(time, "time", lambda: later)
    assert "expired" in (await call(app, scope_of(certificate, token))).challenge


async def test_exempt_paths_are_exact(app: Any, certificate: PresentedChain) -> None:
    assert (await call(app, scope_of(None, None, path="/healthz"))).status == 200
    for path in ("/healthz/", "/Healthz", "/healthz/../orders", "//healthz", "/healthz%2f", "", "/"):
        assert (await call(app, scope_of(None, None, path=path))).status == 401


@pytest.mark.parametrize("token", [None, "garbage"])
async def test_a_websocket_is_refused_before_it_is_accepted(app: Any, certificate: PresentedChain, token: str) -> None:
    closed = await call(app, scope_of(certificate, token, type="websocket"))
    assert closed.sent == [{"type": "websocket.close", "code": 1008}]
    scope = scope_of(certificate, token, type="websocket")
    scope["extensions"]["websocket.http.response"] = {}
    denied = await call(app, scope)
    assert [message["type"] for message in denied.sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert denied.status == 401


async def test_a_websocket_with_a_bound_token_passes(app: Any, issuer: Any, certificate: PresentedChain) -> None:
    assert (await call(app, scope_of(certificate, issuer.sign(certificate.leaf), type="websocket"))).status == 200


async def test_lifespan_passes_and_nothing_is_fetched(app: Any, issuer: Any) -> None:
    assert (await call(app, {"type": "lifespan"})).status == 200
    assert issuer.asked == []


async def test_the_tls_extension_of_other_servers_is_read(
    app: Any, issuer: Any, certificate: PresentedChain, other_certificate: PresentedChain
) -> None:
    token = issuer.sign(certificate.leaf)
    chain = [ssl.DER_cert_to_PEM_cert(certificate.leaf), ssl.DER_cert_to_PEM_cert(other_certificate.leaf)]
    for found, status in [(chain, 200), (chain[::-1], 401), ([], 401), (None, 401), (["rubbish"], 401), ([1], 401)]:
        answer = await call(app, scope_of(None, token, extensions={"tls": {"client_cert_chain": found}}))
        assert answer.status == status


@pytest.mark.parametrize("changed", [{"version": 2}, {"source": "nginx"}, {"presented": "x"}, {"presented": None}])
async def test_a_chain_that_is_not_the_connections_own_does_not_count(
    app: Any, issuer: Any, certificate: PresentedChain, changed: dict[str, Any]
) -> None:
    scope = scope_of(certificate, issuer.sign(certificate.leaf))
    scope["extensions"]["certbound"] |= changed
    scope["extensions"]["tls"] = {"client_cert_chain": [ssl.DER_cert_to_PEM_cert(certificate.leaf)]}
    assert (await call(app, scope)).status == 401


@pytest.mark.req("8705-22")
async def test_a_certificate_in_a_header_is_no_certificate(
    app: Any, issuer: Any, certificate: PresentedChain, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    scope = scope_of(None, issuer.sign(certificate.leaf), extensions=None)
    pem = ssl.DER_cert_to_PEM_cert(certificate.leaf)
    scope["headers"] += [(b"x-ssl-client-cert", pem.encode()), (b"client-cert", pem.encode())]
    for _ in range(3):
        assert (await call(app, scope)).status == 401
    assert [record.message for record in caplog.records] == ["no_client_certificates"]


async def test_keys_are_fetched_once_for_all_who_wait(app: Any, issuer: Any, certificate: PresentedChain) -> None:
    issuer.gate.clear()
    token = issuer.sign(certificate.leaf)
    calls = [asyncio.create_task(call(app, scope_of(certificate, token))) for _ in range(50)]
    await asyncio.sleep(0)
    calls[0].cancel()
    issuer.gate.set()
    answers = await asyncio.gather(*calls[1:])
    assert {answer.status for answer in answers} == {200}
    assert issuer.asked == ["/.well-known/oauth-authorization-server", "/jwks"]


async def test_a_new_key_is_fetched_but_not_for_every_unknown_one(
    app: Any,
    issuer: Any,
    certificate: PresentedChain,
    new_key: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (await call(app, scope_of(certificate, issuer.sign(certificate.leaf)))).status == 200
    two = new_key("two")
    issuer.publish(issuer.key, two)
    token = issuer.sign(certificate.leaf, key=two)
    assert (await call(app, scope_of(certificate, token))).status == 401
    assert issuer.asked.count("/jwks") == 1
    later = time.monotonic() + 31
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert (await call(app, scope_of(certificate, token))).status == 200
    for kid in ("three", "four"):
        strange = issuer.sign(certificate.leaf, header={"kid": kid})
        assert (await call(app, scope_of(certificate, strange))).status == 401
    assert issuer.asked.count("/jwks") == 2


@pytest.mark.threat("R12")
async def test_while_a_new_key_is_being_fetched_nobody_who_needs_it_is_refused(
    app: Any,
    issuer: Any,
    certificate: PresentedChain,
    new_key: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (await call(app, scope_of(certificate, issuer.sign(certificate.leaf)))).status == 200
    two = new_key("two")
    issuer.publish(issuer.key, two)
    issuer.gate.clear()
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 31)
    tokens = [issuer.sign(certificate.leaf, key=two, jti=f"{number}") for number in range(10)]
    first = asyncio.create_task(call(app, scope_of(certificate, tokens[0])))
    async with asyncio.timeout(10):
        while issuer.asked.count("/.well-known/oauth-authorization-server") < 2:
            await asyncio.sleep(0.001)
    # The issuer has been asked and has not answered: what comes now, of new tokens and old ones, waits or passes.
    others = [asyncio.create_task(call(app, scope_of(certificate, token))) for token in tokens[1:]]
    assert (await call(app, scope_of(certificate, issuer.sign(certificate.leaf)))).status == 200
    issuer.gate.set()
    assert {answer.status for answer in await asyncio.gather(first, *others)} == {200}
    assert issuer.asked.count("/jwks") == 2


async def test_without_keys_nothing_is_decided(app: Any, issuer: Any, certificate: PresentedChain) -> None:
    issuer.answers.clear()
    for _ in range(3):
        answer = await call(app, scope_of(certificate, issuer.sign(certificate.leaf)))
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert "www-authenticate" not in answer.headers
    assert len(issuer.asked) == 2


async def test_a_token_verified_by_a_withdrawn_key_is_not_remembered(
    app: Any,
    issuer: Any,
    certificate: PresentedChain,
    new_key: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = time.monotonic()
    token = issuer.sign(certificate.leaf, exp=int(time.time()) + 10_000)
    assert (await call(app, scope_of(certificate, token))).status == 200
    issuer.publish(new_key("two"))
    monkeypatch.setattr(time, "monotonic", lambda: now + 601)
    assert (await call(app, scope_of(certificate, token))).status == 401


async def test_a_scope_may_be_required(issuer: Any, certificate: PresentedChain) -> None:
    def protect(*scopes: str) -> Any:
        return CertificateBoundMiddleware(
            requires(*scopes)(echo), issuer=issuer.url, audience=AUDIENCE, verify=issuer.ca_file
        )

    token = issuer.sign(certificate.leaf)
    assert (await call(protect("read"), scope_of(certificate, token))).status == 200
    assert (await call(protect("write", "read"), scope_of(certificate, token))).status == 200
    answer = await call(protect("read", "delete"), scope_of(certificate, token))
    assert answer.status == 403
    assert answer.challenge == (
        'Bearer error="insufficient_scope", error_description="the token lacks a scope", scope="delete read"'
    )


async def test_a_cached_token_does_not_bring_another_scope_along(issuer: Any, certificate: PresentedChain) -> None:
    async def both(scope: Any, receive: Any, send: Any) -> None:
        await (requires("delete")(echo) if scope["path"] == "/delete" else echo)(scope, receive, send)

    app = CertificateBoundMiddleware(both, issuer=issuer.url, audience=AUDIENCE, verify=issuer.ca_file)
    token = issuer.sign(certificate.leaf)
    assert (await call(app, scope_of(certificate, token))).status == 200
    assert (await call(app, scope_of(certificate, token, path="/delete"))).status == 403


async def test_a_required_scope_without_the_middleware_is_a_fault_of_the_set_up(certificate: PresentedChain) -> None:
    with pytest.raises(RuntimeError, match="CertificateBoundMiddleware"):
        await call(requires("read")(echo), scope_of(certificate, "token"))


def test_settings_that_cannot_work_say_what_to_set(tmp_path: Path) -> None:
    good: dict[str, Any] = {"issuer": "https://as.example", "audience": AUDIENCE}
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"issuer": "http://as.example"}, "issuer must be an https URL"),
        ({"issuer": "https://as.example?x"}, "issuer must be an https URL"),
        ({"audience": ""}, "audience"),
        ({"audience": 'a"b'}, "audience"),
        ({"exempt": "/healthz"}, "exempt must be a list"),
        ({"verify": tmp_path / "missing.pem"}, "there is no file"),
    ]
    for changed, message in mistakes:
        with pytest.raises(ValueError, match=message):
            CertificateBoundMiddleware(echo, **{**good, **changed})
    for scopes in ((), ("a b",), ("",), ('"',)):
        with pytest.raises(ValueError, match="requires"):
            requires(*scopes)
