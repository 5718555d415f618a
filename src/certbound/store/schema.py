"""The tables. Times are seconds since the epoch, digests and DER are bytes, thumbprints are lower-case hex.

Keys are texts chosen by us: nothing here counts by itself, and nothing is used that a PostgreSQL-compatible
distributed database lacks. The migrations build the same tables; a test holds the two against each other.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    insert,
)

#: What the audit chain starts from: 32 zero bytes.
GENESIS = bytes(32)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


class Texts(TypeDecorator[tuple[str, ...]]):
    """A tuple of texts, kept as a JSON array."""

    impl = JSON
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...]:  # noqa: ARG002 - SQLAlchemy's
        """Give back the tuple that was stored."""
        return tuple(value)


def _text(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, Text, nullable=null)


def _time(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


def _bytes(name: str, *, null: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=null)


def _client_id() -> Column[str]:
    return Column("client_id", Text, ForeignKey("client.client_id", ondelete="CASCADE"), nullable=False)


revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)

client = Table(
    "client",
    metadata,
    Column("client_id", Text, primary_key=True),
    _text("client_name"),
    Column("disabled", Boolean, nullable=False),
    _time("created_at"),
    _time("updated_at"),
    _bytes("secret_sha256", null=True),
    Column("metadata", JSON, nullable=False),
)

client_certificate = Table(
    "client_certificate",
    metadata,
    Column("client_id", Text, ForeignKey("client.client_id", ondelete="CASCADE"), primary_key=True),
    Column("sha256", Text, primary_key=True, index=True),
    _bytes("der"),
    _text("subject"),
    _time("not_after"),
    _time("added"),
    _time("first_seen", null=True),
    _time("last_seen", null=True),
    _time("retired", null=True),
)

trust_store = Table("trust_store", metadata, Column("name", Text, primary_key=True), _time("created_at"))

trust_certificate = Table(
    "trust_certificate",
    metadata,
    Column("store", Text, ForeignKey("trust_store.name", ondelete="CASCADE"), primary_key=True),
    Column("id", Text, primary_key=True),
    _text("kind"),
    _text("alias", null=True),
    _bytes("der"),
    _text("subject"),
    _time("not_after"),
    _time("added"),
    Column("disabled", Boolean, nullable=False),
)

# A table and not a member of the metadata: a store that a client relies on cannot go away, so that another one, made
# later under the same name, is not trusted by accident.
client_trust = Table(
    "client_trust",
    metadata,
    Column("client_id", Text, ForeignKey("client.client_id", ondelete="CASCADE"), primary_key=True),
    Column("store", Text, ForeignKey("trust_store.name", ondelete="RESTRICT"), primary_key=True, index=True),
    Column("position", Integer, nullable=False),
)

person = Table(
    "person",
    metadata,
    Column("username", Text, primary_key=True),
    Column("sub", Text, nullable=False, unique=True),
    _text("password_hash"),
    Column("operator", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    _time("created_at"),
)

signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", Text, primary_key=True),
    _text("algorithm"),
    Column("public_jwk", JSON, nullable=False),
    _bytes("sealed_private"),
    _time("created_at"),
    _time("retired_at", null=True),
)

refresh_token = Table(
    "refresh_token",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("family", Text, nullable=False, index=True),
    _client_id(),
    _text("sub"),
    _text("scope"),
    Column("resources", Texts, nullable=False),
    _text("x5t_s256", null=True),
    _time("issued_at"),
    _time("expires_at"),
    _time("used_at", null=True),
    _time("revoked_at", null=True),
    Index(None, "client_id"),
    Index(None, "expires_at"),
)

# No foreign key: the trail outlives the client.
issued_token = Table(
    "issued_token",
    metadata,
    Column("jti", Text, primary_key=True),
    _text("client_id"),
    _text("sub"),
    _text("grant_type"),
    _text("scope"),
    Column("audience", Texts, nullable=False),
    _text("x5t_s256", null=True),
    _text("address", null=True),
    _time("issued_at"),
    _time("expires_at"),
    Index(None, "x5t_s256"),
    Index(None, "client_id", "issued_at"),
    Index(None, "expires_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    _time("at"),
    _text("actor"),
    _text("action"),
    _text("target"),
    _text("detail"),
    _bytes("previous"),
    _bytes("hash"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    _bytes("hash"),
)


def create_all(connection: Connection) -> None:
    """Create the tables and their two single rows at once, for a database in memory; others are migrated."""
    metadata.create_all(connection)
    connection.execute(insert(revision).values(id=1, value=0))
    connection.execute(insert(audit_head).values(id=1, sequence=0, hash=GENESIS))
