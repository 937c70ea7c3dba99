"""Builds a Service from the Plan, and keeps the budget of its retries."""

import json
import time

from gateway import _core

from libc.stdint cimport uintptr_t
from libc.string cimport memset

from gateway.cext.clock cimport milliseconds
from gateway.cext.native cimport GW_METHOD_OTHER

cdef enum:
    # Retries that even an idle service may have: a first failure must not go by the ratio alone.
    RESERVE = 10

CAUSES = {"connect": CAUSE_CONNECT, "reset": CAUSE_RESET, "timeout": CAUSE_TIMEOUT}


cdef class Retries:
    def __init__(self, dict spec):
        self.attempts = spec["attempts"]
        self.causes = sum(CAUSES[cause] for cause in spec["causes"])
        memset(self.statuses, 0, sizeof(self.statuses))
        for status in spec["statuses"]:
            self.statuses[status - 500] = 1
        for method in spec["methods"]:
            known = _core.METHODS.index(method) if method in _core.METHODS else GW_METHOD_OTHER
            self.methods |= 1 << known
        self.budget = spec["budget"]
        self.tokens = RESERVE
        self.backoff_ms = milliseconds(spec["backoff"])
        self.backoff_max_ms = milliseconds(spec["backoff_max"])
        self.body_limit = spec["body"]

    cdef void deposit(self) noexcept:
        if self.tokens < RESERVE:
            self.tokens += self.budget

    cdef bint withdraw(self) noexcept:
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    cdef uint64_t wait_ms(self, int retry, uint64_t random) noexcept:
        """Before retry 0, 1, …: from none to a bound that doubles ("full jitter")."""
        cdef uint64_t longest = self.backoff_ms << retry
        if longest > self.backoff_max_ms:
            longest = self.backoff_max_ms
        return random % (longest + 1)


cdef class Fallback:
    def __init__(self, dict spec):
        self.status = spec["status"]
        self.body = spec["body"].encode()
        self.fields = f"Content-Type: {spec['content_type']}\r\n".encode() if self.body else b""
        self.index = spec["service"]


cdef class Service:
    def __init__(self, Worker worker, dict spec, list pools, Bulkhead bulkhead):
        self.name = spec["name"]
        self.log_name = json.dumps(self.name).encode()
        self.label = spec["label"]
        self.pools = pools
        self.host = spec["host"].encode() if spec["host"] else None
        self.total_ms = milliseconds(spec["timeouts"]["total"])
        self.hash_by = RequestKey(spec["hash_by"]) if spec["hash_by"] else None
        if spec["endpoints"]:
            self.endpoint_set = build_endpoints(worker, spec)
            self.endpoints = <const GwEndpoints*><uintptr_t>self.endpoint_set.address
            self.counted = self.reported = self.endpoint_set.is_counted
        if spec["sticky_cookie"]:
            self.cookie_name = spec["sticky_cookie"]["name"].encode()
            self.cookie_attributes = cookie_attributes(spec["sticky_cookie"]["ttl"])
        if spec["breaker"]:
            self.breaker = build_breaker(worker.segment, self.label, spec["breaker"])
            self.breaker_handle = <const GwBreaker*><uintptr_t>self.breaker.address
            self.slow_us = milliseconds(spec["breaker"]["slow_after"]) * 1000
            self.reported = True
        self.bulkhead = bulkhead
        self.retries = Retries(spec["retries"]) if spec["retries"] else None
        if spec["retries"] and spec["retries"]["hedge"]:
            self.hedging = Hedging(worker, self.label, spec["retries"]["hedge"])
            self.reported = True
        self.fallback = Fallback(spec["fallback"]) if spec["fallback"] else None


def build_endpoints(Worker worker, dict spec):
    outlier = spec["outlier"]
    return _core.EndpointSet(
        worker.segment,
        worker.slot,
        spec["label"],
        spec["balance"],
        [
            (endpoint["place"], endpoint["weight"], endpoint["url"], endpoint["priority"], endpoint["zone"])
            for endpoint in spec["endpoints"]
        ],
        # Workers start at different places of the schedule, so that they do not move in step.
        seed=worker.random(),
        now_ms=time.monotonic_ns() // 1_000_000,
        max_load_percent=round(spec["max_load"] * 100),
        slow_start_ms=milliseconds(spec["slow_start"]),
        panic_percent=round(spec["panic_threshold"] * 100),
        checked=spec["health"] is not None,
        zone=spec["zone"],
        outlier=outlier and {
            "consecutive_failures": outlier["consecutive_failures"],
            "failure_permille": round(outlier["failure_ratio"] * 1000),
            "latency_percent": round(outlier["latency_factor"] * 100),
            "latency_floor_us": milliseconds(outlier["latency_floor"]) * 1000,
            "min_requests": outlier["min_requests"],
            "window_ms": milliseconds(outlier["window"]),
            "eject_for_ms": milliseconds(outlier["eject_for"]),
            "eject_max_ms": milliseconds(outlier["eject_max"]),
            "max_ejected_percent": round(outlier["max_ejected"] * 100),
        },
    )


def build_breaker(segment, label: int, dict spec):
    return _core.Breaker(
        segment,
        label,
        window_ms=milliseconds(spec["window"]),
        min_requests=spec["min_requests"],
        failure_permille=round(spec["failure_ratio"] * 1000),
        open_for_ms=milliseconds(spec["open_for"]),
        open_max_ms=milliseconds(spec["open_max"]),
        probes=spec["half_open_requests"],
    )


def cookie_attributes(ttl: float) -> bytes:
    """Behind the value. HttpOnly: no script has a use for it."""
    age = f"; Max-Age={round(ttl)}" if ttl else ""
    return f"; Path=/; HttpOnly; SameSite=Lax{age}\r\n".encode()
