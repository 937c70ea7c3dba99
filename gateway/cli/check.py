"""``gateway check``: is a configuration file usable?"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.exits import Exit
from gateway.cli.options import config_options, file_or_exit
from gateway.counted import counted

if TYPE_CHECKING:
    from gateway.config import ConfigError


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@config_options
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def check(file: Path | None, config_file: Path | None, settings: dict[str, str], form: str) -> None:
    """Check a configuration file and list everything that is wrong with it.

    Variables of the environment that would change the configuration (GATEWAY_SERVER__WORKERS=4)
    and ${VAR} in values count as they would at `gateway run`. Without FILE, the file that
    `gateway run` would take is checked; -c FILE says the same as FILE.

    \b
    Each problem is one line:  FILE:LINE:COLUMN: PATH: MESSAGE
    With --format json the answer is one object on stdout:
      {"ok": false, "file": ..., "problems": [{"file", "line", "column", "path", "message"}]}

    \b
    Examples:
      gateway check gateway.yaml
      gateway check --format json gateway.yaml | jq .problems

    \b
    Exit codes: 0 the file is good, 1 it is not or there is none, 2 usage.
    """
    if file and config_file:
        raise click.UsageError(f"FILE and -c both name a file; is it {file} or {config_file}?")
    from gateway.config import ConfigError, load
    from gateway.config.table import verify

    try:
        loaded = load(_file(file or config_file, form), settings)
        verify(loaded)
    except ConfigError as error:
        if form == "json":
            _print_problems(file or config_file, error)
        else:
            click.echo(str(error), err=True)
            click.echo(counted(len(error.problems), "problem"), err=True)
        sys.exit(Exit.FAILED)
    config = loaded.config
    counts = {
        "routes": len(config.routes),
        "services": len(config.services),
        "endpoints": sum(len(service.endpoints) for service in config.services.values()),
    }
    name = str(loaded.path or "")
    if form == "json":
        _print_json({"ok": True, "file": name, **counts})
    else:
        summary = ", ".join(counted(count, noun[:-1]) for noun, count in counts.items())
        click.echo(f"{name}: ok: {summary}")


def _file(named: Path | None, form: str) -> Path:
    """As `gateway run` finds it, which does without defaults alone: they have no routes."""
    from gateway.config.load import find_file
    from gateway.config.problems import ConfigError, Place, Problem

    if form == "json" and find_file(named, os.environ) is None:
        _print_problems(None, ConfigError([Problem(Place(""), "", "no configuration file")]))
    return file_or_exit(named)


def _print_problems(file: Path | None, error: "ConfigError") -> None:
    _print_json({"ok": False, "file": str(file or ""), "problems": _rows(error)})


def _rows(error: "ConfigError") -> list[dict[str, Any]]:
    return [
        {
            "file": problem.file,
            "line": problem.line or None,
            "column": problem.column or None,
            "path": problem.path,
            "message": problem.message,
        }
        for problem in error.problems
    ]


def _print_json(data: dict[str, Any]) -> None:
    click.echo(json.dumps(data, indent=2))
