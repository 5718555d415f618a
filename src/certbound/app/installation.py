"""A new installation: a folder with settings, a certificate, keys, a database and its first administrator.

Everything is made aside first and moved in at the end, the settings last: a folder with settings is complete.
"""

import os
import secrets
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from certbound.authority import keys, people
from certbound.certificates.issue import LeafRequest, self_signed, subject_of
from certbound.config.loading import DEFAULT_FILE, load_settings
from certbound.jose.sealing import generate_master_key
from certbound.store.engine import Connection, Store
from certbound.store.upgrading import upgrade

ADMIN = "admin"
CERTIFICATE_DAYS = 825
_CONTENTS = ("data", "master.key", "server.key", "server.crt", DEFAULT_FILE)
_PRIVATE, _PUBLIC = 0o600, 0o644
_LOCAL_NAMES, _LOCAL_ADDRESSES = ("localhost",), ("127.0.0.1", "::1")


class InstallationError(RuntimeError):
    """The installation cannot be made there; nothing was changed. One line says why and what to do."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What was made. The password is in here once and kept nowhere else; paths are absolute."""

    config: str
    issuer: str
    admin_user: str
    admin_password: str = field(repr=False)
    server_certificate: str = ""
    server_key: str = ""

    def as_json(self) -> dict[str, str]:
        """Give the members that `certbound init --json` prints."""
        return asdict(self)


def install(
    folder: Path, *, issuer: str, bind: str, actor: str, now: datetime, password_grant: bool = False
) -> Installation:
    """Make an installation in `folder`, which may hold other files but none of these. Raises InstallationError."""
    folder = folder.resolve()
    taken = [name for name in _CONTENTS if (folder / name).exists()]
    if taken:
        raise InstallationError(f"{folder} holds {taken[-1]} already: nothing was changed; choose another folder")
    password = secrets.token_urlsafe(12)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=folder) as aside:
            making = Path(aside)
            _fill(
                making, issuer=issuer, bind=bind, password=password, actor=actor, now=now, password_grant=password_grant
            )
            for name in _CONTENTS:
                (making / name).rename(folder / name)
    except OSError as error:
        raise InstallationError(f"{folder} cannot be made: {error.strerror}") from None
    return Installation(
        config=str(folder / DEFAULT_FILE),
        issuer=issuer,
        admin_user=ADMIN,
        admin_password=password,
        server_certificate=str(folder / "server.crt"),
        server_key=str(folder / "server.key"),
    )


def _fill(
    folder: Path, *, issuer: str, bind: str, password: str, actor: str, now: datetime, password_grant: bool
) -> None:
    master_key = generate_master_key()
    server = self_signed(_server_request(issuer), now=now)
    _write(folder / "server.crt", server.certificate_pem, _PUBLIC)
    _write(folder / "server.key", server.key_pem, _PRIVATE)
    _write(folder / "master.key", master_key, _PRIVATE)
    (folder / "data").mkdir(mode=0o700)
    text = _SETTINGS.format(issuer=issuer, bind=bind, password_grant=str(password_grant).lower())
    _write(folder / DEFAULT_FILE, text.encode(), _PUBLIC)
    settings = load_settings(folder / DEFAULT_FILE, environ={})
    upgrade(settings.store.url)
    at = int(now.timestamp())

    def first_records(connection: Connection) -> None:
        keys.rotate(connection, master_key, algorithm="ES256", actor=actor, now=at)
        people.add(connection, username=ADMIN, password=password, operator=True, actor=actor, now=at)

    with Store(settings.store.url) as store:
        store.write(first_records)


def _server_request(issuer: str) -> LeafRequest:
    """Ask for a certificate for the issuer's host and for this machine's own names."""
    host = urlsplit(issuer).hostname or "localhost"
    names, addresses = list(_LOCAL_NAMES), list(_LOCAL_ADDRESSES)
    try:
        addresses.append(str(ip_address(host)))
    except ValueError:
        names.append(host)
    return LeafRequest(
        subject=subject_of(host),
        san_dns=tuple(dict.fromkeys(names)),
        san_ip=tuple(dict.fromkeys(addresses)),
        purposes=("server",),
        days=CERTIFICATE_DAYS,
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


_SETTINGS = """\
# certbound's settings; docs/settings.md explains each. Paths are relative to this file.
# Any of them can come from the environment: CERTBOUND__OAUTH__PASSWORD_GRANT=true

issuer = "{issuer}"

[store]
url = "sqlite:///data/certbound.db"     # or postgresql://...
master_key_file = "master.key"          # keep a copy elsewhere: without it no signing key can be opened

[[listener]]
name = "main"
bind = "{bind}"
client_certificate = "want"             # any certificate passes the handshake; who it is is decided per client
tls_certificate = "server.crt"          # for development: replace it, and it is served without a restart
tls_key = "server.key"
serves = ["oauth"]

[oauth]
password_grant = {password_grant}                  # RFC 9700 section 2.4 says it must not be used
"""
