"""`certbound token`: a token by a certificate, as any client would get it."""

from pathlib import Path

import click

from certbound.cli.files import read_bytes
from certbound.cli.output import json_option, print_json, time_text
from certbound.client import Client, ClientCertificate

_FILE = click.Path(path_type=Path)


@click.command("token")
@click.option("--issuer", metavar="URL", required=True, help="The server, as its tokens name it.")
@click.option("--client-id", metavar="ID", required=True, help="The client_id.")
@click.option("--cert", metavar="FILE", type=_FILE, required=True, help="The client's certificate (PEM).")
@click.option("--key", metavar="FILE", type=_FILE, required=True, help="Its private key (PEM, not encrypted).")
@click.option("--cacert", metavar="FILE", type=_FILE, help="The authority to trust instead of the system's.")
@click.option("--scope", metavar="S", help="Scopes to ask for, separated by spaces.")
@click.option("--resource", metavar="URI", multiple=True, help="The API that the token is for.")
@json_option
def command(
    *,
    issuer: str,
    client_id: str,
    cert: Path,
    key: Path,
    cacert: Path | None,
    scope: str | None,
    resource: tuple[str, ...],
    as_json: bool,
) -> None:
    """Get a token with a certificate (client_credentials), and print it alone."""
    for file in (cert, key, *([cacert] if cacert is not None else [])):
        read_bytes(file)  # says which one is missing
    with Client(
        issuer=issuer,
        client_id=client_id,
        certificate=ClientCertificate(cert, key),
        scope=scope,
        resource=resource or None,
        verify=cacert,
    ) as client:
        token = client.fetch_token()
    if as_json:
        print_json(
            {
                "access_token": token.access_token,
                "token_type": token.token_type,
                "scope": token.scope,
                "expires_at": time_text(int(token.expires_at)),
            }
        )
    else:
        click.echo(token.access_token)
