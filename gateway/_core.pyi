"""Types of the compiled extension: the Rust structures for coarse calls and tests."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Self, TypeAlias, TypedDict, final, type_check_only

from typing_extensions import Buffer  # the type checker's own; nothing to install

__version__: str
CYTHON_MODULES: list[str]

# ---- Paths and routes ----------------------------------------------------------------------------

def normalize_path(path: bytes, encoded_slashes: Literal["reject", "keep"] = "reject") -> bytes:
    """The canonical form of a request's path (RFC 3986 §6.2.2), the only one that is ever used.

    Raises ValueError whose text is the error's name: bad_escape, nul, control, backslash,
    encoded_slash, double_encoding, not_utf8, above_root, fragment or not_absolute.
    """

@final
class Match:
    """What a lookup found."""

    @property
    def route(self) -> int | None:
        """Place of the winner in the list of routes; None without one."""
    @property
    def params(self) -> dict[str, str]:
        """Values of the winner's parameters, spelt as in the canonical path (escapes stay)."""
    @property
    def allow(self) -> list[str]:
        """Methods for `Allow`, if routes take this host and path but not this method."""

@final
class Candidate:
    """A route whose host and path match a request."""

    @property
    def route(self) -> int: ...
    @property
    def verdict(self) -> str:
        """`wins`, `shadowed`, `method`, `header NAME` or `query NAME` (what does not hold)."""

@final
class RouteTable:
    """Which route takes a request. Immutable.

    `routes` are dicts as in the Plan; keys that routing does not need are ignored. Raises
    ValueError with the place and the remedy, such as `routes[3].path: ...`.
    """

    def __init__(
        self,
        routes: Sequence[Mapping[str, Any]],
        encoded_slashes: Literal["reject", "keep"] = "reject",
    ) -> None: ...
    @property
    def address(self) -> int:
        """Pointer for Cython (`GwRoutes *`), valid while this object lives."""
    def match(
        self,
        method: str,
        host: str,
        path: str,
        query: str = "",
        headers: Sequence[tuple[str, str]] = ...,
    ) -> Match:
        """The route that takes a request. `path` is canonical, `query` comes without `?`."""
    def explain(
        self,
        method: str,
        host: str,
        path: str,
        query: str = "",
        headers: Sequence[tuple[str, str]] = ...,
    ) -> list[Candidate]:
        """Every route whose host and path match, best first."""

# ---- Segment, endpoints, timer wheel ------------------------------------------------------------

WORKER_METRICS: Final[tuple[tuple[str, str, str], ...]]
"""Name, kind ("counter" or "gauge") and help of each counter of a process."""
SERVICE_METRICS: Final[tuple[tuple[str, str, str], ...]]
"""The same of each counter of a service."""
METHODS: Final[tuple[str, ...]]
"""Methods that are counted apart; the last stands for all others."""
DURATION_BUCKETS: Final[tuple[float, ...]]
"""Upper bounds in seconds of the duration histogram; one more bucket has no bound."""
MAX_LABELS: Final[int]
MAX_PLACES: Final[int]
SERIES_LIMIT: Final[int]
SERVICES_LIMIT: Final[int]

@type_check_only
class Series(TypedDict):
    """Requests with the same route, service, method and status."""

    route: str
    service: str
    method: str
    status: int
    """0 in the series that counts what found no room in the table."""
    count: int
    sum_seconds: float
    buckets: list[int]
    """Requests in each of DURATION_BUCKETS and above them; not cumulative."""

@type_check_only
class Snapshot(TypedDict):
    """The sum of all slots."""

    counters: dict[str, int]
    """By name, as in WORKER_METRICS."""
    services: dict[str, dict[str, int]]
    """By service and name, as in SERVICE_METRICS."""
    limits: dict[tuple[str, str], dict[str, int]]
    """By policy and route, and name, as in LIMIT_METRICS."""
    limit_evictions: int
    series: list[Series]
    heartbeats: list[int]
    """Of each slot, ms; 0 = never."""
    labels_dropped: int
    places_used: int
    places_dropped: int

@type_check_only
class EndpointState(TypedDict):
    """What is known of an endpoint."""

    health: Literal["unknown", "healthy", "unhealthy"]
    ejected_for_ms: int
    """How much longer; 0 = it is not."""
    in_flight: int
    """In all workers. Counted only where the balancer needs it."""
    latency_us: float
    """Peak EWMA; 0 = nothing observed. Observed only where the balancer needs it."""

@final
class Segment:
    """Counters and labels that all processes of an instance share.

    Slots 0 to workers - 1 are the workers', slot `workers` is the control process' and the
    supervisor's. A slot has one writer process at a time.
    """

    def __new__(cls, buffer: Buffer, workers: int, create: bool, cells: int = ...) -> Self:
        """Lay a segment over `buffer`: mmap.mmap(-1, Segment.size_for(workers)), made before fork.

        `cells`: of the limits' table, a power of two, by default LIMIT_CELLS; who attaches takes
        what is there.

        `create` needs fresh (zeroed) memory; without it the segment must be there already. The
        buffer stays exported, so the mmap cannot be closed, while this object lives.
        Raises ValueError: too small, not aligned to 64 bytes, or not the segment that it should be.
        """

    @staticmethod
    def size_for(workers: int, cells: int = ...) -> int:
        """Bytes. Untouched pages take no memory. Raises ValueError outside 1 to 1024."""

    @property
    def address(self) -> int:
        """Pointer for the C face (GwSegment), valid while this object lives."""

    def hash(self, data: bytes) -> int:
        """64 bits under the instance's secret, the same in all its processes; never 0."""

    def limit_add(self, slot: int, policy: int, route: int, counter: str, delta: int) -> None:
        """Add to a counter of LIMIT_METRICS. ValueError for another name."""

    def enter(self, key: int, slot: int, limit: int, now_ns: int) -> bool:
        """Count one more request of `key` under way in a worker, unless `limit` are."""

    def leave(self, key: int, slot: int, now_ns: int) -> None:
        """Count one less."""

    def revoke(
        self,
        kind: Literal["session", "user", "client", "key"],
        name: str,
        before_s: int,
        until_s: int,
        now_s: int,
    ) -> None:
        """From now on, what was issued to this name before `before_s` is refused everywhere.

        Times are Unix times; from `until_s` on the entry may be forgotten, since what it concerns
        has expired. One process at a time. Raises ValueError for an unknown kind.
        """

    def is_revoked(
        self, kind: Literal["session", "user", "client", "key"], name: str, issued_s: int
    ) -> bool:
        """Whether what was issued to this name at `issued_s` is refused."""

    @property
    def revocations_spilled(self) -> int:
        """Entries that found no room of their own: some who are not meant are refused, too."""

    def worker_address(self, slot: int) -> int:
        """Pointer for the C face (GwRegion), valid while this object lives. Raises IndexError."""

    def intern(self, text: str) -> int:
        """Id of a label, for good. 0 ("other") when the table is full. One process at a time."""

    def label(self, id: int) -> str:
        """Text of an id; "other" if it was never given out."""

    def place(self, name: str, now_ms: int) -> int:
        """Where the state of an endpoint or part of a split lies; new to each owner, and its own
        until a `sweep` takes it back. 0 ("other") when all are taken. One process at a time.
        """

    def sweep(self, wanted: list[int], now_ms: int, grace_ms: int) -> int:
        """Free the places that no Plan has `wanted` for `grace_ms` and no worker's EndpointSet
        names; returns how many. One process at a time.
        """

    def beat(self, slot: int, now_ms: int) -> None: ...
    def last_beat(self, slot: int) -> int:
        """Argument of the last `beat`; 0 before the first."""

    def add(self, slot: int, counter: str, delta: int) -> None:
        """Add to a row of WORKER_METRICS; several processes may. Raises ValueError, IndexError."""

    def set(self, slot: int, gauge: str, value: int) -> None: ...
    def service_add(self, slot: int, service: int, counter: str, delta: int) -> None:
        """Add to a row of SERVICE_METRICS. Only for the slot's writer."""

    def observe(
        self, slot: int, route: int, service: int, method: str, status: int, duration_ns: int
    ) -> None:
        """Count a finished request; route and service are labels. Only for the slot's writer."""

    def reset_gauges(self, slot: int) -> None:
        """After the slot's writer died: what it had open is closed. Counters stay."""

    def set_health(self, endpoint: int, health: str, now_ms: int) -> None:
        """`endpoint`: a place. `health`: unknown, healthy or unhealthy; else ValueError. Only for
        the control process.
        """

    def endpoint(self, endpoint: int, now_ms: int) -> EndpointState:
        """What all processes know of the endpoint at this place."""

    def share(self, part: int) -> int | None:
        """Permille of the requests for the part of a split at this place; None: as configured."""

    def set_share(self, part: int, permille: int | None) -> None:
        """Only for the control process. Raises ValueError above 1000."""

    def breaker(self, service: int) -> tuple[Literal["closed", "open", "half_open"], int]:
        """State of the breaker of the service with this label, and until when it is open, ms."""

    def open_breaker(self, service: int, until_ms: int) -> bool:
        """Open it, if it is closed; whether it was. For what another host has found out."""

    def collect(self) -> Snapshot: ...

BalancerKind = Literal[
    "weighted_round_robin", "weighted_random", "least_request", "ewma", "consistent_hash"
]

def hash_key(key: bytes) -> int:
    """The 64-bit hash of consistent hashing."""

@final
class Lru:
    """Which byte strings were seen lately; slots are numbers from 1."""

    def __new__(cls, max_entries: int, max_bytes: int) -> Self: ...
    def __len__(self) -> int: ...
    def find(self, data: bytes) -> int | None:
        """The slot, now the one used last."""

    def evict_for(self, length: int) -> int | None:
        """A slot that is given up for a string of this length; None when none has to be."""

    def insert(self, data: bytes) -> int | None:
        """A slot, or None when there is no room."""

@final
class Balancer:
    """Chooses an endpoint of a service."""

    def __new__(
        cls,
        kind: str,
        weights: list[int],
        seed: int,
        urls: list[str] | None = None,
        max_load_percent: int = 0,
    ) -> Self:
        """`kind`: a BalancerKind. `weights`: one for each endpoint, 0 to 2^32 - 1; 0 is never
        picked unless all are 0. `seed`: where round robin begins. `urls`: what consistent hashing
        recognises the endpoints by. `max_load_percent`: its bound, 0 = none.
        Raises ValueError: unknown kind, no endpoints, more than 4,096.
        """

    def pick(
        self,
        random: int,
        hash: int = 0,
        refusing: list[int] | None = None,
        in_flight: list[int] | None = None,
        latency_us: list[float] | None = None,
    ) -> int | None:
        """Index of an endpoint that is not `refusing`. `random`: 64 uniform bits. `hash`: of
        `hash_key`. The lists tell of each endpoint.
        """

@type_check_only
class Outlier(TypedDict):
    """When an endpoint is ejected. 0 = does not matter."""

    consecutive_failures: int
    failure_permille: int
    latency_percent: int
    latency_floor_us: int
    min_requests: int
    window_ms: int
    eject_for_ms: int
    eject_max_ms: int
    max_ejected_percent: int

@final
class EndpointSet:
    """The endpoints of one service: a balancer over what the segment knows of each."""

    def __new__(
        cls,
        segment: Segment,
        slot: int,
        label: int,
        kind: str,
        endpoints: Sequence[tuple[int, int, str, int, str | None]],
        *,
        seed: int,
        now_ms: int,
        max_load_percent: int = 0,
        slow_start_ms: int = 0,
        outlier: Outlier | None = None,
        panic_percent: int = 50,
        checked: bool = False,
        zone: str | None = None,
    ) -> Self:
        """`slot`: the worker's. `endpoints`: place, weight, URL, priority and zone of each.
        `checked`: whether somebody calls `Segment.set_health`. `zone`: whose endpoints come first.
        Raises ValueError as Balancer does, IndexError.
        """

    def pick(
        self, now_ms: int, random: int, hash: int = 0, tried: list[int] | None = None
    ) -> int | None:
        """Index of an endpoint; None if none may be used. `tried`: failed this request."""

    def find(self, now_ms: int, key: int) -> int | None:
        """Index of the endpoint with this `key`, if it may be used."""

    def key(self, index: int) -> int: ...
    def begin(self, index: int) -> None:
        """A request goes to a picked endpoint; `end` it once."""

    def end(self, index: int) -> None: ...
    def report(self, index: int, failed: bool, latency_us: int, now_ms: int) -> bool:
        """How a request ended. True if the endpoint has been ejected for it, just now."""

    def outrun(self, index: int, latency_us: int, now_ms: int) -> None:
        """A request was given up, because another endpoint answered it first."""

    def refresh(self, now_ms: int) -> int | None:
        """Looks whether one is too slow, and whether enough are usable. Called on the tick.

        Index of the endpoint that has been ejected by this call.
        """

    @property
    def is_counted(self) -> bool:
        """Whether begin, end and report do anything."""
    @property
    def address(self) -> int:
        """Pointer for the C face (GwEndpoints), valid while this object lives."""

@final
class Breaker:
    """A service's circuit breaker, over its place in the segment."""

    def __new__(
        cls,
        segment: Segment,
        label: int,
        *,
        window_ms: int,
        min_requests: int,
        failure_permille: int,
        open_for_ms: int,
        open_max_ms: int,
        probes: int,
    ) -> Self: ...
    def admit(self, now_ms: int) -> tuple[int | None, str | None, int]:
        """Ticket, state entered with it, 0; or None, None, ms to wait."""

    def report(self, ticket: int, outcome_name: str, now_ms: int, random: int) -> str | None:
        """`outcome_name`: success, failure or abandoned. The state entered with it."""

    @property
    def state(self) -> Literal["closed", "open", "half_open"]: ...
    @property
    def address(self) -> int:
        """Pointer for the C face (GwBreaker), valid while this object lives."""

@final
class TimerWheel:
    """Timeouts with a tick of 100 ms. Times are ms of one monotonic clock."""

    def __new__(cls, now_ms: int) -> Self: ...
    def insert(self, due_ms: int) -> int:
        """A handle, armed."""

    def update(self, handle: int, due_ms: int) -> None:
        """Set the due time; arms a handle that has fired. Raises KeyError."""

    def remove(self, handle: int) -> None:
        """Raises KeyError."""

    def advance(self, now_ms: int, capacity: int = 64) -> list[int]:
        """Handles that are due, now disarmed; at most `capacity`, so call again on that many."""

LIMIT_METRICS: Final[tuple[tuple[str, Literal["counter", "gauge"], str], ...]]
"""Name, kind and help of what is counted for each policy on each route."""
LIMIT_CELLS: Final[int]
"""Limits that have room in the segment."""
MAX_EXACT_WINDOW: Final[int]
"""A sliding window of more is an estimate."""
MAX_WINDOW_COUNT: Final[int]
MAX_LEASE: Final[int]

LimitRule: TypeAlias = tuple[Literal["bucket", "sliding", "fixed", "lease"], int, int, int]
"""Kind, limit, window in ns, burst."""
LimitAsk: TypeAlias = tuple[int, int, int, bool]
"""Rule, key, weight, and whether a refusal counts."""
LimitQuota: TypeAlias = tuple[bool, bool, int, int, int]
"""Allowed, wants more, remaining, ns until all is there again, ns until a retry."""

@final
class Limits:
    """The rules of one Plan, over the cells of a segment."""

    def __new__(cls, rules: list[LimitRule]) -> Self:
        """ValueError for a rule that is none."""

    @property
    def address(self) -> int:
        """Pointer for the C face (GwLimits), valid while this object lives."""

    def acquire(
        self, segment: Segment, questions: list[LimitAsk], now_ns: int
    ) -> tuple[bool, list[LimitQuota]]:
        """All or nothing."""

    def refund(self, segment: Segment, questions: list[LimitAsk], now_ns: int) -> None:
        """Give back what was acquired at the same `now_ns`."""

    def charge(self, segment: Segment, question: LimitAsk, now_ns: int) -> None:
        """Take it whether it fits or not: what a request has cost beyond what was asked for."""

    def take_back(self, segment: Segment, rule: int, key: int, until_ns: int, now_ns: int) -> int:
        """Unused tokens of a lease that ends at `until_ns`; 0 if more were granted since."""

    def grant(
        self,
        segment: Segment,
        rule: int,
        key: int,
        tokens: int,
        lifetime_ns: int,
        remaining: int,
        full_ns: int,
        retry_ns: int,
        now_ns: int,
    ) -> None:
        """Add tokens that the store has granted to a lease; times are ns from `now_ns`."""
