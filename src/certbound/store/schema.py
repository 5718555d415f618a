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


def _claims() -> Column[tuple[str, ...]]:
    return Column("claims", Texts, nullable=False, server_default="[]")


def _trust_store(name: str) -> Column[str]:
    return Column(name, Text, ForeignKey("trust_store.name", ondelete="CASCADE"), primary_key=True)


def _of_some(missing: Column[Any], name: str, *columns: Column[Any], unique: bool = False) -> None:
    """Index the rows in which a column is NULL, and no others."""
    only = missing.is_(None)
    Index(name, *columns, unique=unique, sqlite_where=only, postgresql_where=only)


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

# The defaults are the database's, so that stores from before there were policies have them too.
trust_store = Table(
    "trust_store",
    metadata,
    Column("name", Text, primary_key=True),
    _time("created_at"),
    Column("revocation", Text, nullable=False, server_default="off"),
    Column("on_unavailable", Text, nullable=False, server_default="refuse"),
    Column("grace_seconds", Integer, nullable=False, server_default="0"),
    Column("extended_key_usage", Text, nullable=False, server_default="optional"),
    _text("trust_domain", null=True),
    _text("bundle_url", null=True),
    Column("bundle_refresh", Integer, nullable=True),
    _text("ocsp_url", null=True),
    Column("bundle_sequence", BigInteger, nullable=True),
)

trust_certificate = Table(
    "trust_certificate",
    metadata,
    _trust_store("store"),
    Column("id", Text, primary_key=True),
    _text("kind"),
    _text("alias", null=True),
    _bytes("der"),
    _text("subject"),
    _time("not_after"),
    _time("added"),
    Column("disabled", Boolean, nullable=False),
)

trust_crl = Table(
    "trust_crl",
    metadata,
    _trust_store("store"),
    Column("sha256", Text, primary_key=True),
    _text("issuer"),
    _text("signer"),
    _text("scope"),
    _text("number", null=True),
    Column("is_delta", Boolean, nullable=False),
    _bytes("der"),
    _time("this_update"),
    _time("next_update"),
    _time("added"),
    _text("url", null=True),
)

trust_crl_source = Table(
    "trust_crl_source",
    metadata,
    _trust_store("store"),
    Column("url", Text, primary_key=True),
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
    Column("attributes", JSON, nullable=False, server_default="{}"),
    _bytes("sealed_totp", null=True),
    _time("totp_step", null=True),
    Column("failures", Integer, nullable=False, server_default="0"),
    _time("locked_until", null=True),
)

authorization_code = Table(
    "authorization_code",
    metadata,
    Column("code_sha256", LargeBinary, primary_key=True),
    _client_id(),
    _text("sub"),
    _text("session", null=True),
    Column("request", JSON, nullable=False),
    _time("auth_time"),
    Column("amr", Texts, nullable=False),
    _text("family"),
    _time("issued_at"),
    _time("expires_at"),
    _time("used_at", null=True),
    Index(None, "expires_at"),
)

pushed_request = Table(
    "pushed_request",
    metadata,
    Column("uri_sha256", LargeBinary, primary_key=True),
    _client_id(),
    Column("parameters", JSON, nullable=False),
    _time("expires_at"),
    _time("used_at", null=True),
    Index(None, "expires_at"),
)

session = Table(
    "session",
    metadata,
    Column("id_sha256", Text, primary_key=True),
    Column("sub", Text, ForeignKey("person.sub", ondelete="CASCADE"), nullable=False, index=True),
    _time("auth_time"),
    Column("amr", Texts, nullable=False),
    _time("expires_at"),
    _time("ended_at", null=True),
    Index(None, "expires_at"),
)

consent = Table(
    "consent",
    metadata,
    Column("sub", Text, ForeignKey("person.sub", ondelete="CASCADE"), primary_key=True),
    Column("client_id", Text, ForeignKey("client.client_id", ondelete="CASCADE"), primary_key=True),
    Column("scopes", Texts, nullable=False),
    _time("given_at"),
    _claims(),
)

signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", Text, primary_key=True),
    _text("algorithm"),
    Column("public_jwk", JSON, nullable=False),
    _bytes("sealed_private"),
    _time("created_at"),
    Column("signs_from", BigInteger, nullable=False, server_default="0"),
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
    _text("certificate_sha256", null=True),
    _text("spki_sha256", null=True),
    _text("address", null=True),
    _claims(),
    Index(None, "client_id"),
    Index(None, "expires_at"),
    Index(None, "certificate_sha256", "issued_at"),
    Index(None, "spki_sha256", "issued_at"),
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
    _text("certificate_sha256", null=True),
    _text("spki_sha256", null=True),
    Column("family", Text, nullable=True, index=True),
    _claims(),
    Index(None, "x5t_s256"),
    Index(None, "client_id", "issued_at"),
    Index(None, "expires_at"),
    Index(None, "certificate_sha256", "issued_at"),
    Index(None, "spki_sha256", "issued_at"),
)
# What a block has to name by jti, for every block and every few seconds: the living tokens that are bound to nothing.
# They are few, and an index of them alone costs the bound ones nothing.
for _column in (issued_token.c.certificate_sha256, issued_token.c.spki_sha256):
    _of_some(issued_token.c.x5t_s256, f"ix_issued_token_unbound_{_column.name}", _column, issued_token.c.expires_at)

# No foreign key: what a client revoked stays revoked when the client is gone.
revoked_token = Table(
    "revoked_token",
    metadata,
    Column("jti", Text, primary_key=True),
    _text("client_id"),
    _time("revoked_at"),
    _time("expires_at"),
    Index(None, "expires_at"),
)

used_identifier = Table(
    "used_identifier",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("sha256", LargeBinary, primary_key=True),
    _time("expires_at"),
    Index(None, "expires_at"),
)

# `client_id` is of a client's own token, and goes with it; an initial access token has none.
registration_token = Table(
    "registration_token",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("client_id", Text, ForeignKey("client.client_id", ondelete="CASCADE"), nullable=True, index=True),
    Column("scopes", Texts, nullable=False),
    Column("trust", Texts, nullable=False),
    Column("uses_left", Integer, nullable=True),
    _text("statement", null=True),
    Column("software", Text, nullable=True, index=True),
    _time("created_at"),
    _time("expires_at", null=True),
    Index(None, "expires_at"),
)

# No foreign key to the certificate: that of a PKI client is known from its handshakes only. No index of what changes
# with every use, so that PostgreSQL writes a use where the row stands.
sighting = Table(
    "sighting",
    metadata,
    Column("client_id", Text, ForeignKey("client.client_id", ondelete="CASCADE"), primary_key=True),
    Column("sha256", Text, primary_key=True),
    _text("subject"),
    _text("spki_sha256"),
    _time("not_before"),
    _time("not_after"),
    _time("first_seen"),
    _time("last_seen"),
    _time("warned", null=True),
    Index(None, "client_id", "first_seen"),
    Index(None, "not_after"),
)

# No foreign key: who is refused may be nobody.
refusal = Table(
    "refusal",
    metadata,
    Column("reference", Text, primary_key=True),
    _time("at"),
    _text("client_id"),
    _text("address", null=True),
    _text("error"),
    Column("certificate", JSON(none_as_null=True), nullable=True),
    Column("checks", JSON, nullable=False),
    Index(None, "at"),
    Index(None, "client_id", "at"),
)

block = Table(
    "block",
    metadata,
    Column("id", Text, primary_key=True),
    _text("kind"),
    _text("sha256"),
    _text("reason"),
    _text("actor"),
    _time("created_at"),
    _time("lifted_at", null=True),
    _text("lifted_by", null=True),
)
_of_some(block.c.lifted_at, "uq_block_in_force", block.c.kind, block.c.sha256, unique=True)

lease = Table("lease", metadata, Column("name", Text, primary_key=True), _text("holder"), _time("expires_at"))

duty = Table(
    "duty",
    metadata,
    Column("name", Text, primary_key=True),
    _time("last_run"),
    _time("last_success", null=True),
    _text("failure", null=True),
    _time("next_run"),
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
    """Create the tables and their few fixed rows at once, for a database in memory; others are migrated."""
    metadata.create_all(connection)
    connection.execute(insert(revision), [{"id": 1, "value": 0}, {"id": 2, "value": 0}])
    connection.execute(insert(audit_head).values(id=1, sequence=0, hash=GENESIS))
