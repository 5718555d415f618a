"""A new installation: a folder with settings, a development certificate, keys, a database and an administrator.

The settings are written last, so that a folder that has them is whole. Nothing is ever overwritten.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from certbound.authority import keys, people
from certbound.certificates.issue import IssuedCertificate, LeafRequest, self_signed
from certbound.config.loading import DEFAULT_FILE
from certbound.jose.keys import ALGORITHMS
from certbound.jose.sealing import generate_master_key
from certbound.store.engine import Connection, Store
from certbound.store.upgrading import upgrade

ADMINISTRATOR = "admin"
CERTIFICATE_DAYS = 825
_DATABASE = "certbound.db"
_FILES = (DEFAULT_FILE, _DATABASE, f"{_DATABASE}-wal", f"{_DATABASE}-shm", "master.key", "server.crt", "server.key")
_SETTINGS = """\
# The settings of one certbound server. Paths are relative to this file. CERTBOUND__SECTION__KEY in the environment
# overrides a setting. What else can be set: docs/settings.md.

# The server's name: tokens carry it as `iss`, and its URLs begin with it.
issuer = "{issuer}"

[store]
url = "sqlite:///certbound.db"       # or postgresql://user@host/database
master_key_file = "master.key"       # seals the signing keys: keep a copy of it apart from the database's

[[listener]]
name = "main"
bind = "{bind}"
client_certificate = "want"          # none | want | require; who a certificate means is decided per client
tls_certificate = "server.crt"       # for development: put a certificate of your own here
tls_key = "server.key"

[oauth]
password_grant = {password_grant}               # for old clients only: RFC 9700 section 2.4 says it must not be used
# default_audience = "https://api.example.com"

# [lifetimes]
# access_token = 300                 # seconds
"""


class InstallationError(RuntimeError):
    """The installation cannot be made there; one line says why and what to do."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What was made. The administrator's password is in here and kept nowhere else."""

    folder: Path
    issuer: str
    admin_password: str = field(repr=False)
    admin_user: str = ADMINISTRATOR

    @property
    def config(self) -> Path:
        """Give the settings file."""
        return self.folder / DEFAULT_FILE

    @property
    def server_certificate(self) -> Path:
        """Give the server's certificate, which clients can use as their CA file."""
        return self.folder / "server.crt"

    @property
    def server_key(self) -> Path:
        """Give the private key of the server's certificate."""
        return self.folder / "server.key"


def install(
    folder: Path, *, issuer: str, bind: str, actor: str, now: datetime, password_grant: bool = False
) -> Installation:
    """Make an installation in `folder`, which may hold other files but none of these. Raises InstallationError."""
    folder = folder.resolve()
    made = Installation(folder, issuer, secrets.token_urlsafe(18))
    _refuse_used(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _taking_the_folder(folder) as master_key:
            server = _server_certificate(issuer, bind.rpartition(":")[0].strip("[]"), now)
            _write_new(made.server_key, server.key_pem, mode=0o600)
            _write_new(made.server_certificate, server.certificate_pem, mode=0o644)
            _fill_database(folder / _DATABASE, master_key, made, actor=actor, at=int(now.timestamp()))
            text = _SETTINGS.format(issuer=issuer, bind=bind, password_grant=str(password_grant).lower())
            _write_new(made.config, text.encode(), mode=0o644)
    except OSError as error:
        raise InstallationError(f"{error.filename or folder}: {error.strerror}") from None
    return made


def _refuse_used(folder: Path) -> None:
    if os.path.lexists(folder / DEFAULT_FILE):
        raise InstallationError(f"nothing is overwritten, and there is already: {folder / DEFAULT_FILE}")
    left = [name for name in _FILES if os.path.lexists(folder / name)]
    if left:
        raise InstallationError(
            f"{folder}: nothing is overwritten, and there is already {', '.join(left)}: "
            "if an init was interrupted here, remove that and repeat"
        )


@contextmanager
def _taking_the_folder(folder: Path) -> Iterator[bytes]:
    """Write the master key, which of two at the same time only one can; take all away where making the rest fails."""
    master_key = generate_master_key()
    _write_new(folder / "master.key", master_key, mode=0o600)
    try:
        yield master_key
    except BaseException:
        for name in _FILES:
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
        raise


def _fill_database(database: Path, master_key: bytes, made: Installation, *, actor: str, at: int) -> None:
    url = f"sqlite:///{database}"
    upgrade(url)

    def first(connection: Connection) -> None:
        keys.rotate(connection, master_key, algorithm=ALGORITHMS[0], actor=actor, now=at)
        people.add(
            connection, username=made.admin_user, password=made.admin_password, operator=True, actor=actor, now=at
        )

    with Store(url) as store:
        store.write(first)


def _server_certificate(issuer: str, bound: str, now: datetime) -> IssuedCertificate:
    """Make a certificate for the local machine and the issuer's host, which is its own CA file for clients."""
    names = dict.fromkeys(["localhost", "127.0.0.1", "::1", urlsplit(issuer).hostname or "", bound])
    addresses = [name for name in names if _is_address(name)]
    request = LeafRequest(
        subject="CN=certbound development server",
        san_dns=[name for name in names if name and name not in addresses],
        san_ip=[name for name in addresses if not ip_address(name).is_unspecified],
        purposes=("server",),
        days=CERTIFICATE_DAYS,
    )
    return self_signed(request, now=now)


def _is_address(name: str) -> bool:
    try:
        return ip_address(name) is not None
    except ValueError:
        return False


def _write_new(path: Path, content: bytes, *, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
