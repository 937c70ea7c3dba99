"""The connection to SQLite or PostgreSQL: transactions, their errors, and the change counter."""

import contextlib
import errno
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.store.column_types import decode_json, decode_text
from gateway.store.errors import Conflict, StoreUnavailable
from gateway.store.tables import store_version

__all__ = ["CHANNEL", "Area", "Database", "connect_postgres"]

Area = Literal["plan", "credentials", "sessions", "signing_keys", "registry"]
"""What a change is about: routes, services and policies; users, clients and keys; …; registered
instances."""

CHANNEL = "gateway_store"
"""PostgreSQL's NOTIFY, with the version as its text."""

CONNECT_TIMEOUT_S = 5.0
"""A database that is up answers in milliseconds; one behind a firewall never does."""
COMMAND_TIMEOUT_S = 10.0
"""No statement of ours takes a second; a stopped server must not hold its callers for ever."""
BUSY_TIMEOUT_MS = 5000
"""How long SQLite waits for another process' write."""
OUTAGES = ("08", "25006", "28", "3D", "40", "53", "57", "58")
"""Of PostgreSQL's codes: connection, read-only standby, account, database, rollback by a deadlock,
resources, shutdown and cancel, disk. None is our statement's fault: the same one may work later."""
CONFLICT = "something of this name exists already, or what it refers to does not exist"
POOL_SIZE = 4
"""Connections. Everything here is rare; four let a login pass a slow list."""


class Database:
    """Hands out transactions. One that is begun inside another of the same task joins it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.dialect: Literal["sqlite", "postgresql"] = (
            "sqlite" if url.startswith("sqlite:") else "postgresql"
        )
        self.engine = _sqlite(url) if self.dialect == "sqlite" else _postgres(url)
        self._writer = self.engine.execution_options(gateway_writes=True)
        self._current: ContextVar[AsyncConnection | None] = ContextVar("current", default=None)

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()

    def exposed_file(self) -> Path | None:
        """The database's file if others of this host may open it, which its owner may want."""
        if self.dialect != "sqlite":
            return None
        file = Path(self.engine.url.database or "")
        with contextlib.suppress(OSError):
            if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                return file
        return None

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only looks."""
        if (current := self._current.get()) is not None:
            yield current
            return
        async with _translated_errors(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.asynccontextmanager
    async def write(self, area: Area | None = None) -> AsyncIterator[AsyncConnection]:
        """A transaction: all of it or nothing. With `area`, others hear of it (see `bump`)."""
        current = self._current.get()
        if current is None:
            async with _translated_errors(), self._writer.connect() as fresh, fresh.begin():
                token = self._current.set(fresh)
                try:
                    await self._bump(fresh, area)
                    yield fresh
                finally:
                    self._current.reset(token)
        else:
            await self._bump(current, area)
            yield current

    async def bump(self, connection: AsyncConnection, area: Area) -> int:
        """Count a change; returns the new version, which is in force when this commits.

        Takes a lock until then, so that versions become visible in their order.
        """
        next_version = store_version.c.version + 1
        changed = await connection.execute(
            sa.update(store_version)
            .values({"version": next_version, area: next_version})
            .returning(store_version.c.version)
        )
        version = int(changed.scalar_one())
        if self.dialect == "postgresql":
            await connection.execute(sa.select(sa.func.pg_notify(CHANNEL, str(version))))
        return version

    async def upsert(
        self,
        connection: AsyncConnection,
        table: sa.Table,
        rows: Iterable[Mapping[str, Any]],
        add: str,
    ) -> None:
        """Insert the rows; where the key exists, add to the column `add`."""
        from sqlalchemy.dialects import postgresql, sqlite

        make = sqlite.insert if self.dialect == "sqlite" else postgresql.insert
        statement = make(table)
        total = table.c[add] + statement.excluded[add]
        keys = list(table.primary_key.columns)
        statement = statement.on_conflict_do_update(index_elements=keys, set_={add: total})
        await connection.execute(statement, list(rows))

    async def _bump(self, connection: AsyncConnection, area: Area | None) -> None:
        if area is not None:
            await self.bump(connection, area)


async def connect_postgres(url: str) -> Any:
    """A connection of its own. The URL may say all that libpq's can: sslmode, a socket, …"""
    import asyncpg

    return await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S, command_timeout=COMMAND_TIMEOUT_S)


def _postgres(url: str) -> AsyncEngine:
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: connect_postgres(url),
        json_deserializer=decode_json,
        pool_size=POOL_SIZE,
        max_overflow=POOL_SIZE,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_pre_ping=True,
        hide_parameters=True,  # the text of an error reaches the log
    )


def _sqlite(url: str) -> AsyncEngine:
    engine = create_async_engine(
        url.replace("sqlite:", "sqlite+aiosqlite:", 1),
        pool_size=POOL_SIZE,
        max_overflow=POOL_SIZE,
        pool_timeout=CONNECT_TIMEOUT_S,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
        json_deserializer=decode_json,
        hide_parameters=True,  # the text of an error reaches the log
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def probe(dialect: object, record: object, arguments: Any, options: object) -> None:
        folder = Path(arguments[0]).parent
        if not folder.is_dir():
            raise FileNotFoundError(
                errno.ENOENT, f"the directory {folder} does not exist; make it, or change store.url"
            )
        # For its owner alone: it holds private keys. SQLite gives the log beside it the same mode.
        # One that exists is not opened: to close it would let go of SQLite's locks (POSIX, fcntl).
        with contextlib.suppress(OSError):  # what is wrong with the place, SQLite says
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            os.close(os.open(arguments[0], flags, 0o600))
        # Microseconds. Where it fails, aiosqlite would leave a thread that outlives the loop.
        sqlite3.connect(arguments[0]).close()

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, record: object) -> None:
        connection.isolation_level = None  # transactions begin below, where we say how
        connection.driver_connection.text_factory = decode_text
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")  # WAL stays consistent; no fsync per commit
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A transaction that begins by reading and then writes can fail where one that takes the
        # write lock at once waits for it.
        writes = connection.get_execution_options().get("gateway_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextlib.asynccontextmanager
async def _translated_errors() -> AsyncIterator[None]:
    try:
        yield
    except exc.IntegrityError as error:
        raise Conflict(CONFLICT) from error
    except (exc.DBAPIError, exc.TimeoutError) as error:
        if isinstance(error, exc.DBAPIError) and not _is_outage(error):
            raise
        raise StoreUnavailable(_reason(error)) from error
    except OSError as error:  # TimeoutError is one
        raise StoreUnavailable(_reason(error)) from error


def _is_outage(error: exc.DBAPIError) -> bool:
    """Whether the database failed, rather than our statement."""
    if error.connection_invalidated:
        return True
    cause: BaseException | None = error.orig
    while cause is not None:
        state = getattr(cause, "sqlstate", None) or ""
        if state.startswith(OUTAGES) or isinstance(cause, OSError):
            return True
        if isinstance(cause, sqlite3.DatabaseError):
            # All but the code of a statement that is wrong: locked, full, not to be opened, …
            return getattr(cause, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_ERROR
        cause = cause.__cause__
    return isinstance(error, exc.InterfaceError)


def _reason(error: BaseException) -> str:
    """One line without statement and parameters, which may hold secrets."""
    cause = error.orig if isinstance(error, exc.DBAPIError) and error.orig else error
    if isinstance(cause, TimeoutError) or isinstance(cause.__cause__, TimeoutError):
        return "no answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror  # without a number, which says nothing
    if isinstance(cause, sqlite3.Error | OSError):
        return str(cause) or type(cause).__name__
    return str(cause).partition("\n")[0].rpartition(">: ")[2] or type(cause).__name__
