"""Builds the compiled Plan that a worker is given, with every default filled in."""

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway._core import Segment

Plan = dict[str, Any]

LIMITS = {
    "head": 16384,
    "body": 10485760,
    "head_timeout": 10.0,
    "body_timeout": 30.0,
    "idle_timeout": 75.0,
    "connections": 20000,
}
TIMEOUTS = {"connect": 1.0, "response": 5.0, "idle": 60.0, "total": 0.0}
POOL = {"max_connections": 512, "max_queue": 128, "idle_timeout": 60.0}

SWITCHED_OFF = {
    "hash_by": None, "zone": None, "max_load": 0.0, "sticky_cookie": None, "slow_start": 0.0,
    "panic_threshold": 0.5, "health": None, "outlier": None, "breaker": None, "bulkhead": None,
    "retries": None, "fallback": None,
}  # fmt: skip
"""What a service has that asks for nothing."""
DEFAULTS = {
    "sticky_cookie": {"name": "gw", "ttl": 0.0},
    "health": {
        "path": "/", "statuses": [], "interval": 5.0, "timeout": 1.0, "unhealthy_after": 3,
        "healthy_after": 2, "backoff_max": 60.0,
    },
    "outlier": {
        "consecutive_failures": 5, "failure_ratio": 0.0, "latency_factor": 0.0,
        "latency_floor": 0.01, "min_requests": 20, "window": 10.0,
        "eject_for": 10.0, "eject_max": 300.0, "max_ejected": 0.5,
    },
    "breaker": {
        "window": 10.0, "min_requests": 20, "failure_ratio": 0.5, "slow_after": 0.0,
        "open_for": 5.0, "open_max": 60.0, "half_open_requests": 3, "shared": False,
    },
    "bulkhead": {"max_requests": 512, "max_queue": 128, "queue_timeout": 0.1},
    "retries": {
        "attempts": 2, "causes": ["connect", "reset"], "statuses": [502, 503, 504], "methods": [],
        "budget": 0.2, "backoff": 0.025, "backoff_max": 0.25, "body": 65536,
        "hedge": None,
    },
    "fallback": {"status": 503, "content_type": "text/plain", "body": "", "service": None},
}  # fmt: skip
"""What the sections hold when they are there, as the configuration fills them in."""


def endpoint(address: tuple[str, int], weight: int = 1) -> Plan:
    host, port = address[:2]
    literal = f"[{host}]" if ":" in host else host
    return {
        "url": f"http://{literal}:{port}",
        "host": host,
        "port": port,
        "unix": None,
        "weight": weight,
        "zone": None,
        "priority": 0,
    }


def unix_endpoint(path: str, weight: int = 1) -> Plan:
    return {
        "url": f"unix://{path}",
        "host": None,
        "port": None,
        "unix": path,
        "weight": weight,
        "zone": None,
        "priority": 0,
    }


def service(
    *addresses: tuple[str, int],
    name: str = "echo",
    host: str | None = None,
    balance: str = "weighted_round_robin",
    timeouts: dict[str, float] | None = None,
    pool: dict[str, float] | None = None,
    endpoints: list[Plan] | None = None,
    **changes: Any,
) -> Plan:
    """``changes``: health, outlier, breaker, …: what is given is laid over their defaults below."""
    filled = {name: DEFAULTS[name] | given for name, given in changes.items() if name in DEFAULTS}
    return SWITCHED_OFF | {
        "name": name,
        "host": host,
        "balance": balance,
        "endpoints": endpoints or [endpoint(address) for address in addresses],
        "timeouts": TIMEOUTS | (timeouts or {}),
        "pool": POOL | (pool or {}),
    } | changes | filled  # fmt: skip


def route(path: str = "/{path...}", service: int = 0, **changes: Any) -> Plan:
    return {
        "name": path,
        "hosts": [],
        "path": path,
        "methods": [],
        "headers": [],
        "query": [],
        "priority": 0,
        "service": service,
        "split": [],
        "split_by": None,
        "canary": None,
        "mirror": None,
        "strip_prefix": None,
        "replace_prefix": None,
        "auth": "none",
        "accept": ["jwt", "api_key"],
        "scopes": [],
        "any_scopes": [],
        "forward_token": True,
        "allow": [],
        "deny": [],
        "rate_limits": [],
        "rate_limit_weight": 1,
        "criticality": "normal",
        "body": None,  # None: the server's limit, filled in by plan()
    } | changes


def rate_limit(
    name: str = "limit", limit: int = 10, period: int = 60, burst: int | None = None, **changes: Any
) -> Plan:
    return {
        "name": name,
        "algorithm": "token_bucket",
        "key": "ip",
        "argument": "",
        "allowance": {"limit": limit, "period": period, "burst": burst or limit, "lease": 0},
        "tiers": [],
        "mode": "memory",
        "on_failure": "local",
        "weight": 1,
        "weight_header": None,
        "ipv6_prefix": 64,
        "dry_run": False,
        "early": False,
    } | changes


def plan(
    services: list[Plan],
    routes: list[Plan] | None = None,
    limits: dict[str, float] | None = None,
    generation: int = 1,
    rate_limits: list[Plan] | None = None,
    **server: Any,
) -> Plan:
    """A Plan without labels; ``with_labels`` adds them when it is published to a segment."""
    bounds = LIMITS | (limits or {})
    compiled_routes = copy.deepcopy(routes if routes is not None else [route()])
    for entry in compiled_routes:
        if entry["body"] is None:
            entry["body"] = bounds["body"]
    return {
        "generation": generation,
        "server": {
            "limits": bounds,
            "workers": 1,
            "trusted_proxies": [],
            "encoded_slashes": "reject",
            "overload": {"in_flight": 0, "loop_lag": 0},
            "access_log": "off",
        }
        | server,
        "services": copy.deepcopy(services),
        "rate_limits": copy.deepcopy(rate_limits or []),
        "routes": compiled_routes,
    }


def with_labels(plan: Plan, segment: "Segment") -> Plan:
    labelled = copy.deepcopy(plan)
    for entry in labelled["services"]:
        entry["label"] = segment.intern(entry["name"])
        for each in entry["endpoints"]:
            each["place"] = segment.place(f"{entry['name']} {each['url']}", 0)
    for entry in labelled["rate_limits"]:
        entry["label"] = segment.intern(entry["name"])
    for entry in labelled["routes"]:
        entry["label"] = segment.intern(entry["path"])
        for number, part in enumerate(entry["split"]):
            part.setdefault("place", segment.place(f"split {entry['path']} {number}", 0))
    return labelled


class Lengths:
    """Labels and places for Plans that nobody runs: a number that depends on the name."""

    intern = place = staticmethod(len)
