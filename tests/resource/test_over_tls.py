import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme

from certbound.certificates.presented import PresentedChain
from certbound.client import ClientCertificate
from certbound.resource import CertificateBoundMiddleware, requires
from certbound.tls.door import Door
from certbound.tls.listener import Listener
from certbound.tls.serving import running

AUDIENCE = "https://api.example.com"


async def orders(scope: Any, receive: Any, send: Any) -> None:
    body = scope["certbound"].subject.encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def api(issuer: Any, authority: trustme.CA, tmp_path: Path) -> AsyncIterator[str]:
    server = authority.issue_cert("localhost")
    server.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    app = CertificateBoundMiddleware(
        requires("read")(orders), issuer=issuer.url, audience=AUDIENCE, verify=issuer.ca_file
    )
    pem = tmp_path / "server.pem"
    async with running(Door([Listener(name="api", bind="127.0.0.1:0", app=app, certificate=pem, key=pem)])) as bound:
        yield f"https://localhost:{bound['api'][1]}/orders"


def client_of(authority: trustme.CA, tmp_path: Path, name: str) -> tuple[ClientCertificate, PresentedChain]:
    issued = authority.issue_cert(name)
    pem = issued.cert_chain_pems[0].bytes()
    (tmp_path / f"{name}.crt").write_bytes(pem)
    (tmp_path / f"{name}.key").write_bytes(issued.private_key_pem.bytes())
    files = ClientCertificate(tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
    return files, PresentedChain(ssl.PEM_cert_to_DER_cert(pem.decode()))


@pytest.mark.req("8705-22", "8705-23", "8705-24", "8705-38")
async def test_a_token_works_in_the_hands_of_its_certificate_alone(
    api: str, issuer: Any, authority: trustme.CA, tmp_path: Path
) -> None:
    # A private CA that the API was never told of: the binding is all that counts (RFC 8705 section 6.2).
    strangers = trustme.CA()
    mine, presented = client_of(strangers, tmp_path, "robot")
    others, _ = client_of(strangers, tmp_path, "thief")
    headers = {"Authorization": f"Bearer {issuer.sign(presented.leaf)}"}
    narrow = {"Authorization": f"Bearer {issuer.sign(presented.leaf, scope='write')}"}
    bare = ssl.create_default_context(cafile=issuer.ca_file)
    async with httpx2.AsyncClient(verify=mine.context(issuer.ca_file)) as client:
        for _ in range(3):
            response = await client.get(api, headers=headers)
            assert (response.status_code, response.text) == (200, "robot")
        assert (await client.get(api)).status_code == 401
        assert (await client.get(api, headers=narrow)).status_code == 403
    for context in (others.context(issuer.ca_file), bare):
        async with httpx2.AsyncClient(verify=context) as client:
            for _ in range(2):
                response = await client.get(api, headers=headers)
                assert response.status_code == 401
                assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_a_blocked_certificate_stops_working_within_seconds(
    api: str, issuer: Any, authority: trustme.CA, tmp_path: Path
) -> None:
    mine, presented = client_of(authority, tmp_path, "robot")
    issuer.block()
    headers = {"Authorization": f"Bearer {issuer.sign(presented.leaf)}"}
    async with httpx2.AsyncClient(verify=mine.context(issuer.ca_file)) as client:
        assert (await client.get(api, headers=headers)).status_code == 200
        issuer.block(certificates=[presented.leaf])
        began = time.monotonic()
        while (response := await client.get(api, headers=headers)).status_code == 200:
            assert time.monotonic() < began + 3
            await asyncio.sleep(0.01)
        assert "the certificate is blocked" in response.headers["www-authenticate"]
    assert issuer.asked.count("/blocked") <= 2 + (time.monotonic() - began) / 0.75
