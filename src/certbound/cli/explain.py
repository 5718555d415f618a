"""`certbound explain`: decides about a certificate exactly as the server would, and shows every step."""

import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from certbound.authority.clients import find_registration
from certbound.certificates.certificate import parse_certificate
from certbound.certificates.check import Check
from certbound.certificates.comparison import aligned
from certbound.certificates.files import read_certificates
from certbound.certificates.names import DistinguishedName, parse_rfc4514
from certbound.certificates.presented import PresentedChain
from certbound.certificates.subject import PARAMETERS
from certbound.cli.deployment import opened
from certbound.cli.files import read_bytes
from certbound.cli.output import json_option, print_json
from certbound.oauth.authentication import authenticate
from certbound.oauth.credentials import Credentials, ShownMethod

_FILE = click.Path(path_type=Path)


@click.command("explain")
@click.option("--client", "client_id", metavar="ID", required=True, help="The client_id.")
@click.option("--certificate", metavar="FILE", type=_FILE, required=True, help="The certificate it would show.")
@click.option("--chain", metavar="FILE", type=_FILE, help="The intermediates it would send along.")
@json_option
@click.pass_obj
def command(config: Path, client_id: str, certificate: Path, chain: Path | None, as_json: bool) -> None:
    """Say why a certificate is accepted for a client, or why not: every check, what was expected and what was found.

    It is decided as if the client held the certificate's key. Exit 0 once that is done, accepted or not.
    """
    presented = _presented(certificate, chain)
    with opened(config) as server:
        decision = authenticate(
            server.store.read(partial(find_registration, client_id=client_id)),
            Credentials(client_id, ShownMethod.NOTHING, presented),
            enabled=server.settings.oauth.client_authentication_methods,
            now=datetime.now(UTC),
        )
    accepted = decision.client is not None
    if as_json:
        print_json({"accepted": accepted, "checks": [check.as_json() for check in decision.checks]})
        return
    for check in decision.checks:
        _print_check(check)
        if check.check == PARAMETERS[0] and not check.passed:
            _print_names(parse_rfc4514(check.expected), parse_certificate(presented.leaf).subject)
    failed = len(decision.failed)
    verdict = (
        "accepted" if accepted else f"refused ({decision.error}): {failed} of {len(decision.checks)} checks failed"
    )
    click.echo(f"\n{click.style(verdict, fg='green' if accepted else 'red', bold=True)}")


def _presented(file: Path, chain: Path | None) -> PresentedChain:
    leaf, *further = read_certificates(read_bytes(file), str(file))
    if chain is not None:
        further += read_certificates(read_bytes(chain), str(chain))
    return PresentedChain(leaf.der, tuple(certificate.der for certificate in further))


def _print_check(check: Check) -> None:
    plain = not sys.stdout.isatty()
    mark = ("passed" if check.passed else "FAILED") if plain else ("✓" if check.passed else "✗")
    click.echo(f"{click.style(mark, fg='green' if check.passed else 'red')}  {check.check}  ({check.reference})")
    click.echo(f"        expected  {check.expected}")
    click.echo(f"        found     {check.found}")


def _print_names(expected: DistinguishedName, found: DistinguishedName) -> None:
    """Show two names that differ beside each other, a line for each RDN, in the order of their texts."""
    lines = aligned(expected, found)
    rows = [(" ", "registered", "certificate"), *(_row(line.equal, line.expected, line.found) for line in lines)]
    width = max(len(text) for _, text, _ in rows)
    first = next(number for number, line in enumerate(lines, 1) if not line.equal)
    for number, (mark, left, right) in enumerate(rows):
        remark = "  <- first difference" if number == first else ""
        text = f"     {mark}  {left:{width}}  {right}{remark}"
        click.echo(click.style(text, fg="red") if mark == "!" else click.style(text, dim=True))


def _row(equal: bool, expected: str | None, found: str | None) -> tuple[str, str, str]:
    return "=" if equal else "!", expected or "(nothing)", found or "(nothing)"
