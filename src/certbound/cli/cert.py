"""`certbound cert`: certificates to try things with, and what stands in any certificate."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from certbound.certificates.files import read_certificate, read_certificates, read_entries
from certbound.certificates.issue import (
    KEYS,
    IssuedCertificate,
    LeafRequest,
    issue,
    new_authority,
    self_signed,
    subject_of,
)
from certbound.certificates.names import DistinguishedName, parse_rfc4514
from certbound.certificates.pasted import parse_pasted
from certbound.cli.certificate_facts import certificate_members, print_certificate
from certbound.cli.files import FileError, read_bytes, read_password, refuse_existing, write_new
from certbound.cli.output import json_option, note, print_facts, print_json, time_text

_FILE = click.Path(path_type=Path)
_COMMON_NAME = "2.5.4.3"
_NEW_EXAMPLES = """\b
Examples:
  certbound cert new --cn probe --self-signed --out probe
  certbound cert new --cn orders --ca my-ca --out orders
"""


@click.group("cert")
def command() -> None:
    """Make certificates for development, and explain any certificate."""


@command.command("new", epilog=_NEW_EXAMPLES)
@click.option("--cn", "common_name", metavar="CN", help="The common name.")
@click.option("--subject", metavar="DN", help="The whole subject (RFC 4514); without a CN in it, what follows --cn.")
@click.option("--san-dns", metavar="D", multiple=True, help="A DNS name for the subject alternative names.")
@click.option("--san-uri", metavar="U", multiple=True, help="A URI for them.")
@click.option("--san-ip", metavar="I", multiple=True, help="An IP address for them.")
@click.option("--san-email", metavar="E", multiple=True, help="An e-mail address for them.")
@click.option("--days", type=click.IntRange(1, 36_500), default=365, show_default=True, help="How long it is valid.")
@click.option("--key", type=click.Choice(KEYS), default="p256", show_default=True, help="The kind of key to make.")
@click.option("--server", is_flag=True, help="For a TLS server too, not only for a client.")
@click.option("--ca", metavar="DIR", type=_FILE, help="Issued by the CA in DIR, which is made where there is none.")
@click.option("--self-signed", "by_itself", is_flag=True, help="Signed by itself; so it is without --ca.")
@click.option("--out", metavar="DIR", type=_FILE, required=True, help="Where the three files go.")
@json_option
def new(*, ca: Path | None, by_itself: bool, out: Path, as_json: bool, **wanted: Any) -> None:
    """Make a key and a certificate for development: certificate.pem, key.pem and chain.pem in a folder.

    chain.pem holds what somebody must trust to trust the certificate. Nothing is ever overwritten.
    """
    if ca is not None and by_itself:
        raise click.UsageError("a certificate is signed by the --ca or by itself, not both")
    request = _request(**wanted)
    refuse_existing(*(out / name for name in ("certificate.pem", "key.pem", "chain.pem")))
    now = datetime.now(UTC)
    made = self_signed(request, now=now) if ca is None else _issued(request, ca, now)
    _write(out, made)
    certificate = read_certificate(made.certificate_pem, str(out))
    described = {
        "certificate": str((out / "certificate.pem").resolve()),
        "key": str((out / "key.pem").resolve()),
        "chain": str((out / "chain.pem").resolve()),
        "subject": certificate.subject.text,
        "not_after": time_text(certificate.not_after),
        "sha256": certificate.sha256.hex(),
        "x5t#S256": certificate.x5t_s256,
    }
    if as_json:
        print_json(described)
    else:
        print_facts(described)


@command.command("show")
@click.argument("file", type=_FILE)
@click.option("--password-file", metavar="FILE", type=_FILE, help="Opens a PKCS#12 or JKS file.")
@json_option
def show(file: Path, password_file: Path | None, as_json: bool) -> None:
    """Explain the certificates in FILE (PEM, DER, PKCS#12, JKS), with the subject ready to paste in RFC 4514."""
    password = read_password(password_file) if password_file is not None else None
    entries = read_entries(read_bytes(file), str(file), password)
    now = datetime.now(UTC)
    if as_json:
        print_json([certificate_members(entry.certificate, entry.alias, now) for entry in entries])
        return
    for number, entry in enumerate(entries):
        if number:
            click.echo()
        print_certificate(entry.certificate, entry.alias, now)


@command.command("export-server")
@click.option(
    "--format", "form", type=click.Choice(["pem"]), default="pem", show_default=True, help="The file's format."
)
@click.option("--out", metavar="FILE", type=_FILE, required=True, help="The file to write.")
@json_option
@click.pass_obj
def export_server(config: Path, form: str, out: Path, as_json: bool) -> None:
    """Write the server's own certificate and its chain to a file, for clients to trust."""
    from certbound.certificates.export import write_pem
    from certbound.config.loading import load_settings

    files = [listener.tls_certificate for listener in load_settings(config).listener]
    file = next((file for file in files if file is not None), None)
    if file is None:
        raise FileError(f"{config}: no listener has a certificate")
    certificates = read_certificates(read_bytes(file), str(file))
    write_new(out, write_pem(certificates))
    if as_json:
        print_json({"file": str(out.resolve()), "format": form, "certificates": len(certificates)})
    else:
        click.echo(f"wrote {out}: {certificates[0].subject.text}")


def _request(
    *,
    common_name: str | None,
    subject: str | None,
    san_dns: tuple[str, ...],
    san_uri: tuple[str, ...],
    san_ip: tuple[str, ...],
    san_email: tuple[str, ...],
    days: int,
    key: str,
    server: bool,
) -> LeafRequest:
    return LeafRequest(
        subject=_subject(common_name, subject),
        san_dns=san_dns,
        san_uri=san_uri,
        san_ip=san_ip,
        san_email=san_email,
        purposes=("client", "server") if server else ("client",),
        days=days,
        key=key,
    )


def _subject(common_name: str | None, subject: str | None) -> str:
    if subject is None:
        if not common_name:
            raise click.UsageError("give --cn, or a whole subject with --subject")
        return subject_of(common_name)
    name, warnings = parse_pasted(subject)
    for warning in warnings:
        note(f"--subject {warning}")
    if common_name is None:
        return name.text
    own = name.values(_COMMON_NAME)
    if own and own != (common_name,):
        raise click.UsageError(f"--subject has another CN than --cn: {', '.join(own)}")
    return name.text if own else DistinguishedName((*parse_rfc4514(subject_of(common_name)).rdns, *name.rdns)).text


def _issued(request: LeafRequest, folder: Path, now: datetime) -> IssuedCertificate:
    authority = _authority(folder, now)
    try:
        return issue(request, authority, now=now)
    except TypeError:  # cryptography's word for a key that asks for its password
        raise FileError(f"{folder / 'key.pem'}: the key is encrypted: give a CA whose key is not") from None


def _authority(folder: Path, now: datetime) -> IssuedCertificate:
    """Load the CA of a folder, or make one where the folder is empty or missing."""
    files = [folder / name for name in ("certificate.pem", "key.pem", "chain.pem")]
    if not folder.exists() or not any(folder.iterdir()):
        made = new_authority(f"CN=certbound development CA {now:%Y-%m-%d %H:%M:%S}", now=now)
        _write(folder, made)
        note(f"a new development CA was made in {folder}: trust it with `certbound trust add STORE {files[0]}`")
        return made
    authority = read_certificate(read_bytes(files[0]), str(files[0]))
    if not authority.is_ca:
        raise FileError(f"{files[0]}: is not a CA's certificate: it can issue none")
    key = read_bytes(files[1])
    if b"PRIVATE KEY-----" not in key:
        raise FileError(f"{files[1]}: holds no private key in PEM")
    chain = b"" if authority.is_self_issued or not files[2].exists() else read_bytes(files[2])
    return IssuedCertificate(read_bytes(files[0]), key, chain)


def _write(folder: Path, made: IssuedCertificate) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_new(folder / "key.pem", made.key_pem, secret=True)
    write_new(folder / "certificate.pem", made.certificate_pem)
    write_new(folder / "chain.pem", made.chain_pem or made.certificate_pem)
