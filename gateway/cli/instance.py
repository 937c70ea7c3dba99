"""The verbs that talk to a running instance: reload, drain, stop, status, health."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gateway.cli.exits import Exit
from gateway.cli.options import config_options
from gateway.counted import counted

RUN_DIR = "server.run_dir"
RUN_DIR_VARIABLE = "GATEWAY_SERVER__RUN_DIR"
MAX_ENDPOINTS = 10
"""Of one service, in `gateway status`: a screen has room for a few services."""


@click.command()
@config_options
def reload(config_file: Path | None, settings: dict[str, str]) -> None:
    """Apply the changed configuration file, in every worker or not at all.

    Requests that are running finish with the configuration they began with. The running instance
    reads the file that it was started with; -c and --set only say which instance is meant.

    \b
    Exit codes: 0 in force, 1 refused (every problem is listed, nothing has changed).
    """
    result = _ask("reload", config_file, settings)
    if not result["ok"]:
        for problem in result.get("problems", [result.get("error")]):
            click.echo(problem, err=True)
        click.echo("reload refused; the configuration before it stays in force", err=True)
        sys.exit(Exit.FAILED)
    click.echo(f"generation {result['generation']} is in force")
    for setting in result["needs_restart"]:
        click.echo(f"{setting}: changed in the file, needs a restart to take effect", err=True)


@click.command()
@config_options
def drain(config_file: Path | None, settings: dict[str, str]) -> None:
    """Accept no more connections, finish what runs, then exit. Shows progress.

    From its start /readyz answers 503. At most server.drain_timeout passes.
    """
    _show_until_gone("drain", config_file, settings)
    click.echo("drained and stopped")


@click.command()
@config_options
def stop(config_file: Path | None, settings: dict[str, str]) -> None:
    """Stop the gateway as TERM does, and wait until it is gone."""
    _show_until_gone("stop", config_file, settings)
    click.echo("stopped")


@click.command()
@config_options
@click.option("--json", "as_json", is_flag=True, help="The whole status document.")
def status(config_file: Path | None, settings: dict[str, str], as_json: bool) -> None:
    """Show the processes, addresses and configuration of the running gateway."""
    document = _ask("status", config_file, settings)["status"]
    if as_json:
        import orjson

        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo("\n".join(_status_lines(document)))


@click.command()
@config_options
def health(config_file: Path | None, settings: dict[str, str]) -> None:
    """Say whether new requests are served: exit code 0 if they are, else 1."""
    result = _ask("health", config_file, settings)
    if not result["ok"]:
        why = "draining" if result["state"] == "draining" else "no worker is ready"
        click.echo(f"not healthy: {why}", err=True)
        sys.exit(Exit.FAILED)
    click.echo("healthy")


def _show_until_gone(command: str, config_file: Path | None, settings: Mapping[str, str]) -> None:
    result = _ask(command, config_file, settings)
    if not result["ok"]:
        click.echo(result["error"], err=True)
        sys.exit(Exit.FAILED)


def _ask(command: str, config_file: Path | None, settings: Mapping[str, str]) -> dict[str, Any]:
    from gateway.supervisor.client import NotRunning, ask

    run_dir = _run_dir(config_file, settings)
    try:
        return ask(run_dir, command, lambda text: click.echo(text, err=True))
    except NotRunning:
        message = (
            f"no gateway runs with run_dir {run_dir}. Start one with `gateway run`; if it runs "
            f"with another directory, name it: gateway {command} --set {RUN_DIR}=DIR"
        )
    except OSError as error:
        message = f"cannot talk to the gateway in {run_dir}: {error}"
    click.echo(f"gateway: {message}", err=True)
    sys.exit(Exit.FAILED)


def _run_dir(config_file: Path | None, settings: Mapping[str, str]) -> Path:
    """Where the instance is, also when the file has been broken since it started."""
    if named := settings.get(RUN_DIR) or os.environ.get(RUN_DIR_VARIABLE):
        return Path(named)
    from gateway.config import ConfigError
    from gateway.config.load import find_run_dir

    try:
        return find_run_dir(config_file, settings)
    except ConfigError as error:
        click.echo(str(error), err=True)
        click.echo(f"gateway: where does it run? Name the directory: --set {RUN_DIR}=DIR", err=True)
        sys.exit(Exit.FAILED)


def _status_lines(document: Mapping[str, Any]) -> list[str]:
    lines = [
        f"gateway {document['version']}  {document['state']}  pid {document['pid']}  "
        f"up {document['uptime_s']:.0f} s",
        f"configuration  {document['config']}  generation {document['generation']}",
        *(f"{name:<14} {address}" for name, address in document["addresses"].items()),
    ]
    if (last := document["last_reload"]) and not last["ok"]:
        lines += ["the last reload was refused:", *(f"  {text}" for text in last["problems"])]
    lines.append(_row("", "pid", "state", "up s", "restarts", "generation", "connections"))
    lines.append(_process_row("control", document["control"]))
    for worker in document["workers"]:
        lines.append(_process_row(f"worker {worker['slot']}", worker))
    for service in document["services"]:
        lines += _service_lines(service)
    lines += map(_split_line, document["splits"])
    for service in document["discovery"]:
        lines += _discovered_lines(service)
    return lines


def _service_lines(service: Mapping[str, Any]) -> list[str]:
    """A line for the service, and one for each endpoint that gets no requests."""
    endpoints = service["endpoints"]
    usable = sum(endpoint["usable"] for endpoint in endpoints)
    text = f"service    {service['name']}  {usable} of {counted(len(endpoints), 'endpoint')} usable"
    if service["breaker"]:
        text += f"  circuit breaker {service['breaker']['state'].replace('_', ' ')}"
    lines = [text]
    for endpoint in endpoints:
        if endpoint["health"] == "unhealthy":
            lines.append(f"             {endpoint['url']} is unhealthy")
        elif not endpoint["usable"]:
            left_s = endpoint["ejected_for_ms"] / 1000
            lines.append(f"             {endpoint['url']} is left out for {left_s:.0f} s more")
    return lines


def _split_line(split: Mapping[str, Any]) -> str:
    shares = [
        f"{part['service']} {100 * part['share']:.3g} %{' (set)' if part['is_set'] else ''}"
        for part in split["parts"]
    ]
    return f"split      {split['route']}  {', '.join(shares)}"


def _discovered_lines(service: Mapping[str, Any]) -> list[str]:
    """The endpoints in use, and how long ago their source last named them."""
    age_s, endpoints = service["age_s"], service["endpoints"]
    age = "never confirmed" if age_s is None else f"confirmed {age_s:.0f} s ago"
    lines = [
        f"{service['service']}  from {service['source']}  {service['state']}  "
        f"{counted(len(endpoints), 'endpoint')}, {age}"
    ]
    lines += [f"  {each['url']}  weight {each['weight']}" for each in endpoints[:MAX_ENDPOINTS]]
    if len(endpoints) > MAX_ENDPOINTS:
        lines.append(f"  … and {len(endpoints) - MAX_ENDPOINTS} more; --json has all")
    return lines


def _process_row(name: str, process: Mapping[str, Any]) -> str:
    state = process["state"]
    if "retry_in_s" in process:
        state = f"{state} {process['retry_in_s']} s"
    return _row(
        name, process["pid"] or "-", state, f"{process['uptime_s']:.0f}", process["restarts"],
        process.get("generation", ""), process.get("connections", ""),
    )  # fmt: skip


def _row(name: str, *cells: object) -> str:
    pid, state, *numbers = cells
    return f"{name:<10} {pid!s:>8} {state!s:<18}{''.join(f'{n!s:>12}' for n in numbers)}".rstrip()
