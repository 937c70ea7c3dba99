"""The service registry between store and discovery: who is registered, and how they are."""

import asyncio
import contextlib
import logging
import math
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gateway.control.publication import Publication
from gateway.control.store_link import StoreLink

if TYPE_CHECKING:
    from gateway.store.changes import StoreVersion
    from gateway.store.instances import Instance
    from gateway.upstreams.discovery.source import EndpointSet

__all__ = ["Outage", "ServiceRegistry"]

REPORT_S = 1.0
"""Between two reports of health: what became other in that time is one transaction."""
SLACK_S = 0.01
"""Behind the moment at which an instance is silent for too long, so that the next look sees it."""

log = logging.getLogger(__name__)


@dataclass
class Outage:
    """While the store is away nobody can send a heartbeat: whoever was alive when it went has a
    whole time to live when it is back.
    """

    seen_at: datetime | None = None
    """When the store last answered."""
    began_at: datetime | None = None
    ended_at: datetime | None = None

    def goes_on(self, now: datetime) -> None:
        """The store does not answer."""
        if self.began_at is None or self.ended_at is not None:
            self.began_at, self.ended_at = self.seen_at or now, None

    def is_over(self, now: datetime) -> None:
        """The store answers."""
        self.seen_at = now
        if self.began_at is not None and self.ended_at is None:
            self.ended_at = now

    def end_of(self, instance: "Instance") -> datetime:
        """When it has been silent for too long."""
        end = instance.expires_at
        if end is None:
            return datetime.max.replace(tzinfo=UTC)
        if self.began_at is None or self.ended_at is None or end <= self.began_at:
            return end
        return max(end, self.ended_at + timedelta(seconds=instance.ttl_s or 0))


class ServiceRegistry:
    """`gateway.upstreams.discovery.registry.Catalogue`, and the way back of what checks find.

    The row of an instance says how a gateway saw it when it last became healthy or unhealthy, and
    which one that was. Several hosts do not fight over it, since each writes only its own changes;
    none of them goes by it, so a host that cannot reach an instance takes it from no other.
    """

    def __init__(self, link: StoreLink, in_force: Publication) -> None:
        self._link = link
        self._outage = Outage()
        self._version = 0
        self._changed = asyncio.Event()
        self._registered_as: Mapping[str, str] = {}
        self._pending: dict[tuple[str, str], tuple[str, datetime]] = {}
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

        now = datetime.now(UTC)
        try:
            rows = await self._link.store().instances.of_service(service)
        except StoreUnavailable as error:
            self._outage.goes_on(now)
            raise SourceError(f"the store cannot be reached: {error}") from None
        self._outage.is_over(now)
        ends = [(row, self._outage.end_of(row)) for row in rows if row.active]
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
            if self._pending and self._link.available:
                await self.report()

    async def report(self) -> None:
        """Write down what is new. While the store is away it is kept: the latest of each."""
        from gateway.store.errors import StoreError
        from gateway.store.instances import Health

        pending, self._pending = self._pending, {}
        found = [Health(*key, *value) for key, value in pending.items()]
        try:
            await self._link.store().instances.report_health(found, socket.gethostname())
        except StoreError as error:
            log.debug("the health of endpoints could not be written down: %s", error)
            self._pending = pending | self._pending
