"""`certbound trust crl`: the revocation lists of a trust store."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from certbound.authority import revocation_lists, trust_policies
from certbound.certificates.crl import MAXIMUM_CRL, CRLError
from certbound.cli.deployment import actor, now, opened
from certbound.cli.files import FileError, read_bytes
from certbound.cli.output import json_option, note, print_json, print_table, time_text
from certbound.cli.thumbprint import Thumbprint, ThumbprintCommand
from certbound.cli.trust_policy import warnings
from certbound.store.engine import Connection
from certbound.store.revocation import StoredCRL


@click.group("crl")
def command() -> None:
    """Say which certificates were revoked."""


@command.command("add")
@click.argument("store")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def add(config: Path, store: str, file: Path, as_json: bool) -> None:
    """Add the CRL in a file to a trust store.

    FILE is PEM or DER, signed by a CA of the store, and takes the place of the CRL before. Where revocation was
    off for the store, it is `crl` from now on.

    Example: certbound trust crl add partners partners.crl
    """
    data = read_bytes(file, MAXIMUM_CRL)
    with opened(config) as server:
        issuers = server.store.read(lambda connection: revocation_lists.issuers(connection, store))
        try:
            read = revocation_lists.read(data, issuers, now=now())
        except CRLError as error:
            raise FileError(f"{file}: {error}") from None

        def change(connection: Connection) -> tuple[StoredCRL, bool]:
            before = trust_policies.policy(connection, store).store
            added = revocation_lists.add(connection, store, read, actor=actor(), now=now())
            return added, before.revocation == "off"

        added, turned_on = server.store.write(change)
        told = server.store.read(lambda connection: warnings(connection, store))
    for text in ([f"revocation was off for {store} and is `crl` from now on"] if turned_on else []) + told:
        note(text)
    if as_json:
        print_json({"store": store} | crl_members(added, now()))
    else:
        click.echo(f"added to {store}: the CRL of {added.issuer}, with {read.crl.entries} entries")


@command.command("list")
@click.argument("store")
@json_option
@click.pass_obj
def list_crls(config: Path, store: str, as_json: bool) -> None:
    """List the CRLs of a trust store, current and stale."""
    with opened(config) as server:
        found = server.store.read(lambda connection: revocation_lists.listed(connection, store))
    if as_json:
        print_json([crl_members(crl, now()) for crl in found])
    elif not found:
        click.echo(f"no CRLs in {store}: add one with `certbound trust crl add {store} FILE`")
    else:
        print_crls(found)


@command.command("remove", cls=ThumbprintCommand)
@click.argument("store")
@click.argument("crl_id", metavar="ID", type=Thumbprint())
@json_option
@click.pass_obj
def remove(config: Path, store: str, crl_id: str, as_json: bool) -> None:
    """Remove a CRL, named by the ID in `trust crl list`.

    What it revoked is not refused by it any more.
    """
    with opened(config) as server:
        server.store.write(
            lambda connection: revocation_lists.remove(connection, store, crl_id, actor=actor(), now=now())
        )
        told = server.store.read(lambda connection: warnings(connection, store))
    for text in told:
        note(text)
    if as_json:
        print_json({"store": store, "removed": crl_id})
    else:
        click.echo(f"removed from {store}: {crl_id}")


def crl_members(crl: StoredCRL, moment: int) -> dict[str, Any]:
    """Give the members that `trust crl list --json` prints; `moment` in epoch seconds decides what is stale."""
    return {
        "id": crl.sha256,
        "issuer": crl.issuer,
        "number": crl.number,
        "delta": crl.is_delta,
        "scope": crl.scope,
        "this_update": time_text(crl.this_update),
        "next_update": time_text(crl.next_update),
        "added": time_text(crl.added),
        "url": crl.url,
        "state": "stale" if crl.next_update <= moment else "current",
    }


def print_crls(crls: Sequence[StoredCRL]) -> None:
    """Print the table of a store's CRLs."""
    moment = now()
    print_table(
        ("id", "issuer", "number", "delta", "scope", "this update", "next update", "added", "url", "state"),
        [list(crl_members(crl, moment).values()) for crl in crls],
    )
