"""`certbound db`: are the database's tables those of this program, and how do they get there."""

from pathlib import Path

import click

from certbound.cli.deployment import NotReadyError
from certbound.cli.output import json_option, note, print_json
from certbound.config.loading import load_settings
from certbound.store.upgrading import HEAD, SchemaState, advice, check, upgrade


@click.group("db")
def command() -> None:
    """Bring the database's tables up to date."""


@command.command("upgrade")
@json_option
@click.pass_obj
def upgrade_schema(config: Path, as_json: bool) -> None:
    """Make the tables, or bring older ones up to this program's; safe to run twice."""
    url = load_settings(config).store.url
    before = check(url)
    upgrade(url)
    if before is SchemaState.MISSING:
        note(f"the database is empty: `certbound -c {config} keys rotate` makes a signing key, `user create` accounts")
    _print(config, check(url), as_json, changed=before is not SchemaState.CURRENT)


@command.command("check")
@json_option
@click.pass_obj
def check_schema(config: Path, as_json: bool) -> None:
    """Say whether the tables are those of this program: exit 0 if they are, 1 if not."""
    _print(config, check(load_settings(config).store.url), as_json, changed=False)


def _print(config: Path, state: SchemaState, as_json: bool, *, changed: bool) -> None:
    if as_json:
        print_json({"schema": state, "known": HEAD, "changed": changed})
    elif state is SchemaState.CURRENT:
        click.echo("the database was brought up to date" if changed else advice(state))
    if state is not SchemaState.CURRENT:
        raise NotReadyError(advice(state, f"certbound -c {config} db upgrade"))
