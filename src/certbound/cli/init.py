"""`certbound init`: a folder with everything a server needs, made whole or not at all."""

import os
import re
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import click
from pydantic import TypeAdapter, ValidationError

from certbound.authority import keys, people
from certbound.certificates.issue import IssuedCertificate, LeafRequest, self_signed
from certbound.cli.deployment import actor, now
from certbound.cli.files import FileError, refuse_existing, write_new
from certbound.cli.output import json_option, print_facts, print_json
from certbound.config.settings import HttpsUrl
from certbound.jose.keys import ALGORITHMS
from certbound.jose.sealing import generate_master_key
from certbound.store.engine import Connection, Store
from certbound.store.upgrading import upgrade

_ADMINISTRATOR = "admin"
_HTTPS_PORT = 443
_CERTIFICATE_DAYS = 825
_BIND = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")
_SETTINGS = """\
# The settings of one certbound server. Paths are relative to this file. CERTBOUND__SECTION__KEY in the environment
# overrides a setting. What else can be set: docs/settings.md.

# The server's name: tokens carry it as `iss`, and its URLs begin with it.
issuer = "{issuer}"

[store]
url = "sqlite:///certbound.db"       # or postgresql://user@host/database
master_key_file = "master.key"       # seals the signing keys: keep a copy of it apart from the database's

[[listener]]
name = "main"
bind = "{bind}"
client_certificate = "want"          # none | want | require; who a certificate means is decided per client
tls_certificate = "server.crt"       # for development: put a certificate of your own here
tls_key = "server.key"

[oauth]
# password_grant = true              # for old clients only: RFC 9700 section 2.4 says it must not be used
# default_audience = "https://api.example.com"

# [lifetimes]
# access_token = 300                 # seconds
"""


@dataclass(frozen=True, slots=True)
class _Folder:
    """The files of a server; the settings come last, so that a folder that has them is whole."""

    path: Path

    @property
    def settings(self) -> Path:
        return self.path / "certbound.toml"

    @property
    def database(self) -> Path:
        return self.path / "certbound.db"

    @property
    def master_key(self) -> Path:
        return self.path / "master.key"

    @property
    def certificate(self) -> Path:
        return self.path / "server.crt"

    @property
    def key(self) -> Path:
        return self.path / "server.key"

    @property
    def files(self) -> tuple[Path, ...]:
        beside = (self.database.with_name(self.database.name + suffix) for suffix in ("-wal", "-shm"))
        return (self.settings, self.database, *beside, self.master_key, self.certificate, self.key)


def _bind(_ctx: click.Context, _parameter: click.Parameter, value: str) -> str:
    found = _BIND.fullmatch(value)
    if found is None or not 0 < int(found["port"]) <= 0xFFFF:  # noqa: PLR2004 - the largest port
        raise click.BadParameter(f"{value!r} is no HOST:PORT, for instance 127.0.0.1:9443 or [::1]:9443")
    return value


def _issuer(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    if not value.isascii() or not value.isprintable() or any(c in value for c in ' "\\'):
        raise click.BadParameter(f"{value!r}: a URL has no spaces, quotes, backslashes and foreign letters")
    try:
        return TypeAdapter(HttpsUrl).validate_python(value)
    except ValidationError as error:
        raise click.BadParameter(f"{value!r}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


@click.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--issuer", metavar="URL", callback=_issuer, help="The server's name; https://localhost and the port without."
)
@click.option(
    "--bind",
    metavar="HOST:PORT",
    callback=_bind,
    default="127.0.0.1:9443",
    show_default=True,
    help="Where it listens; localhost:PORT is IPv4 and IPv6.",
)
@json_option
def command(folder: Path, issuer: str | None, bind: str, as_json: bool) -> None:
    """Make a server in DIR: settings, database, keys, a development certificate and an administrator.

    The administrator's password is printed this once. Nothing is ever overwritten.

    Example: certbound init my-server
    """
    made = _Folder(folder.resolve())
    port = int(bind.rpartition(":")[2])
    issuer = issuer or ("https://localhost" if port == _HTTPS_PORT else f"https://localhost:{port}")
    _refuse_used(made)
    certificate = _server_certificate(issuer, bind.rpartition(":")[0].strip("[]"))
    password = secrets.token_urlsafe(18)
    master_key = generate_master_key()
    made.path.mkdir(parents=True, exist_ok=True)
    write_new(made.master_key, master_key, secret=True)  # of two at the same time, one gets this far
    with _all_or_nothing(made):
        _make(made, master_key, certificate, password)
        write_new(made.settings, _SETTINGS.format(issuer=issuer, bind=bind).encode())
    described = {
        "config": str(made.settings),
        "issuer": issuer,
        "admin_user": _ADMINISTRATOR,
        "admin_password": password,
        "server_certificate": str(made.certificate),
        "server_key": str(made.key),
    }
    if as_json:
        print_json(described)
    else:
        _print(made, described)


def _refuse_used(made: _Folder) -> None:
    refuse_existing(made.settings)
    left = [file.name for file in made.files if os.path.lexists(file)]
    if left:
        raise FileError(
            f"{made.path}: nothing is overwritten, and there is already {', '.join(left)}: "
            "if an init was interrupted here, remove that and repeat"
        )


def _make(made: _Folder, master_key: bytes, certificate: IssuedCertificate, password: str) -> None:
    write_new(made.key, certificate.key_pem, secret=True)
    write_new(made.certificate, certificate.certificate_pem)
    url = f"sqlite:///{made.database}"
    upgrade(url)

    def first(connection: Connection) -> None:
        who, at = actor(), now()
        keys.rotate(connection, master_key, algorithm=ALGORITHMS[0], actor=who, now=at)
        people.add(connection, username=_ADMINISTRATOR, password=password, operator=True, actor=who, now=at)

    with Store(url) as store:
        store.write(first)


@contextmanager
def _all_or_nothing(made: _Folder) -> Iterator[None]:
    """Take away what was written where making the rest fails: none of it was there before."""
    try:
        yield
    except BaseException:
        for file in made.files:
            with suppress(OSError):
                file.unlink(missing_ok=True)
        raise


def _server_certificate(issuer: str, bound: str) -> IssuedCertificate:
    """Make a certificate for the local machine and the issuer's host, which is its own CA file for clients."""
    names = dict.fromkeys(["localhost", "127.0.0.1", "::1", urlsplit(issuer).hostname or "", bound])
    addresses = [name for name in names if _is_address(name)]
    request = LeafRequest(
        subject="CN=certbound development server",
        san_dns=[name for name in names if name and name not in addresses],
        san_ip=[name for name in addresses if not ip_address(name).is_unspecified],
        purposes=("server",),
        days=_CERTIFICATE_DAYS,
    )
    return self_signed(request, now=datetime.now(UTC))


def _is_address(name: str) -> bool:
    try:
        return ip_address(name) is not None
    except ValueError:
        return False


def _print(made: _Folder, described: dict[str, str]) -> None:
    print_facts({name.replace("_", " "): text for name, text in described.items()})
    program = shlex.join(["certbound", "-c", described["config"]])
    probe = made.path / "probe"
    certificate = shlex.quote(str(probe / "certificate.pem"))
    click.echo(
        f"""
The password is shown this once. Start the server with
  {program} serve

and, in another terminal, make a client with a certificate:
  certbound cert new --cn probe --self-signed --out {shlex.quote(str(probe))}
  {program} client create probe --auth self_signed_tls_client_auth --certificate {certificate}
""".rstrip()
    )
