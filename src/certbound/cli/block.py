"""`certbound block`: a stolen key, first minute."""

from pathlib import Path
from typing import Any

import click

from certbound.authority import blocks
from certbound.authority.blocks import Obtained
from certbound.cli.deployment import actor, now, opened
from certbound.cli.output import json_option, note, print_facts, print_json, print_table, time_text
from certbound.cli.thumbprint import Thumbprint
from certbound.store import blocks as stored_blocks
from certbound.store.blocks import Block, BlockKind

_EXAMPLES = """\b
Examples:
  certbound block --thumbprint 4f0c... --reason "laptop stolen"
  certbound block --public-key 9ab1... --reason "key on a public file share"
  certbound cert show stolen.pem        prints both values of a certificate
"""


@click.group("block", invoke_without_command=True, epilog=_EXAMPLES)
@click.option("--thumbprint", metavar="SHA256", type=Thumbprint(), help="The certificate with this thumbprint.")
@click.option(
    "--public-key",
    metavar="SHA256",
    type=Thumbprint(),
    help="Every certificate with this key: SHA-256 of its SubjectPublicKeyInfo.",
)
@click.option("--reason", metavar="T", default="", help="Why; kept in the audit.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, *, thumbprint: str | None, public_key: str | None, reason: str, as_json: bool
) -> None:
    """Refuse a certificate or a key everywhere within 2 seconds, revoke what it obtained, and list that.

    It holds for every client and method, at the token endpoint and at every API that uses certbound.resource. Where a
    private key is in the wrong hands, block the public key: it holds for every certificate of it, later ones included.
    """
    if ctx.invoked_subcommand is not None:
        if thumbprint or public_key or reason:
            raise click.UsageError("--thumbprint, --public-key and --reason stand without a subcommand", ctx)
        if as_json:
            raise click.UsageError("--json stands at the end, after the subcommand", ctx)
        return
    if (thumbprint is None) == (public_key is None):
        raise click.UsageError("give either --thumbprint or --public-key, or one of: list, show, lift", ctx)
    kind: BlockKind = "certificate" if thumbprint is not None else "public_key"
    sha256 = thumbprint or public_key or ""
    with opened(ctx.obj) as server:
        made = server.store.write(
            lambda connection: blocks.block(connection, kind, sha256, reason=reason, actor=actor(), now=now())
        )
    if kind == "certificate":
        note("this is one certificate: where its key is in the wrong hands, block that with --public-key")
    if as_json:
        revoked = {"refresh_tokens_revoked": made.revoked}
        print_json(_members(made.block) | revoked | {"obtained": _obtained(made.obtained)})
        return
    click.echo(f"blocked: {made.block.id}, in force everywhere within 2 seconds")
    click.echo(f"refresh tokens revoked: {made.revoked}")
    _print_obtained(made.obtained)


@command.command("list")
@json_option
@click.pass_obj
def list_blocks(config: Path, as_json: bool) -> None:
    """List the blocks, lifted ones included."""
    with opened(config) as server:
        found = server.store.read(stored_blocks.all_blocks)
    if as_json:
        print_json([_members(one) for one in found])
    elif not found:
        click.echo("nothing is blocked")
    else:
        rows = [list(_members(one).values()) for one in found]
        print_table([name.replace("_", " ") for name in _members(found[0])], rows)


@command.command("show")
@click.argument("block_id", metavar="ID")
@json_option
@click.pass_obj
def show(config: Path, block_id: str, as_json: bool) -> None:
    """Show a block, and what its certificate or key obtained.

    The record of an access token is written up to a second after it was issued, and kept as [retention] says.
    """
    with opened(config) as server:
        found, obtained = server.store.read(
            lambda connection: (
                (one := blocks.existing(connection, block_id)),
                blocks.obtained(connection, one),
            )
        )
    if as_json:
        print_json(_members(found) | {"obtained": _obtained(obtained)})
        return
    print_facts(_members(found))
    _print_obtained(obtained)


@command.command("lift")
@click.argument("block_id", metavar="ID")
@json_option
@click.pass_obj
def lift(config: Path, block_id: str, as_json: bool) -> None:
    """Lift the block ID; refresh tokens that it revoked stay revoked."""
    with opened(config) as server:
        server.store.write(lambda connection: blocks.lift(connection, block_id, actor=actor(), now=now()))
        lifted = server.store.read(lambda connection: blocks.existing(connection, block_id))
    if as_json:
        print_json(_members(lifted))
    else:
        click.echo(f"lifted: {block_id}")
        note("its refresh tokens stay revoked; access tokens that have not run out are good again")


def _members(one: Block) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "sha256": one.sha256,
        "reason": one.reason,
        "by": one.actor,
        "created": time_text(one.created_at),
        "lifted": time_text(one.lifted_at),
        "lifted_by": one.lifted_by,
    }


def _obtained(obtained: Obtained) -> list[dict[str, Any]]:
    access = [
        {
            "type": "access_token",
            "client_id": token.client_id,
            "sub": token.sub,
            "scope": token.scope,
            "issued": time_text(token.issued_at),
            "expires": time_text(token.expires_at),
            "address": token.address,
            "jti": token.jti,
        }
        for token in obtained.access_tokens
    ]
    refresh = [
        {
            "type": "refresh_token",
            "client_id": token.client_id,
            "sub": token.sub,
            "scope": token.scope,
            "issued": time_text(token.issued_at),
            "expires": time_text(token.expires_at),
            "address": token.address,
            "jti": None,
        }
        for token in obtained.refresh_tokens
    ]
    return refresh + access


def _print_obtained(obtained: Obtained) -> None:
    rows = _obtained(obtained)
    if not rows:
        click.echo("it obtained nothing that is on record")
        return
    click.echo("\nit obtained:")
    print_table([name.replace("_", " ") for name in rows[0]], [list(row.values()) for row in rows])
    most = blocks.MAX_OBTAINED
    if most in {len(obtained.access_tokens), len(obtained.refresh_tokens)}:
        note(f"the newest {most} of a type are listed; there may be more")
