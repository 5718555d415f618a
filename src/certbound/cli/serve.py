"""`certbound serve`: runs the server until it is told to stop."""

from pathlib import Path

import click

from certbound.app.serving import serve


@click.command("serve")
@click.option("--workers", metavar="N", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
@click.pass_obj
def command(config: Path, workers: int) -> None:
    """Run the server until SIGTERM or Ctrl-C; SIGHUP reloads settings and certificates.

    It starts only with everything it needs, and otherwise says in one line what to do.
    """
    serve(config, workers=workers, announce=_announce)


def _announce(listener: str, address: str) -> None:
    click.echo(f"listening on {address} ({listener})")
