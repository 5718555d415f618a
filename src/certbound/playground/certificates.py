"""Who shows what: two CAs and the certificates of clients, good and bad, made for this demo only."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from certbound.certificates.certificate import Certificate
from certbound.certificates.files import read_certificate
from certbound.certificates.issue import IssuedCertificate, LeafRequest, issue, new_authority, self_signed
from certbound.playground import openssl

DAYS = 30
EXPIRED = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 31, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its private key, both PEM files."""

    certificate_file: Path
    key_file: Path

    @property
    def certificate(self) -> Certificate:
        """Read the certificate."""
        return read_certificate(self.certificate_file.read_bytes(), str(self.certificate_file))


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody in the story. `orders` is the client that is played false."""

    folder: Path

    @property
    def authority(self) -> Identity:
        """Give the CA that the server trusts for its partners."""
        return self._in("ca")

    @property
    def stranger(self) -> Identity:
        """Give a CA that the server does not trust."""
        return self._in("stranger-ca")

    @property
    def orders(self) -> Identity:
        """Give the client `orders`, whose certificate the CA issued."""
        return self._in("orders")

    @property
    def billing(self) -> Identity:
        """Give another client of the same CA."""
        return self._in("billing")

    @property
    def expired(self) -> Identity:
        """Give a certificate of `orders` whose days are over."""
        return self._in("expired")

    @property
    def wrong_ca(self) -> Identity:
        """Give a certificate with the subject of `orders`, issued by the stranger."""
        return self._in("wrong-ca")

    @property
    def playground(self) -> Identity:
        """Give the client that signs its certificate itself, under the file names of the original."""
        return Identity(self.folder / "playground/client-certificate.pem", self.folder / "playground/key.pem")

    def _in(self, name: str) -> Identity:
        return Identity(self.folder / name / "certificate.pem", self.folder / name / "key.pem")


@dataclass(frozen=True, slots=True)
class Made:
    """The cast, how its certificates were made, and the lines that made them (run in the cast's folder)."""

    cast: Cast
    how: str
    commands: tuple[str, ...] = ()


ORDERS_SUBJECT = "CN=orders,O=Example"
BILLING_SUBJECT = "CN=billing,O=Example"
PLAYGROUND_SUBJECT = "CN=playground,O=Example"


def make_certificates(folder: Path, now: datetime) -> Made:
    """Make all certificates below `folder`: by openssl, so that they are foreign to us, or where it is not by ours."""
    cast = Cast(folder)
    for name in ("ca", "stranger-ca", "orders", "billing", "expired", "wrong-ca", "playground"):
        (folder / name).mkdir()
    program = shutil.which("openssl")
    if program is None:
        _make_by_ourselves(cast, now)
        return Made(cast, "openssl is not installed: certbound's own development CA made the certificates.")
    commands = (
        openssl.authority("Example CA", "ca"),
        openssl.authority("Stranger CA", "stranger-ca"),
        *openssl.issued(ORDERS_SUBJECT, "orders", by="ca", days=DAYS),
        *openssl.issued(BILLING_SUBJECT, "billing", by="ca", days=DAYS),
        *openssl.issued(ORDERS_SUBJECT, "expired", by="ca", between=EXPIRED),
        *openssl.issued(ORDERS_SUBJECT, "wrong-ca", by="stranger-ca", days=DAYS),
        openssl.self_signed(PLAYGROUND_SUBJECT, "playground", days=DAYS),
    )
    try:
        openssl.run(program, commands, folder)
    except openssl.OpenSSLError as error:
        _make_by_ourselves(cast, now)
        return Made(cast, f"{error}: certbound's own development CA made the certificates.")
    return Made(cast, "Made by openssl, as any client would make them.", tuple(map(openssl.line, commands)))


def _make_by_ourselves(cast: Cast, now: datetime) -> None:
    authority = new_authority("CN=Example CA", now=now)
    stranger = new_authority("CN=Stranger CA", now=now)
    orders = LeafRequest(ORDERS_SUBJECT, days=DAYS)
    begin, end = EXPIRED
    made = {
        cast.authority: authority,
        cast.stranger: stranger,
        cast.orders: issue(orders, authority, now=now),
        cast.billing: issue(LeafRequest(BILLING_SUBJECT, days=DAYS), authority, now=now),
        cast.expired: issue(LeafRequest(ORDERS_SUBJECT, days=(end - begin).days), authority, now=begin),
        cast.wrong_ca: issue(orders, stranger, now=now),
        cast.playground: self_signed(LeafRequest(PLAYGROUND_SUBJECT, days=DAYS, key="rsa2048"), now=now),
    }
    for identity, issued in made.items():
        _write(identity, issued)


def _write(identity: Identity, issued: IssuedCertificate) -> None:
    identity.certificate_file.write_bytes(issued.certificate_pem)
    identity.key_file.touch(mode=0o600)
    identity.key_file.write_bytes(issued.key_pem)
