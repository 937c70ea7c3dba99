"""Tokens of the admin API that register instances of one service and may do nothing else.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Tokens that exist are of no service."""
    op.add_column("admin_tokens", sa.Column("service", sa.String(64)))
