"""What a scenario works with: running peers, loads, and the options of this run."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.macro import load, parity, upstream
from benchmarks.macro.load import OpenLoopPlan, Outcome
from benchmarks.macro.machine import CoreTicks, core_ticks, core_use
from benchmarks.macro.peers.peer import Instance, Peer
from benchmarks.macro.processes import (
    NO_TIME,
    CpuTime,
    cpu_between,
    cpu_by_process,
)
from benchmarks.macro.samples import Sample

SETTLE_S = 0.5
SETTLE_LOOKS = 20
"""Ten seconds: far more than any peer works after its start."""
SETTLED_SHARE = 0.1
"""Of a core. Ten heartbeats a second cost a hundredth of it."""
PROXY_CORE = 0
LOAD_CORE = 1


@dataclass(frozen=True)
class Options:
    """How long and how often. `floor_seconds`: length of the runs at the promised rate."""

    rounds: int = 5
    seconds: float = 5.0
    floor_seconds: float = 60.0
    warmup_s: float = 1.0
    rate_per_s: float = 8_000.0
    """Below the knee of the slowest peer: Fastify's is near 11,000/s on the reference machine."""
    connections: int = 64


@dataclass(frozen=True)
class Readings:
    """CPU time of a peer's processes and of both cores at one moment."""

    processes: dict[int, CpuTime]
    cores: dict[int, CoreTicks]


@dataclass(frozen=True)
class Bench:
    """One run of the benchmark."""

    options: Options
    peers: Sequence[Peer]
    directory: Path
    upstream_port: int

    def peer(self, name: str) -> Peer | None:
        """A peer of this run by name."""
        return next((peer for peer in self.peers if peer.name == name), None)

    @contextmanager
    def running(self, *peers: Peer) -> Iterator[list[Instance]]:
        """Starts instances on the proxy's core; those that are not measured stay idle."""
        with ExitStack() as stack:
            yield [self._start(stack, peer) for peer in peers]

    def _start(self, stack: ExitStack, peer: Peer) -> Instance:
        directory = Path(tempfile.mkdtemp(prefix=f"{peer.name}-", dir=self.directory))
        return stack.enter_context(peer.running(directory, self.upstream_port, PROXY_CORE))

    def at_rate(
        self,
        instance: Instance,
        *,
        rate_per_s: float | None = None,
        connections: int | None = None,
        seconds: float | None = None,
    ) -> Sample:
        """Open loop at a fixed rate."""
        return self.measured(instance, self.plan(instance, rate_per_s, connections, seconds))

    def measured(self, instance: Instance, plan: OpenLoopPlan) -> Sample:
        """Open loop as planned, after a parity check and a warm-up."""
        parity.check(instance)
        with load.open_loop(plan, LOAD_CORE, instance.place.directory) as running:
            running.begin()
            before = read(instance)
            running.end()
            after = read(instance)
            return sample(before, after, running.outcome())

    def at_saturation(self, instance: Instance) -> Sample:
        """Closed loop, as fast as it goes, after a parity check and a warm-up."""
        parity.check(instance)
        connections, seconds = self.options.connections, self.options.seconds
        path = instance.peer.paths()[0]
        load.run_wrk(instance.port, connections, max(1.0, self.options.warmup_s), LOAD_CORE, path)
        before = read(instance)
        outcome = load.run_wrk(instance.port, connections, seconds, LOAD_CORE, path)
        return sample(before, read(instance), outcome)

    def plan(
        self,
        instance: Instance,
        rate_per_s: float | None = None,
        connections: int | None = None,
        seconds: float | None = None,
    ) -> OpenLoopPlan:
        """An open-loop load with the run's options where nothing else is said."""
        return OpenLoopPlan(
            port=instance.port,
            rate_per_s=rate_per_s or self.options.rate_per_s,
            connections=connections or self.options.connections,
            seconds=seconds or self.options.seconds,
            warmup_s=self.options.warmup_s,
            paths=instance.peer.paths(),
        )

    def worker_pid(self, instance: Instance) -> int:
        """The process of an instance that does the work: the busiest one under a short load."""
        if instance.process is None:
            raise ValueError(f"{instance.name} has no process")
        settle(instance.process.pid)
        before = cpu_by_process(instance.process.pid)
        plan = self.plan(instance, seconds=1.0)
        with load.open_loop(plan, LOAD_CORE, instance.place.directory) as running:
            running.begin().end()
        used = cpu_between(before, cpu_by_process(instance.process.pid))
        return max(used, key=lambda pid: used[pid].total_s)


def settle(pid: int) -> None:
    """Waits until nothing of a process group works any more: what a start does in the background
    must not be taken for the work of requests.
    """
    for _ in range(SETTLE_LOOKS):
        before = cpu_by_process(pid)
        time.sleep(SETTLE_S)
        used = cpu_between(before, cpu_by_process(pid))
        if max(cpu.total_s for cpu in used.values()) < SETTLED_SHARE * SETTLE_S:
            return


def read(instance: Instance) -> Readings:
    """The CPU time used so far."""
    processes = {} if instance.process is None else cpu_by_process(instance.process.pid)
    return Readings(processes, core_ticks())


def sample(before: Readings, after: Readings, outcome: Outcome) -> Sample:
    """What happened between two readings."""
    used = cpu_between(before.processes, after.processes)
    busiest = max(used.values(), key=lambda cpu: cpu.total_s, default=NO_TIME)
    return Sample(
        outcome=outcome,
        cpu=sum(used.values(), NO_TIME),
        worker_cpu=busiest,
        proxy_core=core_use(before.cores[PROXY_CORE], after.cores[PROXY_CORE]),
        load_core=core_use(before.cores[LOAD_CORE], after.cores[LOAD_CORE]),
    )


@contextmanager
def prepared(options: Options, peers: Sequence[Peer]) -> Iterator[Bench]:
    """Starts the upstream and makes a place for everything that the run writes."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        directory = Path(name)
        place = directory / "upstream"
        place.mkdir()
        with upstream.running(place, LOAD_CORE) as started:
            yield Bench(options, peers, directory, started.port)
