"""`certbound explain`: decides about a certificate exactly as the server would, and shows every step."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import click

from certbound.app.wiring import make_decider
from certbound.authority.deciding import decide_once
from certbound.certificates.certificate import parse_certificate
from certbound.certificates.files import read_certificates
from certbound.certificates.presented import PresentedChain
from certbound.cli.checks import print_checks
from certbound.cli.deployment import opened
from certbound.cli.files import read_bytes
from certbound.cli.output import json_option, print_json
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
        decision = asyncio.run(
            decide_once(
                server.store,
                make_decider(server.settings),
                Credentials(client_id, ShownMethod.NOTHING, presented),
                enabled=server.settings.oauth.client_authentication_methods,
                issuer=server.settings.issuer,
                now=datetime.now(UTC),
            )
        )
    accepted = decision.client is not None
    if as_json:
        print_json({"accepted": accepted, "checks": [check.as_json() for check in decision.checks]})
        return
    print_checks(decision.checks, parse_certificate(presented.leaf).subject)
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
