"""The machine: what a figure is quoted with, and whether it was quiet while it was measured."""

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

PROC = Path("/proc")
STEAL_MAX = 0.01
"""Share of a core's time. Above it the host gave the time to another guest: the round is noise."""
FOREIGN_MAX = 0.05
"""Share of the proxy's core. Above it another program disturbed the proxy's caches."""


@dataclass(frozen=True)
class Machine:
    """What stands beside every absolute figure."""

    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    python: str

    def to_json(self) -> dict[str, object]:
        """The fields by name."""
        return asdict(self)


def describe() -> Machine:
    """This machine."""
    return Machine(
        cpu=parse_cpu_model((PROC / "cpuinfo").read_text()),
        cores=os.cpu_count() or 1,
        memory_gib=round(parse_total_memory((PROC / "meminfo").read_text()) / 2**30, 1),
        kernel=platform.release(),
        python=platform.python_version(),
    )


def parse_cpu_model(cpuinfo: str) -> str:
    """The first ``model name`` of ``/proc/cpuinfo``, or ``unknown`` (some ARM kernels)."""
    for line in cpuinfo.splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip() == "model name":
            return value.strip()
    return "unknown"


def parse_total_memory(meminfo: str) -> int:
    """``MemTotal`` of ``/proc/meminfo`` in bytes (its ``kB`` are KiB)."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    raise ValueError("/proc/meminfo has no MemTotal line")


@dataclass(frozen=True)
class CoreTicks:
    """One core's line of ``/proc/stat``, in clock ticks since boot."""

    total: int
    idle: int
    steal: int


def parse_core_ticks(stat: str) -> dict[int, CoreTicks]:
    """``/proc/stat`` → core number → ticks. Idle includes iowait; guest time is part of user."""
    cores = {}
    for line in stat.splitlines():
        name, *values = line.split()
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, idle, iowait, irq, softirq, steal = map(int, values[:8])
            busy = user + nice + system + irq + softirq + steal
            cores[int(name[3:])] = CoreTicks(busy + idle + iowait, idle + iowait, steal)
    return cores


def core_ticks() -> dict[int, CoreTicks]:
    """The state of every core now."""
    return parse_core_ticks((PROC / "stat").read_text())


@dataclass(frozen=True)
class CoreUse:
    """Shares of one core's time in a window, 0 to 1."""

    busy: float
    steal: float


def core_use(before: CoreTicks, after: CoreTicks) -> CoreUse:
    """What became of a core between two readings. A window without a tick counts as idle."""
    total = after.total - before.total
    if total <= 0:
        return CoreUse(0.0, 0.0)
    idle = after.idle - before.idle
    steal = after.steal - before.steal
    return CoreUse(busy=(total - idle - steal) / total, steal=steal / total)
