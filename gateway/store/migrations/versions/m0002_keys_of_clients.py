"""An API key may belong to a client. Failed logins are counted in the state, and not here.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add one column, drop two."""
    kind = sa.Uuid().compile(op.get_bind().dialect)
    # As SQL: a batch would make SQLite's table anew, and dropping the old one drops the keys'
    # digests with it (ON DELETE CASCADE).
    op.execute(
        f"ALTER TABLE api_keys ADD COLUMN client_id {kind} "
        "CONSTRAINT fk_api_keys_client_id REFERENCES api_clients (id) ON DELETE CASCADE"
    )
    op.create_index("ix_api_keys_client_id", "api_keys", ["client_id"])
    op.execute("ALTER TABLE users DROP COLUMN failed_logins")
    op.execute("ALTER TABLE users DROP COLUMN locked_until")
