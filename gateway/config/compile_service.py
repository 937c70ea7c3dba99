"""`Service` → `PlannedService`."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import orjson

from gateway.config.plan import (
    PlannedBreaker,
    PlannedBulkhead,
    PlannedEndpoint,
    PlannedFallback,
    PlannedHealth,
    PlannedHedge,
    PlannedKey,
    PlannedOutlier,
    PlannedPool,
    PlannedRetries,
    PlannedService,
    PlannedStickyCookie,
    PlannedTimeouts,
)
from gateway.config.request_key import RequestKey
from gateway.config.resilience import (
    Breaker,
    Bulkhead,
    Fallback,
    Health,
    Hedge,
    Outlier,
    Retries,
    StickyCookie,
)
from gateway.config.services import Service, parse_endpoint_url

Given = TypeVar("Given")
Planned = TypeVar("Planned")


class Labels(Protocol):
    """Numbers in place of names, the same at every call and in all processes."""

    def intern(self, text: str) -> int:
        """The id of a text in the segment's label table."""

    def place(self, name: str) -> int:
        """Where the segment keeps the state of an endpoint, or the share of a part of a split."""


class NoLabels:
    """For a Plan that nobody will run."""

    def intern(self, text: str) -> int:
        """0."""
        return 0

    def place(self, name: str) -> int:
        """0."""
        return 0


def endpoint_text(service: str, url: str) -> str:
    """The owner of an endpoint's place. A service's name has no blanks, so no two are alike."""
    return f"{service} {url}"


def plan_endpoint(
    service: str, url: str, weight: int, zone: str | None, priority: int, labels: Labels
) -> PlannedEndpoint:
    """An endpoint as the workers know it. ValueError if the URL is not one."""
    place = labels.place(endpoint_text(service, url))
    return PlannedEndpoint(url, *parse_endpoint_url(url), weight, zone, priority, place)


def compile_service(
    name: str, service: Service, indexes: Mapping[str, int], zone: str | None, labels: Labels
) -> PlannedService:
    """`indexes`: of all services, by name. `zone`: the gateway's own."""
    timeouts, pool, hashed = service.timeouts, service.pool, service.balance.consistent_hash
    return PlannedService(
        name=name,
        label=labels.intern(name),
        host=service.host,
        balance=service.balance.algorithm,
        hash_by=compile_key(hashed),
        zone=zone if service.prefer_zone else None,
        max_load=(hashed.max_load if hashed else None) or 0.0,
        sticky_cookie=_if_given(service.sticky_cookie, _sticky_cookie),
        slow_start=service.slow_start,
        panic_threshold=service.panic_threshold,
        endpoints=tuple(
            plan_endpoint(
                name, endpoint.url, endpoint.weight, endpoint.zone, endpoint.priority, labels
            )
            for endpoint in service.endpoints
        ),
        timeouts=PlannedTimeouts(
            timeouts.connect, timeouts.response, timeouts.idle, timeouts.total
        ),
        pool=PlannedPool(pool.max_connections, pool.max_queue, pool.idle_timeout),
        discovery=service.discovery.source.title if service.discovery else None,
        health=_if_given(service.health, _health),
        outlier=_if_given(service.outlier, _outlier),
        breaker=_if_given(service.breaker, _breaker),
        bulkhead=_if_given(service.bulkhead, _bulkhead),
        retries=_if_given(service.retries, _retries),
        fallback=_if_given(service.fallback, lambda given: _fallback(given, indexes)),
    )


def _if_given(section: Given | None, compile_it: Callable[[Given], Planned]) -> Planned | None:
    return None if section is None else compile_it(section)


def compile_key(key: RequestKey | None) -> PlannedKey | None:
    """What a request is recognised by."""
    return None if key is None else PlannedKey(*key.source)


def _sticky_cookie(cookie: StickyCookie) -> PlannedStickyCookie:
    return PlannedStickyCookie(cookie.name, cookie.ttl)


def _health(health: Health) -> PlannedHealth:
    return PlannedHealth(
        path=health.path,
        statuses=health.statuses,
        interval=health.interval,
        timeout=health.timeout,
        unhealthy_after=health.unhealthy_after,
        healthy_after=health.healthy_after,
        backoff_max=health.backoff_max,
    )


def _outlier(outlier: Outlier) -> PlannedOutlier:
    return PlannedOutlier(
        consecutive_failures=outlier.consecutive_failures,
        failure_ratio=outlier.failure_ratio,
        latency_factor=outlier.latency_factor,
        latency_floor=outlier.latency_floor,
        min_requests=outlier.min_requests,
        window=outlier.window,
        eject_for=outlier.eject_for,
        eject_max=outlier.eject_max,
        max_ejected=outlier.max_ejected,
    )


def _breaker(breaker: Breaker) -> PlannedBreaker:
    return PlannedBreaker(
        window=breaker.window,
        min_requests=breaker.min_requests,
        failure_ratio=breaker.failure_ratio,
        slow_after=breaker.slow_after,
        open_for=breaker.open_for,
        open_max=breaker.open_max,
        half_open_requests=breaker.half_open_requests,
        shared=breaker.shared,
    )


def _bulkhead(bulkhead: Bulkhead) -> PlannedBulkhead:
    return PlannedBulkhead(bulkhead.max_requests, bulkhead.max_queue, bulkhead.queue_timeout)


def _retries(retries: Retries) -> PlannedRetries:
    return PlannedRetries(
        attempts=retries.attempts,
        causes=tuple(cause for cause in retries.on if isinstance(cause, str)),
        statuses=tuple(cause for cause in retries.on if isinstance(cause, int)),
        methods=retries.methods,
        budget=retries.budget,
        backoff=retries.backoff,
        backoff_max=retries.backoff_max,
        body=retries.body,
        hedge=_if_given(retries.hedge, _hedge),
    )


def _hedge(hedge: Hedge) -> PlannedHedge:
    if hedge.delay is not None:
        return PlannedHedge(quantile=0.0, delay=hedge.delay)
    return PlannedHedge(quantile=hedge.quantile, delay=hedge.min_delay)


def _fallback(fallback: Fallback, indexes: Mapping[str, int]) -> PlannedFallback:
    content_type, body = fallback.content_type, fallback.body or ""
    if fallback.json_ is not None:
        content_type, body = "application/json", orjson.dumps(fallback.json_).decode()
    return PlannedFallback(
        status=fallback.status,
        content_type=content_type,
        body=body,
        service=None if fallback.service is None else indexes[fallback.service],
    )
