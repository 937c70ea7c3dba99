"""Samples for the tests, with the figures that a test is about."""

from benchmarks.macro.load import Latency, Outcome
from benchmarks.macro.machine import CoreUse
from benchmarks.macro.processes import CpuTime
from benchmarks.macro.samples import Sample


def sample(
    cpu_us: float = 10.0,
    *,
    completed: int = 10_000,
    offered: int | None = None,
    failed: int = 0,
    p99_ms: float = 2.0,
    steal: float = 0.0,
    foreign: float = 0.0,
    load_busy: float = 0.5,
    lateness_ms: float = 0.1,
) -> Sample:
    """One window of one second."""
    cpu_s = cpu_us * completed / 1e6
    cpu = CpuTime(cpu_s, cpu_s / 4, cpu_s * 3 / 4)
    outcome = Outcome(
        window_s=1.0,
        offered=completed if offered is None else offered,
        completed=completed,
        failed=failed,
        latency=Latency(p50=0.5, p90=1.0, p99=p99_ms, p999=p99_ms * 2, max=p99_ms * 3),
        lateness_p99_ms=lateness_ms,
    )
    proxy = CoreUse(busy=cpu_s + foreign, steal=steal)
    return Sample(outcome, cpu, cpu, proxy, CoreUse(busy=load_busy, steal=0.0))
