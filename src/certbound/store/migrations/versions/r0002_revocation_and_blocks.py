"""Revocation and other policies of trust stores, sightings, refusals, blocks, and the certificate behind each token.

Columns are added in place. To rebuild a table, as SQLite asks for other changes, would drop it first, and what refers
to it would go with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the step."""
    _policies()
    _crls()
    _certificates_of_tokens()
    _sightings()
    _refusals()
    _blocks()
    _duties()


def _policies() -> None:
    for column in (
        sa.Column("revocation", sa.Text(), nullable=False, server_default="off"),
        sa.Column("on_unavailable", sa.Text(), nullable=False, server_default="refuse"),
        sa.Column("grace_seconds", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("extended_key_usage", sa.Text(), nullable=False, server_default="optional"),
        sa.Column("trust_domain", sa.Text(), nullable=True),
        sa.Column("bundle_url", sa.Text(), nullable=True),
        sa.Column("bundle_refresh", sa.Integer(), nullable=True),
        sa.Column("ocsp_url", sa.Text(), nullable=True),
        sa.Column("bundle_sequence", sa.BigInteger(), nullable=True),
    ):
        op.add_column("trust_store", column)


def _crls() -> None:
    op.create_table(
        "trust_crl",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("signer", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=True),
        sa.Column("is_delta", sa.Boolean(), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("this_update", sa.BigInteger(), nullable=False),
        sa.Column("next_update", sa.BigInteger(), nullable=False),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["store"], ["trust_store.name"], name=op.f("fk_trust_crl_store"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("store", "sha256", name=op.f("pk_trust_crl")),
    )
    op.create_table(
        "trust_crl_source",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["store"], ["trust_store.name"], name=op.f("fk_trust_crl_source_store"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("store", "url", name=op.f("pk_trust_crl_source")),
    )


def _certificates_of_tokens() -> None:
    op.add_column("refresh_token", sa.Column("address", sa.Text(), nullable=True))
    for column in ("certificate_sha256", "spki_sha256"):
        op.add_column("refresh_token", sa.Column(column, sa.Text(), nullable=True))
        op.create_index(op.f(f"ix_refresh_token_{column}_issued_at"), "refresh_token", [column, "issued_at"])
        op.add_column("issued_token", sa.Column(column, sa.Text(), nullable=True))
        op.create_index(op.f(f"ix_issued_token_{column}_issued_at"), "issued_token", [column, "issued_at"])
        unbound = sa.text("x5t_s256 IS NULL")
        op.create_index(
            op.f(f"ix_issued_token_unbound_{column}"),
            "issued_token",
            [column, "expires_at"],
            sqlite_where=unbound,
            postgresql_where=unbound,
        )


def _sightings() -> None:
    op.create_table(
        "sighting",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("spki_sha256", sa.Text(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("warned", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.client_id"], name=op.f("fk_sighting_client_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("client_id", "sha256", name=op.f("pk_sighting")),
    )
    op.create_index(op.f("ix_sighting_client_id_first_seen"), "sighting", ["client_id", "first_seen"])
    op.create_index(op.f("ix_sighting_not_after"), "sighting", ["not_after"])


def _refusals() -> None:
    op.create_table(
        "refusal",
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("certificate", sa.JSON(), nullable=True),
        sa.Column("checks", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_refusal")),
    )
    op.create_index(op.f("ix_refusal_at"), "refusal", ["at"])
    op.create_index(op.f("ix_refusal_client_id_at"), "refusal", ["client_id", "at"])


def _blocks() -> None:
    op.create_table(
        "block",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_block")),
    )
    in_force = sa.text("lifted_at IS NULL")
    op.create_index(
        op.f("uq_block_in_force"),
        "block",
        ["kind", "sha256"],
        unique=True,
        sqlite_where=in_force,
        postgresql_where=in_force,
    )


def _duties() -> None:
    op.create_table(
        "lease",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "duty",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last_run", sa.BigInteger(), nullable=False),
        sa.Column("last_success", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("next_run", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_duty")),
    )
