"""`certbound trust add`: the CA certificates of a file, or of a SPIFFE bundle, into a trust store."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import click

from certbound.authority import trust, trust_bundles
from certbound.certificates.files import CertificateFileError, Entry
from certbound.certificates.spiffe import SpiffeError, parse_bundle
from certbound.cli.deployment import actor, now, opened
from certbound.cli.files import FileError, read_bytes
from certbound.cli.output import json_option, print_json, time_text
from certbound.cli.passwords import password_option, read_protected
from certbound.store.engine import Connection
from certbound.store.trust import TrustCertificate

_EXAMPLES = """\b
Examples:
  certbound trust add partners partner-ca.pem
  certbound trust add partners truststore.jks --alias one --alias two
  certbound trust add partners issuing-ca.pem --intermediate
  certbound trust add mesh bundle.json --trust-domain example.org
"""


@click.command("add", epilog=_EXAMPLES)
@click.argument("store")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--intermediate", is_flag=True, help="The certificates only complete paths: none may end at them.")
@click.option("--alias", "aliases", metavar="A", multiple=True, help="Only this entry (PKCS#12, JKS); again for more.")
@password_option("File with the password of a PKCS#12 or JKS file.")
@click.option("--trust-domain", metavar="TD", help="The SPIFFE trust domain that a bundle is of.")
@json_option
@click.pass_obj
def command(
    config: Path,
    /,
    *,
    store: str,
    file: Path,
    password_file: Path | None,
    trust_domain: str | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Add the CA certificates of a file to a trust store.

    FILE is PEM, DER, PKCS#12 or JKS, told by its content; the store is made where it is new.

    FILE may also be a SPIFFE bundle, a JWK Set: then its certificates become the store's anchors, in the place of those
    of the bundle before.
    """
    data = read_bytes(file)
    if data.lstrip()[:1] == b"{":
        if how["intermediate"] or how["aliases"]:
            raise click.UsageError("a SPIFFE bundle is taken as a whole: without --intermediate and --alias")
        _replace(config, store, data, file, trust_domain=trust_domain, as_json=as_json)
        return
    if trust_domain is not None:
        raise click.UsageError("--trust-domain goes with a SPIFFE bundle; `trust update` sets it for other stores")
    _add(config, store, read_protected(data, file, password_file), file, as_json, **how)


def certificate_members(certificate: TrustCertificate) -> dict[str, Any]:
    """Give the members that `trust show --json` prints for a certificate."""
    return {
        "id": certificate.id,
        "kind": certificate.kind,
        "alias": certificate.alias,
        "subject": certificate.subject,
        "not_after": time_text(certificate.not_after),
        "added": time_text(certificate.added),
        "disabled": certificate.disabled,
    }


def _add(
    config: Path,
    store: str,
    entries: Collection[Entry],
    file: Path,
    as_json: bool,
    *,
    aliases: tuple[str, ...],
    intermediate: bool,
) -> None:
    chosen = _chosen(entries, aliases, file)

    def change(connection: Connection) -> tuple[TrustCertificate, ...]:
        return trust.add(
            connection,
            store,
            [entry.certificate for entry in chosen],
            intermediate=intermediate,
            aliases={entry.certificate.sha256: entry.alias for entry in chosen if entry.alias is not None},
            actor=actor(),
            now=now(),
        )

    with opened(config) as server:
        added = server.store.write(change)
    if as_json:
        print_json({"store": store, "added": [certificate_members(certificate) for certificate in added]})
    else:
        _print_added(store, added, file)


def _replace(config: Path, store: str, data: bytes, file: Path, *, trust_domain: str | None, as_json: bool) -> None:
    try:
        bundle = parse_bundle(data)
    except SpiffeError as error:
        raise FileError(f"{file}: {error}") from None
    with opened(config) as server:
        change = server.store.write(
            lambda connection: trust_bundles.replace_bundle(
                connection, store, bundle, trust_domain=trust_domain, actor=actor(), now=now()
            )
        )
        domain = server.store.read(lambda connection: trust.existing(connection, store)).trust_domain
    if as_json:
        changed = {"added": change.added, "removed": change.removed}
        members = {name: [certificate_members(one) for one in found] for name, found in changed.items()}
        print_json({"store": store, "trust_domain": domain} | members)
        return
    _print_added(store, change.added, file)
    for certificate in change.removed:
        click.echo(f"removed from {store}: {certificate.subject}")


def _print_added(store: str, added: Sequence[TrustCertificate], file: Path) -> None:
    for certificate in added:
        click.echo(f"added to {store} as {certificate.kind}: {certificate.subject or certificate.id}")
    if not added:
        click.echo(f"{store} holds all of {file} already")


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
