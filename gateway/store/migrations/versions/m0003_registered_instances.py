"""Instances in the service registry that register themselves, for services of any origin.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

MOMENT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """An instance may belong to a service that stands in a file, or in none yet."""
    # SQLite makes the table anew, so the new columns come with it.
    with op.batch_alter_table("service_registry") as table:
        table.drop_constraint("fk_service_registry_service_name", type_="foreignkey")
        table.add_column(sa.Column("zone", sa.String(64)))
        table.add_column(sa.Column("metadata", DOCUMENT))
        table.add_column(sa.Column("ttl_s", sa.Integer))
        table.add_column(sa.Column("expires_at", MOMENT))
        table.add_column(sa.Column("health_reported_by", sa.String(255)))
        table.add_column(sa.Column("version", sa.Integer, nullable=False, server_default="1"))
        table.add_column(
            sa.Column("updated_at", MOMENT, nullable=False, server_default=sa.func.now())
        )
    op.add_column(
        "store_version",
        sa.Column("registry", sa.BigInteger, nullable=False, server_default="0"),
    )
