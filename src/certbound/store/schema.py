"""The tables. Times are seconds since the epoch, digests and DER are bytes, thumbprints are lower-case hex.

Keys are texts chosen by us: nothing here counts by itself, and nothing is used that a PostgreSQL-compatible
distributed database lacks. The migrations build the same tables; a test holds the two against each other.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    insert,
)

from certbound.store.column_kinds import Texts, claims, client_id, index_of_some, octets, text, time, trust_store_name

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
    text("client_name"),
    Column("disabled", Boolean, nullable=False),
    time("created_at"),
    time("updated_at"),
    octets("secret_sha256", null=True),
    Column("metadata", JSON, nullable=False),
)

client_certificate = Table(
    "client_certificate",
    metadata,
    Column("client_id", Text, ForeignKey("client.client_id", ondelete="CASCADE"), primary_key=True),
    Column("sha256", Text, primary_key=True, index=True),
    octets("der"),
    text("subject"),
    time("not_after"),
    time("added"),
    time("first_seen", null=True),
    time("last_seen", null=True),
    time("retired", null=True),
)

# The defaults are the database's, so that stores from before there were policies have them too.
trust_store = Table(
    "trust_store",
    metadata,
    Column("name", Text, primary_key=True),
    time("created_at"),
    Column("revocation", Text, nullable=False, server_default="off"),
    Column("on_unavailable", Text, nullable=False, server_default="refuse"),
    Column("grace_seconds", Integer, nullable=False, server_default="0"),
    Column("extended_key_usage", Text, nullable=False, server_default="optional"),
    text("trust_domain", null=True),
    text("bundle_url", null=True),
    Column("bundle_refresh", Integer, nullable=True),
    text("ocsp_url", null=True),
    Column("bundle_sequence", BigInteger, nullable=True),
)

trust_certificate = Table(
    "trust_certificate",
    metadata,
    trust_store_name("store"),
    Column("id", Text, primary_key=True),
    text("kind"),
    text("alias", null=True),
    octets("der"),
    text("subject"),
    time("not_after"),
    time("added"),
    Column("disabled", Boolean, nullable=False),
)

trust_crl = Table(
    "trust_crl",
    metadata,
    trust_store_name("store"),
    Column("sha256", Text, primary_key=True),
    text("issuer"),
    text("signer"),
    text("scope"),
    text("number", null=True),
    Column("is_delta", Boolean, nullable=False),
    octets("der"),
    time("this_update"),
    time("next_update"),
    time("added"),
    text("url", null=True),
)

trust_crl_source = Table(
    "trust_crl_source",
    metadata,
    trust_store_name("store"),
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
    text("password_hash"),
    Column("operator", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    time("created_at"),
    Column("attributes", JSON, nullable=False, server_default="{}"),
    octets("sealed_totp", null=True),
    time("totp_step", null=True),
    Column("failures", Integer, nullable=False, server_default="0"),
    time("locked_until", null=True),
)

authorization_code = Table(
    "authorization_code",
    metadata,
    Column("code_sha256", LargeBinary, primary_key=True),
    client_id(),
    text("sub"),
    text("session", null=True),
    Column("request", JSON, nullable=False),
    time("auth_time"),
    Column("amr", Texts, nullable=False),
    text("family"),
    time("issued_at"),
    time("expires_at"),
    time("used_at", null=True),
    Index(None, "expires_at"),
)

pushed_request = Table(
    "pushed_request",
    metadata,
    Column("uri_sha256", LargeBinary, primary_key=True),
    client_id(),
    Column("parameters", JSON, nullable=False),
    time("expires_at"),
    time("used_at", null=True),
    Index(None, "expires_at"),
)

session = Table(
    "session",
    metadata,
    Column("id_sha256", Text, primary_key=True),
    Column("sub", Text, ForeignKey("person.sub", ondelete="CASCADE"), nullable=False, index=True),
    time("auth_time"),
    Column("amr", Texts, nullable=False),
    time("expires_at"),
    time("ended_at", null=True),
    Index(None, "expires_at"),
)

consent = Table(
    "consent",
    metadata,
    Column("sub", Text, ForeignKey("person.sub", ondelete="CASCADE"), primary_key=True),
    Column("client_id", Text, ForeignKey("client.client_id", ondelete="CASCADE"), primary_key=True),
    Column("scopes", Texts, nullable=False),
    time("given_at"),
    claims(),
)

signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", Text, primary_key=True),
    text("algorithm"),
    Column("public_jwk", JSON, nullable=False),
    octets("sealed_private"),
    time("created_at"),
    Column("signs_from", BigInteger, nullable=False, server_default="0"),
    time("retired_at", null=True),
)

refresh_token = Table(
    "refresh_token",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("family", Text, nullable=False, index=True),
    client_id(),
    text("sub"),
    text("scope"),
    Column("resources", Texts, nullable=False),
    text("x5t_s256", null=True),
    time("issued_at"),
    time("expires_at"),
    time("used_at", null=True),
    time("revoked_at", null=True),
    text("certificate_sha256", null=True),
    text("spki_sha256", null=True),
    text("address", null=True),
    claims(),
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
    text("client_id"),
    text("sub"),
    text("grant_type"),
    text("scope"),
    Column("audience", Texts, nullable=False),
    text("x5t_s256", null=True),
    text("address", null=True),
    time("issued_at"),
    time("expires_at"),
    text("certificate_sha256", null=True),
    text("spki_sha256", null=True),
    Column("family", Text, nullable=True, index=True),
    claims(),
    Index(None, "client_id", "issued_at"),
    Index(None, "expires_at"),
    Index(None, "certificate_sha256", "issued_at"),
    Index(None, "spki_sha256", "issued_at"),
)
# What a block has to name by jti, for every block and every few seconds: the living tokens that are bound to nothing.
# They are few, and an index of them alone costs the bound ones nothing.
for _column in (issued_token.c.certificate_sha256, issued_token.c.spki_sha256):
    index_of_some(
        issued_token.c.x5t_s256, f"ix_issued_token_unbound_{_column.name}", _column, issued_token.c.expires_at
    )

# No foreign key: what a client revoked stays revoked when the client is gone.
revoked_token = Table(
    "revoked_token",
    metadata,
    Column("jti", Text, primary_key=True),
    text("client_id"),
    time("revoked_at"),
    time("expires_at"),
    Index(None, "expires_at"),
)

used_identifier = Table(
    "used_identifier",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("sha256", LargeBinary, primary_key=True),
    time("expires_at"),
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
    text("statement", null=True),
    Column("software", Text, nullable=True, index=True),
    time("created_at"),
    time("expires_at", null=True),
    Index(None, "expires_at"),
)

# No foreign key to the certificate: that of a PKI client is known from its handshakes only. No index of what changes
# with every use, so that PostgreSQL writes a use where the row stands.
sighting = Table(
    "sighting",
    metadata,
    Column("client_id", Text, ForeignKey("client.client_id", ondelete="CASCADE"), primary_key=True),
    Column("sha256", Text, primary_key=True),
    text("subject"),
    text("spki_sha256"),
    time("not_before"),
    time("not_after"),
    time("first_seen"),
    time("last_seen"),
    time("warned", null=True),
    Index(None, "client_id", "first_seen"),
    Index(None, "not_after"),
)

# No foreign key: who is refused may be nobody.
refusal = Table(
    "refusal",
    metadata,
    Column("reference", Text, primary_key=True),
    time("at"),
    text("client_id"),
    text("address", null=True),
    text("error"),
    Column("certificate", JSON(none_as_null=True), nullable=True),
    Column("checks", JSON, nullable=False),
    Index(None, "at"),
    Index(None, "client_id", "at"),
)

block = Table(
    "block",
    metadata,
    Column("id", Text, primary_key=True),
    text("kind"),
    text("sha256"),
    text("reason"),
    text("actor"),
    time("created_at"),
    time("lifted_at", null=True),
    text("lifted_by", null=True),
)
index_of_some(block.c.lifted_at, "uq_block_in_force", block.c.kind, block.c.sha256, unique=True)

lease = Table("lease", metadata, Column("name", Text, primary_key=True), text("holder"), time("expires_at"))

duty = Table(
    "duty",
    metadata,
    Column("name", Text, primary_key=True),
    time("last_run"),
    time("last_success", null=True),
    text("failure", null=True),
    time("next_run"),
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    time("at"),
    text("actor"),
    text("action"),
    text("target"),
    text("detail"),
    octets("previous"),
    octets("hash"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    octets("hash"),
)


def create_all(connection: Connection) -> None:
    """Create the tables and their few fixed rows at once, for a database in memory; others are migrated."""
    metadata.create_all(connection)
    connection.execute(insert(revision), [{"id": 1, "value": 0}, {"id": 2, "value": 0}])
    connection.execute(insert(audit_head).values(id=1, sequence=0, hash=GENESIS))
