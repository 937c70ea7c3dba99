"""The service registry between store and discovery: who is registered, and how they are."""

import asyncio
import contextlib
import logging
import math
import socket
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gateway.control.publication import Publication
from gateway.control.store_link import StoreLink

if TYPE_CHECKING:
    from gateway.store.changes import StoreVersion
    from gateway.store.instances import Instance
    from gateway.upstreams.discovery.source import EndpointSet

__all__ = ["Outages", "ServiceRegistry"]

REPORT_S = 1.0
"""Between two reports of health: what became other in that time is one transaction."""
FORGET_EVERY_S = 60.0
"""Between two looks for instances that have been silent for long."""
LONG_AGO = datetime.min.replace(tzinfo=UTC)
KEPT = 64
"""Outages. Only one that is more recent than a time to live (at most a week) matters."""
SLACK_S = 0.01
"""Behind the moment at which an instance is silent for too long, so that the next look sees it."""

log = logging.getLogger(__name__)


@dataclass
class Outages:
    """While the store is away nobody can send a heartbeat: whoever was alive when it went has a
    whole time to live when it is back.

    What was before the start is an outage, too: nobody knows how long the store was away.
    """

    began_at: datetime | None = LONG_AGO
    """Of the outage that goes on."""
    seen_at: datetime = LONG_AGO
    """When the store last answered."""
    over: deque[tuple[datetime, datetime]] = field(default_factory=lambda: deque(maxlen=KEPT))
    """Begin and end of the others, the oldest first."""

    @property
    def up_since(self) -> datetime | None:
        """Since when the store has answered without interruption; None while it does not."""
        return self.over[-1][1] if self.began_at is None else None

    def goes_on(self) -> None:
        """The store does not answer."""
        if self.began_at is None:
            self.began_at = self.seen_at

    def is_over(self, now: datetime) -> None:
        """The store answers."""
        self.seen_at = now
        if self.began_at is not None:
            self.over.append((self.began_at, now))
            self.began_at = None

    def end_of(self, instance: "Instance") -> datetime:
        """When it has been silent for too long."""
        end = instance.expires_at
        if end is None:
            return datetime.max.replace(tzinfo=UTC)
        for began_at, ended_at in self.over:
            if end > began_at:
                end = max(end, ended_at + timedelta(seconds=instance.ttl_s or 0))
        return end


class ServiceRegistry:
    """`gateway.upstreams.discovery.registry.Catalogue`, and the way back of what checks find.

    The row of an instance says how a gateway saw it when it last became healthy or unhealthy, and
    which one that was. Several hosts do not fight over it, since each writes only its own changes;
    none of them goes by it, so a host that cannot reach an instance takes it from no other.
    """

    def __init__(self, link: StoreLink, in_force: Publication) -> None:
        self._link = link
        self._outages = Outages()
        self._version = 0
        self._changed = asyncio.Event()
        self._registered_as: Mapping[str, str] = {}
        self._pending: dict[tuple[str, str], tuple[str, datetime]] = {}
        self._failed = False
        self._forget_at = 0.0
        link.subscribe(self._on_store_version)
        self.published(in_force)

    # --- Catalogue -----------------------------------------------------------------------------

    def version(self) -> int:
        """Of the registered instances, as far as the link has heard."""
        return self._version

    async def in_use(self, service: str) -> "tuple[EndpointSet, float]":
        """See `Catalogue`."""
        from gateway.store.errors import StoreUnavailable
        from gateway.upstreams.discovery.source import MAX_WEIGHT, Endpoint, SourceError

        await self._link.tried()  # at the start discovery is faster than the store
        now = datetime.now(UTC)
        try:
            rows = await self._link.store().instances.of_service(service)
        except StoreUnavailable as error:
            self._outages.goes_on()
            raise SourceError(f"the store cannot be reached: {error}") from None
        self._outages.is_over(now)
        ends = [(row, self._outages.end_of(row)) for row in rows if row.active]
        in_use = [(row, end) for row, end in ends if end > now]
        silent_in_s = min(((end - now).total_seconds() for _, end in in_use), default=math.inf)
        endpoints = (
            Endpoint(row.url, min(max(row.weight, 0), MAX_WEIGHT), row.zone) for row, _ in in_use
        )
        return frozenset(endpoints), silent_in_s + SLACK_S

    async def changed(self, since: int, timeout_s: float) -> None:
        """See `Catalogue`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._version == since:
                    await self._changed.wait()

    def _on_store_version(self, version: "StoreVersion") -> None:
        if version.registry != self._version:
            self._version = version.registry
            self._changed.set()
            self._changed = asyncio.Event()

    # --- health ----------------------------------------------------------------------------------

    def published(self, publication: Publication) -> None:
        """This one is in force: it says under which name the instances of a service register."""
        registered = {
            name: discovery["registry"]["service"]
            for name, discovery in publication.discovery.items()
            if "registry" in discovery
        }
        stored = {row.name for row in self._link.stored.sections if row.kind == "service"}
        self._registered_as = {name: name for name in stored} | registered

    def health_changed(self, service: str, url: str, health: str) -> None:
        """A check has found that an endpoint became other; told to the store in a moment."""
        if (name := self._registered_as.get(service)) is not None:
            self._pending[name, url] = health, datetime.now(UTC)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(REPORT_S)
            if not self._link.available:
                self._outages.goes_on()
                continue
            if self._pending:
                await self.report()
            if time.monotonic() >= self._forget_at:
                self._forget_at = time.monotonic() + FORGET_EVERY_S
                await self.forget(datetime.now(UTC))

    async def report(self) -> None:
        """Write down what is new. What cannot be written is kept: the latest of each."""
        from gateway.store.instances import Health

        pending, self._pending = self._pending, {}
        found = [Health(*key, *value) for key, value in pending.items()]
        try:
            await self._link.store().instances.report_health(found, socket.gethostname())
        except Exception as error:
            self._pending = pending | self._pending
            self._tell("the health of endpoints could not be written down", error)
        else:
            self._failed = False

    async def forget(self, now: datetime) -> None:
        """Remove who has been silent for long, though they could have been heard."""
        try:
            up_since = self._outages.up_since or now
            gone = await self._link.store().instances.forget(now, up_since)
        except Exception as error:
            self._outages.goes_on()
            self._tell("silent instances could not be forgotten", error)
            return
        self._outages.is_over(now)
        if gone:
            log.info("%d instances that were silent for long have been forgotten", gone)

    def _tell(self, what: str, error: Exception) -> None:
        """Nothing here is worth the process. Of a lasting error the log has one line."""
        from gateway.store.errors import StoreUnavailable

        if isinstance(error, StoreUnavailable):  # the link to the store tells the log
            log.debug("%s: %s", what, error)
        elif not self._failed:
            self._failed = True
            log.error("%s; it is tried again", what, exc_info=error)
