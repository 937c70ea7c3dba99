"""`Service` → `PlannedService`."""

from collections.abc import Callable, Mapping

import orjson

from gateway.config.plan import (
    PlannedBreaker,
    PlannedBulkhead,
    PlannedEndpoint,
    PlannedFallback,
    PlannedHealth,
    PlannedKey,
    PlannedOutlier,
    PlannedPool,
    PlannedRetries,
    PlannedService,
    PlannedStickyCookie,
    PlannedTimeouts,
)
from gateway.config.request_key import RequestKey
from gateway.config.resilience import Breaker, Bulkhead, Fallback, Health, Outlier, Retries
from gateway.config.services import Service, parse_endpoint_url

Intern = Callable[[str], int]
"""Text → its id in the segment's label table, the same at every call."""


def endpoint_text(service: str, url: str) -> str:
    """The label of an endpoint. A service's name has no blanks, so the text can be taken apart."""
    return f"{service} {url}"


def plan_endpoint(
    service: str, url: str, weight: int, zone: str | None, intern: Intern
) -> PlannedEndpoint:
    """An endpoint as the workers know it. ValueError if the URL is not one."""
    label = intern(endpoint_text(service, url))
    return PlannedEndpoint(url, *parse_endpoint_url(url), weight, zone, label)


def compile_service(
    name: str, service: Service, indexes: Mapping[str, int], intern: Intern
) -> PlannedService:
    """`indexes`: of all services, by name."""
    timeouts, pool, hashed = service.timeouts, service.pool, service.balance.consistent_hash
    cookie = service.sticky_cookie
    return PlannedService(
        name=name,
        label=intern(name),
        host=service.host,
        balance=service.balance.algorithm,
        hash_by=compile_key(hashed),
        max_load=(hashed.max_load if hashed else None) or 0.0,
        sticky_cookie=None if cookie is None else PlannedStickyCookie(cookie.name, cookie.ttl),
        slow_start=service.slow_start,
        panic_threshold=service.panic_threshold,
        endpoints=tuple(
            plan_endpoint(name, endpoint.url, endpoint.weight, None, intern)
            for endpoint in service.endpoints
        ),
        timeouts=PlannedTimeouts(
            timeouts.connect, timeouts.response, timeouts.idle, timeouts.total
        ),
        pool=PlannedPool(pool.max_connections, pool.max_queue, pool.idle_timeout),
        discovery=service.discovery.source.title if service.discovery else None,
        health=None if service.health is None else _health(service.health),
        outlier=None if service.outlier is None else _outlier(service.outlier),
        breaker=None if service.breaker is None else _breaker(service.breaker),
        bulkhead=None if service.bulkhead is None else _bulkhead(service.bulkhead),
        retries=None if service.retries is None else _retries(service.retries),
        fallback=None if service.fallback is None else _fallback(service.fallback, indexes),
    )


def compile_key(key: RequestKey | None) -> PlannedKey | None:
    """What a request is recognised by."""
    return None if key is None else PlannedKey(*key.source)


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
    )


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
