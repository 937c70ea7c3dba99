"""Makes the tables and brings older ones up to date. One set of migrations for both databases."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.database import Database
from gateway.store.errors import SchemaUnknown

__all__ = ["HEAD", "current", "upgrade"]

HEAD = "0004"
"""The newest revision. Known here, so that a start with an up-to-date database needs no alembic."""

MIGRATIONS = Path(__file__).with_name("migrations")
LOCK = 0x6761746577617931
"""PostgreSQL's advisory lock: the number that all gateways agree on."""


async def current(database: Database) -> str | None:
    """The revision of the database; None if it is empty."""
    async with database.read() as connection:
        return await _revision(connection)


async def upgrade(database: Database) -> None:
    """To `HEAD`; several hosts may do it at once. SchemaUnknown if the database is newer."""
    if await current(database) == HEAD:
        return
    async with database.write() as connection:
        if database.dialect == "postgresql":  # SQLite's write transaction is a lock by itself
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        if await _revision(connection) != HEAD:
            await connection.run_sync(_run)


async def _revision(connection: AsyncConnection) -> str | None:
    exists = await connection.run_sync(lambda sync: sa.inspect(sync).has_table("alembic_version"))
    if not exists:
        return None
    found = await connection.execute(sa.text("SELECT version_num FROM alembic_version"))
    revision = found.scalar_one_or_none()
    return None if revision is None else str(revision)


def _run(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SchemaUnknown(
            f"the database was made by another version of the gateway ({error}); "
            f"this one knows revisions up to {HEAD}"
        ) from error
