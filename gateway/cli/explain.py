"""``gateway explain``: which route a request would take, and why."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.exits import Exit
from gateway.cli.options import config_options, exit_with_problems, load_or_exit

if TYPE_CHECKING:
    from gateway.config import Loaded
    from gateway.config.explain import Explanation, Query
    from gateway.config.plan import Plan

_URL = re.compile(r"(?:https?://(?P<host>[^/?#]*))?(?P<path>[^?]*)(?:\?(?P<query>.*))?", re.DOTALL)
MAX_OTHERS = 20
"""Routes on other paths that are listed without --all: a screenful."""


def _parse_headers(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> list[tuple[str, str]]:
    headers = []
    for value in values:
        name, colon, text = value.partition(":")
        if not name.strip() or not colon:
            raise click.BadParameter(f"{value!r} is not 'Name: value', as in 'X-Canary: always'")
        headers.append((name.strip(), text.strip()))
    return headers


@click.command()
@click.argument("method")
@click.argument("url")
@click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    callback=_parse_headers,
    help="A header field of the request. May be given several times.",
)
@click.option("--all", "show_all", is_flag=True, help="List every route of the configuration.")
@config_options
def explain(
    method: str,
    url: str,
    headers: list[tuple[str, str]],
    show_all: bool,
    config_file: Path | None,
    settings: dict[str, str],
) -> None:
    """Show which route a request would take, and why. Nothing is sent.

    URL is a full one (http://api.example.org/identity/me?v=2) or a path; the host then comes from
    -H 'Host: …'. The answer is that of the workers' own route table, so it holds for the running
    gateway if it has the same configuration. Stored routes, services and policies count as the
    gateway of this host has last seen them.

    \b
    Examples:
      gateway explain GET http://localhost:8000/identity/me
      gateway explain POST /orders -H 'Host: api.example.org' -H 'X-Canary: always'

    \b
    Exit codes: 0 a route or the gateway itself takes it, 1 it is refused (400, 404, 405) or the
    configuration is broken, 2 usage.
    """
    query = _query(method, url, headers)
    loaded = load_or_exit(config_file, settings)
    from gateway.config import ConfigError
    from gateway.config.explain import explain as answer
    from gateway.config.table import verify

    try:
        verify(loaded)
    except ConfigError as error:
        exit_with_problems(error)
    plan = verify(_with_stored(loaded))
    explanation = answer(plan, query)
    click.echo(f"{query.method} {url}")
    _print_decision(plan, query, explanation)
    _print_routes(plan, explanation, show_all)
    if explanation.status is not None and explanation.status >= 400:
        sys.exit(Exit.FAILED)


def _with_stored(loaded: "Loaded") -> "Loaded":
    """What the gateway would serve: to ask the store itself might wait for a database."""
    from gateway.config.stored import merge
    from gateway.control import snapshot

    config = loaded.config
    stored = snapshot.read(Path(config.server.run_dir), config.store.url)
    merged, quarantined = merge(loaded, stored)
    for row in quarantined:
        click.echo(f"the stored {row.kind} {row.name} is not in force: {row.problem}", err=True)
    return merged


def _query(method: str, url: str, headers: list[tuple[str, str]]) -> "Query":
    from gateway.config.explain import Query

    parts = _URL.fullmatch(url)
    if parts is None or (parts["host"] is None and "://" in parts["path"]):
        raise click.BadParameter(f"{url!r} is neither an http URL nor a path", param_hint="URL")
    named = [value for name, value in headers if name.lower() == "host"]
    host = named[0] if named else parts["host"] or ""
    if not host and (named or parts["host"] is not None):
        raise click.BadParameter("the host is empty; the gateway refuses that with 400 bad_host")
    path = parts["path"] or ("/" if parts["host"] is not None else "")
    return Query(method, host, path, parts["query"] or "", headers)


def _line(name: str, text: str) -> None:
    click.echo(f"  {name:<10} {text}")


def _print_decision(plan: "Plan", query: "Query", explanation: "Explanation") -> None:
    _line("host", query.host or "(none)")
    changed = "" if explanation.path == query.path else f"  (canonical form of {query.path})"
    _line("path", f"{explanation.path}{changed}")
    route, service = explanation.route, explanation.service
    if route is None or service is None:
        _line("answer", f"{explanation.status}: {explanation.reason}")
        if explanation.allow:
            _line("", f"Allow: {', '.join(explanation.allow)}")
        return
    from gateway.cli.explained import route_lines

    _line("route", f"{route.name}: {explanation.reason}")
    for name, value in explanation.params.items():
        _line("", f"{{{name}}} = {value}")
    for title, text in route_lines(plan, route):
        _line(title, text)
    _line("forwards", f"{query.method} {explanation.upstream_target}")
    _line("", f"Host: {service.host or query.host or '(of the endpoint)'}")


def _print_routes(plan: "Plan", explanation: "Explanation", show_all: bool) -> None:
    if not explanation.verdicts:
        return
    click.echo("\nRoutes, best first:")
    others = 0
    for verdict in explanation.verdicts:
        others += verdict.outcome == "another path"
        if others > MAX_OTHERS and not show_all and verdict.outcome == "another path":
            continue
        route = plan.routes[verdict.route]
        shown = route.path if route.name == route.path else f"{route.name} ({route.path})"
        click.echo(f"  {shown}: {verdict.outcome}")
    if others > MAX_OTHERS and not show_all:
        click.echo(f"  … and {others - MAX_OTHERS} more on another path; list them with --all")
