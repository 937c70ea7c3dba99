"""Sections of a service that say what happens when it fails: checks, breaker, retries, fallback."""

from typing import Annotated, Any, Literal

import orjson
from annotated_types import Ge, Le
from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from gateway.config.patterns import parse_path
from gateway.config.request_key import RequestKey, Token
from gateway.config.routes import Method
from gateway.config.section import Section
from gateway.config.values import (
    Duration,
    Flag,
    OneOrMany,
    OptionalDuration,
    OptionalShare,
    OptionalSize,
    Share,
    Text,
    WholeNumber,
    is_off,
    shown,
    text_schema,
)

Count = Annotated[int, Ge(1), Le(1_000_000), WholeNumber]
CountOrNone = Annotated[int, Ge(0), Le(1_000_000), WholeNumber]

ALGORITHMS = Literal[
    "weighted_round_robin", "weighted_random", "least_request", "ewma", "consistent_hash"
]

MAX_LOAD = 100.0
"""A bound of a hundred times the share is none."""


def parse_load(value: object) -> float:
    """``125%`` or ``1.25`` → 1.25: never less than the share itself, or nobody would have room."""
    text = value.removesuffix("%") if isinstance(value, str) else value
    try:
        number = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError(f"must be a load such as 125%, not {shown(value)}") from None
    load = number / 100 if text is not value else number
    if isinstance(value, bool) or not 1 < load <= MAX_LOAD:
        raise ValueError(f"must be more than 100%, such as 125%, not {shown(value)}")
    return round(load, 2)


class ConsistentHash(RequestKey):
    """The same key goes to the same endpoint, as long as there is that endpoint."""

    max_load: Annotated[
        float | None, PlainValidator(parse_load), text_schema("share", "[0-9.]+%")
    ] = None
    """Requests in flight at one endpoint, relative to its share; more go to the next one."""


class Balance(Section):
    """How an endpoint is chosen. May be written as the algorithm alone."""

    shorthand = ("string",)

    algorithm: ALGORITHMS = "weighted_round_robin"
    """`consistent_hash` also needs to know by what; `{consistent_hash: user}` says both."""
    consistent_hash: ConsistentHash | None = None
    """What the endpoint is chosen by: `user`, `ip`, `{header: NAME}` or `{cookie: NAME}`."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"algorithm": value}
        if isinstance(value, dict) and "consistent_hash" in value:
            return {"algorithm": "consistent_hash", **value}
        return value

    @model_validator(mode="after")
    def _agree(self) -> "Balance":
        if (self.algorithm == "consistent_hash") != (self.consistent_hash is not None):
            raise ValueError(
                "consistent hashing needs a key, such as {consistent_hash: {header: X-User-Id}}"
            )
        return self


class StickyCookie(Section):
    """A cookie that brings a client back to the endpoint that served it first."""

    name: Token
    """Its name."""
    ttl: OptionalDuration = 0.0
    """How long the client keeps it; `off`: as long as its session."""


class Health(Section):
    """Checks of each endpoint, by one process for the whole host."""

    path: Annotated[str, PlainValidator(parse_path), text_schema("path", "/.*")] | None = None
    """What is asked for by GET; without it a connection is enough."""
    statuses: OneOrMany[Annotated[int, Ge(200), Le(599), WholeNumber]] = ()
    """Answers of a healthy endpoint; by default 200 to 399."""
    interval: Duration = 5.0
    """Between two checks, give or take a tenth."""
    timeout: Duration = 1.0
    """Of one check, connection and answer together."""
    unhealthy_after: Count = 3
    """Failed checks in a row."""
    healthy_after: Count = 2
    """Successful checks in a row."""
    backoff_max: Duration = 60.0
    """While an endpoint is unhealthy the interval doubles, up to this."""


MAX_FACTOR = 1000.0
"""A bound that nothing real exceeds is none."""


def parse_factor(value: object) -> float:
    """``3`` or ``off`` → 3.0 or 0.0: well above 1, or half of all endpoints would be too slow."""
    if is_off(value):
        return 0.0
    try:
        factor = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError(f"must be a factor such as 3, or off, not {shown(value)}") from None
    if isinstance(value, bool) or not 1.5 <= factor <= MAX_FACTOR:
        raise ValueError(f"must be between 1.5 and 1000, or off, not {shown(value)}")
    return round(factor, 2)


class Outlier(Section):
    """Endpoints that fail requests, or are much slower than others, are left out for a while."""

    consecutive_failures: CountOrNone = 5
    """Failed requests in a row; 0: they do not matter."""
    failure_ratio: OptionalShare = 0.0
    """Share of failed requests in the window; `off`: it does not matter."""
    latency_factor: Annotated[
        float,
        PlainValidator(parse_factor),
        PlainSerializer(lambda factor: factor or "off"),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "number", "minimum": 1.5, "maximum": MAX_FACTOR},
                    {"const": "off"},
                ],
                "x-type": "factor or `off`",
            }
        ),
    ] = 0.0
    """An endpoint whose answers take so many times as long as the median endpoint's, on average;
    `off`: it does not matter."""
    latency_floor: Duration = 0.01
    """Averages below this are never too slow."""
    min_requests: Count = 20
    """Fewer in the window decide nothing."""
    window: Duration = 10.0
    """Time over which requests are counted."""
    eject_for: Duration = 10.0
    """The first time; each further time it is longer by as much."""
    eject_max: Duration = 300.0
    """The longest ejection."""
    max_ejected: Share = 0.5
    """Share of the endpoints that may be out at the same time; one of two always may."""


class Breaker(Section):
    """Stops asking a service that fails, and asks carefully whether it is back."""

    window: Duration = 10.0
    """Time over which requests are judged."""
    min_requests: Count = 20
    """Fewer in the window decide nothing."""
    failure_ratio: Share = 0.5
    """Share of failed requests that opens it."""
    slow_after: OptionalDuration = 0.0
    """A response head that takes longer counts as failed."""
    open_for: Duration = 5.0
    """How long it refuses, the first time; it doubles as long as the service is not back."""
    open_max: Duration = 60.0
    """The longest open time."""
    half_open_requests: Annotated[int, Ge(1), Le(1000), WholeNumber] = 3
    """Requests that are let through then; all must succeed."""
    shared: Flag = False
    """Whether it opens, too, when that of another host does. Needs Redis (`state.url`)."""


class Bulkhead(Section):
    """Bounds what a service may have of the gateway at the same time."""

    max_requests: Count = 512
    """Running requests, of all workers together."""
    max_queue: CountOrNone = 128
    """Requests that wait for one to end, of all workers together; more are refused with 503."""
    queue_timeout: Duration = 0.1
    """How long they wait."""


def parse_cause(value: object) -> object:
    """``connect``, ``reset``, ``timeout`` or a status."""
    if value in ("connect", "reset", "timeout"):
        return value
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or text[0] != "5":
        raise ValueError(
            f"must be connect, reset, timeout or a status from 500 to 599, not {value}"
        )
    if len(text) != 3:
        raise ValueError(f"must be a status from 500 to 599, not {value}")
    return int(text)


Cause = Annotated[
    str | int,
    PlainValidator(parse_cause),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["connect", "reset", "timeout"]},
                {"type": "integer", "minimum": 500, "maximum": 599},
            ],
            "x-type": "`connect`, `reset`, `timeout` or status",
        }
    ),
]


class Hedge(Section):
    """Asks a second endpoint, too, when the first takes long; the first answer is passed on."""

    quantile: Share = 0.95
    """Sent when the request takes longer than this share of the service's latest answers."""
    min_delay: Duration = 0.001
    """Never sooner than this."""
    delay: Duration | None = None
    """Always after this time, whatever the service's answers take."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Hedge":
        if self.delay is not None and self.model_fields_set & {"quantile", "min_delay"}:
            raise ValueError("takes either delay, or quantile and min_delay")
        if not 0.5 <= self.quantile <= 0.999:
            raise ValueError("quantile must be between 50% and 99.9%")
        return self


class Retries(Section):
    """Sends a request again, to another endpoint if there is one."""

    attempts: Annotated[int, Ge(1), Le(10), WholeNumber] = 2
    """How often a request is sent at most, the first time included."""
    on: OneOrMany[Cause] = ("connect", "reset", 502, 503, 504)
    """What is tried again: `connect`, `reset`, `timeout` or a status of the service."""
    methods: OneOrMany[Method] = ()
    """Methods that may be sent again beside the idempotent ones."""
    budget: Share = 0.2
    """Retries relative to requests, for each worker; ten are always in reserve."""
    backoff: Duration = 0.025
    """Longest wait before the first retry; it doubles. The wait is random, from none to this."""
    backoff_max: Duration = 0.25
    """The longest wait."""
    body: OptionalSize = 65_536
    """Request bodies up to this are kept so that they can be sent again."""
    hedge: Hedge | None = None
    """When a second endpoint is asked before the first has answered or failed; never without it."""

    @model_validator(mode="after")
    def _room_for_a_hedge(self) -> "Retries":
        if self.hedge is not None and self.attempts < 2:
            raise ValueError("a hedge is a second attempt; attempts must be at least 2")
        return self


def parse_json(value: object) -> object:
    """Anything that JSON can say."""
    try:
        orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        raise ValueError(f"must be plain JSON, not {shown(value)}") from None
    return value


class Fallback(Section):
    """What is answered when the service cannot."""

    status: Annotated[int, Ge(200), Le(599), WholeNumber] = 503
    """Of the static answer."""
    json_: Annotated[
        Any, PlainValidator(parse_json), WithJsonSchema({"x-type": "JSON"}), Field(alias="json")
    ] = None
    """Its body, as JSON."""
    body: Text | None = None
    """Its body, as text."""
    content_type: Annotated[str, Field(pattern=r"^[\x20-\x7e]+$"), text_schema("media type")] = (
        "text/plain; charset=utf-8"
    )
    """What the text is."""
    service: Text | None = None
    """Another service that is asked in place of this one."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Fallback":
        kinds = [self.json_, self.body, self.service]
        if sum(kind is not None for kind in kinds) > 1:
            raise ValueError("takes one of json, body and service")
        if not self.model_fields_set:
            raise ValueError("needs a static answer (status, json or body) or a service")
        return self
