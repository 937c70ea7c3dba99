"""Discovered endpoints on their way into Plans.

The configuration is compiled without them. Here they are put into a Plan: the one that was just
compiled, or, when they have changed, the one in force, under a new generation.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import orjson

from gateway.channel import Message
from gateway.config.compile_service import Labels, plan_endpoint
from gateway.config.discovery import Discovery as Configured
from gateway.control.publication import Publication

if TYPE_CHECKING:
    from gateway.upstreams.discovery.discovery import Discovery
    from gateway.upstreams.discovery.registry import Catalogue
    from gateway.upstreams.discovery.source import Endpoint, EndpointSet
    from gateway.upstreams.discovery.watch import Report

__all__ = ["Endpoints", "with_endpoints"]

FIRST_ANSWERS_S = 3.0
"""How long a start or a reload waits for sources that it has not asked before."""
DEBOUNCE_S = 0.25
"""Changes within this time share one Plan: at most four Plans a second, however restless the
sources are."""
REPORT_S = 1.0
"""Between two reports to the supervisor: `gateway status` is at most this old."""


class Endpoints:
    """Feeds what discovery finds into Plans. Costs nothing until a service is discovered."""

    def __init__(
        self,
        send: Callable[[Message], None],
        labels: Labels,
        in_force: Publication,
        catalogue: "Catalogue",
    ) -> None:
        """`catalogue`: for sources that ask the store."""
        self._send = send
        self._labels = labels
        self._in_force = in_force
        self._catalogue = catalogue
        self._discovery: Discovery | None = None
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Tell the supervisor of changes, for ever."""
        services = _services(self._in_force)
        if services:
            discovery = self._discover()
            discovery.follow(services, _known(self._in_force))
            await discovery.first_answers(services, FIRST_ANSWERS_S)
            # Also if nothing has come: the supervisor waits for this before it starts workers.
            self._changed.set()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._announce())
                group.create_task(self._report())
        finally:
            if self._discovery is not None:
                await self._discovery.close()

    async def fill(self, compiled: Publication) -> Publication:
        """The endpoints for a configuration that has just been compiled.

        Waits for sources that are new in it, so that a service does not lose its endpoints when it
        moves from the file to a source; not again for one that was waited for in vain.
        """
        if not (services := _services(compiled)):
            return compiled
        discovery = self._discover()
        new = discovery.follow(services)
        await discovery.first_answers(new, FIRST_ANSWERS_S)
        found = discovery.endpoints(services)
        return with_endpoints(compiled, found, compiled.generation, self._labels)

    def refresh(self, generation: int) -> Publication:
        """The Plan in force with the endpoints of now."""
        found = self._discover().endpoints(_services(self._in_force))
        return with_endpoints(self._in_force, found, generation, self._labels)

    def published(self, publication: Publication) -> None:
        """This one is in force: sources that it does not name are no longer followed."""
        self._in_force = publication
        if self._discovery is not None:
            self._discovery.forget_others(_services(publication))

    def reports(self) -> "list[Report]":
        """What people may know of the discovered services."""
        return self._discovery.reports() if self._discovery is not None else []

    def _discover(self) -> "Discovery":
        """Imported when the first service needs it: other gateways do not pay for it."""
        if self._discovery is None:
            from gateway.upstreams.discovery.discovery import Discovery

            self._discovery = Discovery(self._changed.set, self._catalogue)
        return self._discovery

    async def _announce(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._send({"type": "endpoints"})
            await asyncio.sleep(DEBOUNCE_S)

    async def _report(self) -> None:
        last: list[Report] = []
        while True:
            if (reports := self.reports()) != last:
                self._send({"type": "discovery", "services": [_document(r) for r in reports]})
                last = reports
            await asyncio.sleep(REPORT_S)


def with_endpoints(
    publication: Publication,
    found: "Mapping[str, Iterable[Endpoint]]",
    generation: int,
    labels: Labels,
) -> Publication:
    """The publication with these endpoints for these services, as a new generation."""
    plan = orjson.loads(publication.plan)
    plan["generation"] = generation
    for service in plan["services"]:
        if (endpoints := found.get(service["name"])) is not None:
            # Sorted, so that the same set is the same Plan.
            service["endpoints"] = [
                asdict(plan_endpoint(service["name"], *each, labels))
                for each in sorted(endpoints, key=lambda e: e.url)
            ]
    text = orjson.dumps(plan).decode()
    return replace(publication, generation=generation, plan=text, services=plan["services"])


def _document(report: "Report") -> dict[str, Any]:
    return asdict(report) | {"endpoints": [each._asdict() for each in report.endpoints]}


def _services(publication: Publication) -> dict[str, Configured]:
    return {
        name: Configured.from_message(message) for name, message in publication.discovery.items()
    }


def _known(publication: Publication) -> "dict[str, EndpointSet]":
    """The endpoints in force: what a control process that died had found."""
    from gateway.upstreams.discovery.source import Endpoint

    return {
        service["name"]: frozenset(
            Endpoint(each["url"], each["weight"], each["zone"], each["priority"])
            for each in service["endpoints"]
        )
        for service in orjson.loads(publication.plan)["services"]
        if service["name"] in publication.discovery
    }
