"""A whole server on loopback, asked as clients ask it: real handshakes by the standard library."""

import asyncio
import base64
import contextlib
import http.client
import itertools
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from tests.oauth import making
from tests.oauth.making import Identity

from certbound.app.installation import install
from certbound.app.wiring import Worker, make_worker
from certbound.authority import clients, people, trust
from certbound.authority.clients import RegisteredNow
from certbound.authority.tokens.issuing import GRANTS
from certbound.config.loading import load_settings
from certbound.oauth.registering import RegistrationRequest
from certbound.tls.address import bind
from certbound.tls.door import Door
from certbound.tls.serving import running

SECONDS = 10  # what no test may take; a hang, not a measure
Form = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def error(self) -> tuple[int, str | None]:
        return self.status, self.json.get("error")

    @property
    def token(self) -> str:
        assert self.status == 200, (self.status, self.body)
        return str(self.json["access_token"])

    @property
    def claims(self) -> dict[str, Any]:
        return decoded(self.token, 1)

    @property
    def bound_to(self) -> str | None:
        thumbprint: str | None = self.claims.get("cnf", {}).get("x5t#S256")
        return thumbprint


def decoded(token: str, part: int) -> dict[str, Any]:
    """Decode header (0) or claims (1) of a JWT, trusting nobody."""
    text = token.split(".")[part]
    return dict(json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))


def now() -> datetime:
    return datetime.now(UTC)


def identity(subject: str = "CN=orders", **how: Any) -> Identity:
    """Make a certificate that is valid now."""
    times = {"not_before": now() - timedelta(days=1), "not_after": now() + timedelta(days=1)}
    return making.make(subject, **{**times, **how})


def authority(subject: str = "CN=Partners", **how: Any) -> Identity:
    return identity(subject, ca=True, **how)


@dataclass
class Server:
    """A running server, what is registered there, and the folder that clients keep their files in."""

    issuer: str
    folder: Path
    ca_file: Path
    worker: Worker
    numbers: Iterator[int] = field(default_factory=itertools.count)
    ciphers: str | None = None
    """What its clients offer, in OpenSSL's words; None for what the standard library thinks right."""
    highest_tls: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED

    def write(self, change: Callable[..., Any], **how: Any) -> Any:
        return self.worker.store.write(partial(change, actor="test", now=int(time.time()), **how))

    def trust(self, *anchors: Identity) -> str:
        """Make a trust store of its own for these authorities."""
        name = f"store-{next(self.numbers)}"
        self.write(trust.add, name=name, certificates=[anchor.certificate for anchor in anchors], intermediate=False)
        return name

    def register(self, method: str, **how: Any) -> RegisteredNow:
        request = RegistrationRequest(
            client_name="Client", token_endpoint_auth_method=method, client_id=f"client-{next(self.numbers)}", **how
        )
        made: RegisteredNow = self.write(clients.register, request=request, known_grants=GRANTS)
        return made

    def self_signed_client(self, *certificates: Identity, **how: Any) -> str:
        known = tuple(certificate.certificate for certificate in certificates)
        return self.register("self_signed_tls_client_auth", certificates=known, **how).client.client_id

    def pki_client(self, anchor: Identity, parameter: str, value: str, **how: Any) -> str:
        subject = {f"tls_client_auth_{parameter}": value}
        made = self.register("tls_client_auth", subject=subject, trust=(self.trust(anchor),), **how)
        return made.client.client_id

    @cached_property
    def alice(self) -> dict[str, Any]:
        """The parameters of the password grant for one resource owner."""
        return self.person()

    def person(self) -> dict[str, Any]:
        """Make a resource owner of her own; gives the parameters of the password grant for her."""
        username, password = f"alice-{next(self.numbers)}", "correct horse"
        self.write(people.add, username=username, password=password, operator=False)
        return {"grant_type": "password", "username": username, "password": password}

    def context(self, shown: Identity | None = None) -> ssl.SSLContext:
        """Make what a client shakes hands with."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        context.maximum_version = self.highest_tls
        if self.ciphers is not None:
            context.set_ciphers(self.ciphers)
        if shown is not None:
            context.load_cert_chain(*shown.write(self.folder, f"client-{next(self.numbers)}"))
        return context

    def ask(
        self,
        path: str,
        form: Form | None = None,
        shown: Identity | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request over a handshake of its own, in which `shown` proves its key."""
        place = urlsplit(self.issuer)
        context = self.context(shown)
        connection = http.client.HTTPSConnection(place.hostname or "", place.port, context=context, timeout=SECONDS)
        with contextlib.closing(connection):
            if form is None:
                connection.request("GET", path, headers=dict(headers or {}))
            else:
                sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
                connection.request("POST", path, urlencode(form, doseq=True), sent)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def token(
        self,
        client_id: str | None,
        shown: Identity | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **form: str | list[str],
    ) -> Answer:
        """Ask for a token, with client_credentials unless `form` says otherwise."""
        named: Form = {} if client_id is None else {"client_id": client_id}
        path = urlsplit(self.issuer).path + "/oauth2/token"
        return self.ask(path, {"grant_type": "client_credentials", **named, **form}, shown, headers)

    def metadata(self) -> dict[str, Any]:
        return self.ask("/.well-known/oauth-authorization-server" + urlsplit(self.issuer).path).json


@contextlib.contextmanager
def serving(
    folder: Path, *, path: str = "", password_grant: bool = True, environ: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Serve a new installation in a thread with an event loop of its own."""
    sockets = bind("main", "localhost:0")
    address = f"localhost:{sockets[0].getsockname()[1]}"
    issuer = f"https://{address}{path}"
    made = install(
        folder / "server", issuer=issuer, bind=address, actor="test", now=now(), password_grant=password_grant
    )
    worker = make_worker(load_settings(made.config, environ=environ or {}))
    door = Door(worker.listeners, lifespan=worker.alive)
    ready = threading.Event()
    failures: list[BaseException] = []
    stop: list[Callable[[], object]] = []

    async def main() -> None:
        async with running(door, {"main": sockets}):
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()
            stop.append(lambda: loop.call_soon_threadsafe(ended.set))
            ready.set()
            await ended.wait()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(SECONDS)
    try:
        if not failures:
            yield Server(issuer, folder, made.server_certificate, worker)
    finally:
        for end in stop:
            end()
        thread.join(SECONDS)
        for one in sockets:
            one.close()
    if failures:
        raise failures[0]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as running_server:
        yield running_server
