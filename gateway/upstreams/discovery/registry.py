"""Endpoints from the store's service registry.

The store belongs to the control process, so a `Catalogue` is handed in: what it says of changes
makes the next look come at once, and rows that another program wrote are seen at the next one.
"""

from collections.abc import AsyncGenerator
from typing import Protocol

from gateway.config.discovery import Registry
from gateway.upstreams.discovery.source import EndpointSet

POLL_S = 10.0
"""Longest time between two looks."""


class Catalogue(Protocol):
    """The registered instances of all services."""

    def version(self) -> int:
        """Another one after each change."""

    async def in_use(self, service: str) -> tuple[EndpointSet, float]:
        """The instances that get requests, and the seconds until the first of them has to send a
        heartbeat. SourceError if the store is away.
        """

    async def changed(self, since: int, timeout_s: float) -> None:
        """Wait until the version is another one than `since`, but not for longer."""


class RegistrySource:
    """Looks again after each change, when an instance has been silent for too long, and now and
    then in any case.
    """

    def __init__(self, registry: Registry, catalogue: Catalogue) -> None:
        self._service = registry.service
        self._catalogue = catalogue

    async def sets(self) -> AsyncGenerator[EndpointSet, None]:
        """See ``Source``."""
        while True:
            version = self._catalogue.version()  # first: what is read may be newer, never older
            found, silent_in_s = await self._catalogue.in_use(self._service)
            yield found
            await self._catalogue.changed(version, min(silent_in_s, POLL_S))
