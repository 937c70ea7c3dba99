"""`Config` → `Plan`: names become indexes, defaults become values."""

import os
from collections.abc import Mapping

from gateway.config.compile_limits import compile_limit, limits_of
from gateway.config.compile_service import Labels, compile_key, compile_service
from gateway.config.internal import IDENTITY_SERVICE, INTERNAL_ROUTES, internal_service
from gateway.config.plan import (
    Plan,
    PlannedCanary,
    PlannedLimits,
    PlannedMirror,
    PlannedOverload,
    PlannedPredicate,
    PlannedRoute,
    PlannedServer,
    PlannedSplitPart,
)
from gateway.config.routes import Canary, Mirror, Predicate, Route, SplitPart, When
from gateway.config.schema import Config
from gateway.config.server import Server


def compile_plan(config: Config, labels: Labels, generation: int) -> Plan:
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
            compile_service(name, item, indexes, config.server.zone, labels)
            for name, item in services.items()
        ),
        rate_limits=tuple(compile_limit(name, item, labels) for name, item in limits.items()),
        routes=tuple(
            _route(route, indexes, body, labels, limits_of(route, limits)) for route in routes
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
        overload=PlannedOverload(server.overload.in_flight or 0, server.overload.loop_lag),
        access_log=server.log.access,
    )


def _route(
    route: Route, indexes: Mapping[str, int], body: int, labels: Labels, limits: tuple[int, ...]
) -> PlannedRoute:
    replace = route.replace_prefix
    return PlannedRoute(
        name=route.title,
        label=labels.intern(route.path),
        hosts=route.host,
        path=route.path,
        methods=route.methods,
        headers=_predicates({name.lower(): test for name, test in route.headers.items()}),
        query=_predicates(route.query),
        priority=route.priority,
        service=indexes[route.main_service],
        split=tuple(
            _split_part(part, indexes[part.service], labels.place(name))
            for part, name in zip(route.split, _part_names(route), strict=True)
        ),
        split_by=compile_key(route.split_by),
        canary=None if route.canary is None else _canary(route, route.canary),
        mirror=None
        if route.mirror is None
        else _mirror(route.mirror, indexes[route.mirror.service]),
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
        criticality=route.criticality,
    )


def _split_part(part: SplitPart, service: int, place: int) -> PlannedSplitPart:
    when = part.when or When()
    headers = {name.lower(): test for name, test in when.header.items()}
    return PlannedSplitPart(
        service=service,
        weight=part.weight,
        place=place,
        headers=_predicates(headers),
        cookies=_predicates(when.cookie),
        claims=_predicates(when.claim),
    )


def _mirror(mirror: Mirror, service: int) -> PlannedMirror:
    return PlannedMirror(
        service=service,
        share=mirror.share,
        by=compile_key(mirror.by),
        max_requests=mirror.max_requests,
        max_body=mirror.max_body,
        credentials=mirror.credentials,
    )


def _part_names(route: Route) -> list[str]:
    """The owners of the parts' places: others when the split is another."""
    weights = " ".join(f"{part.service} {part.weight}" for part in route.split)
    split = f"split {route.title} {','.join(route.host)} {weights}"
    return [f"{split} {number}" for number in range(len(route.split))]


def _canary(route: Route, canary: Canary) -> PlannedCanary:
    services = [part.service for part in route.split]
    return PlannedCanary(
        part=services.index(canary.service),
        steps=canary.steps,
        every=canary.every,
        min_requests=canary.min_requests,
        max_failures=canary.max_failures,
        max_slowdown=canary.max_slowdown,
    )


def _predicates(tests: Mapping[str, Predicate]) -> tuple[PlannedPredicate, ...]:
    return tuple(PlannedPredicate(name, *predicate.test) for name, predicate in tests.items())
