"""The compiled Plan: what a worker needs, resolved, with every default filled in. Immutable.

It travels as JSON. Durations are seconds, sizes are bytes, 0 means no limit.
"""

from dataclasses import dataclass
from typing import Literal

import orjson


@dataclass(frozen=True, slots=True)
class PlannedLimits:
    """What one client may take."""

    head: int
    body: int
    head_timeout: float
    body_timeout: float
    idle_timeout: float
    connections: int
    """Of the whole instance; each worker takes its share, rounded up."""


@dataclass(frozen=True, slots=True)
class PlannedOverload:
    """From when on requests are refused. 0 = never."""

    in_flight: int
    """Of the whole instance."""
    loop_lag: float


@dataclass(frozen=True, slots=True)
class PlannedServer:
    """What holds for every exchange."""

    limits: PlannedLimits
    workers: int
    trusted_proxies: tuple[str, ...]
    encoded_slashes: Literal["reject", "keep"]
    overload: PlannedOverload
    access_log: str
    """``stdout``, ``stderr``, ``off`` or a path."""


@dataclass(frozen=True, slots=True)
class PlannedEndpoint:
    """Where to connect: `host` and `port`, or the path of the socket `unix`."""

    url: str
    host: str | None
    port: int | None
    unix: str | None
    weight: int
    zone: str | None
    """Where it runs, if its source says so."""
    priority: int
    """Lower ones come first."""
    place: int
    """Where the segment keeps its state."""


@dataclass(frozen=True, slots=True)
class PlannedTimeouts:
    """How long to wait for an endpoint."""

    connect: float
    response: float
    idle: float
    total: float


@dataclass(frozen=True, slots=True)
class PlannedPool:
    """Connections to a service's endpoints, per worker."""

    max_connections: int
    max_queue: int
    idle_timeout: float


@dataclass(frozen=True, slots=True)
class PlannedKey:
    """What a request is recognised by. `name`: of the cookie, or of the header in lower case."""

    source: Literal["header", "cookie", "user", "ip"]
    name: str


@dataclass(frozen=True, slots=True)
class PlannedStickyCookie:
    """A cookie that names an endpoint. `ttl` 0: until the client's session ends."""

    name: str
    ttl: float


@dataclass(frozen=True, slots=True)
class PlannedHealth:
    """Active checks, for the control process. Empty `statuses` mean 200 to 399."""

    path: str | None
    statuses: tuple[int, ...]
    interval: float
    timeout: float
    unhealthy_after: int
    healthy_after: int
    backoff_max: float


@dataclass(frozen=True, slots=True)
class PlannedOutlier:
    """Ejection of endpoints. 0 in the first three: does not matter."""

    consecutive_failures: int
    failure_ratio: float
    latency_factor: float
    latency_floor: float
    min_requests: int
    window: float
    eject_for: float
    eject_max: float
    max_ejected: float


@dataclass(frozen=True, slots=True)
class PlannedBreaker:
    """The circuit breaker."""

    window: float
    min_requests: int
    failure_ratio: float
    slow_after: float
    open_for: float
    open_max: float
    half_open_requests: int
    shared: bool


@dataclass(frozen=True, slots=True)
class PlannedBulkhead:
    """Of the whole instance; each worker takes its share, rounded up."""

    max_requests: int
    max_queue: int
    queue_timeout: float


@dataclass(frozen=True, slots=True)
class PlannedHedge:
    """When a second endpoint is asked."""

    quantile: float
    """Of the latencies; 0 = always after `delay`."""
    delay: float
    """With a quantile, the least."""


@dataclass(frozen=True, slots=True)
class PlannedRetries:
    """When a request is sent again."""

    attempts: int
    causes: tuple[str, ...]
    """Of ``connect``, ``reset`` and ``timeout``."""
    statuses: tuple[int, ...]
    methods: tuple[str, ...]
    budget: float
    backoff: float
    backoff_max: float
    body: int
    hedge: PlannedHedge | None


@dataclass(frozen=True, slots=True)
class PlannedFallback:
    """A static answer, or another service by its index in `Plan.services`."""

    status: int
    content_type: str
    body: str
    service: int | None


@dataclass(frozen=True, slots=True)
class PlannedService:
    """An upstream. What is None is not done."""

    name: str
    label: int
    """The id of `name` in the segment's label table."""
    host: str | None
    """The Host sent upstream; None sends the downstream's own."""
    balance: str
    hash_by: PlannedKey | None
    """For ``consistent_hash``."""
    zone: str | None
    """The gateway's own, whose endpoints come first; None: no zone does."""
    max_load: float
    """Of an endpoint, relative to its share, in consistent hashing; 0 = no bound."""
    sticky_cookie: PlannedStickyCookie | None
    slow_start: float
    panic_threshold: float
    endpoints: tuple[PlannedEndpoint, ...]
    timeouts: PlannedTimeouts
    pool: PlannedPool
    discovery: str | None
    """The source that finds the endpoints, for people. Then there may be none yet."""
    health: PlannedHealth | None
    outlier: PlannedOutlier | None
    breaker: PlannedBreaker | None
    bulkhead: PlannedBulkhead | None
    retries: PlannedRetries | None
    fallback: PlannedFallback | None


@dataclass(frozen=True, slots=True)
class PlannedPredicate:
    """A test of a header field (`name` in lower case), a cookie, a claim or a query parameter."""

    name: str
    op: Literal["exact", "prefix", "present", "absent"]
    value: str


@dataclass(frozen=True, slots=True)
class PlannedSplitPart:
    """A part of a route's requests: those that pass all tests (if there are any), and a share."""

    service: int
    """Index in `Plan.services`."""
    weight: int
    place: int
    """Where the segment keeps a share that lies over the weights; another one when the split is."""
    headers: tuple[PlannedPredicate, ...]
    cookies: tuple[PlannedPredicate, ...]
    claims: tuple[PlannedPredicate, ...]


@dataclass(frozen=True, slots=True)
class PlannedMirror:
    """Who gets copies of a route's requests, and of how many."""

    service: int
    """Index in `Plan.services`."""
    share: float
    by: PlannedKey | None
    """None draws anew for each request."""
    max_requests: int
    """Of the whole instance; each worker takes its share, rounded up."""
    max_body: int
    credentials: bool


@dataclass(frozen=True, slots=True)
class PlannedCanary:
    """The part of a split that is new."""

    part: int
    """Index in the route's split."""
    steps: tuple[float, ...]
    every: float
    min_requests: int
    max_failures: float
    max_slowdown: float


@dataclass(frozen=True, slots=True)
class PlannedRoute:
    """Which requests go to which service. Empty `hosts` or `methods` mean any."""

    name: str
    label: int
    """The id of `path` in the segment's label table."""
    hosts: tuple[str, ...]
    path: str
    methods: tuple[str, ...]
    headers: tuple[PlannedPredicate, ...]
    query: tuple[PlannedPredicate, ...]
    priority: int
    service: int
    """Index in `Plan.services`."""
    split: tuple[PlannedSplitPart, ...]
    """In place of `service`, if it is not empty."""
    split_by: PlannedKey | None
    """None draws anew for each request."""
    canary: PlannedCanary | None
    mirror: PlannedMirror | None
    strip_prefix: str | None
    replace_prefix: tuple[str, str] | None
    """What to take from the beginning of the path, and what to put in its place."""
    body: int
    auth: Literal["required", "optional", "none"]
    accept: tuple[str, ...]
    """Of ``jwt`` and ``api_key``."""
    scopes: tuple[str, ...]
    """All of these …"""
    any_scopes: tuple[str, ...]
    """… and one of these."""
    forward_token: bool
    allow: tuple[str, ...]
    """Networks that may use it; empty means all."""
    deny: tuple[str, ...]
    rate_limits: tuple[int, ...]
    """Indexes in `Plan.rate_limits`."""
    rate_limit_weight: int
    criticality: Literal["sheddable", "normal", "critical"]


@dataclass(frozen=True, slots=True)
class PlannedAllowance:
    """How much: `limit` in `period` seconds, of a bucket with `burst` tokens."""

    limit: int
    period: int
    burst: int
    lease: int
    """Tokens that a host takes ahead of need; 0 = none."""


@dataclass(frozen=True, slots=True)
class PlannedTier:
    """Another allowance for callers whose `test` is `value`; None: none."""

    test: Literal["scope", "client", "policy", "claim"]
    claim: str
    value: str
    allowance: PlannedAllowance | None


@dataclass(frozen=True, slots=True)
class PlannedRateLimit:
    """A policy. `key` is its kind, `argument` the name of a header or claim."""

    name: str
    label: int
    """The id of `name` in the segment's label table."""
    algorithm: Literal["token_bucket", "sliding_window", "fixed_window", "concurrent"]
    key: str
    argument: str
    allowance: PlannedAllowance
    tiers: tuple[PlannedTier, ...]
    mode: Literal["memory", "exact", "leased"]
    on_failure: Literal["local", "allow", "deny"]
    weight: int
    weight_header: str | None
    """Lower case. A field of the answer that says what the request has cost."""
    ipv6_prefix: int
    dry_run: bool
    early: bool
    """Before authentication."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a worker needs. A running exchange keeps the plan that it began with."""

    generation: int
    """Grows with each publication."""
    server: PlannedServer
    services: tuple[PlannedService, ...]
    rate_limits: tuple[PlannedRateLimit, ...]
    routes: tuple[PlannedRoute, ...]

    def to_bytes(self) -> bytes:
        """The plan as JSON."""
        return orjson.dumps(self)
