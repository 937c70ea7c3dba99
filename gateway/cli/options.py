"""Options that several verbs share, and the loading of configuration behind them."""

import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from gateway.cli.exits import Exit

if TYPE_CHECKING:
    from gateway.config import ConfigError, Loaded

NO_FILE = """\
gateway: no configuration file.
  Looked for: -c FILE, $GATEWAY_CONFIG, ./gateway.yaml, /etc/gateway/gateway.yaml
  Write a first one:
      services:
        web: { endpoints: [ http://127.0.0.1:3000 ] }
      routes:
        - { path: "/{path...}", service: web, auth: none }
  or see a running example: gateway demo --with-gateway"""

Command = TypeVar("Command", bound=Callable[..., Any])


class Parsed(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2
    """What a parser of ours takes. It stays text, for whoever parses it next."""

    def __init__(self, name: str, parser: str) -> None:
        """``parser``: ``module:function``, imported when there is something to parse."""
        self.name = name
        self._parser = parser

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it is."""
        module, _, function = self._parser.partition(":")
        try:
            getattr(import_module(module), function)(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


ADDRESS = Parsed("HOST:PORT", "gateway.config.addresses:parse_address")
EMAIL = Parsed("EMAIL", "gateway.store.emails:normalise_email")
WORKERS = Parsed("N|auto", "gateway.config.values:parse_workers")


def _parse_settings(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """``("a.b=1", …)`` → ``{"a.b": "1"}``; the last one for a key counts."""
    settings: dict[str, str] = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE, as in server.workers=4")
        settings.pop(key, None)
        settings[key] = text
    return settings


def set_option(command: Command) -> Command:
    """Add ``--set KEY=VALUE``: argument `settings`, a dict of dotted path → text."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_parse_settings,
        help="Set one value, as in server.workers=4. May be given several times.",
    )(command)


def config_options(command: Command) -> Command:
    """Add ``-c FILE`` (argument `config_file`) and ``--set`` (see `set_option`)."""
    file = click.option(
        "-c",
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The configuration file (.yaml, .toml or .json).",
    )
    return file(set_option(command))


def file_or_exit(config_file: Path | None, failure: Exit = Exit.FAILED) -> Path:
    """The file to load; without any, say how to write one and exit with `failure`."""
    from gateway.config.load import find_file

    if (file := find_file(config_file, os.environ)) is None:
        click.echo(NO_FILE, err=True)
        sys.exit(failure)
    return file


def load_or_exit(
    config_file: Path | None,
    settings: Mapping[str, str],
    failure: Exit = Exit.FAILED,
) -> "Loaded":
    """Load the configuration; on problems print them all and exit with `failure`."""
    from gateway.config import ConfigError, load

    try:
        return load(config_file, settings)
    except ConfigError as error:
        exit_with_problems(error, failure)


def exit_with_problems(error: "ConfigError", failure: Exit = Exit.FAILED) -> NoReturn:
    """Print every problem to stderr, one per line, and exit."""
    click.echo(str(error), err=True)
    sys.exit(failure)
