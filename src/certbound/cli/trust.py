"""`certbound trust`: named trust stores, whose authorities may vouch for clients."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click

from certbound.authority import trust
from certbound.certificates.files import CertificateFileError, Entry
from certbound.cli import trust_export
from certbound.cli.deployment import actor, now, opened
from certbound.cli.output import json_option, note, print_facts, print_json, print_table, time_text
from certbound.cli.passwords import password_option, read_protected
from certbound.cli.thumbprint import Thumbprint
from certbound.store import clients as stored_clients
from certbound.store import trust as stored_trust
from certbound.store.engine import Connection
from certbound.store.trust import TrustCertificate


@click.group("trust")
def command() -> None:
    """Say which authorities may vouch for clients."""


command.add_command(trust_export.command)


@command.command("add")
@click.argument("store")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--intermediate", is_flag=True, help="The certificates only complete paths: none may end at them.")
@click.option(
    "--alias",
    "aliases",
    metavar="A",
    multiple=True,
    help="Only the entry of this name (PKCS#12, JKS); again for more of them.",
)
@password_option("File with the password of a PKCS#12 or JKS file.")
@json_option
@click.pass_obj
def add(
    config: Path,
    /,
    *,
    store: str,
    file: Path,
    intermediate: bool,
    aliases: tuple[str, ...],
    password_file: Path | None,
    as_json: bool,
) -> None:
    """Add the CA certificates in FILE (PEM, DER, PKCS#12, JKS) to a trust store, made where it is new.

    Example: certbound trust add partners partner-ca.pem
    """
    entries = _chosen(read_protected(file, password_file), aliases, file)

    def change(connection: Connection) -> tuple[TrustCertificate, ...]:
        return trust.add(
            connection,
            store,
            [entry.certificate for entry in entries],
            intermediate=intermediate,
            aliases={entry.certificate.sha256: entry.alias for entry in entries if entry.alias is not None},
            actor=actor(),
            now=now(),
        )

    with opened(config) as server:
        added = server.store.write(change)
    if as_json:
        print_json({"store": store, "added": [_members(certificate) for certificate in added]})
        return
    for certificate in added:
        click.echo(f"added to {store} as {certificate.kind}: {certificate.subject}")
    if not added:
        click.echo(f"{store} holds all of {file} already")


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
        print_table(list(found[0]), [list(row.values()) for row in found])


@command.command("show")
@click.argument("store")
@json_option
@click.pass_obj
def show(config: Path, store: str, as_json: bool) -> None:
    """Show what a trust store holds, and which clients rely on it."""
    with opened(config) as server:
        held, relying = server.store.read(lambda connection: trust.show(connection, store))
    if as_json:
        print_json(
            {"store": store, "certificates": [_members(certificate) for certificate in held], "clients": list(relying)}
        )
        return
    print_facts({"store": store, "clients": ", ".join(relying) or "none"})
    print_table(
        ("id", "kind", "alias", "subject", "not after", "state"),
        [
            (c.id, c.kind, c.alias, c.subject, time_text(c.not_after), "disabled" if c.disabled else "enabled")
            for c in held
        ],
    )


@command.command("remove")
@click.argument("store")
@click.argument("certificate_id", metavar="ID", type=Thumbprint())
@json_option
@click.pass_obj
def remove(config: Path, store: str, certificate_id: str, as_json: bool) -> None:
    """Remove the certificate with the SHA-256 thumbprint ID: it vouches for nobody any more."""
    _change(
        config,
        store,
        lambda connection: trust.remove(connection, store, certificate_id, actor=actor(), now=now()),
    )
    if as_json:
        print_json({"store": store, "removed": certificate_id})
    else:
        click.echo(f"removed from {store}: {certificate_id}")


@command.command("disable")
@click.argument("store")
@click.argument("certificate_id", metavar="ID", type=Thumbprint())
@json_option
@click.pass_obj
def disable(config: Path, store: str, certificate_id: str, as_json: bool) -> None:
    """Let the certificate with the SHA-256 thumbprint ID vouch for nobody, but keep it in the store."""
    _set_disabled(config, store, certificate_id, as_json, disabled=True)


@command.command("enable")
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
        print_json({"store": store} | _members(changed))
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


def _chosen(entries: Collection[Entry], aliases: tuple[str, ...], file: Path) -> list[Entry]:
    """Give the entries of these aliases, or those that are trusted in the file, without the chain of a private key."""
    if not aliases:
        return [entry for entry in entries if not entry.is_chain] or list(entries)
    known = {entry.alias for entry in entries if entry.alias is not None}
    missing = [alias for alias in aliases if alias not in known]
    if missing:
        raise CertificateFileError(
            f"{file}: there is no alias {missing[0]!r} in it, but {', '.join(sorted(known)) or 'none at all'}"
        )
    return [entry for entry in entries if entry.alias in aliases]


def _members(certificate: TrustCertificate) -> dict[str, Any]:
    return {
        "id": certificate.id,
        "kind": certificate.kind,
        "alias": certificate.alias,
        "subject": certificate.subject,
        "not_after": time_text(certificate.not_after),
        "added": time_text(certificate.added),
        "disabled": certificate.disabled,
    }
