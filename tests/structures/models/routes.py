"""Which route takes a request, told as plainly as possible: the oracle of gateway_core::routes.

A linear search: keep the routes whose host and path match, put them in order, judge each.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

Route = Mapping[str, Any]
Headers = Sequence[tuple[str, str]]


class RouteTable:
    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = routes

    def candidates(self, host: str, path: str) -> list[int]:
        """Numbers of the routes whose host and path match, best first."""
        ranked = [
            (_rank(route, pattern), number)
            for number, route in enumerate(self.routes)
            for pattern in route.get("hosts") or [None]
            if _host_matches(pattern, _canonical_host(host))
            and _capture(route["path"], path) is not None
        ]
        return list(dict.fromkeys(number for _, number in sorted(ranked)))

    def explain(
        self, method: str, host: str, path: str, query: str = "", headers: Headers = ()
    ) -> list[tuple[int, str]]:
        verdicts = []
        winner_found = False
        for number in self.candidates(host, path):
            verdict = _mismatch(self.routes[number], method, query, headers)
            if verdict is None:
                verdict = "shadowed" if winner_found else "wins"
                winner_found = True
            verdicts.append((number, verdict))
        return verdicts

    def match(
        self, method: str, host: str, path: str, query: str = "", headers: Headers = ()
    ) -> tuple[int | None, dict[str, str], list[str]]:
        """The winner, its parameters, and the methods for `Allow` if there is none."""
        verdicts = self.explain(method, host, path, query, headers)
        for number, verdict in verdicts:
            if verdict == "wins":
                return number, _capture(self.routes[number]["path"], path) or {}, []
        others = [self.routes[number] for number, verdict in verdicts if verdict == "method"]
        allow = {allowed for route in others for allowed in _allowed_methods(route)}
        return None, {}, sorted(allow)


def _rank(route: Route, host: str | None) -> tuple[Any, ...]:
    """Smaller is better. Equal ranks are decided by the place in the file."""
    if host is None:
        host_rank = (2, 0)
    elif host.startswith("*."):
        host_rank = (1, -len(host))
    else:
        host_rank = (0, 0)
    predicates = (
        bool(route.get("methods")) + len(route.get("headers", ())) + len(route.get("query", ()))
    )
    kinds = [_kind(segment) for segment in _segments(route["path"])]
    return -route.get("priority", 0), host_rank, kinds, -predicates


def _kind(segment: str) -> int:
    if not segment.startswith("{"):
        return 0
    return 2 if segment.endswith("...}") else 1


def _segments(path: str) -> list[str]:
    return path.split("/")[1:]


def _capture(pattern: str, path: str) -> dict[str, str] | None:
    """Values of the parameters; None if the pattern does not match."""
    wanted, given = _segments(pattern), _segments(path)
    captured = {}
    if _kind(wanted[-1]) == 2:
        name = wanted.pop()[1:-4]
        captured[name] = "/".join(given[len(wanted) :])
        given = given[: len(wanted)]
    if len(wanted) != len(given):
        return None
    for want, have in zip(wanted, given, strict=True):
        if _kind(want) == 0 and want != have:
            return None
        if _kind(want) == 1:
            if not have:
                return None
            captured[want[1:-1]] = have
    return captured


def _canonical_host(host: str) -> str:
    name, _, port = host.rpartition(":")
    if name and (port.isdigit() or not port):
        host = name
    return host.removesuffix(".").lower()


def _host_matches(pattern: str | None, host: str) -> bool:
    if pattern is None:
        return True
    pattern = pattern.lower()
    if pattern.startswith("*."):
        suffix = pattern[1:]
        return host.endswith(suffix) and host != suffix
    return host == pattern


def _allowed_methods(route: Route) -> set[str]:
    methods = set(route.get("methods", ()))
    return methods | {"HEAD"} if "GET" in methods else methods


def _mismatch(route: Route, method: str, query: str, headers: Headers) -> str | None:
    """The first thing that does not hold; None if the route takes the request."""
    if route.get("methods") and method not in _allowed_methods(route):
        return "method"
    for predicate in route.get("headers", ()):
        wanted = predicate["name"].lower()
        values = [value.encode() for name, value in headers if name.lower() == wanted]
        if not _holds(predicate, values):
            return f"header {predicate['name']}"
    for predicate in route.get("query", ()):
        if not _holds(predicate, _query_values(query, predicate["name"])):
            return f"query {predicate['name']}"
    return None


def _query_values(query: str, wanted: str) -> list[bytes]:
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return [
        unquote_to_bytes(value)
        for name, _, value in pairs
        if unquote_to_bytes(name) == wanted.encode()
    ]


def _holds(predicate: Mapping[str, str], values: list[bytes]) -> bool:
    """One value that fulfils the test is enough."""
    expected = predicate.get("value", "").encode()
    match predicate["op"]:
        case "present":
            return bool(values)
        case "absent":
            return not values
        case "exact":
            return expected in values
        case "prefix":
            return any(value.startswith(expected) for value in values)
    raise ValueError(predicate["op"])
