"""The control process' link to the store: opens it, follows its changes, outlasts its outages."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.administration.admin_token import new_admin_token
from gateway.config.stored import KINDS, Kind, Stored, StoredSection
from gateway.control import snapshot
from gateway.telemetry.metrics import Family

if TYPE_CHECKING:
    from gateway.store.changes import StoreVersion
    from gateway.store.definitions import Definitions
    from gateway.store.store import Store

__all__ = ["StoreLink"]

RETRY_S = 1.0
"""Between two tries to open a store that is away."""
FAULT_PAUSE_S = 5.0
"""After an error that nobody expected, so that a lasting one does not fill the log."""

log = logging.getLogger(__name__)


class StoreLink:
    """Holds the rows that make up the Plan; nothing in here is waited for by a proxied request."""

    def __init__(
        self,
        url: str,
        run_dir: Path,
        on_change: Callable[[], None],
        announce: Callable[[str], None],
    ) -> None:
        """``on_change``: `stored` is another; ``announce``: shows the first admin token."""
        self.stored = snapshot.read(run_dir, url)
        self._url = url
        self._run_dir = run_dir
        self._on_change = on_change
        self._announce = announce
        self._store: Store | None = None
        self._tried = asyncio.Event()
        self._heard: int | None = None
        """Version of the plan in the store, as far as the link has heard."""
        self._news = asyncio.Event()
        self._reading = asyncio.Lock()
        self._plan_version: int | None = None
        """Of `stored`."""
        self._subscribers: list[Callable[[StoreVersion], None]] = []

    @property
    def available(self) -> bool:
        """Whether the store answered when it was last asked."""
        return self._store is not None and self._store.changes.available

    def store(self) -> "Store":
        """The store. StoreUnavailable while it has not been opened."""
        if self._store is None:
            from gateway.store.errors import StoreUnavailable

            raise StoreUnavailable("it could not be opened yet")
        return self._store

    async def tried(self) -> None:
        """Wait for the first try to open the store: before it nobody knows whether it is away."""
        await self._tried.wait()

    def subscribe(self, on_version: "Callable[[StoreVersion], None]") -> None:
        """Call back with the version once the store is open, and after each change."""
        self._subscribers.append(on_version)

    def families(self) -> list[Family]:
        """For the metrics."""
        text = "Whether the store can be reached."
        return [Family("gateway_store_up", "gauge", text, [({}, int(self.available))])]

    async def run(self) -> None:
        """Until cancelled."""
        # On a thread: the import takes longer than a probe wants to wait.
        await asyncio.to_thread(import_module, "gateway.store.store")
        from gateway.store.store import Store

        store = Store(self._url)
        reading = asyncio.create_task(self._keep_up())
        try:
            while True:
                try:
                    await self._open(store)
                    async for version in store.changes.watch():
                        self._tell(version)
                except Exception:
                    log.exception("the link to the store failed; it starts again")
                await asyncio.sleep(FAULT_PAUSE_S)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await store.close()

    async def refresh(self) -> bool:
        """Read the rows now; whether `stored` is another then. StoreUnavailable."""
        async with self._reading:  # what was read first must not replace what was read later
            stored = await self._read_rows()
            if stored == self.stored:
                return False
            self.stored = stored
            try:
                snapshot.write(self._run_dir, self._url, stored)
            except OSError as error:
                log.error("cannot keep a snapshot of the store: %s", error)
            return True

    async def _read_rows(self) -> Stored:
        store = self.store()
        version = (await store.changes.current()).plan  # first: rows may be newer, never older
        tables: dict[Kind, Definitions] = {
            "service": store.services,
            "policy": store.policies,
            "route": store.routes,
        }
        rows = [
            StoredSection(kind, row.name, row.section, row.problem)
            for kind in KINDS
            for row in await tables[kind].list()
        ]
        self._plan_version = version
        return Stored(tuple(rows))

    async def _open(self, store: "Store") -> None:
        from gateway.store.errors import StoreUnavailable

        told = ""
        while self._store is None:
            try:
                await store.upgrade()
                await self._bootstrap(store)
                self._store = store
            except StoreUnavailable as error:
                if str(error) != told:
                    told = str(error)
                    log.error("the store is away; routes are served as last known: %s", error)
            finally:
                self._tried.set()
            if self._store is None:
                await asyncio.sleep(RETRY_S)
        log.info("the store is open")
        if (file := store.database.exposed_file()) is not None:
            log.warning(
                "other users of this host may open %s, which holds private keys: chmod 600 %s*",
                file, file,
            )  # fmt: skip

    async def _bootstrap(self, store: "Store") -> None:
        token = new_admin_token()
        now = datetime.now(UTC)
        made = await store.admin_tokens.create_first(
            token.id, token.digest, name="first", role="admin", now=now
        )
        if made is not None:
            self._announce(token.text)

    def _tell(self, version: "StoreVersion") -> None:
        """Whoever waits for revocations hears of them, whatever becomes of the rows."""
        self._heard = version.plan
        self._news.set()
        for subscriber in self._subscribers:
            subscriber(version)

    async def _keep_up(self) -> None:
        """Read the rows whenever there are others."""
        from gateway.store.errors import StoreUnavailable

        while True:
            await self._news.wait()
            self._news.clear()
            try:
                if self._heard != self._plan_version and await self.refresh():
                    self._on_change()
                continue
            except StoreUnavailable:  # told by whoever watches the changes
                pause_s = RETRY_S
            except Exception:
                log.exception("the rows of the store cannot be read; those before stay in force")
                pause_s = FAULT_PAUSE_S
            await asyncio.sleep(pause_s)
            self._news.set()
