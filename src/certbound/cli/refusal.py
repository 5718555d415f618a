"""`certbound refusal`: why a client was refused, by the reference it was told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from certbound.authority.refusals import is_whole, parse_reference
from certbound.certificates.check import Check
from certbound.certificates.names import DistinguishedName, parse_rfc4514
from certbound.certificates.subject import PARAMETERS
from certbound.cli.checks import print_checks
from certbound.cli.deployment import opened
from certbound.cli.output import json_option, print_facts, print_json, print_table, time_text
from certbound.store import refusals as stored_refusals
from certbound.store.refusals import Refusal


class RefusalError(ValueError):
    """There is no such refusal; the text says what to do."""


@click.group("refusal")
def command() -> None:
    """Say why a client was refused, by the reference it was told."""


@command.command("list")
@click.option("--client", "client_id", metavar="ID", help="Only those of this client_id.")
@click.option("--limit", metavar="N", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@json_option
@click.pass_obj
def list_refusals(config: Path, client_id: str | None, limit: int, as_json: bool) -> None:
    """List refused requests, the newest first."""
    with opened(config) as server:
        found = server.store.read(
            lambda connection: stored_refusals.newest(connection, client_id=client_id, limit=limit)
        )
    if as_json:
        print_json([_members(refusal) for refusal in found])
    elif not found:
        click.echo("no refusals are on record")
    else:
        rows = [(r.reference, time_text(r.at), r.client_id, r.address, _first_reason(r)) for r in found]
        print_table(("reference", "at", "client", "address", "first reason"), rows)


@command.command("show")
@click.argument("reference")
@json_option
@click.pass_obj
def show(config: Path, reference: str, as_json: bool) -> None:
    """Show why a request was refused, every check of it.

    REFERENCE is what the client was told. Refusals are kept as [retention] says, ten a second at most of each worker;
    those above that are in the log only, under their reference.
    """
    with opened(config) as server:
        found = server.store.read(lambda connection: stored_refusals.load(connection, parse_reference(reference)))
    if found is None:
        raise RefusalError(
            f"no refusal {reference!r} is on record: it is too old, or one of too many at once; the log has it"
        )
    if as_json:
        print_json(_members(found))
        return
    certificate = {name.replace("_", " "): value for name, value in (found.certificate or {}).items()}
    facts = {"reference": found.reference, "at": time_text(found.at), "client": found.client_id}
    print_facts(facts | {"address": found.address, "error": found.error} | _readable(certificate))
    click.echo()
    print_checks((Check(**check) for check in found.checks), _subject(found))


def _subject(refusal: Refusal) -> DistinguishedName | None:
    """Give the certificate's subject, where it and the name it is compared with were kept whole."""
    subject = (refusal.certificate or {}).get("subject")
    expected = [check["expected"] for check in refusal.checks if check["check"] == PARAMETERS[0]]
    if subject is None or not all(map(is_whole, [subject, *expected])):
        return None
    return parse_rfc4514(subject)


def _members(refusal: Refusal) -> dict[str, Any]:
    return {
        "reference": refusal.reference,
        "at": time_text(refusal.at),
        "client_id": refusal.client_id,
        "address": refusal.address,
        "error": refusal.error,
        "certificate": _readable(refusal.certificate) if refusal.certificate is not None else None,
        "checks": refusal.checks,
    }


def _readable(certificate: Mapping[str, Any]) -> dict[str, Any]:
    return {name: time_text(value) if isinstance(value, int) else value for name, value in certificate.items()}


def _first_reason(refusal: Refusal) -> str:
    failed = next((check for check in refusal.checks if not check["passed"]), None)
    return "" if failed is None else f"{failed['check']}: {failed['found']}"
