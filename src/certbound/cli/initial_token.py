"""`certbound client initial-token`: letting somebody register clients, within bounds (RFC 7591 section 3)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from certbound.authority import registration_tokens
from certbound.cli.deployment import actor, now, opened
from certbound.cli.output import json_option, note, print_facts, print_json, print_table, time_text
from certbound.store import registration_tokens as stored
from certbound.store.registration_tokens import RegistrationToken


@click.group("initial-token")
def command() -> None:
    """Make tokens by which others register clients, and revoke them."""


@command.command("create")
@click.option(
    "--scope-ceiling", "scopes", metavar="S", multiple=True, help="Scopes that the clients may have; none without."
)
@click.option("--trust", metavar="STORE", multiple=True, help="Trust stores that may vouch for the clients.")
@click.option("--uses", metavar="N", type=int, default=1, show_default=True, help="How many clients.")
@click.option("--days", metavar="N", type=int, default=7, show_default=True, help="For how long it is good.")
@json_option
@click.pass_obj
def create(
    config: Path, /, *, scopes: Sequence[str], trust: Sequence[str], uses: int, days: int, as_json: bool
) -> None:
    """Make a token and print it, this once."""
    words = [word for text in scopes for word in text.split()]
    with opened(config) as server:
        issued = server.store.write(
            lambda connection: registration_tokens.issue_initial(
                connection, scopes=words, trust=trust, uses=uses, days=days, actor=actor(), now=now()
            )
        )
    if server.settings.oauth.dynamic_registration is False:
        note('clients cannot register yet: dynamic_registration = "initial-access-token" under [oauth] lets them')
    if as_json:
        print_json({"initial_access_token": issued.value} | _members(issued.token))
        return
    print_facts({"initial access token": f"{issued.value}   (shown this once)"} | _facts(issued.token))


@command.command("list")
@json_option
@click.pass_obj
def list_tokens(config: Path, as_json: bool) -> None:
    """List the tokens that were made, used up ones included."""
    with opened(config) as server:
        found = server.store.read(stored.initial)
    if as_json:
        print_json([_members(token) for token in found])
    elif not found:
        click.echo("no initial access tokens: make one with `certbound client initial-token create`")
    else:
        rows = [
            (t.id, " ".join(t.scopes), " ".join(t.trust), t.uses_left, time_text(t.expires_at), t.expires_at <= now())
            for t in found
            if t.expires_at is not None
        ]
        print_table(("id", "scope ceiling", "trust", "uses left", "good until", "run out"), rows)


@command.command("revoke")
@click.argument("token_id", metavar="ID")
@json_option
@click.pass_obj
def revoke(config: Path, token_id: str, as_json: bool) -> None:
    """Let nobody register by the token ID any more; the clients that were registered by it stay."""
    with opened(config) as server:
        server.store.write(
            lambda connection: registration_tokens.revoke_initial(connection, token_id, actor=actor(), now=now())
        )
    if as_json:
        print_json({"id": token_id, "revoked": True})
    else:
        click.echo(f"revoked: {token_id}")


def _members(token: RegistrationToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "scope_ceiling": " ".join(token.scopes),
        "trust": list(token.trust),
        "uses_left": token.uses_left,
        "created_at": time_text(token.created_at),
        "expires_at": time_text(token.expires_at),
    }


def _facts(token: RegistrationToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "scope ceiling": " ".join(token.scopes),
        "trust": " ".join(token.trust),
        "uses": token.uses_left,
        "good until": time_text(token.expires_at),
    }
