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
class PlannedServer:
    """What holds for every exchange."""

    limits: PlannedLimits
    workers: int
    trusted_proxies: tuple[str, ...]
    encoded_slashes: Literal["reject", "keep"]
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
class PlannedService:
    """An upstream."""

    name: str
    label: int
    """The id of `name` in the segment's label table."""
    host: str | None
    """The Host sent upstream; None sends the downstream's own."""
    balance: Literal["weighted_round_robin", "weighted_random"]
    endpoints: tuple[PlannedEndpoint, ...]
    timeouts: PlannedTimeouts
    pool: PlannedPool
    discovery: str | None
    """The source that finds the endpoints, for people. Then there may be none yet."""


@dataclass(frozen=True, slots=True)
class PlannedPredicate:
    """A test of a header field (`name` in lower case) or of a query parameter."""

    name: str
    op: Literal["exact", "prefix", "present", "absent"]
    value: str


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


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a worker needs. A running exchange keeps the plan that it began with."""

    generation: int
    """Grows with each publication."""
    server: PlannedServer
    services: tuple[PlannedService, ...]
    routes: tuple[PlannedRoute, ...]

    def to_bytes(self) -> bytes:
        """The plan as JSON."""
        return orjson.dumps(self)
