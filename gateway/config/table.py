"""`Plan` → the compiled route table, the one that the workers use."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import orjson

from gateway._core import RouteTable
from gateway.config.compile import compile_plan
from gateway.config.compile_service import NoLabels
from gateway.config.plan import Plan
from gateway.config.problems import ConfigError, Path, Problem, format_path
from gateway.config.routes import Route
from gateway.config.server import Server

if TYPE_CHECKING:
    from gateway.config.load import Loaded

_ERROR = re.compile(
    r"routes\[(?P<index>[0-9]+)\](?:\.(?P<key>\w+))?[^:]*: (?P<message>.*)", re.DOTALL
)

_KEYS = {"hosts": "host"}
"""Keys that have another name in the file than in the Plan."""


def build_table(plan: Plan) -> RouteTable:
    """Build the table. ``ValueError`` names the route that it refuses, and why."""
    routes = orjson.loads(orjson.dumps(plan.routes))  # to dicts, twice as fast as asdict()
    return RouteTable(routes, plan.server.encoded_slashes)


def check_paths(routes: Sequence[Route | None], server: Server) -> Iterator[tuple[Path, str]]:
    """The table refuses none of them. It stops at the first, so each is asked about alone."""
    for index, route in enumerate(routes):
        if route is None or "%" not in route.path:  # all else is known without the table
            continue
        try:
            RouteTable([{"path": route.path}], server.encoded_slashes)
        except ValueError as error:
            found = _ERROR.fullmatch(str(error))
            yield ("routes", index, "path"), found["message"] if found else str(error)


def verify(loaded: "Loaded") -> Plan:
    """Compile the configuration and build its table, as the workers will.

    The table has the last word on what can match. Raises `ConfigError` if it refuses a route. The
    returned Plan is a trial: generation 0 and no labels.
    """
    plan = compile_plan(loaded.config, labels=NoLabels(), generation=0)
    try:
        build_table(plan)
    except ValueError as error:
        raise ConfigError([_problem(str(error), loaded)]) from None
    return plan


def _problem(text: str, loaded: "Loaded") -> Problem:
    path: Path = ("routes",)
    message = text
    if found := _ERROR.fullmatch(text):
        path, message = ("routes", int(found["index"])), found["message"]
        if key := found["key"]:
            path = (*path, _KEYS.get(key, key))
    return Problem(loaded.place_of(path), format_path(path), message)
