"""What the segment does, with dictionaries in place of shared memory."""

from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING

from gateway._core import DURATION_BUCKETS, METHODS, SERVICE_METRICS, WORKER_METRICS

if TYPE_CHECKING:
    from gateway._core import Series, Snapshot

BOUNDS_NS = [round(bound * 1e9) for bound in DURATION_BUCKETS]
GAUGES = {name for name, kind, _ in (*WORKER_METRICS, *SERVICE_METRICS) if kind == "gauge"}

Counters = defaultdict[str, int]
SeriesKey = tuple[int, int, str, int]
"""Route, service, method, status."""


HIGHEST = ("plan_generation", "rate_limit_fallback", "loop_lag_microseconds")


class Slot:
    """What one process counts."""

    def __init__(self) -> None:
        self.counters: Counters = defaultdict(int)
        self.services: defaultdict[int, Counters] = defaultdict(lambda: defaultdict(int))
        self.durations_ns: defaultdict[SeriesKey, list[int]] = defaultdict(list)
        self.beat_ms = 0

    def reset_gauges(self) -> None:
        """Set each gauge to zero."""
        for counters in (self.counters, *self.services.values()):
            for name in GAUGES & counters.keys():
                counters[name] = 0


class SegmentModel:
    """Slots and labels; a collection sums over the slots."""

    def __init__(self, workers: int) -> None:
        self.slots = [Slot() for _ in range(workers + 1)]
        self.labels = ["other"]

    def intern(self, text: str) -> int:
        """Position of the text in a list without duplicates."""
        if text not in self.labels:
            self.labels.append(text)
        return self.labels.index(text)

    def label(self, label_id: int) -> str:
        """Text at a position; "other" elsewhere."""
        return self.labels[label_id] if label_id < len(self.labels) else "other"

    def observe(self, slot: int, key: SeriesKey, duration_ns: int) -> None:
        """Remember a duration, and forget a method that has no name of its own."""
        route, service, method, status = key
        method = method if method in METHODS else "other"
        self.slots[slot].durations_ns[(route, service, method, status)].append(duration_ns)

    def collect(self) -> "Snapshot":
        """Sum over the slots."""
        services = {service for slot in self.slots for service in slot.services}
        return {
            "counters": self._counters([slot.counters for slot in self.slots]),
            "services": {
                self.label(service): {
                    name: sum(slot.services[service][name] for slot in self.slots)
                    for name, _, _ in SERVICE_METRICS
                }
                for service in sorted(services)
            },
            "limits": {},
            "limit_evictions": 0,
            "series": self._series(),
            "heartbeats": [slot.beat_ms for slot in self.slots],
            "labels_dropped": 0,
            "places_used": 0,
            "places_dropped": 0,
        }

    def _counters(self, slots: list[Counters]) -> dict[str, int]:
        combine = dict.fromkeys(HIGHEST, max)
        return {
            name: combine.get(name, sum)(counters[name] for counters in slots)
            for name, _, _ in WORKER_METRICS
        }

    def _series(self) -> "list[Series]":
        durations: defaultdict[SeriesKey, list[int]] = defaultdict(list)
        for slot in self.slots:
            for key, observed in slot.durations_ns.items():
                durations[key] += observed
        order = sorted(durations, key=lambda key: (*key[:2], METHODS.index(key[2]), key[3]))
        return [self._one_series(key, durations[key]) for key in order]

    def _one_series(self, key: SeriesKey, durations_ns: list[int]) -> "Series":
        route, service, method, status = key
        buckets = [0] * (len(BOUNDS_NS) + 1)
        for duration_ns in durations_ns:
            buckets[bisect_left(BOUNDS_NS, duration_ns)] += 1
        return {
            "route": self.label(route),
            "service": self.label(service),
            "method": method,
            "status": status,
            "count": len(durations_ns),
            "sum_seconds": sum(durations_ns) / 1e9,
            "buckets": buckets,
        }
