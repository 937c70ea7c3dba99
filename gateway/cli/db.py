"""``gateway db``: the tables of the store."""

import asyncio
import sys
from pathlib import Path

import click

from gateway.cli.desk import at_desk, exit_without_store
from gateway.cli.exits import Exit
from gateway.cli.options import config_options, load_or_exit


@click.group()
def db() -> None:
    """Make, migrate and inspect the tables of the store.

    `gateway run` does it by itself. Run `upgrade` first where the gateway's account may not
    change tables, or where you want to know when it happens.

    \b
    Examples:
      gateway db current
      gateway db upgrade --set store.url=postgresql://owner@db/gateway
    """


@db.command()
@config_options
def upgrade(config_file: Path | None, settings: dict[str, str]) -> None:
    """Make the tables, or bring them up to date.

    \b
    Exit codes: 0 up to date, 1 not possible, 2 usage.
    """
    from gateway.administration.desk import Desk
    from gateway.store.migrate import current as revision_of

    async def upgraded(desk: Desk) -> str | None:  # opening has done it
        return await revision_of(desk.store.database)

    click.echo(f"up to date: revision {at_desk(config_file, settings, upgraded, makes_store=True)}")


@db.command()
@config_options
def current(config_file: Path | None, settings: dict[str, str]) -> None:
    """Show the revision of the tables, and change nothing.

    \b
    Exit codes: 0 up to date, 1 not up to date or not reachable, 2 usage.
    """
    url = load_or_exit(config_file, settings).config.store.url
    from gateway.config.store import masked_url
    from gateway.store.errors import StoreUnavailable
    from gateway.store.migrate import HEAD

    try:
        revision = asyncio.run(_revision(url))
    except StoreUnavailable as error:
        exit_without_store(url, error)
    state = "up to date" if revision == HEAD else f"this gateway needs {HEAD}"
    click.echo(f"{masked_url(url)}: revision {revision or 'none'}, {state}")
    sys.exit(Exit.OK if revision == HEAD else Exit.FAILED)


async def _revision(url: str) -> str | None:
    from gateway.config.store import sqlite_file
    from gateway.store.database import Database
    from gateway.store.migrate import current as revision_of

    if (file := sqlite_file(url)) is not None and not file.exists():
        return None  # to look would make the file
    database = Database(url)
    try:
        return await revision_of(database)
    finally:
        await database.close()
