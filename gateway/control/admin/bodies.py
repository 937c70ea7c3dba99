"""What the admin API accepts and answers, beside the views. An unknown field is an error."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from annotated_types import Ge, Le, Len
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from gateway.administration.admin_tokens import check_service
from gateway.administration.registration import (
    MAX_TTL_S,
    MIN_TTL_S,
    parse_instance_url,
)
from gateway.administration.views import AdminTokenView, ClientView, KeyView, Role
from gateway.config.routes import parse_scope
from gateway.config.services import MAX_WEIGHT
from gateway.config.values import parse_name, parse_zone
from gateway.store.emails import normalise_email

__all__ = [
    "AdminTokenCreated",
    "AdminTokenCreation",
    "ClientChange",
    "ClientCreated",
    "ClientCreation",
    "Configuration",
    "DefinitionChange",
    "DefinitionCreation",
    "DefinitionView",
    "InstanceChange",
    "InstanceRegistration",
    "KeyCreated",
    "KeyCreation",
    "KeyRotation",
    "Page",
    "QuarantinedRow",
    "Revoked",
    "SplitChange",
    "SplitPartView",
    "SplitView",
    "UserChange",
    "UserCreation",
]

Item = TypeVar("Item", bound=BaseModel)


class Body(BaseModel):
    """What a client sends. Only the fields that stand here; never a coerced type."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


class Answer(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


def in_utc(moment: datetime) -> datetime:
    """ValueError for one that is in another year than those from 1 to 9999."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a moment between the years 1 and 9999 of UTC") from None


Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]
Scope = Annotated[str, AfterValidator(parse_scope)]
Scopes = Annotated[tuple[Scope, ...], Field(max_length=256)]
Email = Annotated[str, AfterValidator(normalise_email)]
Label = Annotated[str, Len(1, 128)]
Name = Annotated[
    str, AfterValidator(parse_name), Field(json_schema_extra={"pattern": "^[A-Za-z0-9][\\w-]*$"})
]
Password = Annotated[str, Len(1, 1024), Field(json_schema_extra={"format": "password"})]


class Page(BaseModel, Generic[Item]):
    """Some of many."""

    # Not an Answer: pydantic looks for attribute docstrings in the source, which a
    # parametrised class does not have.
    model_config = ConfigDict(frozen=True)

    items: list[Item]
    next: str | None = Field(description="Give it as `after` to get what follows; null at the end.")


# --- users -----------------------------------------------------------------------------------


class UserCreation(Body):
    """A new user."""

    email: Email
    password: Password
    scopes: Scopes = ()


class UserChange(Body):
    """What is to be other than before. Fields that are left out stay."""

    scopes: Scopes | None = None
    disabled: bool | None = None
    """Who is disabled is logged out, and their keys are refused."""
    password: Password | None = None
    """A new one logs the user out everywhere."""


class Revoked(Answer):
    """How many were ended."""

    revoked: int


# --- keys and clients ------------------------------------------------------------------------


class KeyCreation(Body):
    """A new API key."""

    owner: Annotated[str, Len(1, 254)]
    """The user's id or address."""
    client: Label | None = None
    """Id or name of the client that it is for."""
    name: Annotated[str, Len(0, 255)] = ""
    scopes: Scopes = ()
    """They count as far as owner and client have them."""
    expires_at: Moment | None = None
    rate_limit_policy: Name | None = None
    """Tiers of limits ask for it; without one it is the client's."""


class KeyRotation(Body):
    """A newer text for a key."""

    overlap_s: Annotated[int, Ge(0), Le(90 * 86_400)] = 86_400
    """Seconds for which the text before it counts as well."""


class KeyCreated(KeyView):
    """A key at the only moment when its text is shown."""

    key: str
    """The text. It cannot be shown again."""


class ClientCreation(Body):
    """A new client."""

    name: Label
    scopes: Scopes = ()
    rate_limit_policy: Name | None = None
    """A stored policy."""


class ClientChange(Body):
    """What is to be other than before. Fields that are left out stay."""

    name: Label | None = None
    scopes: Scopes | None = None
    active: bool | None = None
    rate_limit_policy: Name | None = None
    """Null takes the policy away."""


class ClientCreated(ClientView):
    """A client at the only moment when its secret is shown."""

    secret: str
    """It cannot be shown again."""


# --- instances -------------------------------------------------------------------------------

Weight = Annotated[int, Ge(0), Le(MAX_WEIGHT)]
Zone = Annotated[str, AfterValidator(parse_zone)]
Metadata = dict[str, Any]


class InstanceRegistration(Body):
    """What an instance says of itself. Said again, it takes the place of what was said before."""

    service: Name
    """What `discovery.registry.service` asks for."""
    url: Annotated[str, AfterValidator(parse_instance_url)]
    """`http://HOST:PORT`."""
    weight: Weight = 1
    zone: Zone | None = None
    metadata: Metadata | None = None
    """For people and other programs."""
    ttl_s: Annotated[int, Ge(MIN_TTL_S), Le(MAX_TTL_S)] | None = None
    """Seconds after which it leaves if no heartbeat came; null: it stays until it is removed."""


class InstanceChange(Body):
    """What is to be other than before. Fields that are left out stay."""

    weight: Weight | None = None
    zone: Zone | None = None
    """Null takes the zone away."""
    metadata: Metadata | None = None
    """Null takes it away."""
    active: bool | None = None
    """`false` takes the instance out and keeps it registered."""


# --- admin tokens ----------------------------------------------------------------------------


class AdminTokenCreation(Body):
    """A new token of the admin API."""

    name: Label
    role: Role
    """`registrar` registers instances of one service, `viewer` reads, `operator` changes routes,
    keys and sessions, `admin` everything."""
    service: Name | None = None
    """With the role `registrar`, and with no other: whose instances."""
    expires_at: Moment | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_service(self.role, self.service)
        return self


class AdminTokenCreated(AdminTokenView):
    """A token at the only moment when its text is shown."""

    token: str
    """The text. It cannot be shown again."""


# --- splits ----------------------------------------------------------------------------------

ShareOfSplit = Annotated[float, Ge(0), Le(1)]


class SplitChange(Body):
    """Shares that parts of a split get in place of their weights. The others divide the rest."""

    shares: Annotated[dict[str, ShareOfSplit | None], Len(1, 64)]
    """Service → share, to a thousandth; null: by its weight again."""


class SplitPartView(Answer):
    """A part of a split."""

    service: str
    weight: int
    """As configured."""
    share: float
    """Of the requests that no `when` has taken."""
    is_set: bool
    """Whether the share was set, by hand or by the watch of a canary."""


class SplitView(Answer):
    """How a route divides its requests on this host."""

    name: str
    """Of the route."""
    path: str
    parts: list[SplitPartView]
    canary: str | None
    """The part whose share its watch may change, too."""
    version: int
    """Of the shares: the ETag."""


# --- routes, services, policies --------------------------------------------------------------

Section = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-section": True})]
"""The section as the configuration file writes it; the generator puts its schema here."""


class DefinitionCreation(Body):
    """A new route, service or policy."""

    name: Name
    definition: Section
    """What the configuration file would say under the name."""


class DefinitionChange(Body):
    """Another definition under the same name."""

    definition: Section
    """What the configuration file would say under the name."""


class DiscoveryView(Answer):
    """Where the endpoints of a service come from, when they are discovered."""

    source: str
    """Which source is asked, and for what."""
    state: str
    """`ok`, or what is wrong with it."""
    age_s: float | None
    """Seconds since the source last named endpoints; null if it never did."""
    failures: int
    """Times that it could not be asked."""


class DefinitionView(Answer):
    """A route, service or policy."""

    name: str
    source: Literal["file", "store"]
    """What stands in the configuration file is changed there."""
    state: Literal["live", "pending", "quarantined"]
    """Whether it is in force; `pending` if it is not yet, `quarantined` if it cannot be."""
    problem: str | None = None
    """Why it is not in force."""
    version: int | None = None
    """Of what is stored: the ETag."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    discovery: DiscoveryView | None = None
    """For services whose endpoints are discovered."""
    status: dict[str, Any] | None = None
    """For services in force: the breaker, and the health of each endpoint."""
    definition: Any
    """As the configuration file writes it; what was stored by hand may have any form."""


class QuarantinedRow(Answer):
    """A row of the store that is not in force."""

    kind: Literal["service", "policy", "route"]
    name: str
    problem: str


class Configuration(Answer):
    """What is in force."""

    generation: int
    """Grows with each reload."""
    config: dict[str, Any]
    """File, environment, flags and store together, with all defaults and without secrets."""
    quarantined: list[QuarantinedRow]
