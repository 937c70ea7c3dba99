"""The ``rate_limits`` section: how much may they call."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

from annotated_types import Ge, Le
from pydantic import BeforeValidator, PlainSerializer, PlainValidator, model_validator

from gateway._core import MAX_LEASE, MAX_WINDOW_COUNT
from gateway.config.reflect import nearest
from gateway.config.section import Section
from gateway.config.values import Flag, Many, Text, WholeNumber, parse_text, shown, text_schema

PERIODS_S = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
MAX_RATE = 10_000_000
"""Per period: a request each 100 ns, far above what a host serves."""
MAX_FILL_S = 365 * 86_400
"""A bucket that fills more slowly than in a year is a slip of the pen."""
MAX_CONCURRENT_ON_ROUTE = 4
"""A request remembers what it is counted for (``MAX_ENTERED`` in cext/exchange.pxd)."""
MAX_ON_ROUTE = 16
"""Policies on one route: the data plane holds the questions of a request in a fixed array."""
KEYS = ("user", "client", "api_key", "ip", "route", "service", "global")
_RATE = re.compile(r"([0-9]{1,9})/(s|min|h|d)")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Rate(NamedTuple):
    """So many requests in each period."""

    number: int
    period_s: int

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in PERIODS_S.items() if seconds == self.period_s)
        return f"{self.number}/{unit}"


def parse_rate(value: object) -> Rate:
    """``100/s 1000/min 5/h 10/d`` → `Rate`."""
    if isinstance(value, Rate):
        return value
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"must be a rate such as 100/s, 1000/min or 5/h, not {shown(value)}")
    if not 1 <= int(match[1]) <= MAX_RATE:
        raise ValueError(f"must be between 1 and {MAX_RATE} in a period, not {value}")
    return Rate(int(match[1]), PERIODS_S[match[2]])


def parse_key(value: object) -> str:
    """What is limited: one of `KEYS`, ``header:NAME`` or ``claim:NAME``."""
    if isinstance(value, str):
        kind, colon, name = value.partition(":")
        if not colon and kind in KEYS:
            return value
        if kind == "header" and _TOKEN.fullmatch(name):
            return f"header:{name.lower()}"
        if kind == "claim" and name:
            return value
    raise ValueError(
        f"must be one of {', '.join(KEYS)}, header:NAME or claim:NAME, not {shown(value)}"
    )


def parse_policy_name(value: object) -> str:
    """It stands in the fields RateLimit and RateLimit-Policy, in metrics and in Redis keys."""
    text = parse_text(value)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", text):
        raise ValueError(
            f"{shown(value)} is not a name: letters, digits, _ . and -, at most 63 of them, "
            "the first a letter or digit"
        )
    return text


def parse_header_name(value: object) -> str:
    """A field name (RFC 9110 section 5.1), in lower case."""
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ValueError(f"must be the name of a header, not {shown(value)}")
    return value.lower()


RateValue = Annotated[
    Rate, PlainValidator(parse_rate), PlainSerializer(str), text_schema("rate", _RATE.pattern)
]
HeaderName = Annotated[str, PlainValidator(parse_header_name), text_schema("header")]
Key = Annotated[str, PlainValidator(parse_key), text_schema("key")]
PolicyName = Annotated[str, BeforeValidator(parse_policy_name)]
Tokens = Annotated[int, Ge(1), Le(MAX_RATE), WholeNumber]


class Tier(Section):
    """Another allowance for some callers. The first tier that fits counts."""

    scope: Text | None = None
    """Callers with this scope."""
    client: Text | None = None
    """This client."""
    policy: PolicyName | None = None
    """Callers whose API key, or the client that it belongs to, is bound to this name."""
    claim: Text | None = None
    """Callers with this claim in their token …"""
    value: Text | None = None
    """… and this value of it."""
    rate: RateValue | None = None
    """Their rate."""
    burst: Tokens | None = None
    """Their burst."""
    bypass: Flag = False
    """They are not limited at all."""

    @model_validator(mode="after")
    def _whole(self) -> "Tier":
        tests = (self.scope, self.client, self.policy, self.claim)
        if sum(test is not None for test in tests) != 1:
            raise ValueError("needs exactly one of scope, client, policy and claim")
        if (self.claim is None) != (self.value is None):
            raise ValueError("claim and value belong together")
        if self.bypass == (self.rate is not None):
            raise ValueError("needs either a rate or bypass: true")
        return self


class RateLimit(Section):
    """One policy. Routes name it, or it holds `everywhere`."""

    algorithm: Literal["token_bucket", "sliding_window", "fixed_window", "concurrent"] = (
        "token_bucket"
    )
    """`token_bucket` refills all the time, windows count, `concurrent` counts what is under way."""
    key: Key = "ip"
    """Who has an allowance: `user`, `client`, `api_key`, `ip`, `route`, `service`, `global`,
    `header:NAME` or `claim:NAME`. Who has no such thing counts by address."""
    rate: RateValue | None = None
    """`N/s`, `N/min`, `N/h` or `N/d`."""
    burst: Tokens | None = None
    """Tokens that a full bucket holds; by default the number of the rate."""
    limit: Tokens | None = None
    """Of `concurrent`: requests of one key that may be under way at the same time."""
    mode: Literal["memory", "exact", "leased"] = "memory"
    """`memory`: each host by itself. `exact`: Redis decides each request. `leased`: a host takes
    tokens from Redis ahead of need."""
    lease: Tokens | None = None
    """Of `leased`: tokens that a host takes at most; by default a twentieth of the burst."""
    on_failure: Literal["local", "allow", "deny"] = "local"
    """While Redis is away: this host's share of the limit, no limit, or no request."""
    weight: Annotated[int, Ge(1), Le(10_000), WholeNumber] = 1
    """What one request costs; a route's `rate_limit_weight` multiplies it."""
    weight_header: HeaderName | None = None
    """A field of the service's answer that says what the request has cost, such as `X-Cost`: a
    whole number that replaces what was taken in advance. What is owed then is paid by later
    requests."""
    ipv6_prefix: Annotated[int, Ge(32), Le(128), WholeNumber] = 64
    """Leading bits of an IPv6 address that are one caller: a subscriber has a whole network."""
    tiers: Many[Tier] = ()
    """Other allowances for some callers, such as a bypass for premium users."""
    dry_run: Flag = False
    """Count and report, but refuse nothing."""
    everywhere: Flag = False
    """Holds on all routes, before those that a route names."""
    before_authentication: Flag = False
    """Asked before a credential is looked at; `key` cannot be what a credential says."""

    @model_validator(mode="after")
    def _consistent(self) -> "RateLimit":
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        if self.algorithm == "concurrent":
            if self.limit is None or self.rate is not None:
                yield "a concurrent policy needs limit, and no rate"
            if self.mode != "memory" or self.tiers:
                yield "a concurrent policy has mode memory and no tiers"
            if self.weight_header is not None:
                yield "a concurrent policy counts requests; weight_header says what they cost"
            return
        if self.rate is None or self.limit is not None:
            yield "needs a rate such as 1000/min (limit belongs to algorithm concurrent)"
        if self.algorithm != "token_bucket" and self.burst is not None:
            yield "burst belongs to token_bucket; a window has none"
        if self.mode == "leased" and self.algorithm != "token_bucket":
            yield "mode leased needs algorithm token_bucket: only tokens can be taken ahead of need"
        if self.before_authentication and not self.is_early:
            yield f"key {self.key} needs the caller's credential; it cannot be asked before"
        for allowance in self._allowances():
            yield from allowance

    @property
    def is_early(self) -> bool:
        """Whether no credential is needed to decide."""
        return not self.tiers and self.key.partition(":")[0] not in (
            "user", "client", "api_key", "claim",
        )  # fmt: skip

    def _allowances(self) -> Iterator[Iterator[str]]:
        if self.rate is not None:
            yield self._bounds(self.rate, self.burst)
        for tier in self.tiers:
            if tier.rate is not None:
                yield self._bounds(tier.rate, tier.burst)

    def _bounds(self, rate: Rate, burst: int | None) -> Iterator[str]:
        if self.algorithm == "token_bucket":
            if (burst or rate.number) * rate.period_s > MAX_FILL_S * rate.number:
                yield f"a burst of {burst} at {rate} takes more than a year to fill"
        elif rate.number > MAX_WINDOW_COUNT:
            yield f"a window counts to {MAX_WINDOW_COUNT}; use token_bucket for {rate}"

    def lease_of(self, burst: int) -> int:
        """Tokens that a host takes at most."""
        return min(self.lease or max(1, burst // 20), burst, MAX_LEASE)


def check_limits(limits: Any, routes: Any, state: Any) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Names exist, a route has not too many, Redis is there for what needs it. Takes raw data."""
    limits = limits if isinstance(limits, dict) else {}
    everywhere = [name for name, raw in limits.items() if _is_set(raw, "everywhere")]
    concurrent = {name for name, raw in limits.items() if _algorithm(raw) == "concurrent"}
    for index, route in enumerate(routes if isinstance(routes, list) else []):
        names = route.get("rate_limits", []) if isinstance(route, dict) else []
        names = [names] if isinstance(names, str) else names
        if not isinstance(names, list):
            continue
        for name in names:
            if isinstance(name, str) and name not in limits:
                hint = nearest(name, limits) or "; no rate limits are defined"
                yield ("routes", index, "rate_limits"), f"there is no rate limit {name!r}{hint}"
        if len({*names, *everywhere}) > MAX_ON_ROUTE:
            yield ("routes", index, "rate_limits"), f"a route has at most {MAX_ON_ROUTE}"
        if len({*names, *everywhere} & concurrent) > MAX_CONCURRENT_ON_ROUTE:
            message = f"a route has at most {MAX_CONCURRENT_ON_ROUTE} concurrent policies"
            yield ("routes", index, "rate_limits"), message
    url = state.get("url") if isinstance(state, dict) else None
    for name, raw in limits.items():
        mode = raw.get("mode") if isinstance(raw, dict) else None
        if mode in ("exact", "leased") and not str(url).startswith("redis"):
            message = f"{mode} needs Redis; set state.url to redis://HOST:PORT"
            yield ("rate_limits", name, "mode"), message


def _algorithm(raw: Any) -> Any:
    return raw.get("algorithm") if isinstance(raw, dict) else None


def _is_set(raw: Any, key: str) -> bool:
    return isinstance(raw, dict) and raw.get(key) in (True, "true")
