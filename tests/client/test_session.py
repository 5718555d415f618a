import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from certbound.client import AsyncClient, CertificateAuth, Client, ClientCertificate, TokenError


@pytest.fixture
def options(server: Any, certificate: ClientCertificate, ca_file: Path) -> dict[str, Any]:
    return {
        "issuer": server.url,
        "client_id": "robot",
        "certificate": certificate,
        "scope": "read",
        "verify": ca_file,
    }


@pytest.fixture
def api(options: dict[str, Any]) -> Iterator[Client]:
    with Client(**options) as client:
        yield client


@pytest.fixture
async def async_api(options: dict[str, Any]) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(**options) as client:
        yield client


@pytest.mark.req("8705-21")
def test_token_and_call_go_over_the_same_certificate(api: Client, server: Any) -> None:
    for _ in range(3):
        response = api.get(f"{server.url}/orders")
        assert (response.status_code, response.text) == (200, "orders")
    (asked,) = server.at("/token")
    assert asked.form == {"grant_type": ["client_credentials"], "client_id": ["robot"], "scope": ["read"]}
    assert {seen.thumbprint for seen in (asked, *server.at("/orders"))} == {asked.thumbprint}
    assert asked.thumbprint


@pytest.mark.req("8705-21")
async def test_asyncio_does_the_same(async_api: AsyncClient, server: Any) -> None:
    answers = await asyncio.gather(*(async_api.get(f"{server.url}/orders") for _ in range(50)))
    assert {response.status_code for response in answers} == {200}
    assert len(server.at("/token")) == 1


def test_many_threads_cause_one_token_request(api: Client, server: Any) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: api.get(f"{server.url}/orders").status_code, range(60)))
    assert set(answers) == {200}
    assert len(server.at("/token")) == 1


async def test_an_expired_token_is_asked_for_once_by_thousands(
    async_api: AsyncClient, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = async_api._tokens
    first = await tokens.token()
    later = time.time() + 290
    monkeypatch.setattr(time, "time", lambda: later)
    renewed = await asyncio.gather(*(tokens.token() for _ in range(10_000)))
    assert {token.access_token for token in renewed} == {"token-1"} != {first.access_token}
    assert len(server.at("/token")) == 2


async def test_who_waited_for_a_failed_attempt_shares_its_failure(async_api: AsyncClient, server: Any) -> None:
    server.say("/token", 400, {"error": "invalid_scope"})
    outcomes = await asyncio.gather(*(async_api._tokens.token() for _ in range(100)), return_exceptions=True)
    assert all(isinstance(outcome, TokenError) and outcome.error == "invalid_scope" for outcome in outcomes)
    assert len(server.at("/token")) == 1
    with pytest.raises(TokenError):
        await async_api.fetch_token()
    assert len(server.at("/token")) == 2


def test_a_token_is_renewed_shortly_before_it_expires(
    api: Client, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.time()
    api.get(f"{server.url}/orders")
    monkeypatch.setattr(time, "time", lambda: began + 260)
    api.get(f"{server.url}/orders")
    assert len(server.at("/token")) == 1
    monkeypatch.setattr(time, "time", lambda: began + 275)
    api.get(f"{server.url}/orders")
    assert len(server.at("/token")) == 2


def test_an_invalid_token_is_replaced_once(api: Client, server: Any) -> None:
    api.get(f"{server.url}/orders")
    server.tokens["token-0"] = "revoked"
    assert api.post(f"{server.url}/orders", json={"a": 1}).status_code == 200
    assert [seen.body for seen in server.at("/orders")[1:]] == [b'{"a":1}', b'{"a":1}']
    assert len(server.at("/token")) == 2


async def test_an_invalid_token_is_replaced_once_under_asyncio(async_api: AsyncClient, server: Any) -> None:
    await async_api.get(f"{server.url}/orders")
    server.tokens["token-0"] = "revoked"
    answers = await asyncio.gather(*(async_api.get(f"{server.url}/orders") for _ in range(20)))
    assert {response.status_code for response in answers} == {200}
    assert len(server.at("/token")) == 2


def test_an_api_that_holds_every_token_invalid_is_asked_twice(api: Client, server: Any) -> None:
    server.say("/never", 401, {}, **{"WWW-Authenticate": 'Bearer error="invalid_token"'})
    assert api.get(f"{server.url}/never").status_code == 401
    assert len(server.at("/never")) == 2


@pytest.mark.parametrize("challenge", ['Bearer realm="x"', 'Bearer error="insufficient_scope"', "Basic"])
def test_another_refusal_is_the_answer(api: Client, server: Any, challenge: str) -> None:
    server.say("/no", 401, {}, **{"WWW-Authenticate": challenge})
    assert api.get(f"{server.url}/no").status_code == 401
    assert len(server.at("/no")) == 1


def test_a_body_that_was_streamed_is_not_sent_again(api: Client, server: Any) -> None:
    server.say("/never", 401, {}, **{"WWW-Authenticate": 'Bearer error="invalid_token"'})
    assert api.post(f"{server.url}/never", content=iter([b"a", b"b"])).status_code == 401
    assert len(server.at("/never")) == 1


def test_a_renewed_certificate_brings_new_connections_and_a_new_token(
    api: Client, server: Any, renew: Callable[[], str]
) -> None:
    assert api.get(f"{server.url}/orders").status_code == 200
    thumbprint = renew()
    assert api.get(f"{server.url}/orders").status_code == 200
    assert server.at("/orders")[-1].thumbprint == server.at("/token")[-1].thumbprint == thumbprint
    assert len(server.at("/orders")) == len(server.at("/token")) == 2


async def test_a_renewed_certificate_brings_them_under_asyncio(
    async_api: AsyncClient, server: Any, renew: Callable[[], str]
) -> None:
    await async_api.get(f"{server.url}/orders")
    thumbprint = renew()
    await async_api.get(f"{server.url}/orders")
    assert [seen.thumbprint for seen in server.at("/orders")].count(thumbprint) == 1


def test_a_response_outlives_the_renewal_of_its_certificate(api: Client, server: Any, renew: Callable[[], str]) -> None:
    with api.stream("GET", f"{server.url}/orders") as response:
        renew()
        assert api.get(f"{server.url}/orders").status_code == 200
        assert len(api._transport._pools._retired) == 1  # type: ignore[attr-defined]
        assert response.read() == b"orders"
    assert not api.get(f"{server.url}/orders").is_error
    assert not api._transport._pools._retired  # type: ignore[attr-defined]


def test_a_renewal_that_is_half_done_changes_nothing_yet(
    api: Client, server: Any, renew: Callable[[], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert api.get(f"{server.url}/orders").status_code == 200
    old_key = (tmp_path / "client.key").read_bytes()
    thumbprint = renew()
    new_key = (tmp_path / "client.key").read_bytes()
    (tmp_path / "client.key").write_bytes(old_key)
    for _ in range(3):
        assert api.get(f"{server.url}/orders").status_code == 200
    (tmp_path / "client.key").unlink()
    assert api.get(f"{server.url}/orders").status_code == 200
    assert len(server.at("/token")) == 1
    assert [record.message for record in caplog.records].count("client_certificate_not_renewed") == 2
    (tmp_path / "client.key").write_bytes(new_key)
    assert api.get(f"{server.url}/orders").status_code == 200
    assert server.at("/orders")[-1].thumbprint == thumbprint


def test_a_redirect_to_another_origin_never_gets_the_token(api: Client, server: Any, other_server: Any) -> None:
    server.answers["/away"] = lambda _seen: (307, {"Location": f"{other_server.url}/orders"}, b"")
    assert api.get(f"{server.url}/away").status_code == 307
    assert api.get(f"{server.url}/away", follow_redirects=True).status_code == 401
    (seen,) = other_server.seen
    assert "authorization" not in seen.headers


def test_a_token_goes_to_listed_origins_only(options: dict[str, Any], server: Any, other_server: Any) -> None:
    with Client(**options, origins=[server.url + "/"]) as api:
        assert api.get(f"{server.url}/orders").status_code == 200
        assert api.get(f"{other_server.url}/orders").status_code == 401
    assert "authorization" not in other_server.seen[0].headers


def test_a_header_of_the_callers_own_is_left_alone(api: Client, server: Any) -> None:
    assert api.get(f"{server.url}/orders", headers={"Authorization": "Bearer mine"}).status_code == 401
    assert server.at("/orders")[0].headers["authorization"] == "Bearer mine"
    assert not server.at("/token")


def test_a_token_never_goes_out_in_the_clear(api: Client, server: Any) -> None:
    with pytest.raises(ValueError, match="https only"):
        api.get("http://localhost/orders")
    assert not server.seen


def test_fetching_gives_a_new_token_that_is_then_used(api: Client, server: Any) -> None:
    first, second = api.fetch_token(), api.fetch_token()
    assert (first.access_token, second.access_token) == ("token-0", "token-1")
    assert (second.scope, second.token_type) == ("read", "Bearer")
    assert 290 < second.expires_at - time.time() <= 300
    assert "token-1" not in repr(second)
    api.get(f"{server.url}/orders")
    assert server.at("/orders")[0].headers["authorization"] == "Bearer token-1"


def test_the_callers_settings_do_not_touch_the_token_request(options: dict[str, Any], server: Any) -> None:
    hooked: list[str] = []
    with Client(
        **options,
        base_url=f"{server.url}/v1/",
        headers={"X-Mine": "1"},
        params={"p": "1"},
        follow_redirects=True,
        event_hooks={"request": [lambda request: hooked.append(request.url.path)]},
    ) as api:
        assert api.get("orders").status_code == 200
    assert hooked == ["/v1/orders"]
    assert "x-mine" not in server.at("/token")[0].headers


def test_the_token_endpoint_may_not_redirect(options: dict[str, Any], server: Any, other_server: Any) -> None:
    server.answers["/token"] = lambda _seen: (307, {"Location": f"{other_server.url}/token"}, b"")
    with Client(**options, follow_redirects=True) as api, pytest.raises(TokenError, match="status 307"):
        api.get(f"{server.url}/orders")
    assert not other_server.seen


def test_system_roots_from_the_environment(
    options: dict[str, Any], server: Any, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    with Client(**{**options, "verify": None}) as api:
        assert api.get(f"{server.url}/orders").status_code == 200


def test_an_issuer_that_is_not_trusted_or_not_there_gives_a_token_error(options: dict[str, Any], server: Any) -> None:
    with Client(**{**options, "verify": None}) as api, pytest.raises(TokenError, match="CERTIFICATE_VERIFY_FAILED"):
        api.get(f"{server.url}/orders")
    with Client(**{**options, "issuer": "https://localhost:1"}) as api, pytest.raises(TokenError, match="localhost:1"):
        api.fetch_token()


def test_an_endpoint_that_went_away_is_looked_up_again(options: dict[str, Any], server: Any) -> None:
    server.publish(token_endpoint="https://localhost:1/token")
    with Client(**options) as api:
        with pytest.raises(TokenError, match="localhost:1"):
            api.get(f"{server.url}/orders")
        server.publish()
        assert api.get(f"{server.url}/orders").status_code == 200


def test_an_endless_answer_is_left(options: dict[str, Any], server: Any) -> None:
    server.answers["/token"] = lambda _seen: (200, {}, b" " * 300_000)
    with Client(**options) as api, pytest.raises(TokenError, match="larger than"):
        api.fetch_token()


def test_a_client_of_ones_own_may_use_the_certificate(
    server: Any, other_server: Any, certificate: ClientCertificate, ca_file: Path
) -> None:
    auth = CertificateAuth(
        issuer=server.url,
        client_id="robot",
        certificate=certificate.certfile,
        key=certificate.keyfile,
        origins=[server.url],
        verify=ca_file,
    )
    with httpx2.Client(auth=auth, verify=certificate.context(ca_file)) as api:
        assert api.get(f"{server.url}/orders").status_code == 200
        assert api.get(f"{other_server.url}/orders").status_code == 401
    with httpx2.Client(auth=auth, verify=ClientCertificate.context(certificate, ca_file)) as api:
        assert api.get(f"{server.url}/orders").status_code == 200
    assert len(server.at("/token")) == 1
    assert "authorization" not in other_server.seen[0].headers


async def test_an_async_client_of_ones_own_too(server: Any, certificate: ClientCertificate, ca_file: Path) -> None:
    auth = CertificateAuth(
        issuer=server.url,
        client_id="robot",
        certificate=certificate.certfile,
        key=certificate.keyfile,
        origins=[server.url],
        verify=ca_file,
    )
    async with httpx2.AsyncClient(auth=auth, verify=certificate.context(ca_file)) as api:
        assert (await api.get(f"{server.url}/orders")).status_code == 200


def test_no_connection_is_left_open(options: dict[str, Any], server: Any, renew: Callable[[], str]) -> None:
    client = Client(**options)
    client.get(f"{server.url}/orders")
    renew()
    client.get(f"{server.url}/orders")
    client.close()
    del client
    gc.collect()  # an open socket would warn here, and a warning is an error


def test_an_encrypted_key_takes_its_password_and_never_asks_at_the_terminal(
    certificate: ClientCertificate, ca_file: Path, tmp_path: Path
) -> None:
    key = load_pem_private_key(Path(certificate.keyfile).read_bytes(), None)
    encrypted = tmp_path / "encrypted.key"
    encrypted.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    assert ClientCertificate(certificate.certfile, encrypted, password="secret").context(ca_file)
    with pytest.raises(ValueError, match="encrypted: set password="):
        ClientCertificate(certificate.certfile, encrypted).context(ca_file)
    with pytest.raises(ValueError, match="cannot be used together"):
        ClientCertificate(certificate.certfile, encrypted, password="wrong").context(ca_file)
    assert "secret" not in repr(ClientCertificate("a", "b", password="secret"))


def test_mistakes_say_what_to_set(options: dict[str, Any], tmp_path: Path, certificate: ClientCertificate) -> None:
    mistakes: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"issuer": "http://as.example"}, ValueError, "issuer must be an https URL"),
        ({"client_id": ""}, ValueError, "client_id must be set"),
        ({"certificate": ("a", "b")}, TypeError, "ClientCertificate"),
        ({"certificate": ClientCertificate(tmp_path / "no.crt", tmp_path / "no.key")}, OSError, "no.crt"),
        ({"certificate": ClientCertificate(certificate.certfile, tmp_path / "no.key")}, OSError, "no.key"),
        ({"certificate": ClientCertificate(certificate.certfile, certificate.certfile)}, ValueError, "client.crt"),
        ({"verify": tmp_path / "no.pem"}, OSError, "no.pem"),
        ({"verify": certificate.keyfile}, OSError, "client.key holds no"),
        ({"origins": "https://api.example"}, ValueError, "origins must be a list"),
        ({"origins": ["http://api.example"]}, ValueError, "https URLs without path"),
        ({"origins": ["https://api.example/v1"]}, ValueError, "https URLs without path"),
        ({"transport": None}, TypeError, "owns its transport"),
        ({"auth": ("a", "b")}, TypeError, "auth cannot be set"),
    ]
    for changed, kind, message in mistakes:
        with pytest.raises(kind, match=message):
            Client(**{**options, **changed})
