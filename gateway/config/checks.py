"""Checks between sections: what no single value can know.

They run on the parts that are valid by themselves, so that a mistake in one place does not hide
those in others. A part that is not valid is None here.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from gateway.config.auth import RESERVED_PATHS, Auth
from gateway.config.internal import HEALTH_METHODS, HEALTH_PATH, identity_url
from gateway.config.patterns import has_literal_prefix, shape
from gateway.config.problems import Path
from gateway.config.reflect import nearest
from gateway.config.routes import Predicate, Route
from gateway.config.server import Server
from gateway.config.services import Service, Target, parse_endpoint_url
from gateway.config.state import DEFAULT_URL
from gateway.config.values import parse_text

Finding = tuple[Path, str]
"""Where, and what is wrong there."""


CRITERIA = frozenset({"path", "host", "methods", "headers", "query", "priority"})
"""The keys of a route that decide what it matches."""
INSTANCES = frozenset({"endpoints", "discovery"})
"""The keys of a service that say who answers."""


def check_services(services: Mapping[str, Service | None]) -> Iterator[Finding]:
    """Every service has endpoints or finds some, and at least one of them gets requests."""
    for name, service in services.items():
        if service is None:
            continue
        path = ("services", name, "endpoints")
        if service.discovery is not None:
            if service.endpoints:
                message = "and endpoints exclude each other; keep one of them"
                yield ("services", name, "discovery"), message
        elif "endpoints" not in service.model_fields_set:
            yield ("services", name), "needs endpoints, or discovery to find them"
        elif not service.endpoints:
            yield path, "is empty; a service needs at least one endpoint"
        elif not any(endpoint.weight for endpoint in service.endpoints):
            yield path, "all weights are 0; no endpoint would get a request"
        yield from _check_endpoints(path, service)


def _check_endpoints(path: Path, service: Service) -> Iterator[Finding]:
    """None stands twice, however it is spelled."""
    seen: dict[Target, int] = {}
    for index, endpoint in enumerate(service.endpoints):
        first = seen.setdefault(endpoint.target, index)
        if first != index:
            message = f"is the same as endpoints[{first}]; remove one, and set the other's weight"
            yield (*path, index), message


def check_shared_breakers(services: Mapping[str, Any], state: Any) -> Iterator[Finding]:
    """What hosts share has a place. Takes raw data: a broken service may ask for it, too."""
    url = state.get("url") if isinstance(state, dict) else None
    if url is not None and url != DEFAULT_URL:
        return
    for name, service in services.items():
        breaker = service.get("breaker") if isinstance(service, dict) else None
        if isinstance(breaker, dict) and breaker.get("shared") in (True, "true"):
            message = "needs Redis; set state.url, such as redis://HOST:6379/0"
            yield ("services", name, "breaker", "shared"), message


def check_references(routes: Sequence[Any], services: Mapping[str, Any]) -> Iterator[Finding]:
    """Every service that is named exists. Takes raw data: a broken route may name one, too."""
    path: Path
    for index, route in enumerate(routes):
        if isinstance(route, dict) and route.get("service") is None and not route.get("split"):
            yield ("routes", index), "needs service, or split to divide requests between several"
        yield from _check_reference(route, ("routes", index), services)
        parts = route.get("split") if isinstance(route, dict) else None
        for number, part in enumerate(parts if isinstance(parts, list) else ()):
            yield from _check_reference(part, ("routes", index, "split", number), services)
        path = ("routes", index, "mirror")
        mirror = route.get("mirror") if isinstance(route, dict) else None
        yield from _check_reference(mirror, path, services)
        own = [route.get("service")] if isinstance(route, dict) else []
        own += [part.get("service") for part in parts or () if isinstance(part, dict)]
        if isinstance(mirror, dict) and mirror.get("service") in own:
            yield (*path, "service"), "is a service of the route itself; name another one"
    for name, service in services.items():
        fallback = service.get("fallback") if isinstance(service, dict) else None
        path = ("services", name, "fallback")
        yield from _check_reference(fallback, path, services)
        if isinstance(fallback, dict) and fallback.get("service") == name:
            yield (*path, "service"), "is the service itself; name another one"


def _check_reference(holder: Any, path: Path, services: Mapping[str, Any]) -> Iterator[Finding]:
    try:
        name = parse_text(holder["service"])
    except (TypeError, LookupError, ValueError):
        return  # not a mapping, or not a name: reported as such
    if name not in services:
        hint = nearest(name, services) or "; no services are defined"
        yield (*path, "service"), f"there is no service {name!r}{hint}"


def check_reserved(routes: Sequence[Route | None], auth: Auth) -> Iterator[Finding]:
    """No route stands where the gateway itself answers."""
    for index, route in enumerate(routes):
        if route is None:
            continue
        if route.path == HEALTH_PATH and (not route.methods or HEALTH_METHODS & {*route.methods}):
            yield (
                ("routes", index, "path"),
                f"GET {HEALTH_PATH} is the gateway's own; choose another path, or other methods",
            )
        for reserved in RESERVED_PATHS if auth.enabled else ():
            if has_literal_prefix(route.path, reserved):
                yield (
                    ("routes", index, "path"),
                    f"{reserved} is the gateway's own; choose another path, or auth.enabled: false",
                )


def check_listeners(server: Server) -> Iterator[Finding]:
    """No two of them want the same port."""
    for (one, first), (other, second) in combinations(server.listeners.items(), 2):
        if first.port == 0 or first.port != second.port or not _overlap(first.host, second.host):
            continue
        # The default has no place: who wrote the other one has to change it.
        name, taken = (other, one) if other in server.model_fields_set else (one, other)
        message = f"{server.listeners[name]} is taken by server.{taken}; choose another port"
        yield ("server", name), message


def _overlap(first: str, second: str) -> bool:
    if (":" in first) != (":" in second):
        return False
    return first == second or not {first, second}.isdisjoint(("0.0.0.0", "::"))


def check_run_dir(server: Server, auth: Auth) -> Iterator[Finding]:
    """The socket of the login endpoints is the address of a service."""
    if auth.enabled:
        try:
            parse_endpoint_url(identity_url(server.run_dir))
        except ValueError as error:
            yield ("server", "run_dir"), f"{error}; the login endpoints have a socket in it"


def check_providers(auth: Auth) -> Iterator[Finding]:
    """Names and issuers of providers are unique: a token must have one reading."""
    seen: dict[tuple[str, str], str] = {("name", "gateway"): "the gateway's own issuer"}
    seen["issuer", auth.issuer] = "auth.issuer"
    for index, provider in enumerate(auth.jwt_providers):
        place = f"auth.jwt_providers[{index}]"
        for key, value in (("name", provider.name), ("issuer", provider.issuer)):
            first = seen.setdefault((key, value), place)
            if first != place:
                path = ("auth", "jwt_providers", index, key)
                yield path, f"{value!r} is already that of {first}"


def check_routes(routes: Sequence[Route | None]) -> Iterator[Finding]:
    """Names are unique, every route can match, prefixes are prefixes."""
    names: dict[str, int] = {}
    criteria: dict[object, int] = {}
    for index, route in enumerate(routes):
        if route is None:
            continue
        yield from _check_prefixes(index, route)
        yield from _check_header_names(index, route)
        yield from _check_split(index, route)
        yield from _check_auth(index, route)
        if route.name is not None:
            first = names.setdefault(route.name, index)
            if first != index:
                message = f"routes[{first}] already has the name {route.name!r}"
                yield ("routes", index, "name"), message
        first = criteria.setdefault(_criteria(route), index)
        if first != index:
            yield (
                ("routes", index),
                f"can never match: routes[{first}] has the same criteria and comes first",
            )


def _check_prefixes(index: int, route: Route) -> Iterator[Finding]:
    path: Path = ("routes", index)
    if route.strip_prefix is not None and route.replace_prefix is not None:
        yield (*path, "strip_prefix"), "and replace_prefix exclude each other; keep one of them"
    if route.strip_prefix is not None and not has_literal_prefix(route.path, route.strip_prefix):
        yield (*path, "strip_prefix"), _not_a_prefix(route.strip_prefix, route.path)
    if route.replace_prefix is not None:
        prefix = route.replace_prefix.from_
        if not has_literal_prefix(route.path, prefix):
            yield (*path, "replace_prefix", "from"), _not_a_prefix(prefix, route.path)


def _not_a_prefix(prefix: str, pattern: str) -> str:
    literal = "/".join(pattern.partition("{")[0].split("/")[:-1]) or "/"
    if "{" not in pattern:
        literal = pattern
    return f"{prefix} is not the beginning of the path {pattern}; the longest possible is {literal}"


def _check_header_names(index: int, route: Route) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name in route.headers:
        first = seen.setdefault(name.lower(), name)
        if first != name:
            message = f"is the same header as {first!r}: names of fields have no case"
            yield ("routes", index, "headers", name), message


def _check_auth(index: int, route: Route) -> Iterator[Finding]:
    """Nothing is asked of callers whom nobody looks at."""
    if route.auth != "none":
        return
    for key in ("scopes", "accept"):
        if getattr(route, key) != Route.model_fields[key].default:
            message = "has no effect with auth: none; remove it, or write auth: required"
            yield ("routes", index, key), message


def _check_split(index: int, route: Route) -> Iterator[Finding]:
    if route.split and not any(part.weight for part in route.split):
        yield ("routes", index, "split"), "all weights are 0; where do the other requests go?"
    for number, part in enumerate(route.split):
        path: Path = ("routes", index, "split", number, "when", "claim")
        if part.when is None or not part.when.claim:
            continue
        if route.auth == "none":
            yield path, "the route does not look who is calling (auth: none), so nobody has claims"
        elif "jwt" not in route.accept:
            yield path, "API keys have no claims; accept jwt, too"
    services = [part.service for part in route.split]
    if route.canary is not None and services.count(route.canary.service) != 1:
        message = f"must be one of the parts of split{nearest(route.canary.service, services)}"
        yield ("routes", index, "canary", "service"), message
    elif route.canary is not None and len(services) < 2:
        yield ("routes", index, "canary"), "needs another part of split to be measured by"
    if route.split_by is not None and not route.split:
        yield ("routes", index, "split_by"), "there is no split; remove it or add one"


def _criteria(route: Route) -> object:
    """Equal for two routes of which the later can never match."""
    headers = frozenset((name.lower(), _test(test)) for name, test in route.headers.items())
    query = frozenset((name, _test(test)) for name, test in route.query.items())
    hosts, methods = frozenset(route.host), frozenset(route.methods)
    return route.priority, hosts, shape(route.path), methods, headers, query


def _test(predicate: Predicate) -> tuple[str, str]:
    return predicate.test
