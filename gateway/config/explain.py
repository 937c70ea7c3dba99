"""What the gateway would do with a request, and why. Asks the workers' own route table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gateway._core import RouteTable, normalize_path
from gateway.config.internal import HEALTH_METHODS, HEALTH_PATH, IDENTITY_SERVICE
from gateway.config.plan import Plan, PlannedRoute, PlannedService
from gateway.config.table import build_table

PATH_ERRORS = {
    "above_root": "a .. leads above the root",
    "backslash": "it holds a backslash",
    "bad_escape": "a % is not followed by two hexadecimal digits",
    "control": "it holds a control character, a space or raw non-ASCII",
    "double_encoding": "it is percent-encoded twice",
    "encoded_slash": "it holds an encoded slash (%2F) and server.encoded_slashes is reject",
    "fragment": "it holds a #",
    "not_absolute": "it does not begin with /",
    "not_utf8": "its escapes are not UTF-8",
    "nul": "it holds a NUL (%00)",
}
"""Error of the path normaliser → what is wrong with the path."""


@dataclass(frozen=True, slots=True)
class Query:
    """A request to ask about. `path` as the client sends it; `host` as in the Host field."""

    method: str
    host: str
    path: str
    query: str = ""
    headers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one route."""

    route: int
    """Index in the Plan."""
    outcome: str
    """``wins``, or why it does not."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer. Without a winning route, `status` and `reason` are what the client gets."""

    path: str
    """The canonical path; as received if it has none."""
    status: Literal[200, 400, 404, 405] | None
    reason: str
    allow: tuple[str, ...]
    route: PlannedRoute | None
    service: PlannedService | None
    upstream_target: str
    """Path and query that the endpoint sees."""
    params: dict[str, str]
    verdicts: tuple[Verdict, ...]
    """All routes whose host and path match, best first; then the others that are configured, in
    the file's order."""


def explain(plan: Plan, query: Query) -> Explanation:
    """Find out what would happen to the request."""
    nothing = Explanation(query.path, None, "", (), None, None, "", {}, ())
    try:
        canonical = normalize_path(
            query.path.encode("utf-8", "surrogateescape"), plan.server.encoded_slashes
        )
    except ValueError as error:
        code = str(error)
        reason = f"the path is refused: {PATH_ERRORS.get(code, code)} ({code})"
        return replace(nothing, status=400, reason=reason)
    asked = replace(query, path=canonical.decode())
    if asked.path == HEALTH_PATH and asked.method in HEALTH_METHODS:
        reason = "answered by the gateway itself, before any route"
        return replace(nothing, path=asked.path, status=200, reason=reason)
    table = build_table(plan)
    found = table.match(asked.method, asked.host, asked.path, asked.query, list(asked.headers))
    answer = replace(nothing, path=asked.path, verdicts=_verdicts(plan, table, asked))
    if found.route is not None:
        route = plan.routes[found.route]
        return replace(
            answer,
            reason=_why(plan, answer.verdicts, asked),
            route=route,
            service=plan.services[route.service],
            upstream_target=upstream_path(route, asked.path)
            + (f"?{asked.query}" if asked.query else ""),
            params=dict(found.params),
        )
    if found.allow:
        reason = f"no route on this host and path takes {asked.method}"
        return replace(answer, status=405, reason=reason, allow=tuple(found.allow))
    matching = any(" of the request" in verdict.outcome for verdict in answer.verdicts)
    reason = "no route matches host and path"
    if matching:
        reason = "routes match host and path, but not headers or query"
    return replace(answer, status=404, reason=reason)


def upstream_path(route: PlannedRoute, path: str) -> str:
    """The path that the endpoint sees for the canonical `path`, which matches the route."""
    old, new = route.replace_prefix or (route.strip_prefix or "/", "/")
    return new.rstrip("/") + path.removeprefix(old.rstrip("/")) or "/"


def _verdicts(plan: Plan, table: RouteTable, query: Query) -> tuple[Verdict, ...]:
    verdicts = [
        Verdict(candidate.route, _outcome(candidate.verdict, plan.routes[candidate.route], query))
        for candidate in table.explain(
            query.method, query.host, query.path, query.query, list(query.headers)
        )
    ]
    seen = {verdict.route for verdict in verdicts}
    verdicts += (
        Verdict(index, _mismatch(plan, route, query))
        for index, route in enumerate(plan.routes)
        if index not in seen and plan.services[route.service].name != IDENTITY_SERVICE
    )
    return tuple(verdicts)


def _outcome(verdict: str, route: PlannedRoute, query: Query) -> str:
    kind, _, name = verdict.partition(" ")
    if kind == "method":
        return f"takes {', '.join(route.methods)}, not {query.method}"
    if kind in ("header", "query"):
        tests = route.headers if kind == "header" else route.query
        test = next(test for test in tests if test.name == name)
        operand = f" {test.value!r}" if test.op in ("exact", "prefix") else ""
        return f"wants {kind} {name} {test.op}{operand} of the request"
    return "matches too, but is less specific" if kind == "shadowed" else verdict


def _mismatch(plan: Plan, route: PlannedRoute, query: Query) -> str:
    """Whether host or path is the reason: the table itself is asked, for the route on any host."""
    alone = replace(plan, routes=(replace(route, hosts=()),))
    if build_table(alone).explain(query.method, query.host, query.path):
        return f"is for {', '.join(route.hosts)}"
    return "another path"


def _why(plan: Plan, verdicts: Sequence[Verdict], query: Query) -> str:
    """Which rule decided between the winner and the next route that would take the request."""
    takers = [plan.routes[v.route] for v in verdicts if _takes(v)]
    if len(takers) < 2:
        return "the only route that takes this request"
    winner, second = takers[0], takers[1]
    versus = f"than {second.name}"
    if winner.priority != second.priority:
        return f"higher priority {versus} ({winner.priority}, {second.priority})"
    if not _same_host(plan, winner, second, query):
        return f"more specific host {versus}"
    if _kinds(winner.path) != _kinds(second.path):
        return f"more specific path {versus}"
    if _predicate_count(winner) != _predicate_count(second):
        return f"more criteria {versus}"
    return f"stands before {second.name} in the file"


def _takes(verdict: Verdict) -> bool:
    return verdict.outcome == "wins" or verdict.outcome.startswith("matches too")


def _same_host(plan: Plan, winner: PlannedRoute, second: PlannedRoute, query: Query) -> bool:
    """Whether the winner still wins on hosts alone when the file's order is turned around."""
    bare = [
        replace(r, path="/{rest...}", priority=0, methods=(), headers=(), query=())
        for r in (second, winner)
    ]
    order = build_table(replace(plan, routes=tuple(bare))).explain("GET", query.host, "/")
    return order[0].route == 0


def _kinds(pattern: str) -> list[int]:
    """What each segment is: 0 literal, 1 ``{name}``, 2 ``{name...}``."""
    return [
        2 if segment.endswith("...}") else 1 if segment.startswith("{") else 0
        for segment in pattern[1:].split("/")
    ]


def _predicate_count(route: PlannedRoute) -> int:
    return bool(route.methods) + len(route.headers) + len(route.query)
