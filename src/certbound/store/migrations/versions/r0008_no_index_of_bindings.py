"""No index of what tokens are bound to: what a certificate obtained is found by the certificate itself since 0002."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the step."""
    op.drop_index(op.f("ix_issued_token_x5t_s256"), "issued_token")
