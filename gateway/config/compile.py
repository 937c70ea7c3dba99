"""`Config` → `Plan`: names become indexes, defaults become values."""

import os
from collections.abc import Callable, Mapping

from gateway.config.internal import internal_routes, internal_service
from gateway.config.plan import (
    Plan,
    PlannedEndpoint,
    PlannedLimits,
    PlannedPool,
    PlannedPredicate,
    PlannedRoute,
    PlannedServer,
    PlannedService,
    PlannedTimeouts,
)
from gateway.config.routes import Predicate, Route
from gateway.config.schema import Config
from gateway.config.server import Server
from gateway.config.services import Service, parse_endpoint_url

Intern = Callable[[str], int]
"""Text → its id in the segment's label table, the same at every call."""


def compile_plan(config: Config, intern: Intern, generation: int) -> Plan:
    """Compile a valid configuration. Cannot fail: `load` has checked everything."""
    indexes = {name: index for index, name in enumerate(config.services)}
    body = config.server.limits.body
    services = [_service(name, item, intern) for name, item in config.services.items()]
    routes = [_route(route, indexes[route.service], body, intern) for route in config.routes]
    if config.auth.enabled:
        routes += internal_routes(len(services), intern)
        services.append(internal_service(config.server.run_dir, intern))
    return Plan(
        generation=generation,
        server=_server(config.server),
        services=tuple(services),
        routes=tuple(routes),
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


def _service(name: str, service: Service, intern: Intern) -> PlannedService:
    timeouts, pool = service.timeouts, service.pool
    return PlannedService(
        name=name,
        label=intern(name),
        host=service.host,
        balance=service.balance,
        endpoints=tuple(
            plan_endpoint(endpoint.url, endpoint.weight, zone=None)
            for endpoint in service.endpoints
        ),
        timeouts=PlannedTimeouts(
            timeouts.connect, timeouts.response, timeouts.idle, timeouts.total
        ),
        pool=PlannedPool(pool.max_connections, pool.max_queue, pool.idle_timeout),
        discovery=service.discovery.source.title if service.discovery else None,
    )


def plan_endpoint(url: str, weight: int, zone: str | None) -> PlannedEndpoint:
    """An endpoint as the workers know it. ValueError if the URL is not one."""
    return PlannedEndpoint(url, *parse_endpoint_url(url), weight, zone)


def _route(route: Route, service: int, body: int, intern: Intern) -> PlannedRoute:
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
        service=service,
        strip_prefix=route.strip_prefix,
        replace_prefix=(replace.from_, replace.to) if replace else None,
        body=body if route.limits.body is None else route.limits.body,
        auth=route.auth,
        accept=route.accept,
        scopes=route.scopes.all,
        any_scopes=route.scopes.any,
        forward_token=route.forward_token,
    )


def _predicates(tests: Mapping[str, Predicate]) -> tuple[PlannedPredicate, ...]:
    return tuple(PlannedPredicate(name, *predicate.test) for name, predicate in tests.items())
