"""The openssl commands that make the demo's certificates; each is shown as it is run.

The expired one is why leaves come from `openssl ca`: it takes both ends of the validity in every version of openssl,
where `openssl x509` learned that in 3.4.
"""

import shlex
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

_SECONDS = 30
_CONFIG = "openssl.cnf"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_SETTINGS = """\
# What openssl needs for `req` and `ca`, so that the demo does not depend on the machine's own settings.
[req]
distinguished_name = subject
prompt = no

[ca]
default_ca = issuing

[issuing]
database = ca/issued.txt
new_certs_dir = ca
rand_serial = yes
unique_subject = no
default_md = sha256
policy = subject
x509_extensions = client

[subject]
organizationName = optional
commonName = supplied

[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash

[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""

Command = tuple[str, ...]


class OpenSSLError(RuntimeError):
    """This machine's openssl cannot do what is asked; one line says what it said."""


def authority(common_name: str, name: str) -> Command:
    """Make a CA in the folder `name`."""
    made = ("-keyout", f"{name}/key.pem", "-out", f"{name}/certificate.pem")
    extensions = ("-x509", "-extensions", "authority", "-days", "30")
    return ("openssl", "req", "-config", _CONFIG, *extensions, *_NEW_KEY, "-subj", f"/CN={common_name}", *made)


def issued(
    subject: str, name: str, *, by: str, days: int = 0, between: tuple[datetime, datetime] | None = None
) -> tuple[Command, Command]:
    """Make a key and a request in the folder `name`, and have the CA in the folder `by` issue the certificate.

    `subject` is RFC 4514 text of plain values; valid for `days` from now, or `between` two moments.
    """
    request = f"{name}/request.pem"
    validity: Command = ("-days", str(days))
    if between is not None:
        begin, end = (f"{moment:%Y%m%d%H%M%S}Z" for moment in between)
        validity = ("-startdate", begin, "-enddate", end)
    asking = ("-subj", _slashes(subject), "-keyout", f"{name}/key.pem", "-out", request)
    signing = ("-cert", f"{by}/certificate.pem", "-keyfile", f"{by}/key.pem")
    made = ("-in", request, "-out", f"{name}/certificate.pem")
    return (
        ("openssl", "req", "-config", _CONFIG, *_NEW_KEY, *asking),
        ("openssl", "ca", "-config", _CONFIG, "-batch", "-notext", *signing, *validity, *made),
    )


def self_signed(subject: str, name: str, *, days: int) -> Command:
    """Make a certificate that signs itself in the words of the original, with the machine's own settings."""
    made = ("-keyout", f"{name}/key.pem", "-out", f"{name}/client-certificate.pem")
    return (
        "openssl",
        "req",
        "-newkey",
        "rsa:2048",
        "-x509",
        "-nodes",
        "-days",
        str(days),
        "-subj",
        _slashes(subject),
        *made,
    )


def run(program: str, commands: Sequence[Command], folder: Path) -> None:
    """Run the commands with `program` in `folder`. Raises OpenSSLError."""
    (folder / _CONFIG).write_text(_SETTINGS, "utf-8")
    (folder / "ca/issued.txt").touch()
    for _, *arguments in commands:
        try:
            subprocess.run(  # noqa: S603  our own commands, by the openssl on the caller's PATH
                [program, *arguments],
                cwd=folder,
                check=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
            raise OpenSSLError(f"openssl {arguments[0]} failed and said: {said[-1]}") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise OpenSSLError(f"openssl {arguments[0]} failed: {error}") from None


def line(command: Command) -> str:
    """Give a command as it is typed."""
    return shlex.join(command)


def _slashes(subject: str) -> str:
    """Turn RFC 4514 text without special characters into openssl's way, which begins at the other end."""
    return "".join(f"/{part}" for part in reversed(subject.split(",")))
