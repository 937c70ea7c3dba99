"""Active health checks: once for the whole host, written to the segment for all workers.

While an endpoint is unhealthy the time between its checks doubles, so that a service that comes up
again is not met by the checks of every gateway at once.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gateway.upstreams.probe import probe

if TYPE_CHECKING:
    from gateway._core import Segment

__all__ = ["HealthChecks", "Judge"]

Health = Literal["unknown", "healthy", "unhealthy"]

JITTER = 0.1
"""Part of the interval: gateways that start together shall not check together."""
FIRST_S = 0.5
"""A new endpoint is looked at within this time, however long the interval is."""

log = logging.getLogger(__name__)


@dataclass
class Judge:
    """Results of checks → health, and when to look again. No clock and no I/O."""

    interval: float
    backoff_max: float
    unhealthy_after: int
    healthy_after: int
    health: Health = "unknown"
    in_a_row: int = 0
    """Results that speak against the present health."""
    failures: int = 0
    """Failed checks since it became unhealthy, without a success between."""

    def record(self, succeeded: bool) -> bool:
        """Take a result; whether the health has changed. For a new one, one success is enough."""
        self.failures = 0 if succeeded else self.failures + 1
        target: Health = "healthy" if succeeded else "unhealthy"
        if target == self.health:
            self.in_a_row = 0
            return False
        self.in_a_row += 1
        needed = self.healthy_after if succeeded else self.unhealthy_after
        if self.in_a_row < needed and not (succeeded and self.health == "unknown"):
            return False
        self.health, self.in_a_row = target, 0
        if not succeeded:
            self.failures = 0
        return True

    def wait_s(self, draw: float) -> float:
        """Until the next check; `draw` is uniform from 0 to 1."""
        wait = self.interval
        if self.health == "unhealthy":
            doublings = min(self.failures, 20)  # beyond any bound, and no overflow
            wait = max(self.interval, min(self.interval * 2**doublings, self.backoff_max))
        return wait * (1 + JITTER * (2 * draw - 1))


class HealthChecks:
    """One task for each endpoint of a service that has `health`."""

    def __init__(
        self,
        segment: "Segment",
        changed: Callable[[str, str, Health], None] = lambda service, url, health: None,
    ) -> None:
        """`changed` is told of the service, the URL and the health of what became another."""
        self._changed = changed
        self._segment = segment
        self._tasks: dict[tuple[object, ...], tuple[int, asyncio.Task[None]]] = {}

    def update(self, services: Sequence[Mapping[str, Any]]) -> None:
        """Check the endpoints of these services (of the Plan), and no others."""
        wanted = {
            _identity(service, endpoint): (service, endpoint)
            for service in services
            if service["health"]
            for endpoint in service["endpoints"]
        }
        for key in self._tasks.keys() - wanted.keys():
            place, task = self._tasks.pop(key)
            task.cancel()
            # Nobody looks any more, so what was seen must not count for ever.
            self._segment.set_health(place, "unknown", _now_ms())
        for key in wanted.keys() - self._tasks.keys():
            service, endpoint = wanted[key]
            check = self._check(service, endpoint)
            task = asyncio.get_running_loop().create_task(check)
            self._tasks[key] = endpoint["place"], task

    def close(self) -> None:
        """Stop. What was seen stays in the segment: the next control process goes on from there."""
        for _, task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def _check(
        self,
        service: Mapping[str, Any],
        endpoint: Mapping[str, Any],
        draw: Callable[[], float] = random.random,
    ) -> None:
        health, place = service["health"], endpoint["place"]
        judge = Judge(
            interval=health["interval"],
            backoff_max=health["backoff_max"],
            unhealthy_after=health["unhealthy_after"],
            healthy_after=health["healthy_after"],
            health=self._segment.endpoint(place, _now_ms())["health"],
        )
        await asyncio.sleep(draw() * min(FIRST_S, judge.interval))
        while True:
            reason = await probe(endpoint, health, service["host"])
            if judge.record(reason is None):
                self._segment.set_health(place, judge.health, _now_ms())
                self._changed(service["name"], endpoint["url"], judge.health)
                level = logging.WARNING if reason else logging.INFO
                why = f": {reason}" if reason else ""
                log.log(
                    level, "%s of %s is %s%s", endpoint["url"], service["name"], judge.health, why
                )
            await asyncio.sleep(judge.wait_s(draw()))


def _identity(service: Mapping[str, Any], endpoint: Mapping[str, Any]) -> tuple[object, ...]:
    """Equal as long as a check need not begin anew."""
    settings = tuple(str(value) for value in service["health"].values())
    return (endpoint["place"], service["host"], *settings)


def _now_ms() -> int:
    """The clock of the workers."""
    return time.monotonic_ns() // 1_000_000
