"""``gateway run``: an instance in the foreground."""

import sys
from pathlib import Path

import click

from gateway.cli.exits import Exit
from gateway.cli.options import (
    ADDRESS,
    WORKERS,
    Parsed,
    config_options,
    exit_with_problems,
    file_or_exit,
)


def _shorthand(name: str, kind: Parsed, text: str) -> click.Option:
    help_text = f"{text} Sets server.{name}."
    return click.Option([f"--{name}"], type=kind, metavar=kind.name, help=help_text)


@click.command()
@config_options
@click.option("--watch", is_flag=True, help="Reload when the configuration file changes.")
def run(
    config_file: Path | None,
    settings: dict[str, str],
    watch: bool,
    **shorthands: str | None,
) -> None:
    """Run the gateway in the foreground.

    \b
    Signals: TERM and INT drain and exit (a second INT exits at once), HUP reloads the
    configuration, USR1 reopens log files.

    \b
    Examples:
      gateway run -c gateway.yaml
      gateway run --http 127.0.0.1:8000 --workers 2 --watch

    \b
    Exit codes: 0 stopped in order, 1 cut off, 2 usage, 3 could not start.
    """
    for name, value in shorthands.items():
        if value is not None:
            settings[f"server.{name}"] = value
    from gateway.config import ConfigError
    from gateway.control.publish import ConfigSource
    from gateway.supervisor import start
    from gateway.supervisor.errors import StartError

    file = file_or_exit(config_file, Exit.NOT_STARTED)
    try:
        sys.exit(start.run(start.Options(ConfigSource(file, settings), watch)))
    except ConfigError as error:
        exit_with_problems(error, Exit.NOT_STARTED)
    except StartError as error:
        click.echo(f"gateway: {error}", err=True)
        sys.exit(Exit.NOT_STARTED)


run.params += [
    _shorthand("http", ADDRESS, "Where clients connect."),
    _shorthand("admin", ADDRESS, "Where the admin API is served."),
    _shorthand("status", ADDRESS, "Where health and metrics are served."),
    _shorthand("workers", WORKERS, "Number of worker processes."),
]
