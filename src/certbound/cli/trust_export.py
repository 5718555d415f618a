"""`certbound trust export`: a trust store as a file that other programs read."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from certbound.authority import trust
from certbound.certificates.certificate import Certificate, parse_certificate
from certbound.certificates.export import write_jks, write_pem, write_pkcs12
from certbound.cli.deployment import now, opened
from certbound.cli.files import refuse_existing, write_new
from certbound.cli.output import json_option, note, print_json
from certbound.cli.passwords import new_password, password_option
from certbound.store.trust import TrustCertificate

#: What keytool asks of a password.
_LEAST_PASSWORD = 6


@click.command("export")
@click.argument("store")
@click.option("--format", "form", type=click.Choice(["pem", "p12", "jks"]), required=True, help="The file's format.")
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path), required=True, help="The file to write, a new one."
)
@password_option("File with the password that a p12 or jks file gets.")
@click.option("--intermediate", is_flag=True, help="Write the intermediates instead of the anchors.")
@json_option
@click.pass_obj
def command(
    config: Path, /, *, store: str, form: str, out: Path, password_file: Path | None, intermediate: bool, as_json: bool
) -> None:
    """Write the anchors of a trust store to a file.

    PKCS#12 and JKS are as Java reads them. Disabled anchors are left out. So are intermediates, since
    whoever reads the file would trust them as anchors.

    Example: certbound trust export partners --format jks --out partners.jks
    """
    refuse_existing(out)
    with opened(config) as server:
        held, _ = server.store.read(lambda connection: trust.show(connection, store))
    kind = "intermediate" if intermediate else "anchor"
    wanted = [certificate for certificate in held if certificate.kind == kind and not certificate.disabled]
    if not wanted:
        raise trust.TrustError(f"trust store {store!r} has no {kind} in force: there is nothing to export")
    write_new(out, _written(wanted, form, out, password_file))
    if not intermediate and any(certificate.kind == "intermediate" for certificate in held):
        note(f"the intermediates of {store} are not in {out}: --intermediate writes them, to a file of their own")
    if as_json:
        print_json({"file": str(out.resolve()), "format": form, "certificates": len(wanted)})
    else:
        click.echo(f"wrote {out}: {len(wanted)} certificate{'s' if len(wanted) > 1 else ''} of {store}")


def _written(wanted: Sequence[TrustCertificate], form: str, out: Path, password_file: Path | None) -> bytes:
    certificates = [parse_certificate(certificate.der) for certificate in wanted]
    if form == "pem":
        return write_pem(certificates)
    aliases = _aliases(wanted, certificates)
    pairs = list(zip(aliases, certificates, strict=True))
    password = new_password(out, password_file, least=_LEAST_PASSWORD)
    return write_pkcs12(pairs, password) if form == "p12" else write_jks(pairs, password, now=now())


def _aliases(wanted: Sequence[TrustCertificate], certificates: Sequence[Certificate]) -> Iterator[str]:
    """Give each the alias that it came with, or its subject; a number after those that Java would take for one."""
    used: set[str] = set()
    for held, certificate in zip(wanted, certificates, strict=True):
        plain = held.alias or certificate.subject.text or held.id
        alias, number = plain, 1
        while alias.lower() in used:
            number += 1
            alias = f"{plain} {number}"
        used.add(alias.lower())
        yield alias
