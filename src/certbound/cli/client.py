"""`certbound client`: registering clients and changing them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from certbound.authority import clients
from certbound.authority.clients import ClientChanges, RegisteredNow
from certbound.authority.expiry import days_left, ending_text, warning_days
from certbound.authority.tokens.issuing import GRANTS
from certbound.certificates.certificate import parse_certificate
from certbound.cli import client_certificate, initial_token
from certbound.cli.curl import token_command
from certbound.cli.deployment import Deployment, actor, now, opened
from certbound.cli.output import json_option, print_facts, print_json, print_table, time_text
from certbound.cli.registration import Asked, method_option, read_flags, registration_options
from certbound.config.settings import Settings
from certbound.oauth.registering import RegistrationRequest
from certbound.oauth.registration import Client
from certbound.store import clients as stored_clients
from certbound.store import sightings as stored_sightings
from certbound.store.clients import StoredClient
from certbound.store.engine import Connection
from certbound.store.sightings import Sighting

_PAGE = 500
_HEADINGS = ("client", "name", "method", "grants", "scope", "bound", "state", "certificate in use")
_CREATE_EXAMPLES = """\b
Examples:
  certbound client create orders --auth tls_client_auth --trust partners --subject-dn "CN=orders,O=Example"
  certbound client create probe --auth self_signed_tls_client_auth --certificate probe/certificate.pem
"""


@click.group("client")
def command() -> None:
    """Register clients and change them. NAME is a label, CLIENT the client_id."""


command.add_command(client_certificate.command)
command.add_command(initial_token.command)


@command.command("create", epilog=_CREATE_EXAMPLES)
@click.argument("name")
@method_option(required=True)
@click.option("--id", "client_id", metavar="ID", help="The client_id; a random one is made without.")
@registration_options
@json_option
@click.pass_obj
def create(config: Path, /, name: str, method: str, client_id: str | None, as_json: bool, **flags: Any) -> None:
    """Register a client called NAME."""
    asked = read_flags(**flags)
    request = RegistrationRequest(
        client_name=name,
        token_endpoint_auth_method=method,
        client_id=client_id,
        grant_types=asked.grant_types or (),
        scopes=asked.scopes or (),
        resources=asked.resources or (),
        redirect_uris=asked.redirect_uris or (),
        post_logout_redirect_uris=asked.post_logout_redirect_uris or (),
        subject=asked.subject or {},
        subject_attributes=asked.subject_attributes or {},
        trust=asked.trust or (),
        certificates=asked.certificates or (),
        jwks=asked.jwks,
        jwks_uri=asked.jwks_uri,
        token_endpoint_auth_signing_alg=asked.token_endpoint_auth_signing_alg,
        match_by_key=bool(asked.match_by_key),
        diagnostics=bool(asked.diagnostics),
        implicit_consent=bool(asked.implicit_consent),
        bound=asked.bound,
    )
    with opened(config) as server:
        made = server.store.write(
            lambda connection: clients.register(connection, request, known_grants=GRANTS, actor=actor(), now=now())
        )
        _print_registered(server, made, next(iter(flags["certificates"]), None), as_json)


@command.command("update")
@click.argument("client_id", metavar="CLIENT")
@click.option("--name", metavar="NAME", help="Another name.")
@method_option(required=False)
@registration_options
@json_option
@click.pass_obj
def update(config: Path, /, client_id: str, name: str | None, method: str | None, as_json: bool, **flags: Any) -> None:
    """Change what is given of CLIENT, and leave the rest.

    A list that is given takes the place of the old one, and an empty value empties it; certificates are added to those
    there are (retire old ones with `client certificate retire`), and a JWK Set takes the place of them all.
    """
    asked = read_flags(**flags)

    def change(connection: Connection) -> RegisteredNow:
        changes = _changes(clients.existing(connection, client_id), name, method, asked)
        return clients.update(connection, client_id, changes, known_grants=GRANTS, actor=actor(), now=now())

    with opened(config) as server:
        made = server.store.write(change)
        _print_registered(server, made, next(iter(flags["certificates"]), None), as_json)


@command.command("list")
@click.option("--search", metavar="TEXT", default="", help="Only those with TEXT in their id or name.")
@json_option
@click.pass_obj
def list_clients(config: Path, search: str, as_json: bool) -> None:
    """List the clients, each with the end of the certificate that it really uses."""
    with opened(config) as server:
        found = server.store.read(lambda connection: list(_all(connection, search)))
    if as_json:
        print_json([client.as_metadata() | _in_use(seen) for client, seen in found])
    elif not found:
        click.echo("no such clients" if search else "no clients yet: make one with `certbound client create`")
    else:
        print_table(_HEADINGS, [_row(client, seen) for client, seen in found])


@command.command("show")
@click.argument("client_id", metavar="CLIENT")
@json_option
@click.pass_obj
def show(config: Path, client_id: str, as_json: bool) -> None:
    """Show all that is registered of CLIENT, and the curl line that gets it a token."""
    with opened(config) as server:
        stored = server.store.read(lambda connection: clients.existing(connection, client_id))
        certificates = server.store.read(lambda connection: client_certificate.of_client(connection, client_id))
    if as_json:
        listed = [client_certificate.members(certificate) for certificate in certificates]
        print_json(stored.client.as_metadata() | ({"certbound_certificates": listed} if listed else {}))
        return
    print_facts(_facts(stored.client))
    if certificates:
        click.echo()
        client_certificate.print_certificates(certificates)
    _print_curl(stored.client, server.settings)


@command.command("disable")
@click.argument("client_id", metavar="CLIENT")
@json_option
@click.pass_obj
def disable(config: Path, client_id: str, as_json: bool) -> None:
    """Give CLIENT no more tokens, and revoke its refresh tokens."""
    _set_disabled(config, client_id, as_json, disabled=True)


@command.command("enable")
@click.argument("client_id", metavar="CLIENT")
@json_option
@click.pass_obj
def enable(config: Path, client_id: str, as_json: bool) -> None:
    """Give a disabled CLIENT tokens again."""
    _set_disabled(config, client_id, as_json, disabled=False)


@command.command("delete")
@click.argument("client_id", metavar="CLIENT")
@json_option
@click.pass_obj
def delete(config: Path, client_id: str, as_json: bool) -> None:
    """Delete CLIENT with its certificates and refresh tokens."""
    with opened(config) as server:
        server.store.write(lambda connection: clients.delete(connection, client_id, actor=actor(), now=now()))
    if as_json:
        print_json({"client_id": client_id, "deleted": True})
    else:
        click.echo(f"deleted: {client_id}")


def _set_disabled(config: Path, client_id: str, as_json: bool, *, disabled: bool) -> None:
    def change(connection: Connection) -> Client:
        clients.set_disabled(connection, client_id, disabled=disabled, actor=actor(), now=now())
        return clients.existing(connection, client_id).client

    with opened(config) as server:
        client = server.store.write(change)
    if as_json:
        print_json(client.as_metadata())
    else:
        click.echo(f"{'disabled' if disabled else 'enabled'}: {client_id}")


def _changes(found: StoredClient, name: str | None, method: str | None, asked: Asked) -> ClientChanges:
    certificates = asked.certificates
    stays = method in {None, found.client.token_endpoint_auth_method}
    if certificates is not None and stays and asked.jwks is None:
        in_use = tuple(parse_certificate(c.der) for c in found.certificates if c.retired is None)
        certificates = (*in_use, *certificates)
    return ClientChanges(
        client_name=name,
        token_endpoint_auth_method=method,
        grant_types=asked.grant_types,
        scopes=asked.scopes,
        resources=asked.resources,
        redirect_uris=asked.redirect_uris,
        post_logout_redirect_uris=asked.post_logout_redirect_uris,
        subject=asked.subject,
        subject_attributes=asked.subject_attributes,
        trust=asked.trust,
        certificates=certificates,
        jwks=asked.jwks,
        jwks_uri=asked.jwks_uri,
        token_endpoint_auth_signing_alg=asked.token_endpoint_auth_signing_alg,
        match_by_key=asked.match_by_key,
        diagnostics=asked.diagnostics,
        implicit_consent=asked.implicit_consent,
        bound=asked.bound,
    )


def _all(connection: Connection, search: str) -> Iterator[tuple[Client, Sighting | None]]:
    after = ""
    while page := stored_clients.page(connection, after=after, search=search, limit=_PAGE):
        ids = [stored.client.client_id for stored in page]
        seen = stored_sightings.latest_by_client(connection, ids)
        yield from ((stored.client, seen.get(stored.client.client_id)) for stored in page)
        after = ids[-1]


def _row(client: Client, seen: Sighting | None) -> tuple[object, ...]:
    return (
        client.client_id,
        client.client_name,
        client.token_endpoint_auth_method,
        " ".join(client.grant_types),
        " ".join(client.scopes),
        client.tls_client_certificate_bound_access_tokens,
        "disabled" if client.disabled else "enabled",
        "not seen yet" if seen is None else ending_text(seen, now()),
    )


def _in_use(seen: Sighting | None) -> dict[str, Any]:
    """Give what `client list --json` says of the certificate that a client was last seen with."""
    if seen is None:
        return {}
    return {
        "certbound_certificate_in_use": {
            "sha256": seen.sha256,
            "not_after": time_text(seen.not_after),
            "last_seen": time_text(seen.last_seen),
            "days_left": days_left(seen, now()),
            "warning": warning_days(seen, now()) is not None,
        }
    }


def _facts(client: Client) -> dict[str, Any]:
    facts = {
        "client_id": client.client_id,
        "name": client.client_name,
        "method": client.token_endpoint_auth_method,
        "grants": " ".join(client.grant_types),
        "scope": " ".join(client.scopes),
        "resources": client.resources,
        "redirect URIs": client.redirect_uris,
        "after signing out": client.post_logout_redirect_uris,
        "consent": "implicit" if client.implicit_consent else None,
        "subject attributes": [f"{name}={value}" for name, value in _attributes(client).items()],
        "trust": " ".join(client.trust),
        "jwks_uri": client.jwks_uri,
        "signs assertions with": client.token_endpoint_auth_signing_alg,
        "matches by key": client.match_by_key or None,
        "diagnostics": client.diagnostics or None,
        "bound tokens": client.tls_client_certificate_bound_access_tokens,
        "state": "disabled" if client.disabled else "enabled",
    }
    subject = (
        {client.subject.parameter.removeprefix("tls_client_auth_"): client.subject.value} if client.subject else {}
    )
    return facts | subject


def _attributes(client: Client) -> dict[str, str]:
    return client.subject_attributes.as_metadata() if client.subject_attributes is not None else {}


def _print_registered(server: Deployment, made: RegisteredNow, certificate: Path | None, as_json: bool) -> None:
    if as_json:
        secret = {"client_secret": made.client_secret} if made.client_secret is not None else {}
        print_json(made.client.as_metadata() | secret)
        return
    secret_fact = {"client_secret": f"{made.client_secret}   (shown this once)"} if made.client_secret else {}
    print_facts(_facts(made.client) | secret_fact)
    _print_curl(made.client, server.settings, made.client_secret, certificate)


def _print_curl(client: Client, settings: Settings, secret: str | None = None, certificate: Path | None = None) -> None:
    click.echo(f"\nA token for it:\n  {token_command(client, settings, secret=secret, certificate=certificate)}")
    if "password" in client.grant_types and not settings.oauth.password_grant:
        click.echo("\nThe password grant is off on this server: password_grant = true under [oauth] turns it on.")
    if client.token_endpoint_auth_method not in settings.oauth.client_authentication_methods:
        click.echo(
            f"\nThis server does not offer {client.token_endpoint_auth_method}: see client_authentication_methods."
        )
