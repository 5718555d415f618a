"""`certbound keys`: which keys sign tokens and which are still published."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from certbound.authority import keys
from certbound.authority.key_states import KeyStanding, signs_by_default, standings
from certbound.cli.deployment import actor, now, opened
from certbound.cli.output import json_option, print_facts, print_json, print_table, time_text
from certbound.config.settings import Settings
from certbound.jose.keys import ALGORITHMS
from certbound.store import keys as stored_keys
from certbound.store.engine import Connection


@click.group("keys")
def command() -> None:
    """Rotate the keys that sign tokens."""


@command.command("list")
@json_option
@click.pass_obj
def list_keys(config: Path, as_json: bool) -> None:
    """List the keys, oldest first. Of each algorithm one signs; the newest of those signs by default.

    A key is published before it signs, and kept until the tokens it signed have run out; then it is retired by itself.
    """
    with opened(config) as server:
        rows = key_rows(server.store.read(stored_keys.load_all), server.settings)
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo("no keys yet: make one with `certbound keys rotate`")
    else:
        print_table([name.replace("_", " ") for name in rows[0]], [list(row.values()) for row in rows])


@command.command("rotate")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), help="What the key is for; the one in use by default.")
@click.option("--now", "at_once", is_flag=True, help="Sign with it at once: APIs that have not fetched it refuse.")
@json_option
@click.pass_obj
def rotate(config: Path, algorithm: str | None, at_once: bool, as_json: bool) -> None:
    """Make a new key, published at once, which signs in two minutes, when every cache can have it.

    The one before stays published until the tokens it signed have run out.
    """
    from certbound.app.wiring import read_master_key

    with opened(config) as server:
        master_key = read_master_key(server.settings.store.master_key_file)
        by_default = server.settings.oauth.signing_algorithm
        ahead = 0 if at_once else keys.AHEAD_SECONDS

        def make(connection: Connection) -> str:
            chosen = algorithm or by_default or _algorithm_in_use(stored_keys.load_all(connection))
            how: dict[str, Any] = {"algorithm": chosen, "ahead": ahead, "actor": actor(), "now": now()}
            return keys.rotate(connection, master_key, **how).kid

        kid = server.store.write(make)
        rows = key_rows(server.store.read(stored_keys.load_all), server.settings)
    _print(rows, kid, as_json)


@command.command("retire")
@click.argument("kid")
@click.option("--force", is_flag=True, help="Even where tokens it signed may be about, which are refused then.")
@json_option
@click.pass_obj
def retire(config: Path, kid: str, force: bool, as_json: bool) -> None:
    """Publish the key KID no more: the tokens it signed are refused from then on.

    Superseded keys are retired by themselves; this is for one that is in the wrong hands.
    """
    with opened(config) as server:
        how: dict[str, Any] = {"default_algorithm": server.settings.oauth.signing_algorithm, "force": force}
        server.store.write(lambda connection: keys.retire(connection, kid, actor=actor(), now=now(), **how))
        rows = key_rows(server.store.read(stored_keys.load_all), server.settings)
    _print(rows, kid, as_json)


def key_rows(stored: Sequence[stored_keys.StoredSigningKey], settings: Settings) -> list[dict[str, Any]]:
    """Tell of each key how it stands now."""
    found = standings(stored, now())
    default = signs_by_default(found, settings.oauth.signing_algorithm)
    return [_row(standing, standing.key is default) for standing in found]


def _row(standing: KeyStanding, default: bool) -> dict[str, Any]:
    key = standing.key
    return {
        "kid": key.kid,
        "algorithm": key.algorithm,
        "state": standing.state,
        "default": default,
        "created": time_text(key.created_at),
        "signs_from": time_text(key.signs_from),
        "kept_until": time_text(standing.kept_until),
        "retired": time_text(key.retired_at),
    }


def _algorithm_in_use(stored: Sequence[stored_keys.StoredSigningKey]) -> str:
    default = signs_by_default(standings(stored, now()), None)
    return default.algorithm if default is not None else ALGORITHMS[0]


def _print(rows: list[dict[str, Any]], kid: str, as_json: bool) -> None:
    [row] = [row for row in rows if row["kid"] == kid]
    if as_json:
        print_json(row)
    else:
        print_facts({name.replace("_", " "): value for name, value in row.items()})
