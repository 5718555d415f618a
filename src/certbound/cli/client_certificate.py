"""`certbound client certificate`: which certificates mean a client of the self-signed method (RFC 8705 section 2.2)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from certbound.authority import clients
from certbound.certificates.files import read_certificate
from certbound.cli.deployment import actor, now, opened
from certbound.cli.files import FileError, read_bytes
from certbound.cli.output import json_option, note, print_json, print_table, time_text
from certbound.cli.thumbprint import parse_thumbprint
from certbound.store import sightings as stored_sightings
from certbound.store.engine import Connection


@click.group("certificate")
def command() -> None:
    """Register certificates of a client, and retire them."""


@command.command("add")
@click.argument("client_id", metavar="CLIENT")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def add(config: Path, client_id: str, file: Path, as_json: bool) -> None:
    """Register the certificate in FILE for CLIENT, beside those there are."""
    certificate = read_certificate(read_bytes(file), str(file))
    _change(
        config,
        client_id,
        as_json,
        lambda connection: clients.add_certificate(connection, client_id, certificate, actor=actor(), now=now()),
    )


@command.command("list")
@click.argument("client_id", metavar="CLIENT")
@json_option
@click.pass_obj
def list_certificates(config: Path, client_id: str, as_json: bool) -> None:
    """List the certificates of CLIENT: registered ones, retired ones included, and those it was seen to use."""
    with opened(config) as server:
        found = server.store.read(lambda connection: of_client(connection, client_id))
    _print(client_id, found, as_json)


@command.command("retire")
@click.argument("client_id", metavar="CLIENT")
@click.argument("certificate", metavar="THUMBPRINT|FILE")
@json_option
@click.pass_obj
def retire(config: Path, client_id: str, certificate: str, as_json: bool) -> None:
    """Let a certificate mean CLIENT no more, named by its SHA-256 thumbprint or its file."""
    sha256 = parse_thumbprint(certificate) or _thumbprint_of(Path(certificate))
    _change(
        config,
        client_id,
        as_json,
        lambda connection: clients.retire_certificate(connection, client_id, sha256, actor=actor(), now=now()),
    )


@dataclass(frozen=True, slots=True)
class ListedCertificate:
    """A certificate of a client; `added` is None for one that was not registered but learned from a connection."""

    sha256: str
    subject: str
    not_after: int
    added: int | None
    first_seen: int | None
    last_seen: int | None
    retired: int | None


def of_client(connection: Connection, client_id: str) -> tuple[ListedCertificate, ...]:
    """Give what is registered of a client, then what it was seen to use besides, as clients of tls_client_auth do."""
    registered = clients.existing(connection, client_id).certificates
    known = {certificate.sha256 for certificate in registered}
    learned = [seen for seen in stored_sightings.of_client(connection, client_id) if seen.sha256 not in known]
    return (
        *(
            ListedCertificate(c.sha256, c.subject, c.not_after, c.added, c.first_seen, c.last_seen, c.retired)
            for c in registered
        ),
        *(ListedCertificate(s.sha256, s.subject, s.not_after, None, s.first_seen, s.last_seen, None) for s in learned),
    )


def members(certificate: ListedCertificate) -> dict[str, Any]:
    """Give the members that `client certificate list --json` prints."""
    return {
        "sha256": certificate.sha256,
        "subject": certificate.subject,
        "not_after": time_text(certificate.not_after),
        "added": time_text(certificate.added),
        "first_seen": time_text(certificate.first_seen),
        "last_seen": time_text(certificate.last_seen),
        "retired": time_text(certificate.retired),
    }


def print_certificates(certificates: Sequence[ListedCertificate]) -> None:
    """Print the table of a client's certificates."""
    print_table(
        ("sha256", "subject", "not after", "added", "first seen", "last seen", "retired"),
        [list(members(certificate).values()) for certificate in certificates],
    )


def _thumbprint_of(file: Path) -> str:
    if not file.exists():
        raise FileError(f"{file}: is no SHA-256 thumbprint and no file: see `certbound client certificate list`")
    return read_certificate(read_bytes(file), str(file)).sha256.hex()


def _change(config: Path, client_id: str, as_json: bool, change: Callable[[Connection], None]) -> None:
    with opened(config) as server:
        server.store.write(change)
        stored = server.store.read(lambda connection: clients.existing(connection, client_id))
        found = server.store.read(lambda connection: of_client(connection, client_id))
    if all(certificate.retired is not None for certificate in stored.certificates):
        note(f"no certificate means {client_id} now: it gets no token")
    _print(client_id, found, as_json)


def _print(client_id: str, found: Sequence[ListedCertificate], as_json: bool) -> None:
    if as_json:
        print_json([members(certificate) for certificate in found])
    elif not found:
        click.echo(f"no certificates are registered for {client_id}, and none was seen")
    else:
        print_certificates(found)
