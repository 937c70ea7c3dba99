"""The tables. How an older database becomes this is in ``migrations``; a test compares the two.

``gateway_routes``, ``rate_limit_policies``, ``api_clients`` and ``service_registry`` keep the
columns by which other programs know them. `definition` beside them is the section as the
configuration file writes it, and what the gateway goes by; a row without one, written by hand, is
read from the columns.
"""

import sqlalchemy as sa

from gateway.store.column_types import AnyDocument, Document, Names, Utc

__all__ = ["METADATA"]

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_NOW = sa.func.now()


def _made() -> sa.Column[object]:
    return sa.Column("created_at", Utc, nullable=False, server_default=_NOW)


def _changed() -> sa.Column[object]:
    return sa.Column("updated_at", Utc, nullable=False, server_default=_NOW)


def _version() -> sa.Column[int]:
    return sa.Column("version", sa.Integer, nullable=False, server_default="1")


# --- what the plan is made of ----------------------------------------------------------------

gateway_routes = sa.Table(
    "gateway_routes",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(128), nullable=False, unique=True),
    sa.Column("path_pattern", sa.Text, nullable=False),
    sa.Column("service_name", sa.String(100), nullable=False),
    sa.Column("method", sa.String(255), nullable=False, server_default="*"),
    sa.Column("auth_required", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("rate_limit_rpm", sa.Integer),
    sa.Column("definition", AnyDocument),
    _version(),
    _made(),
    _changed(),
)

services = sa.Table(
    "services",
    METADATA,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("definition", AnyDocument),
    _version(),
    _made(),
    _changed(),
)
"""One row for each service: its settings without its endpoints."""

service_registry = sa.Table(
    "service_registry",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("service_name", sa.String(100), nullable=False, index=True),
    sa.Column("endpoint_url", sa.String(255), nullable=False),
    sa.Column("health_check_url", sa.String(255)),
    sa.Column("weight", sa.Integer, nullable=False, server_default="1"),
    sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("last_health_check", Utc),
    sa.Column("health_status", sa.String(20), nullable=False, server_default="unknown"),
    _made(),
    sa.Column("zone", sa.String(64)),
    sa.Column("metadata", Document),
    sa.Column("ttl_s", sa.Integer),
    sa.Column("expires_at", Utc),
    sa.Column("health_reported_by", sa.String(255)),
    _version(),
    _changed(),
)
"""One row for each endpoint of a stored service, and for each registered instance of any."""

rate_limit_policies = sa.Table(
    "rate_limit_policies",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("policy_name", sa.String(100), nullable=False, unique=True),
    sa.Column("requests_per_minute", sa.BigInteger, nullable=False),
    sa.Column("burst_capacity", sa.BigInteger, nullable=False),
    sa.Column("window_size_seconds", sa.Integer, nullable=False, server_default="60"),
    sa.Column("definition", AnyDocument),
    _version(),
    _made(),
    _changed(),
)

# --- who may call ----------------------------------------------------------------------------

api_clients = sa.Table(
    "api_clients",
    METADATA,
    sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True),
    sa.Column("client_name", sa.String(255), nullable=False, unique=True),
    sa.Column("client_secret_hash", sa.String(255), nullable=False),
    sa.Column("scopes", Names, nullable=False),
    sa.Column(
        "rate_limit_policy_id",
        sa.Integer,
        sa.ForeignKey("rate_limit_policies.id", ondelete="SET NULL"),
    ),
    sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
    _version(),
    _made(),
    _changed(),
)

users = sa.Table(
    "users",
    METADATA,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("email", sa.String(254), nullable=False, unique=True),
    sa.Column("password_hash", sa.String(255), nullable=False),
    sa.Column("scopes", Names, nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("mfa_secret", sa.String(255)),
    sa.Column("last_totp_step", sa.BigInteger, nullable=False, server_default="0"),
    _version(),
    _made(),
    _changed(),
)

recovery_codes = sa.Table(
    "recovery_codes",
    METADATA,
    sa.Column(
        "user_id", sa.String(36), sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("code_hash", sa.String(255), primary_key=True),
)

sessions = sa.Table(
    "sessions",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("user_id", sa.String(36), nullable=False, index=True),
    sa.Column("client", sa.String(255)),
    sa.Column("scopes", Names, nullable=False),
    sa.Column("fingerprint_hash", sa.String(128)),
    _made(),
    sa.Column("expires_at", Utc, nullable=False, index=True),
    sa.Column("revoked_at", Utc),
    sa.Column("revoked_version", sa.BigInteger, index=True),
)
"""They outlive their user: others have to hear that they are revoked."""

refresh_tokens = sa.Table(
    "refresh_tokens",
    METADATA,
    sa.Column("token_hash", sa.LargeBinary, primary_key=True),
    sa.Column(
        "session_id",
        sa.String(64),
        sa.ForeignKey("sessions.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    _made(),
    sa.Column("expires_at", Utc, nullable=False),
    sa.Column("used_at", Utc),
)
"""One-time tokens. The tokens of one session are one family."""

api_keys = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column(
        "owner_id",
        sa.String(36),
        sa.ForeignKey("users.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column(
        "client_id",
        sa.Uuid(as_uuid=False),
        sa.ForeignKey("api_clients.id", ondelete="CASCADE"),
        index=True,
    ),
    sa.Column("name", sa.String(255), nullable=False, server_default=""),
    sa.Column("scopes", Names, nullable=False),
    sa.Column("rate_limit_policy", sa.String(100)),
    sa.Column("expires_at", Utc),
    sa.Column("revoked_at", Utc),
    sa.Column("last_used_at", Utc),
    _made(),
)

api_key_versions = sa.Table(
    "api_key_versions",
    METADATA,
    sa.Column(
        "key_id", sa.String(64), sa.ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    _made(),
    sa.Column("valid_until", Utc),
)
"""The digests of a key. All but the newest end at `valid_until`."""

api_key_usage = sa.Table(
    "api_key_usage",
    METADATA,
    sa.Column(
        "key_id", sa.String(64), sa.ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("route", sa.String(255), primary_key=True),
    sa.Column("uses", sa.BigInteger, nullable=False),
)

signing_keys = sa.Table(
    "signing_keys",
    METADATA,
    sa.Column("kid", sa.String(128), primary_key=True),
    sa.Column("algorithm", sa.String(16), nullable=False),
    sa.Column("private_pem", sa.Text, nullable=False),
    sa.Column("public_jwk", Document, nullable=False),
    sa.Column("not_before", Utc, nullable=False),
    sa.Column("retire_at", Utc),
    _made(),
)

# --- who may change things, and what was changed ---------------------------------------------

admin_tokens = sa.Table(
    "admin_tokens",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("service", sa.String(64)),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    _made(),
    sa.Column("expires_at", Utc),
    sa.Column("revoked_at", Utc),
)

audit_log = sa.Table(
    "audit_log",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(255), nullable=False),
    sa.Column("before", Document),
    sa.Column("after", Document),
)

store_version = sa.Table(
    "store_version",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("plan", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("credentials", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("sessions", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("signing_keys", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("registry", sa.BigInteger, nullable=False, server_default="0"),
)
"""One row. `version` grows with each change that others must hear of; the other columns hold the
version at which their area last changed."""
