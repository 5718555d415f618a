"""The server's installation and what is registered there, by the functions that the command line uses.

Each comes with the line to type for the same. The lines are typed in the demo's folder.
"""

import secrets
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from certbound.app.installation import Installation, install
from certbound.authority import clients, people, trust
from certbound.authority.tokens.issuing import GRANTS
from certbound.config.loading import load_settings
from certbound.config.settings import Settings
from certbound.oauth.registering import RegistrationRequest
from certbound.oauth.registration import AuthenticationMethod
from certbound.playground import api
from certbound.playground.certificates import BILLING_SUBJECT, ORDERS_SUBJECT, Cast
from certbound.store.engine import Connection, Store

ACTOR = "certbound demo"
TRUST_STORE = "partners"
USERNAME = "alice"
_SERVER = "server"
_CONFIG = f"{_SERVER}/certbound.toml"
_PASSWORD_FILE = "alice.password"


@dataclass(frozen=True, slots=True)
class Registered:
    """A server ready to be started, and the resource owner `alice` with the subject her tokens name."""

    installation: Installation
    settings: Settings
    password: str
    sub: str
    commands: tuple[str, ...]

    @property
    def ca_file(self) -> Path:
        """Give the server's certificate, which is its own CA file."""
        return self.installation.server_certificate


def set_up(cast: Cast, *, issuer: str, bind: str, audience: str, now: datetime) -> Registered:
    """Make an installation for `issuer` that listens at `bind`, and register the cast for the API `audience`."""
    installation = install(cast.folder / _SERVER, issuer=issuer, bind=bind, actor=ACTOR, now=now, password_grant=True)
    settings = load_settings(installation.config, environ={})
    password = secrets.token_hex(12)
    (cast.folder / _PASSWORD_FILE).touch(mode=0o600)
    (cast.folder / _PASSWORD_FILE).write_text(password + "\n", "utf-8")
    requests = _requests(cast, audience)
    with Store(settings.store.url) as store:
        sub = store.write(partial(_register, cast=cast, requests=requests, password=password, now=int(now.timestamp())))
    commands = (
        _line("certbound", "init", _SERVER, "--issuer", issuer, "--bind", bind),
        f"# in {_CONFIG}, below [oauth]:  password_grant = true",
        _certbound("trust", "add", TRUST_STORE, _relative(cast, cast.authority.certificate_file)),
        *(_certbound("client", "create", *_flags(cast, request)) for request in requests),
        _certbound("user", "create", USERNAME, "--password-file", _PASSWORD_FILE),
    )
    return Registered(installation, settings, password, sub, commands)


def _requests(cast: Cast, audience: str) -> tuple[RegistrationRequest, ...]:
    """Ask for two clients by PKI (RFC 8705 section 2.1) and one by its own certificate (section 2.2)."""
    by_pki = partial(
        RegistrationRequest,
        token_endpoint_auth_method=AuthenticationMethod.TLS_CLIENT_AUTH,
        trust=(TRUST_STORE,),
        scopes=(api.SCOPE,),
        resources=(audience,),
    )
    return (
        by_pki(client_name="Orders", client_id="orders", subject={"tls_client_auth_subject_dn": ORDERS_SUBJECT}),
        by_pki(client_name="Billing", client_id="billing", subject={"tls_client_auth_subject_dn": BILLING_SUBJECT}),
        RegistrationRequest(
            client_name="Playground",
            client_id="playground",
            token_endpoint_auth_method=AuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH,
            certificates=(cast.playground.certificate,),
            grant_types=("client_credentials", "password"),
            scopes=(api.SCOPE,),
            resources=(audience,),
        ),
    )


def _register(
    connection: Connection, *, cast: Cast, requests: tuple[RegistrationRequest, ...], password: str, now: int
) -> str:
    """Record all of it, and give alice's subject."""
    anchors = (cast.authority.certificate,)
    trust.add(connection, TRUST_STORE, anchors, intermediate=False, actor=ACTOR, now=now)
    for request in requests:
        clients.register(connection, request, known_grants=GRANTS, actor=ACTOR, now=now)
    person = people.add(connection, username=USERNAME, password=password, operator=False, actor=ACTOR, now=now)
    return person.sub


def _flags(cast: Cast, request: RegistrationRequest) -> Iterator[str]:
    """Say a registration in the flags of `certbound client create`."""
    yield request.client_name
    yield from ("--id", request.client_id or "", "--auth", request.token_endpoint_auth_method)
    for parameter, text in request.subject.items():
        yield from ("--" + parameter.removeprefix("tls_client_auth_").replace("_", "-"), text)
    certificates = [_relative(cast, cast.playground.certificate_file)] if request.certificates else []
    lists = {
        "--trust": request.trust,
        "--certificate": certificates,
        "--grant": request.grant_types,
        "--scope": request.scopes,
        "--resource": request.resources,
    }
    for flag, values in lists.items():
        for value in values:
            yield from (flag, value)


def _certbound(*words: str) -> str:
    return _line("certbound", "-c", _CONFIG, *words)


def _line(*words: str) -> str:
    return shlex.join(words)


def _relative(cast: Cast, file: Path) -> str:
    return str(file.relative_to(cast.folder))
