"""Changes: how a process hears that another one, perhaps on another host, has changed the store.

The counter in ``store_version`` is the truth. It is polled; PostgreSQL's NOTIFY only makes the next
look come at once. So nothing is lost when notifications are: while the connection is away, or
behind a pooler that does not pass them on.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from gateway.store.database import CHANNEL, Database, connect_postgres
from gateway.store.errors import StoreUnavailable
from gateway.store.tables import store_version

__all__ = ["Changes", "StoreVersion"]

POLL_SQLITE_S = 0.25
"""Reading one row of a local file costs a third of a millisecond."""
POLL_POSTGRES_S = 2.0
"""The backstop. A change is seen within 5 s even when notifications do not arrive."""
RETRY_S = 1.0
"""Between two tries to reach a database that is away."""
LISTEN_RETRY_S = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoreVersion:
    """How often the store was changed, and the value of that counter at each area's last change."""

    version: int
    plan: int
    credentials: int
    sessions: int
    signing_keys: int
    registry: int


class Changes:
    """Watches one store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._woken = asyncio.Event()
        self.available = True
        """Whether the last look succeeded."""

    async def current(self) -> StoreVersion:
        """The version now. StoreUnavailable if it cannot be read."""
        columns = [column for column in store_version.c if column.name != "id"]
        async with self._database.read() as connection:
            row = (await connection.execute(sa.select(*columns))).mappings().one()
            return StoreVersion(**row)

    async def watch(self) -> AsyncIterator[StoreVersion]:
        """Yield the version, and again whenever it differs. Outlasts outages; they are logged."""
        seen: StoreVersion | None = None
        async with self._notifications():
            while True:
                self._woken.clear()
                version = await self._look()
                if version is not None and version != seen:
                    seen = version
                    yield version
                await self._wait()

    async def _look(self) -> StoreVersion | None:
        try:
            version = await self.current()
        except StoreUnavailable as error:
            if self.available:
                log.error("the store is away; what is known stays in force: %s", error)
            self.available = False
            return None
        if not self.available:
            log.info("the store is back")
        self.available = True
        return version

    async def _wait(self) -> None:
        pause_s = POLL_SQLITE_S if self._database.dialect == "sqlite" else POLL_POSTGRES_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s if self.available else RETRY_S):
                await self._woken.wait()

    @contextlib.asynccontextmanager
    async def _notifications(self) -> AsyncIterator[None]:
        if self._database.dialect == "sqlite":
            yield
            return
        listening = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self) -> None:
        """Outside the pool: a connection that listens must never be given to anybody else."""
        while True:
            with contextlib.suppress(Exception):  # that the store is away, the polling tells
                connection = await connect_postgres(self._database.url)
                try:
                    await self._until_lost(connection)
                finally:
                    connection.terminate()
            await asyncio.sleep(LISTEN_RETRY_S)

    async def _until_lost(self, connection: Any) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CHANNEL, lambda *_: self._woken.set())
        self._woken.set()  # what was notified while nobody listened
        await lost.wait()
