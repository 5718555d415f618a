"""Revoked access tokens, the grant behind each issued one, and identifiers that are good once."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the step."""
    op.add_column("issued_token", sa.Column("family", sa.Text(), nullable=True))
    op.create_index(op.f("ix_issued_token_family"), "issued_token", ["family"])
    op.create_table(
        "revoked_token",
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_revoked_token")),
    )
    op.create_index(op.f("ix_revoked_token_expires_at"), "revoked_token", ["expires_at"])
    op.create_table(
        "used_identifier",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "sha256", name=op.f("pk_used_identifier")),
    )
    op.create_index(op.f("ix_used_identifier_expires_at"), "used_identifier", ["expires_at"])
    op.execute("INSERT INTO revision (id, value) VALUES (2, 0)")
