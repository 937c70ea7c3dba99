"""`Config` → `Plan`: names become indexes, defaults become values."""

import os
from collections.abc import Mapping

from gateway.config.compile_service import Intern, compile_key, compile_service
from gateway.config.internal import IDENTITY_SERVICE, INTERNAL_ROUTES, internal_service
from gateway.config.limits import Rate, RateLimit
from gateway.config.plan import (
    Plan,
    PlannedAllowance,
    PlannedCanary,
    PlannedLimits,
    PlannedPredicate,
    PlannedRateLimit,
    PlannedRoute,
    PlannedServer,
    PlannedSplitPart,
    PlannedTier,
)
from gateway.config.routes import Canary, Predicate, Route, SplitPart, When
from gateway.config.schema import Config
from gateway.config.server import Server


def compile_plan(config: Config, intern: Intern, generation: int) -> Plan:
    """Compile a valid configuration. Cannot fail: `load` has checked everything."""
    services, routes = dict(config.services), list(config.routes)
    if config.auth.enabled:
        services[IDENTITY_SERVICE] = internal_service(config.server.run_dir)
        routes += INTERNAL_ROUTES
    indexes = {name: index for index, name in enumerate(services)}
    body = config.server.limits.body
    limits = config.rate_limits
    return Plan(
        generation=generation,
        server=_server(config.server),
        services=tuple(
            compile_service(name, item, indexes, intern) for name, item in services.items()
        ),
        rate_limits=tuple(_rate_limit(name, item, intern) for name, item in limits.items()),
        routes=tuple(
            _route(route, indexes, body, intern, _names(route, limits)) for route in routes
        ),
    )


def resolve_workers(workers: int | str) -> int:
    """The number of worker processes; ``auto`` is one for each core this process may run on."""
    return len(os.sched_getaffinity(0)) if isinstance(workers, str) else workers


def _server(server: Server) -> PlannedServer:
    limits = server.limits
    return PlannedServer(
        limits=PlannedLimits(
            head=limits.head,
            body=limits.body,
            head_timeout=limits.head_timeout,
            body_timeout=limits.body_timeout,
            idle_timeout=limits.idle_timeout,
            connections=limits.connections,
        ),
        workers=resolve_workers(server.workers),
        trusted_proxies=server.trusted_proxies,
        encoded_slashes=server.encoded_slashes,
        access_log=server.log.access,
    )


def _route(
    route: Route, indexes: Mapping[str, int], body: int, intern: Intern, limits: tuple[int, ...]
) -> PlannedRoute:
    replace = route.replace_prefix
    return PlannedRoute(
        name=route.title,
        label=intern(route.path),
        hosts=route.host,
        path=route.path,
        methods=route.methods,
        headers=_predicates({name.lower(): test for name, test in route.headers.items()}),
        query=_predicates(route.query),
        priority=route.priority,
        service=indexes[route.service],
        split=tuple(_split_part(part, indexes[part.service]) for part in route.split),
        split_by=compile_key(route.split_by),
        canary=None if route.canary is None else _canary(route, route.canary, intern),
        strip_prefix=route.strip_prefix,
        replace_prefix=(replace.from_, replace.to) if replace else None,
        body=body if route.limits.body is None else route.limits.body,
        auth=route.auth,
        accept=route.accept,
        scopes=route.scopes.all,
        any_scopes=route.scopes.any,
        forward_token=route.forward_token,
        allow=route.networks.allow,
        deny=route.networks.deny,
        rate_limits=limits,
        rate_limit_weight=route.rate_limit_weight,
    )


def _split_part(part: SplitPart, service: int) -> PlannedSplitPart:
    when = part.when or When()
    headers = {name.lower(): test for name, test in when.header.items()}
    return PlannedSplitPart(service, part.weight, _predicates(headers), _predicates(when.cookie))


def _canary(route: Route, canary: Canary, intern: Intern) -> PlannedCanary:
    parts = [f"{part.service} {part.weight}" for part in route.split]
    services = [part.service for part in route.split]
    return PlannedCanary(
        part=services.index(canary.service),
        label=intern(f"canary {route.title} {','.join(route.host)} {' '.join(parts)}"),
        steps=canary.steps,
        every=canary.every,
        min_requests=canary.min_requests,
        max_failures=canary.max_failures,
        max_slowdown=canary.max_slowdown,
    )


def _names(route: Route, limits: Mapping[str, RateLimit]) -> tuple[int, ...]:
    """Of the policies that hold on a route; those that hold everywhere come first."""
    indexes = {name: index for index, name in enumerate(limits)}
    everywhere = [name for name, limit in limits.items() if limit.everywhere]
    return tuple(indexes[name] for name in dict.fromkeys([*everywhere, *route.rate_limits]))


def _rate_limit(name: str, limit: RateLimit, intern: Intern) -> PlannedRateLimit:
    kind, _, argument = limit.key.partition(":")
    return PlannedRateLimit(
        name=name,
        label=intern(name),
        algorithm=limit.algorithm,
        key=kind,
        argument=argument,
        allowance=_allowance(limit, limit.rate, limit.burst),
        tiers=tuple(
            PlannedTier(
                test="scope" if tier.scope else "client" if tier.client else "claim",
                claim=tier.claim or "",
                value=tier.scope or tier.client or tier.value or "",
                allowance=None if tier.bypass else _allowance(limit, tier.rate, tier.burst),
            )
            for tier in limit.tiers
        ),
        mode=limit.mode,
        on_failure=limit.on_failure,
        weight=limit.weight,
        ipv6_prefix=limit.ipv6_prefix,
        dry_run=limit.dry_run,
        early=limit.before_authentication,
    )


def _allowance(limit: RateLimit, rate: Rate | None, burst: int | None) -> PlannedAllowance:
    if rate is None:  # concurrent
        return PlannedAllowance(limit.limit or 0, 0, limit.limit or 0, 0)
    burst = burst or rate.number
    lease = limit.lease_of(burst) if limit.mode == "leased" else 0
    return PlannedAllowance(rate.number, rate.period_s, burst, lease)


def _predicates(tests: Mapping[str, Predicate]) -> tuple[PlannedPredicate, ...]:
    return tuple(PlannedPredicate(name, *predicate.test) for name, predicate in tests.items())
