"""Tokens by which clients register themselves, and change what is registered of them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the step."""
    op.create_table(
        "registration_token",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("trust", sa.JSON(), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=True),
        sa.Column("statement", sa.Text(), nullable=True),
        sa.Column("software", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.client_id"], name=op.f("fk_registration_token_client_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_registration_token")),
        sa.UniqueConstraint("id", name=op.f("uq_registration_token_id")),
    )
    op.create_index(op.f("ix_registration_token_client_id"), "registration_token", ["client_id"])
    op.create_index(op.f("ix_registration_token_software"), "registration_token", ["software"])
    op.create_index(op.f("ix_registration_token_expires_at"), "registration_token", ["expires_at"])
