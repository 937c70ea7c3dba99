"""The numbers that a Plan names things by, given out over the segment; places go back to it."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gateway.control.publication import Publication

if TYPE_CHECKING:
    from gateway._core import Segment

__all__ = ["Places", "places_of"]

SWEEP_S = 5.0
"""Between two looks at which places are free. One is a few microseconds."""
GRACE_S = 60.0
"""How long a place is kept that no Plan in force names: longer than a Plan is on its way to the
slowest worker, which is replaced when it is silent for 10 s."""


class Places:
    """`gateway.config.compile_service.Labels`, and the sweep of what is no longer used."""

    def __init__(self, segment: "Segment", in_force: Publication | None = None) -> None:
        self._segment = segment
        self._wanted: list[int] = []
        if in_force is not None:
            self.published(in_force)

    def intern(self, text: str) -> int:
        """The label of a name, for good."""
        return self._segment.intern(text)

    def place(self, name: str) -> int:
        """Where the state of an endpoint or part of a split is, until no Plan names it for long."""
        return self._segment.place(name, _now_ms())

    def published(self, publication: Publication) -> None:
        """This one is in force."""
        self._wanted = [*places_of(publication.services, publication.splits)]

    def sweep(self) -> int:
        """Free what is not used any more; returns how many places."""
        return self._segment.sweep(self._wanted, _now_ms(), round(GRACE_S * 1000))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep()


def places_of(
    services: Iterable[Mapping[str, Any]], splits: Iterable[Mapping[str, Any]]
) -> Iterable[int]:
    """All places that these services and routes (of the Plan) name."""
    for service in services:
        for endpoint in service["endpoints"]:
            yield endpoint["place"]
    for route in splits:
        for part in route["split"]:
            yield part["place"]


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
