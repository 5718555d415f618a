"""`certbound keys`: which keys sign tokens and which are still published."""

from pathlib import Path
from typing import Any

import click

from certbound.authority import keys
from certbound.cli.deployment import actor, now, opened
from certbound.cli.output import json_option, print_facts, print_json, print_table, time_text
from certbound.jose.keys import ALGORITHMS
from certbound.store import keys as stored_keys
from certbound.store.keys import StoredSigningKey


@click.group("keys")
def command() -> None:
    """Rotate the keys that sign tokens."""


@command.command("list")
@json_option
@click.pass_obj
def list_keys(config: Path, as_json: bool) -> None:
    """List the keys: the newest signs, those before it are published until they are retired."""
    with opened(config) as server:
        found = server.store.read(stored_keys.load_all)
    states = key_states(found)
    if as_json:
        print_json([_members(key, states[key.kid]) for key in found])
    elif not found:
        click.echo("no keys yet: make one with `certbound keys rotate`")
    else:
        rows = [(key.kid, key.algorithm, time_text(key.created_at), states[key.kid]) for key in found]
        print_table(("kid", "algorithm", "created", "state"), rows)


@command.command("rotate")
@click.option(
    "--algorithm", type=click.Choice(ALGORITHMS), default=ALGORITHMS[0], show_default=True, help="What the key is for."
)
@json_option
@click.pass_obj
def rotate(config: Path, algorithm: str, as_json: bool) -> None:
    """Make a new key, which signs from now on; the one before stays published, so that its tokens stay good."""
    from certbound.app.wiring import read_master_key

    with opened(config) as server:
        master_key = read_master_key(server.settings.store.master_key_file)
        key = server.store.write(
            lambda connection: keys.rotate(connection, master_key, algorithm=algorithm, actor=actor(), now=now())
        )
    _print(key, "signing", as_json)


@command.command("retire")
@click.argument("kid")
@json_option
@click.pass_obj
def retire(config: Path, kid: str, as_json: bool) -> None:
    """Publish the key KID no more: the tokens it signed are refused from then on."""
    with opened(config) as server:
        server.store.write(lambda connection: keys.retire(connection, kid, actor=actor(), now=now()))
        [key] = [key for key in server.store.read(stored_keys.load_all) if key.kid == kid]
    _print(key, "retired", as_json)


def key_states(found: tuple[StoredSigningKey, ...]) -> dict[str, str]:
    """Tell of each kid whether it is `signing`, `published` or `retired`."""
    in_use = [key.kid for key in found if key.retired_at is None]
    states = {key.kid: "retired" if key.retired_at is not None else "published" for key in found}
    return states | ({in_use[-1]: "signing"} if in_use else {})


def _members(key: StoredSigningKey, state: str) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "algorithm": key.algorithm,
        "state": state,
        "created": time_text(key.created_at),
        "retired": time_text(key.retired_at),
    }


def _print(key: StoredSigningKey, state: str, as_json: bool) -> None:
    members = _members(key, state)
    if as_json:
        print_json(members)
    else:
        print_facts(members)
