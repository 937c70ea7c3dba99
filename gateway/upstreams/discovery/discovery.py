"""All services whose endpoints are discovered, each with its watch."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.config.discovery import Discovery as Configured
from gateway.upstreams.discovery.source import EndpointSet, Source, open_source
from gateway.upstreams.discovery.watch import Report, Watch

if TYPE_CHECKING:
    from gateway.upstreams.discovery.registry import Catalogue

Services = Mapping[str, Configured]
"""Name of a service → how its endpoints are discovered."""


@dataclass(frozen=True, slots=True)
class _Running:
    watch: Watch
    task: asyncio.Task[None]


class Discovery:
    """Runs a watch for each service. One that is configured anew gets a new watch."""

    def __init__(
        self,
        changed: Callable[[], None],
        catalogue: "Catalogue",
        open_source: Callable[[Configured, "Catalogue"], Source] = open_source,
    ) -> None:
        """`changed` is called whenever a service has other endpoints than before."""
        self._catalogue = catalogue
        self._changed = changed
        self._open_source = open_source
        self._running: dict[tuple[str, Configured], _Running] = {}

    def follow(
        self, services: Services, known: Mapping[str, EndpointSet] | None = None
    ) -> Services:
        """Start what does not run yet; returns these. `known`: endpoints from before."""
        new = {
            name: configured
            for name, configured in services.items()
            if (name, configured) not in self._running
        }
        for name, configured in new.items():
            watch = Watch(
                name,
                configured.source.title,
                self._open_source(configured, self._catalogue),
                self._changed,
                (known or {}).get(name, frozenset()),
            )
            task = asyncio.get_running_loop().create_task(watch.run())
            self._running[name, configured] = _Running(watch, task)
        return new

    async def first_answers(self, services: Services, timeout_s: float) -> None:
        """Wait until each of these has answered once, but not for ever."""
        waits = [watch.answered.wait() for watch in self._watches(services)]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*waits)

    def forget_others(self, services: Services) -> None:
        """Stop whatever is not one of these: they are what is in force."""
        for key in self._running.keys() - set(services.items()):
            self._running.pop(key).task.cancel()

    def endpoints(self, services: Services) -> dict[str, EndpointSet]:
        """Those in use now."""
        return {watch.service: watch.endpoints for watch in self._watches(services)}

    def reports(self) -> list[Report]:
        """One for each service, by name."""
        reports = [running.watch.report() for running in self._running.values()]
        return sorted(reports, key=lambda report: report.service)

    async def close(self) -> None:
        """Stop all of them."""
        tasks = [running.task for running in self._running.values()]
        self.forget_others({})
        await asyncio.gather(*tasks, return_exceptions=True)

    def _watches(self, services: Services) -> Iterator[Watch]:
        for key in services.items():
            if key in self._running:
                yield self._running[key].watch
