"""Figures of one cell, and what many rounds of them come to."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.macro.load import Latency, Outcome
from benchmarks.macro.machine import FOREIGN_MAX, STEAL_MAX, CoreUse
from benchmarks.macro.processes import NO_TIME, CpuTime

GENERATOR_FULL = 0.97
"""Share of the load core's time above which the load, not the proxy, is the limit."""
PROXY_FULL = 0.95
"""Share of the proxy core's time above which the proxy is at its limit."""
KEEPS_UP = 0.995
"""Share of the offered requests that must be answered inside the window."""
LATE_MS = 10.0
"""A generator that is later than this at its 99th percentile does not keep its schedule."""


@dataclass(frozen=True)
class Sample:
    """One peer under one load for one window."""

    outcome: Outcome
    cpu: CpuTime
    """Of all processes of the peer."""
    worker_cpu: CpuTime
    """Of its busiest process."""
    proxy_core: CoreUse
    load_core: CoreUse

    @property
    def rate_per_s(self) -> float:
        """Answers per second."""
        return self.outcome.completed / self.outcome.window_s

    @property
    def cpu_us(self) -> float:
        """CPU microseconds per request, user and kernel, of all processes."""
        return self._per_request(self.cpu.total_s)

    @property
    def worker_cpu_us(self) -> float:
        """The same of the busiest process."""
        return self._per_request(self.worker_cpu.total_s)

    @property
    def user_us(self) -> float:
        """The part of `cpu_us` that was spent in user space."""
        ticks = self.cpu.user_s + self.cpu.system_s
        return self.cpu_us * self.cpu.user_s / ticks if ticks else 0.0

    @property
    def utilisation(self) -> float:
        """CPU seconds of all processes per second: 1.0 is one whole core."""
        return self.cpu.total_s / self.outcome.window_s

    @property
    def keeps_up(self) -> bool:
        """Whether the answers came as fast as the requests, without a failure."""
        return self.outcome.completed >= KEEPS_UP * self.outcome.offered and not self.outcome.failed

    @property
    def load_bound(self) -> bool:
        """Whether generator and upstream were at their limit before the proxy was."""
        return self.load_core.busy > GENERATOR_FULL and not self.proxy_bound

    @property
    def proxy_bound(self) -> bool:
        """Whether the proxy used its whole core."""
        return self.utilisation >= PROXY_FULL

    def noise(self) -> str | None:
        """Why this sample does not count, or None."""
        steal = max(self.proxy_core.steal, self.load_core.steal)
        if steal > STEAL_MAX:
            return f"steal {steal:.1%}"
        foreign = self.proxy_core.busy - self.utilisation
        if self.cpu is not NO_TIME and foreign > FOREIGN_MAX:
            return f"other programs took {foreign:.0%} of the proxy's core"
        return None

    def late(self) -> str | None:
        """Whether the generator missed its own schedule while the proxy had time."""
        late_ms = self.outcome.lateness_p99_ms
        if late_ms is None or late_ms <= LATE_MS:
            return None
        return f"the generator was {late_ms:.0f} ms late"

    def _per_request(self, seconds: float) -> float:
        return seconds * 1e6 / self.outcome.completed if self.outcome.completed else math.inf

    def to_json(self) -> dict[str, Any]:
        """Everything measured and derived."""
        derived = ("rate_per_s", "cpu_us", "worker_cpu_us", "user_us", "utilisation", "load_bound")
        return {**asdict(self), **{name: getattr(self, name) for name in derived}}


@dataclass(frozen=True)
class Spread:
    """The median of some rounds and their range."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 1) -> str:
        """``9.7 (9.5–10.1)``."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"


def spread(values: Iterable[float]) -> Spread:
    """Median, least and greatest of at least one value."""
    known = list(values)
    return Spread(statistics.median(known), min(known), max(known))


Round = Mapping[str, Sample]
"""One sample of each cell, taken one after the other."""


@dataclass(frozen=True)
class Rounds:
    """The rounds that count, and why others do not."""

    kept: Sequence[Round]
    dropped: Sequence[str]
    quiet: bool
    """False when no round was quiet: `kept` then holds noisy ones, and the figures only hint."""

    def of(self, cell: str, figure: Callable[[Sample], float]) -> Spread:
        """A figure of one cell over the rounds."""
        return spread(figure(round_[cell]) for round_ in self.kept)

    def ratio(self, cell: str, to: str, figure: Callable[[Sample], float]) -> Spread:
        """A figure of one cell by that of another, compared within each round: what disturbs
        a whole round does not move it.
        """
        return spread(figure(round_[cell]) / figure(round_[to]) for round_ in self.kept)

    def difference(self, cell: str, to: str, figure: Callable[[Sample], float]) -> Spread:
        """A figure of one cell less that of another, compared within each round."""
        return spread(figure(round_[cell]) - figure(round_[to]) for round_ in self.kept)

    def failed(self, cell: str) -> int:
        """Failed requests of one cell in all rounds."""
        return sum(round_[cell].outcome.failed for round_ in self.kept)

    def decide(self, cells: Sequence[str], met: bool) -> bool | None:
        """A verdict on these cells, or None: on a noisy machine, and where a cell did not keep
        up with its load, the cost of a request says nothing.
        """
        kept_up = all(round_[cell].keeps_up for round_ in self.kept for cell in cells)
        return met if self.quiet and kept_up else None

    def notes(self) -> list[str]:
        """What the reader must know about the rounds."""
        notes = []
        if self.dropped:
            notes.append(f"{len(self.dropped)} rounds dropped: " + "; ".join(self.dropped))
        if not self.quiet:
            notes.append("No round was quiet: these figures are a hint, not a result.")
        return notes

    def to_json(self) -> dict[str, Any]:
        """All samples."""
        return {
            "rounds": [{name: s.to_json() for name, s in r.items()} for r in self.kept],
            "dropped": list(self.dropped),
            "quiet": self.quiet,
        }


def latency_text(latency: Latency) -> str:
    """``0.4 / 1.2 / 3.0`` ms: the 50th, 99th and 99.9th percentile."""
    tail = "–" if latency.p999 is None else f"{latency.p999:.2f}"
    return f"{latency.p50:.2f} / {latency.p99:.2f} / {tail}"


def noise_of(round_: Round) -> str | None:
    """The first reason why a round does not count."""
    for name, sample in round_.items():
        if reason := sample.noise() or sample.late():
            return f"{name}: {reason}"
    return None
