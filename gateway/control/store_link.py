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
        self._plan_version: int | None = None
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
        try:
            while True:
                try:
                    await self._open(store)
                    async for version in store.changes.watch():
                        await self._follow(version)
                except Exception:
                    log.exception("the link to the store failed; it starts again")
                await asyncio.sleep(FAULT_PAUSE_S)
        finally:
            await store.close()

    async def refresh(self) -> None:
        """Read the rows now. StoreUnavailable if that is not possible."""
        store = self.store()
        version = (await store.changes.current()).plan  # first: rows may be newer, never older
        tables: dict[Kind, Definitions] = {
            "service": store.services,
            "policy": store.policies,
            "route": store.routes,
        }
        rows = [
            StoredSection(kind, row.name, row.section)
            for kind in KINDS
            for row in await tables[kind].list()
        ]
        self._plan_version = version
        stored = Stored(tuple(rows))
        if stored == self.stored:
            return
        self.stored = stored
        try:
            snapshot.write(self._run_dir, self._url, stored)
        except OSError as error:
            log.error("cannot keep a snapshot of the store: %s", error)

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

    async def _bootstrap(self, store: "Store") -> None:
        token = new_admin_token()
        now = datetime.now(UTC)
        made = await store.admin_tokens.create_first(
            token.id, token.digest, name="first", role="admin", now=now
        )
        if made is not None:
            self._announce(token.text)

    async def _follow(self, version: "StoreVersion") -> None:
        from gateway.store.errors import StoreUnavailable

        while version.plan != self._plan_version:
            before = self.stored
            try:
                await self.refresh()
            except StoreUnavailable:
                await asyncio.sleep(RETRY_S)
                continue
            if self.stored != before:
                self._on_change()
            break
        for subscriber in self._subscribers:
            subscriber(version)
