"""What `gateway explain` says of a route and its services, as lines of two columns."""

from collections.abc import Iterator, Sequence

from gateway.config.plan import (
    Plan,
    PlannedAllowance,
    PlannedCanary,
    PlannedEndpoint,
    PlannedKey,
    PlannedPredicate,
    PlannedRateLimit,
    PlannedRoute,
    PlannedService,
    PlannedSplitPart,
)
from gateway.config.values import format_duration, format_size
from gateway.counted import counted

__all__ = ["Line", "route_lines"]

Line = tuple[str, str]
"""Title, or nothing when it goes on, and text."""

PERIODS = {1: "a second", 60: "a minute", 3600: "an hour", 86_400: "a day"}


def route_lines(plan: Plan, route: PlannedRoute) -> Iterator[Line]:
    """Who may use it, how much, and who answers."""
    yield from _titled("auth", _auth(route))
    yield from _titled("limits", _limits(plan, route))
    services = [route.service]
    if route.split:
        yield from _titled("split", _split(plan, route))
        services = [*dict.fromkeys(part.service for part in route.split)]
    if (mirror := route.mirror) is not None:
        copied = f"{_percent(mirror.share)} to {plan.services[mirror.service].name}"
        yield from _titled("mirror", iter([copied]))
    for index in services:
        yield from _titled("service", _service(plan, plan.services[index]))


def _titled(title: str, texts: Iterator[str]) -> Iterator[Line]:
    for text in texts:
        yield title, text
        title = ""


# --- who and how much ------------------------------------------------------------------------


def _auth(route: PlannedRoute) -> Iterator[str]:
    if route.auth == "none":
        yield "none: credentials are not looked at"
    else:
        yield f"{route.auth}, by {' or '.join(route.accept)}"
    if route.scopes:
        yield f"with the scopes {' and '.join(route.scopes)}"
    if route.any_scopes:
        yield f"with one of the scopes {', '.join(route.any_scopes)}"
    if route.allow:
        yield f"only from {', '.join(route.allow)}"
    if route.deny:
        yield f"not from {', '.join(route.deny)}"


def _limits(plan: Plan, route: PlannedRoute) -> Iterator[str]:
    yield f"body {format_size(route.body)}"
    overload = plan.server.overload
    if overload.in_flight or overload.loop_lag:
        never = route.criticality == "critical"
        yield f"{route.criticality}: {'not refused' if never else 'may be refused'} under overload"
    limits = [plan.rate_limits[index] for index in route.rate_limits]
    # In the order in which they are asked.
    for limit in sorted(limits, key=lambda limit: not limit.early):
        yield from _rate_limit(limit, route.rate_limit_weight)


def _rate_limit(limit: PlannedRateLimit, weight: int) -> Iterator[str]:
    key = f"{limit.key} {limit.argument}".rstrip()
    said = [
        f"{limit.algorithm} by {key}",
        _allowance(limit.algorithm, limit.allowance),
        "before authentication" if limit.early else "after authentication",
    ]
    if limit.mode != "memory":
        said.append(f"{limit.mode} over all hosts")
    if (cost := limit.weight * weight) != 1 and limit.algorithm != "concurrent":
        said.append(f"a request counts {cost}")
    if limit.weight_header:
        said.append(f"or what {limit.weight_header} of the answer says")
    if limit.dry_run:
        said.append("only counted (dry run)")
    yield f"{limit.name}: {', '.join(said)}"
    for tier in limit.tiers:
        what = f"claim {tier.claim} = {tier.value}" if tier.test == "claim" else tier.value
        allowance = tier.allowance
        much = "no limit" if allowance is None else _allowance(limit.algorithm, allowance)
        yield f"  {what if tier.test == 'claim' else f'{tier.test} {what}'}: {much}"


def _allowance(algorithm: str, allowance: PlannedAllowance) -> str:
    if algorithm == "concurrent":
        return f"{allowance.limit} at a time"
    period = PERIODS.get(allowance.period, f"in {format_duration(allowance.period)}")
    burst = f", burst {allowance.burst}" if algorithm == "token_bucket" else ""
    return f"{allowance.limit} {period}{burst}"


# --- who answers -----------------------------------------------------------------------------


def _split(plan: Plan, route: PlannedRoute) -> Iterator[str]:
    total = sum(part.weight for part in route.split)
    for part in route.split:
        share = _percent(part.weight / total)
        yield f"{plan.services[part.service].name}  {share}{_condition(part)}"
    if route.split_by is not None:
        yield f"divided by {_key(route.split_by)}"
    if route.canary is not None:
        yield f"canary: {_canary(plan, route.split, route.canary)}"


def _condition(part: PlannedSplitPart) -> str:
    tests = [
        *(f"header {_test(test)}" for test in part.headers),
        *(f"cookie {_test(test)}" for test in part.cookies),
        *(f"claim {_test(test)}" for test in part.claims),
    ]
    return f", and all with {' and '.join(tests)}" if tests else ""


def _test(test: PlannedPredicate) -> str:
    return {
        "exact": f"{test.name} = {test.value}",
        "prefix": f"{test.name} = {test.value}…",
        "present": test.name,
        "absent": f"no {test.name}",
    }[test.op]


def _canary(plan: Plan, split: Sequence[PlannedSplitPart], canary: PlannedCanary) -> str:
    steps = " → ".join(map(_percent, canary.steps))
    grows = f", {steps} every {format_duration(canary.every)}" if steps else ""
    return f"{plan.services[split[canary.part].service].name}{grows}, rolled back if it does worse"


def _service(plan: Plan, service: PlannedService) -> Iterator[str]:
    by = f" by {_key(service.hash_by)}" if service.hash_by else ""
    zone = f", zone {service.zone} first" if service.zone else ""
    yield f"{service.name}, {service.balance}{by}{zone}"
    if service.discovery is not None:
        yield f"endpoints are discovered: {service.discovery}"
    total = sum(endpoint.weight for endpoint in service.endpoints)
    for endpoint in service.endpoints:
        yield _endpoint(endpoint, total)
    timeouts = service.timeouts
    named = ("connect", "response", "idle", "total")
    texts = (f"{name} {format_duration(getattr(timeouts, name))}" for name in named)
    yield f"timeouts: {', '.join(texts)}"
    yield from _failures(plan, service)


def _endpoint(endpoint: PlannedEndpoint, total: int) -> str:
    # All weights 0: then all count the same, and a share says nothing.
    share = f" ({_percent(endpoint.weight / total)})" if total else ""
    zone = f"  zone {endpoint.zone}" if endpoint.zone else ""
    priority = f"  priority {endpoint.priority}" if endpoint.priority else ""
    return f"{endpoint.url}  weight {endpoint.weight}{share}{zone}{priority}"


def _failures(plan: Plan, service: PlannedService) -> Iterator[str]:
    """What it does about failures, if it does something."""
    if (cookie := service.sticky_cookie) is not None:
        yield f"sticky cookie: {cookie.name}"
    if (health := service.health) is not None:
        what = f"GET {health.path}" if health.path else "a connection"
        yield f"health: {what} every {format_duration(health.interval)}"
    if (outlier := service.outlier) is not None:
        yield f"outlier: left out for {format_duration(outlier.eject_for)} and longer"
    if (bulkhead := service.bulkhead) is not None:
        requests = counted(bulkhead.max_requests, "request")
        yield f"bulkhead: {requests}, {bulkhead.max_queue} waiting"
    if (breaker := service.breaker) is not None:
        yield (
            f"breaker: opens for {format_duration(breaker.open_for)} at "
            f"{_percent(breaker.failure_ratio)} failures of at least {breaker.min_requests} in "
            f"{format_duration(breaker.window)}"
        )
    if (retries := service.retries) is not None:
        causes = ", ".join([*retries.causes, *map(str, retries.statuses)])
        attempts = counted(retries.attempts, "attempt")
        yield f"retries: {attempts} on {causes}; budget {_percent(retries.budget)}"
        if (hedge := retries.hedge) is not None:
            after = format_duration(hedge.delay)
            if hedge.quantile:
                after = f"what {_percent(hedge.quantile)} of its answers take, at least {after}"
            yield f"hedge: after {after}"
    if (fallback := service.fallback) is not None:
        other = fallback.service
        what = f"status {fallback.status}" if other is None else plan.services[other].name
        yield f"fallback: {what}"


def _key(key: PlannedKey) -> str:
    return f"{key.source} {key.name}".rstrip()


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
