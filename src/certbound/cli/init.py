"""`certbound init`: a folder with everything a server needs, made whole or not at all."""

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from certbound.app.installation import Installation, install
from certbound.cli.deployment import actor
from certbound.cli.output import json_option, print_facts, print_json
from certbound.config.settings import HttpsUrl

_HTTPS_PORT = 443
_BIND = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")


def _bind(_ctx: click.Context, _parameter: click.Parameter, value: str) -> str:
    found = _BIND.fullmatch(value)
    if found is None or not 0 < int(found["port"]) <= 0xFFFF:  # noqa: PLR2004 - the largest port
        raise click.BadParameter(f"{value!r} is no HOST:PORT, for instance 127.0.0.1:9443 or [::1]:9443")
    return value


def _issuer(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
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
    port = int(bind.rpartition(":")[2])
    issuer = issuer or ("https://localhost" if port == _HTTPS_PORT else f"https://localhost:{port}")
    made = install(folder, issuer=issuer, bind=bind, actor=actor(), now=datetime.now(UTC))
    described = {
        "config": str(made.config),
        "issuer": issuer,
        "admin_user": made.admin_user,
        "admin_password": made.admin_password,
        "server_certificate": str(made.server_certificate),
        "server_key": str(made.server_key),
    }
    if as_json:
        print_json(described)
    else:
        _print(made, described)


def _print(made: Installation, described: dict[str, str]) -> None:
    print_facts({name.replace("_", " "): text for name, text in described.items()})
    program = shlex.join(["certbound", "-c", described["config"]])
    probe = made.folder / "probe"
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
