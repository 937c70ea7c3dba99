"""What is shown of users, keys and the rest: all but their secrets."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from gateway.store.instances import State

__all__ = [
    "AdminTokenView",
    "AuditView",
    "ClientView",
    "InstanceView",
    "KeyUseView",
    "KeyView",
    "Role",
    "SessionView",
    "SigningKeyView",
    "StoredView",
    "UserView",
    "View",
]

Role = Literal["registrar", "viewer", "operator", "admin"]
"""Each may do what those before it may."""


class View(BaseModel):
    """Made from a row of the store: takes the fields that it has."""

    model_config = ConfigDict(
        from_attributes=True, frozen=True, extra="ignore", use_attribute_docstrings=True
    )


class UserView(View):
    """A user."""

    id: str
    email: str
    scopes: tuple[str, ...]
    disabled: bool
    mfa: bool
    """Whether a second factor is asked for."""
    version: int
    created_at: datetime
    updated_at: datetime


class SessionView(View):
    """A login and all that follows from it."""

    id: str
    user_id: str
    client: str | None
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class KeyView(View):
    """An API key."""

    id: str
    owner_id: str
    owner_email: str
    client_id: str | None
    client_name: str | None
    """The application that it is for; its scopes bound the key's."""
    name: str
    scopes: tuple[str, ...]
    rate_limit_policy: str | None
    """For the tiers of limits; null is the client's."""
    version: int
    """Grows with each rotation."""
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


class KeyUseView(View):
    """How often a key was used on a day for a route."""

    day: date
    route: str
    """The route's pattern."""
    uses: int


class ClientView(View):
    """An API client."""

    id: str
    name: str
    scopes: tuple[str, ...]
    rate_limit_policy: str | None
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime


class SigningKeyView(View):
    """A key that signs tokens, without its private half."""

    kid: str
    algorithm: str
    not_before: datetime
    """It signs from then on."""
    retire_at: datetime | None
    """It does not count from then on."""
    created_at: datetime


class AdminTokenView(View):
    """A token of the admin API."""

    id: str
    name: str
    role: Role
    service: str | None
    """The one whose instances a registrar registers."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class StoredView(View):
    """A stored route, service or policy."""

    name: str
    version: int
    section: Any
    """As the configuration file would write it, without secrets."""


class InstanceView(View):
    """A registered instance of a service."""

    id: int
    service: str
    """The name that it registered under."""
    url: str
    weight: int
    zone: str | None
    metadata: dict[str, Any] | None
    active: bool
    """Whether it may get requests; `false` takes it out and keeps it registered."""
    state: State
    """`active`: it gets requests. `expired`: it has sent no heartbeat for `ttl_s`, and gets none
    until the next one. `inactive`: it was taken out."""
    ttl_s: int | None
    expires_at: datetime | None
    """It leaves then, if no heartbeat comes; null: it stays."""
    health: str
    """As a gateway saw it when it last changed: `unknown`, `healthy` or `unhealthy`."""
    health_changed_at: datetime | None
    health_reported_by: str | None
    """The host of that gateway."""
    version: int
    created_at: datetime
    updated_at: datetime


class AuditView(View):
    """An entry of the audit log."""

    id: int
    at: datetime
    actor: str
    action: str
    """`route.create`, `key.revoke`, …"""
    subject: str
    """The name or id of what was changed."""
    before: dict[str, Any] | None
    after: dict[str, Any] | None
