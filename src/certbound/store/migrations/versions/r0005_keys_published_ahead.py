"""Since when a signing key signs: it is published before."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the step; until now, keys signed from the moment they were made."""
    op.add_column("signing_key", sa.Column("signs_from", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("UPDATE signing_key SET signs_from = created_at")
