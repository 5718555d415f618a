"""Which claims about a person a client asked for by name, beside those that come with a scope."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the step; until now, none were remembered."""
    for table in ("refresh_token", "issued_token", "consent"):
        op.add_column(table, sa.Column("claims", sa.JSON(), nullable=False, server_default="[]"))
