"""``gateway check``: is a configuration file usable?"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from gateway.cli.exits import Exit


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def check(file: Path | None, form: str) -> None:
    """Check a configuration file and list everything that is wrong with it.

    Variables of the environment that would change the configuration (GATEWAY_SERVER__WORKERS=4)
    and ${VAR} in values count as they would at `gateway run`. Without FILE, the file that
    `gateway run` would take is checked.

    \b
    Each problem is one line:  FILE:LINE:COLUMN: PATH: MESSAGE
    With --format json the answer is one object on stdout:
      {"ok": false, "file": ..., "problems": [{"file", "line", "column", "path", "message"}]}

    \b
    Examples:
      gateway check gateway.yaml
      gateway check --format json gateway.yaml | jq .problems

    \b
    Exit codes: 0 the file is good, 1 it is not, 2 usage.
    """
    from gateway.config import ConfigError, load
    from gateway.config.table import verify

    try:
        loaded = load(file)
        verify(loaded)
    except ConfigError as error:
        if form == "json":
            _print_json({"ok": False, "file": str(file or ""), "problems": _rows(error)})
        else:
            click.echo(str(error), err=True)
            count = len(error.problems)
            click.echo(f"{count} problem{'s' if count != 1 else ''}", err=True)
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
        summary = ", ".join(
            f"{count} {noun if count != 1 else noun[:-1]}" for noun, count in counts.items()
        )
        click.echo(f"{name or 'defaults (no file found)'}: ok: {summary}")


def _rows(error: Any) -> list[dict[str, Any]]:
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
