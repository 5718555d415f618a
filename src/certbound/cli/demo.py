"""`certbound demo`: the story of `playground`, from the command line."""

import sys
from pathlib import Path

import click

from certbound.playground.demo import run


@click.command("demo")
@click.option("--once", is_flag=True, help="Tell the story and end: exit 0 only if every step held.")
@click.option("--dir", "directory", metavar="DIR", type=click.Path(path_type=Path), help="Keep the files here.")
def command(once: bool, directory: Path | None) -> None:
    """Show the whole story on real TLS: certificates, clients, tokens, an API, and the same token in other hands."""
    sys.exit(run(directory, once))
