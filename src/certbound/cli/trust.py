"""`certbound trust`: named trust stores, whose authorities may vouch for clients."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from certbound.authority import revocation_lists, trust, trust_policies
from certbound.authority.trust_policies import TrustPolicy
from certbound.cli import trust_add, trust_crl, trust_export, trust_policy
from certbound.cli.deployment import actor, now, opened
from certbound.cli.output import json_option, note, print_facts, print_json, print_table, time_text
from certbound.cli.thumbprint import Thumbprint, ThumbprintCommand
from certbound.cli.trust_add import certificate_members
from certbound.store import clients as stored_clients
from certbound.store import trust as stored_trust
from certbound.store.engine import Connection
from certbound.store.revocation import StoredCRL
from certbound.store.trust import TrustCertificate


@click.group("trust")
def command() -> None:
    """Say which authorities may vouch for clients."""


for _part in (trust_add, trust_crl, trust_export, trust_policy):
    command.add_command(_part.command)


@command.command("list")
@json_option
@click.pass_obj
def list_stores(config: Path, as_json: bool) -> None:
    """List the trust stores."""

    def read(connection: Connection) -> list[dict[str, Any]]:
        return [
            {
                "store": store.name,
                "anchors": store.anchors,
                "intermediates": store.intermediates,
                "revocation": store.revocation,
                "trust_domain": store.trust_domain,
                "clients": len(stored_clients.relying_on(connection, store.name)),
                "created": time_text(store.created_at),
            }
            for store in stored_trust.stores(connection)
        ]

    with opened(config) as server:
        found = server.store.read(read)
    if as_json:
        print_json(found)
    elif not found:
        click.echo("no trust stores yet: make one with `certbound trust add STORE FILE`")
    else:
        print_table([name.replace("_", " ") for name in found[0]], [list(row.values()) for row in found])


@command.command("show")
@click.argument("store")
@json_option
@click.pass_obj
def show(config: Path, store: str, as_json: bool) -> None:
    """Show a trust store: its policy, certificates, CRLs and clients."""

    def read(connection: Connection) -> tuple[TrustPolicy, tuple[StoredCRL, ...], list[str]]:
        policy = trust_policies.policy(connection, store)
        return policy, revocation_lists.listed(connection, store), trust_policy.warnings(connection, store)

    with opened(config) as server:
        held, relying = server.store.read(lambda connection: trust.show(connection, store))
        policy, crls, told = server.store.read(read)
    for text in told:
        note(text)
    if as_json:
        bundle = {"bundle_refresh": policy.store.bundle_refresh, "bundle_sequence": policy.store.bundle_sequence}
        members = {
            "certificates": [certificate_members(certificate) for certificate in held],
            "crls": [trust_crl.crl_members(crl, now()) for crl in crls],
            "clients": list(relying),
        }
        print_json({"store": store} | policy.as_members() | bundle | members)
        return
    print_facts({"store": store, "clients": ", ".join(relying) or "none"} | trust_policy.policy_facts(policy))
    click.echo()
    _print_certificates(held)
    if crls:
        click.echo()
        trust_crl.print_crls(crls)


def _print_certificates(held: Sequence[TrustCertificate]) -> None:
    print_table(
        ("id", "kind", "alias", "subject", "not after", "state"),
        [
            (c.id, c.kind, c.alias, c.subject, time_text(c.not_after), "disabled" if c.disabled else "enabled")
            for c in held
        ],
    )


@command.command("remove", cls=ThumbprintCommand)
@click.argument("store")
@click.argument("certificate_id", metavar="ID", type=Thumbprint())
@json_option
@click.pass_obj
def remove(config: Path, store: str, certificate_id: str, as_json: bool) -> None:
    """Remove a certificate from a trust store.

    ID is its SHA-256 thumbprint in `trust show`. It vouches for nobody any more, in running servers within
    two seconds.
    """
    _change(
        config,
        store,
        lambda connection: trust.remove(connection, store, certificate_id, actor=actor(), now=now()),
    )
    if as_json:
        print_json({"store": store, "removed": certificate_id})
    else:
        click.echo(f"removed from {store}: {certificate_id}")


@command.command("disable", cls=ThumbprintCommand)
@click.argument("store")
@click.argument("certificate_id", metavar="ID", type=Thumbprint())
@json_option
@click.pass_obj
def disable(config: Path, store: str, certificate_id: str, as_json: bool) -> None:
    """Let a certificate vouch for nobody, but keep it in the store.

    ID is its SHA-256 thumbprint in `trust show`; `trust enable` takes it back.
    """
    _set_disabled(config, store, certificate_id, as_json, disabled=True)


@command.command("enable", cls=ThumbprintCommand)
@click.argument("store")
@click.argument("certificate_id", metavar="ID", type=Thumbprint())
@json_option
@click.pass_obj
def enable(config: Path, store: str, certificate_id: str, as_json: bool) -> None:
    """Let a disabled certificate vouch again."""
    _set_disabled(config, store, certificate_id, as_json, disabled=False)


def _set_disabled(config: Path, store: str, certificate_id: str, as_json: bool, *, disabled: bool) -> None:
    held = _change(
        config,
        store,
        lambda connection: trust.set_disabled(
            connection, store, certificate_id, disabled=disabled, actor=actor(), now=now()
        ),
    )
    [changed] = [certificate for certificate in held if certificate.id == certificate_id]
    if as_json:
        print_json({"store": store} | certificate_members(changed))
    else:
        click.echo(f"{'disabled' if disabled else 'enabled'} in {store}: {changed.subject}")


def _change(config: Path, store: str, work: Callable[[Connection], None]) -> tuple[TrustCertificate, ...]:
    """Change a store, warn where nobody vouches for its clients any more, and give what it holds."""

    def change(connection: Connection) -> tuple[tuple[TrustCertificate, ...], tuple[str, ...]]:
        work(connection)
        return trust.show(connection, store)

    with opened(config) as server:
        held, relying = server.store.write(change)
    if relying and not any(certificate.kind == "anchor" and not certificate.disabled for certificate in held):
        note(f"{store} has no anchor in force now, so nobody vouches for {', '.join(relying)} through it")
    return held
