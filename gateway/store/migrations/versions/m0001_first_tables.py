"""The first tables.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

MOMENT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Make everything; the counter begins at 1."""
    op.create_table(
        "admin_tokens",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("expires_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_admin_tokens"),
        sa.UniqueConstraint("digest", name="uq_admin_tokens_digest"),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("before", DOCUMENT),
        sa.Column("after", DOCUMENT),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_table(
        "gateway_routes",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("path_pattern", sa.Text, nullable=False),
        sa.Column("service_name", sa.String(100), nullable=False),
        sa.Column("method", sa.String(255), nullable=False, server_default="*"),
        sa.Column("auth_required", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("rate_limit_rpm", sa.Integer),
        sa.Column("definition", DOCUMENT),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_gateway_routes"),
        sa.UniqueConstraint("name", name="uq_gateway_routes_name"),
    )
    op.create_table(
        "rate_limit_policies",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("policy_name", sa.String(100), nullable=False),
        sa.Column("requests_per_minute", sa.BigInteger, nullable=False),
        sa.Column("burst_capacity", sa.BigInteger, nullable=False),
        sa.Column("window_size_seconds", sa.Integer, nullable=False, server_default="60"),
        sa.Column("definition", DOCUMENT),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_rate_limit_policies"),
        sa.UniqueConstraint("policy_name", name="uq_rate_limit_policies_policy_name"),
    )
    op.create_table(
        "services",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("definition", DOCUMENT),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("name", name="pk_services"),
    )
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(128), nullable=False),
        sa.Column("algorithm", sa.String(16), nullable=False),
        sa.Column("private_pem", sa.Text, nullable=False),
        sa.Column("public_jwk", DOCUMENT, nullable=False),
        sa.Column("not_before", MOMENT, nullable=False),
        sa.Column("retire_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
    )
    op.create_table(
        "store_version",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("plan", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("credentials", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("sessions", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("signing_keys", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_store_version"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("scopes", DOCUMENT, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("mfa_secret", sa.String(255)),
        sa.Column("last_totp_step", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("failed_logins", sa.Integer, nullable=False, server_default="0"),
        sa.Column("locked_until", MOMENT),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_table(
        "api_clients",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_name", sa.String(255), nullable=False),
        sa.Column("client_secret_hash", sa.String(255), nullable=False),
        sa.Column("scopes", DOCUMENT, nullable=False),
        sa.Column(
            "rate_limit_policy_id",
            sa.Integer,
            sa.ForeignKey(
                "rate_limit_policies.id",
                name="fk_api_clients_rate_limit_policy_id",
                ondelete="SET NULL",
            ),
        ),
        sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_api_clients"),
        sa.UniqueConstraint("client_name", name="uq_api_clients_client_name"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column(
            "owner_id",
            sa.String(36),
            sa.ForeignKey("users.id", name="fk_api_keys_owner_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("name", sa.String(255), nullable=False, server_default=""),
        sa.Column("scopes", DOCUMENT, nullable=False),
        sa.Column("rate_limit_policy", sa.String(100)),
        sa.Column("expires_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.Column("last_used_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_index("ix_api_keys_owner_id", "api_keys", ["owner_id"])
    op.create_table(
        "recovery_codes",
        sa.Column(
            "user_id",
            sa.String(36),
            sa.ForeignKey("users.id", name="fk_recovery_codes_user_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("code_hash", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name="pk_recovery_codes"),
    )
    op.create_table(
        "service_registry",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column(
            "service_name",
            sa.String(100),
            sa.ForeignKey(
                "services.name", name="fk_service_registry_service_name", ondelete="CASCADE"
            ),
            nullable=False,
        ),
        sa.Column("endpoint_url", sa.String(255), nullable=False),
        sa.Column("health_check_url", sa.String(255)),
        sa.Column("weight", sa.Integer, nullable=False, server_default="1"),
        sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("last_health_check", MOMENT),
        sa.Column("health_status", sa.String(20), nullable=False, server_default="unknown"),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_service_registry"),
    )
    op.create_index("ix_service_registry_service_name", "service_registry", ["service_name"])
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("client", sa.String(255)),
        sa.Column("scopes", DOCUMENT, nullable=False),
        sa.Column("fingerprint_hash", sa.String(128)),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sa.Column("revoked_version", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("ix_sessions_revoked_version", "sessions", ["revoked_version"])
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "api_key_usage",
        sa.Column(
            "key_id",
            sa.String(64),
            sa.ForeignKey("api_keys.id", name="fk_api_key_usage_key_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("route", sa.String(255), nullable=False),
        sa.Column("uses", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "day", "route", name="pk_api_key_usage"),
    )
    op.create_table(
        "api_key_versions",
        sa.Column(
            "key_id",
            sa.String(64),
            sa.ForeignKey("api_keys.id", name="fk_api_key_versions_key_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("valid_until", MOMENT),
        sa.PrimaryKeyConstraint("key_id", "version", name="pk_api_key_versions"),
        sa.UniqueConstraint("digest", name="uq_api_key_versions_digest"),
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column(
            "session_id",
            sa.String(64),
            sa.ForeignKey("sessions.id", name="fk_refresh_tokens_session_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT),
        sa.PrimaryKeyConstraint("token_hash", name="pk_refresh_tokens"),
    )
    op.create_index("ix_refresh_tokens_session_id", "refresh_tokens", ["session_id"])
    op.execute("INSERT INTO store_version (id, version) VALUES (1, 1)")
