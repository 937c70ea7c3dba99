"""Watches canaries: rolls them back when they do worse than the others, else gives them more.

What is compared is what clients saw since the step began, of all workers of this host. The share
of a canary lies in the segment, so it changes in all of them at once, without a reload. Changed
weights in the configuration begin anew.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.upstreams.splits import canary_part

if TYPE_CHECKING:
    from gateway._core import Segment

__all__ = ["Canary", "CanaryWatch", "Tally"]

LOOK_S = 1.0
"""A canary that fails is rolled back within this time of the evidence."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tally:
    """Requests with an answer, those of them with 500 or above, and the seconds of all."""

    requests: int = 0
    failures: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.requests + other.requests,
            self.failures + other.failures,
            self.seconds + other.seconds,
        )

    def __sub__(self, other: "Tally") -> "Tally":
        return Tally(
            self.requests - other.requests,
            self.failures - other.failures,
            self.seconds - other.seconds,
        )

    @property
    def failed(self) -> float:
        """Share of failures."""
        return self.failures / self.requests if self.requests else 0.0

    @property
    def mean_s(self) -> float:
        return self.seconds / self.requests if self.requests else 0.0


@dataclass
class Canary:
    """Decides about one canary. No clock and no I/O."""

    rules: Mapping[str, Any]
    """`canary` of a route in the Plan."""
    began_s: float
    share: float | None = None
    """What was decided; None: as configured."""
    new_mark: Tally = field(default_factory=Tally)
    old_mark: Tally = field(default_factory=Tally)

    def look(self, now_s: float, new: Tally, old: Tally) -> str | None:
        """Counts since ever → what is to be told, if the share has changed."""
        if self.share == 0.0:
            return None
        since_new, since_old = new - self.new_mark, old - self.old_mark
        least = self.rules["min_requests"]
        if since_new.requests < least or since_old.requests < least:
            return None
        if complaint := self._complaint(since_new, since_old):
            self.share = 0.0
            return f"rolled back: {complaint}"
        if now_s - self.began_s < self.rules["every"]:
            return None
        step = next((step for step in self.rules["steps"] if step > (self.share or 0.0)), None)
        if step is None:
            return None
        self.share, self.began_s = step, now_s
        self.new_mark, self.old_mark = new, old
        return f"gets {step:.1%} of the requests now"

    def _complaint(self, new: Tally, old: Tally) -> str | None:
        if new.failed > old.failed + self.rules["max_failures"]:
            return f"{new.failed:.1%} of its answers failed, {old.failed:.1%} of the others'"
        slowdown = self.rules["max_slowdown"]
        if slowdown and new.mean_s > old.mean_s * (1 + slowdown):
            return f"it took {new.mean_s * 1000:.1f} ms, the others {old.mean_s * 1000:.1f} ms"
        return None


@dataclass
class _Watched:
    canary: Canary
    route: str
    """As the metrics name it: the pattern."""
    new: str
    old: frozenset[str]


class CanaryWatch:
    """Looks at all canaries of the Plan, once a second while there are any."""

    def __init__(self, segment: "Segment") -> None:
        self._segment = segment
        self._watched: dict[int, _Watched] = {}

    def update(
        self, routes: Sequence[Mapping[str, Any]], services: Sequence[Mapping[str, Any]]
    ) -> None:
        """Watch the canaries of these routes (of the Plan), and no others."""
        tallies = self._tallies() if routes else {}
        watched = {}
        for route in routes:
            part = canary_part(route)
            place = part["place"]
            names = [services[part["service"]]["name"] for part in route["split"]]
            new = services[part["service"]]["name"]
            each = self._watched.get(place) or _Watched(
                self._begin(route["canary"], place), route["path"], new, frozenset(names) - {new}
            )
            if place not in self._watched:
                each.canary.new_mark, each.canary.old_mark = _sides(each, tallies)
            each.canary.rules = route["canary"]
            watched[place] = each
        self._watched = watched

    def decided(self, place: int) -> None:
        """Somebody else has given the canary at this place another share: its step begins anew."""
        if (each := self._watched.get(place)) is not None:
            each.canary = self._begin(each.canary.rules, place)
            each.canary.new_mark, each.canary.old_mark = _sides(each, self._tallies())

    def _begin(self, rules: Mapping[str, Any], place: int) -> Canary:
        """A control process that was started again goes on with the share that is in force."""
        permille = self._segment.share(place)
        return Canary(rules, time.monotonic(), None if permille is None else permille / 1000)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._watched:
                self.look(time.monotonic())

    def look(self, now_s: float) -> None:
        """Decide about each, and tell the workers."""
        tallies = self._tallies()
        for place, each in self._watched.items():
            told = each.canary.look(now_s, *_sides(each, tallies))
            if told and each.canary.share is not None:
                self._segment.set_share(place, round(each.canary.share * 1000))
                log.warning("canary %s on %s %s", each.new, each.route, told)

    def _tallies(self) -> Mapping[tuple[str, str], Tally]:
        """Route and service → what clients saw."""
        tallies: defaultdict[tuple[str, str], Tally] = defaultdict(Tally)
        for series in self._segment.collect()["series"]:
            count = series["count"]
            failures = count if series["status"] >= 500 else 0
            key = series["route"], series["service"]
            tallies[key] += Tally(count, failures, series["sum_seconds"])
        return tallies


def _sides(each: _Watched, tallies: Mapping[tuple[str, str], Tally]) -> tuple[Tally, Tally]:
    new = tallies.get((each.route, each.new), Tally())
    old = (tallies.get((each.route, name), Tally()) for name in each.old)
    return new, sum(old, Tally())
