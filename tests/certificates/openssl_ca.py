"""A certificate authority run by `openssl ca` and `openssl ocsp`: nothing of it is certbound's own making."""

import copy
import itertools
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from certbound.certificates.certificate import Certificate, parse_certificate

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
_CONFIG = """
[ca]
default_ca = own
[own]
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 30
default_crl_days = 7
unique_subject = no
policy = any
[any]
commonName = supplied
[leaf]
basicConstraints = critical,CA:FALSE
[sub]
basicConstraints = critical,CA:TRUE
keyUsage = keyCertSign,cRLSign
[without_crl_sign]
basicConstraints = critical,CA:TRUE
keyUsage = keyCertSign
[responder]
extendedKeyUsage = OCSPSigning
[responder_that_may_not_sign]
keyUsage = keyEncipherment
extendedKeyUsage = OCSPSigning
[root]
basicConstraints = critical,CA:TRUE
[crl]
authorityKeyIdentifier = keyid
"""


def stamp(at: datetime) -> str:
    """Write a time as the openssl program takes it."""
    return at.strftime("%Y%m%d%H%M%SZ")


class OpenSSLCA:
    """A CA with its database in a folder of its own; with an `issuer` it is a subordinate one."""

    def __init__(
        self,
        folder: Path,
        name: str = "CA",
        *,
        issuer: "OpenSSLCA | None" = None,
        key: tuple[str, ...] = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        extensions: str = "",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name = folder, name
        self._names = itertools.count()
        (folder / "ca.cnf").write_text(_CONFIG)
        (folder / "index.txt").touch()
        (folder / "serial").write_text("1000\n")
        (folder / "crlnumber").write_text("01\n")
        if issuer:
            self.certificate = issuer.issue(name, extensions or "sub", file=folder / "ca", key=key)
        else:
            section = ("-config", "ca.cnf", "-extensions", extensions or "root")
            new = ("req", "-x509", "-newkey", *key, "-nodes", "-keyout", "ca.key", "-out", "ca.pem")
            with (folder / "ca.cnf").open("a") as config:
                config.write("[req]\ndistinguished_name = dn\n[dn]\n")
            self(*new, "-subj", f"/CN={name}", "-days", "60", *section)
            self.certificate = self.read("ca.pem")

    def copy(self, folder: Path) -> "OpenSSLCA":
        """Copy the CA with all it knows, as making one anew takes longer."""
        shutil.copytree(self.folder, folder)
        twin = copy.copy(self)
        twin.folder = folder
        return twin

    def __call__(self, *arguments: str | Path, stdin: bytes = b"") -> bytes:
        ran = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, cwd=self.folder, check=False)
        assert ran.returncode == 0, ran.stderr.decode()
        return ran.stdout

    def configure(self, text: str) -> None:
        """Add sections to the configuration."""
        with (self.folder / "ca.cnf").open("a") as config:
            config.write(f"\n{text}\n")

    def read(self, path: str | Path) -> Certificate:
        return parse_certificate(self("x509", "-in", path, "-outform", "DER"))

    def issue(
        self,
        name: str,
        extensions: str = "leaf",
        *options: str,
        file: Path | None = None,
        key: tuple[str, ...] = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
    ) -> Certificate:
        """Issue CN=`name` and leave FILE.pem and FILE.key, by default named after it."""
        file = file or self.folder / name
        request = ("req", "-new", "-newkey", *key, "-nodes", "-keyout", f"{file}.key", "-subj", f"/CN={name}")
        self(*request, "-out", f"{file}.csr")
        made = ("ca", "-config", "ca.cnf", "-batch", "-notext", "-extensions", extensions, *options)
        self(*made, "-in", f"{file}.csr", "-out", f"{file}.pem")
        return self.read(f"{file}.pem")

    def revoke(self, name: str, reason: str = "keyCompromise") -> None:
        self("ca", "-config", "ca.cnf", "-revoke", f"{name}.pem", "-crl_reason", reason)

    def rewrite(self, name: str, before: str, after: str) -> None:
        """Change the certificate's line in the database, as `openssl ca` revokes only once."""
        serial = f"\t{self.read(f'{name}.pem').serial_number:X}\t"
        lines = (self.folder / "index.txt").read_text().splitlines(keepends=True)
        changed = [line.replace(before, after) if serial in line else line for line in lines]
        assert changed != lines
        (self.folder / "index.txt").write_text("".join(changed))

    def crl(
        self,
        *options: str,
        extensions: str = "crl",
        begins: datetime = NOW - timedelta(hours=1),
        ends: datetime = NOW + DAY,
        number: int | None = None,
    ) -> bytes:
        """Publish a CRL, PEM."""
        if number is not None:
            (self.folder / "crlnumber").write_text(f"{number:04X}\n")
        times = ("-crl_lastupdate", stamp(begins), "-crl_nextupdate", stamp(ends))
        return self("ca", "-config", "ca.cnf", "-gencrl", "-crlexts", extensions, *times, *options)

    def der_crl(self, pem: bytes) -> bytes:
        return self("crl", "-outform", "DER", stdin=pem)

    def answer(self, request: bytes, *options: str, signer: str = "ca") -> bytes:
        """Let `openssl ocsp` answer; it takes the time from the clock."""
        number = next(self._names)
        (self.folder / f"{number}.req").write_bytes(request)
        responder = ("-index", "index.txt", "-CA", "ca.pem", "-rsigner", f"{signer}.pem", "-rkey", f"{signer}.key")
        self("ocsp", *responder, "-reqin", f"{number}.req", "-respout", f"{number}.resp", *options)
        return (self.folder / f"{number}.resp").read_bytes()
