"""What the verbs on the store share: opening it, and showing rows. Its verbs work without a running
gateway; one that runs hears of their changes by itself.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from gateway.cli.exits import Exit
from gateway.cli.options import load_or_exit

if TYPE_CHECKING:
    from pydantic import BaseModel

    from gateway.administration.desk import Desk

__all__ = [
    "LIFETIME",
    "SCOPES",
    "at_desk",
    "every",
    "exit_without_store",
    "json_option",
    "parse_lifetime",
    "print_once",
    "print_rows",
]

Result = TypeVar("Result")
Row = TypeVar("Row")
Command = TypeVar("Command", bound=Callable[..., Any])

SHOWN_ONCE = "Keep it now: it is stored as a hash and cannot be shown again."


def at_desk(
    config_file: Path | None,
    settings: dict[str, str],
    act: "Callable[[Desk], Awaitable[Result]]",
    makes_store: bool = False,
) -> Result:
    """Do something with the configured store; what goes wrong is one line and exit code 1.

    `makes_store`: a file of SQLite is made if there is none.
    """
    url = load_or_exit(config_file, settings).config.store.url
    if not makes_store:
        _require_file(url)
    from gateway.administration.desk import Desk
    from gateway.store.errors import StoreError, StoreUnavailable
    from gateway.store.store import Store

    async def work() -> Result:
        async with Store.open(url) as store:
            return await act(Desk(store, _actor()))

    try:
        return asyncio.run(work())
    except StoreUnavailable as error:
        exit_without_store(url, error)
    except (StoreError, ValueError) as error:
        click.echo(f"gateway: {error}", err=True)
        sys.exit(Exit.FAILED)


def exit_without_store(url: str, error: Exception) -> NoReturn:
    """Say which store cannot be used, and why."""
    from gateway.config.store import masked_url

    click.echo(f"gateway: the store {masked_url(url)} cannot be used: {error}", err=True)
    sys.exit(Exit.FAILED)


def _require_file(url: str) -> None:
    """To look at nothing must not make a database of nothing, perhaps in the wrong directory."""
    from gateway.config.store import sqlite_file

    if (file := sqlite_file(url)) is None or file.exists():
        return
    click.echo(
        f"gateway: there is no store: {file.absolute()} does not exist. `gateway run` makes it, or "
        "`gateway db upgrade`; if it is elsewhere, name it: -c FILE or --set store.url=URL",
        err=True,
    )
    sys.exit(Exit.FAILED)


def json_option(command: Command) -> Command:
    """Add ``--json`` (argument `as_json`)."""
    return click.option("--json", "as_json", is_flag=True, help="As JSON.")(command)


class Scopes(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2
    """``read,write`` → names."""

    name = "scopes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The rule for one scope is that of the configuration."""
        if isinstance(value, tuple):
            return value
        from gateway.config.routes import parse_scope

        try:
            return tuple(parse_scope(part.strip()) for part in value.split(",") if part.strip())
        except ValueError as error:
            self.fail(f"{error}; between several there are commas", param, ctx)


SCOPES = Scopes()


class Lifetime(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2
    """A duration, as in the configuration."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """``30d`` → timedelta; 0 is none."""
        if isinstance(value, timedelta):
            return value
        from gateway.config.values import parse_optional_duration

        try:
            return timedelta(seconds=parse_optional_duration(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


LIFETIME = Lifetime()


def parse_lifetime(lifetime: timedelta | None) -> datetime | None:
    """From now on; None is for ever."""
    return None if lifetime is None else datetime.now(UTC) + lifetime


async def every(
    page: Callable[[str], Awaitable[Sequence[Row]]], place: Callable[[Row], str]
) -> list[Row]:
    """All rows of a repository, page by page: ``page(after)`` yields what is behind a place."""
    found: list[Row] = []
    while rows := await page(place(found[-1]) if found else ""):
        found += rows
    return found


def print_once(view: "BaseModel", name: str, secret: str, as_json: bool) -> None:
    """What was made, with the secret that is not shown again under ``name``; or that alone."""
    if as_json:
        import orjson

        data = {**view.model_dump(mode="json"), name: secret}
        click.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())
        return
    click.echo(secret)
    click.echo(SHOWN_ONCE, err=True)


def print_rows(rows: "Iterable[BaseModel]", columns: Sequence[str], as_json: bool) -> None:
    """A table of some columns, or everything as JSON."""
    if as_json:
        import orjson

        data = [row.model_dump(mode="json") for row in rows]
        click.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())
        return
    cells = [[_cell(getattr(row, column)) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for line in (list(columns), *cells):
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, tuple):
        return ",".join(value) or "-"
    return "".join(char if char.isprintable() else "?" for char in str(value)) or "-"


def _actor() -> str:
    """For the audit log."""
    return f"user {os.geteuid()} on {socket.gethostname()}"
