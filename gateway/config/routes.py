"""The ``routes`` section: which requests go to which service."""

import re
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from gateway.config.addresses import Network
from gateway.config.patterns import parse_host_pattern, parse_path, parse_path_pattern
from gateway.config.request_key import RequestKey, Token
from gateway.config.section import Section
from gateway.config.values import (
    Duration,
    Flag,
    Many,
    OneOrMany,
    OptionalShare,
    OptionalSize,
    Share,
    Table,
    Text,
    WholeNumber,
    empty_if_none,
    parse_flag,
    parse_text,
    shown,
    text_schema,
)

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""RFC 9110 section 5.6.2: what method and field names are made of."""
MAX_PRIORITY = 1_000_000
"""Wide enough for any scheme of numbers, narrow enough for the route table's integers."""


def parse_method(value: object) -> str:
    """A method's name (RFC 9110 section 9.1): case-sensitive, and in practice upper case."""
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        raise ValueError(f"must be a method such as GET, not {shown(value)}")
    if value != value.upper():
        raise ValueError(f"methods are case-sensitive; write {value.upper()}, not {value}")
    return value


def parse_field_name(value: object) -> str:
    """The name of a header field (RFC 9110 section 5.1)."""
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        raise ValueError(f"{shown(value)} is not the name of a header field")
    if value.lower() == "host":
        raise ValueError("match the host with `host:`, not with a header")
    return value


def parse_scope(value: object) -> str:
    """One scope (RFC 6749 section 3.3), which stands in a list that is separated by blanks."""
    if not isinstance(value, str) or not re.fullmatch(r"[!#-\[\]-~]{1,128}", value):
        raise ValueError(f"must be a scope such as content:read, not {shown(value)}")
    return value


def parse_printable(value: object) -> str:
    """Text without control characters: nothing else arrives in a field or a query."""
    text = parse_text(value)
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("must not hold control characters")
    return text


def parse_present(value: object) -> bool | None:
    """``true``: the name must occur. ``false``: it must not."""
    return None if value is None else parse_flag(value)


Printable = Annotated[str, BeforeValidator(parse_printable)]
FieldName = Annotated[str, BeforeValidator(parse_field_name)]
RouteName = Annotated[
    str, Field(min_length=1, max_length=128), BeforeValidator(parse_text), text_schema("text")
]
Method = Annotated[str, PlainValidator(parse_method), text_schema("method")]
HostPattern = Annotated[str, PlainValidator(parse_host_pattern), text_schema("host pattern")]
PathPattern = Annotated[str, PlainValidator(parse_path_pattern), text_schema("path pattern", "/.*")]
ScopeName = Annotated[str, PlainValidator(parse_scope), text_schema("scope")]
LiteralPath = Annotated[str, PlainValidator(parse_path), text_schema("path", "/.*")]


class Predicate(Section):
    """What a header or query parameter must look like. Text alone means `exact`."""

    shorthand = ("string", "integer", "boolean")

    exact: Printable | None = None
    """The whole value."""
    prefix: Printable | None = None
    """How the value begins."""
    present: Annotated[bool | None, BeforeValidator(parse_present)] = None
    """`true`: it occurs, with any value; `false`: it does not occur."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return value if isinstance(value, dict | None) else {"exact": value}

    @model_validator(mode="after")
    def _exactly_one(self) -> "Predicate":
        if sum(test is not None for test in (self.exact, self.prefix, self.present)) != 1:
            raise ValueError("needs a value, or exactly one of exact, prefix and present")
        return self

    @property
    def test(self) -> tuple[Literal["exact", "prefix", "present", "absent"], str]:
        """The operation and its operand."""
        if self.exact is not None:
            return "exact", self.exact
        if self.prefix is not None:
            return "prefix", self.prefix
        return ("present" if self.present else "absent"), ""


class ReplacePrefix(Section):
    """Another beginning for the path that the service sees."""

    from_: Annotated[LiteralPath, Field(alias="from")]
    """The beginning to take away; whole segments."""
    to: LiteralPath
    """What to put in its place."""


class RouteLimits(Section):
    """Limits of one route, in place of the server's."""

    body: OptionalSize | None = None
    """Size of a request's body; by default `server.limits.body`."""


class When(Section):
    """Requests that a part of a split takes whatever its weight. All tests must hold."""

    header: Table[FieldName, Predicate] = Field(default_factory=dict)
    """Header fields: a value, `{prefix: x}` or `{present: true|false}`."""
    cookie: Table[Token, Predicate] = Field(default_factory=dict)
    """Cookies: as for headers."""
    claim: Table[Text, Predicate] = Field(default_factory=dict)
    """Claims of the caller's token: as for headers. Of a list, one element must fit."""


class SplitPart(Section):
    """One of the services between which a route's requests are divided."""

    service: Text
    """The service."""
    weight: Annotated[int, Ge(0), Le(65_535), WholeNumber] = 0
    """Its share of the requests that no `when` has taken."""
    when: When | None = None
    """Requests that it takes whatever its weight."""


class Scopes(Section):
    """What the caller must be allowed. A list alone means `all`."""

    shorthand = ("array", "string")

    all: OneOrMany[ScopeName] = ()
    """Every one of these …"""
    any: OneOrMany[ScopeName] = ()
    """… and at least one of these, if there are any."""

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return value if isinstance(value, dict | None) else {"all": value}


class Canary(Section):
    """Watches a part of a split beside the others: rolls it back, or gives it more by and by."""

    service: Text
    """The part that is new; the others are what it is measured by."""
    steps: Annotated[tuple[Share, ...], BeforeValidator(empty_if_none)] = ()
    """Shares that it gets one after the other while all goes well; by default it keeps its own."""
    every: Duration = 600.0
    """How long each step lasts."""
    min_requests: Annotated[int, Ge(1), Le(1_000_000), WholeNumber] = 100
    """Fewer of either side since the step began decide nothing."""
    max_failures: Share = 0.01
    """So much more of its answers may be 500 or above."""
    max_slowdown: OptionalShare = 0.0
    """So much longer its answers may take on average (`50%`); `off`: that does not matter."""


class Mirror(Section):
    """Sends copies of requests to another service, whose answers nobody sees."""

    service: Text
    """The service that gets the copies."""
    share: Share = 1.0
    """Of the requests."""
    by: RequestKey | None = None
    """What decides whether a request is copied, so that the same callers always are; by default
    each request is drawn anew."""
    max_requests: Annotated[int, Ge(1), Le(65_535), WholeNumber] = 64
    """Copies to the service under way at the same time, of all workers together; more are
    dropped."""
    max_body: OptionalSize = 65_536
    """Requests with a larger body are not copied; `off`: none with a body is."""
    credentials: Flag = False
    """Whether the copies carry `Authorization`, `X-API-Key` and `Cookie` as the requests do."""


class RouteNetworks(Section):
    """From where a route may be used: the client's address, behind trusted proxies."""

    allow: Many[Network] = ()
    """Only from these networks. Without it, from all."""
    deny: Many[Network] = ()
    """Not from these, whatever `allow` says."""


class Route(Section):
    """Which requests go to which service. The most specific route wins, wherever it stands."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["service"]}, {"required": ["split"]}]}
    )

    name: RouteName | None = None
    """A unique name for people; by default the path."""
    path: PathPattern
    """`{name}` stands for one segment, `{name...}` at the end for the rest (even none)."""
    host: OneOrMany[HostPattern] = ()
    """One host or a list: `api.example.org`, `*.example.org`. Without it, any host."""
    methods: OneOrMany[Method] = ()
    """`GET` covers `HEAD`. Without it, any method."""
    headers: Table[FieldName, Predicate] = Field(default_factory=dict)
    """Header fields that a request must have: a value, `{prefix: x}` or `{present: true|false}`."""
    query: Table[str, Predicate] = Field(default_factory=dict)
    """Query parameters that a request must have: as for headers."""
    priority: Annotated[int, Ge(-MAX_PRIORITY), Le(MAX_PRIORITY), WholeNumber] = 0
    """A higher one wins before all other rules."""
    service: Text | None = None
    """The service that answers; or `split`. Beside a split, the name that limits and logs go by."""
    split: Annotated[tuple[SplitPart, ...], BeforeValidator(empty_if_none)] = ()
    """Divides the requests between these services: a canary, or blue and green. What `service`
    names gets none of them unless it is a part."""
    split_by: RequestKey | None = None
    """What keeps a caller with one part of the split; by default each request is drawn anew."""
    canary: Canary | None = None
    """Which part of the split is new, and when it is rolled back."""
    mirror: Mirror | None = None
    """Another service that gets copies of the requests; none without it."""
    strip_prefix: LiteralPath | None = None
    """The beginning of the path that the service does not see."""
    replace_prefix: ReplacePrefix | None = None
    """Another beginning for the path that the service sees."""
    auth: Literal["required", "optional", "none"] = "required"
    """Whether callers must say who they are. `optional` lets through who does not; `none` does not
    look."""
    accept: OneOrMany[Literal["jwt", "api_key"]] = ("jwt", "api_key")
    """By what: `jwt` in `Authorization: Bearer`, `api_key` in `X-API-Key` or `Authorization:
    ApiKey`."""
    scopes: Scopes = Scopes()
    """What the caller must be allowed: `[read]`, or `{any: [read, write]}`. Who has `content:*` has
    `content:read`, too, and who has `*` has all."""
    forward_token: Flag = True
    """Whether the service gets the verified bearer token as well. API keys never go on."""
    limits: RouteLimits = RouteLimits()
    """Limits of this route, in place of the server's."""
    networks: RouteNetworks = RouteNetworks()
    """From where the route may be used."""
    rate_limits: OneOrMany[Text] = ()
    """Names of the policies that hold here, beside those that hold everywhere."""
    rate_limit_weight: Annotated[int, Ge(1), Le(10_000), WholeNumber] = 1
    """What a request to this route costs, in requests."""
    criticality: Literal["sheddable", "normal", "critical"] = "normal"
    """How much it matters when a worker is overloaded: see `server.overload`."""

    @property
    def main_service(self) -> str:
        """By whose name limits and logs go, also where a split has not chosen yet."""
        return self.service or self.split[0].service

    @property
    def title(self) -> str:
        """The name, or the path of a route without one."""
        return self.name or self.path
