"""P4: memory of an idle gateway, and of one that holds 10,000 keep-alive connections."""

from dataclasses import dataclass

from benchmarks.macro import load
from benchmarks.macro.bench import LOAD_CORE, Bench
from benchmarks.macro.load import OpenLoopPlan
from benchmarks.macro.peers.peer import Instance, Peer
from benchmarks.macro.processes import Memory, memory_by_process
from benchmarks.macro.report import Findings, Table, Verdict
from benchmarks.macro.scenarios import Scenario

TITLE = "memory, idle and with 10,000 connections"
PEERS = ("gateway", "haproxy", "nginx")
"""Those written for many connections."""
CONNECTIONS = 10_000
RATE_PER_S = 5_000
SECONDS = 2.5
"""Each connection carries a request: 12,500 in turn over 10,000 connections."""
GRACE_S = 20.0
"""Memory is measured here, not speed: a slow answer is waited for."""
MIB = 1 << 20
WORKER_IDLE = 60 * MIB
TOTAL = 400 * MIB
PER_CONNECTION = 20 * 1024


@dataclass(frozen=True)
class Footprint:
    """Bytes of one peer: worker and all its processes, before and with the connections."""

    worker_idle: Memory
    idle: Memory
    loaded: Memory
    failed: int

    @property
    def per_connection(self) -> float:
        """Growth of PSS, bytes."""
        return (self.loaded.pss - self.idle.pss) / CONNECTIONS


def measure(bench: Bench, instance: Instance) -> Footprint:
    """Idle after a short load; then with connections that have each carried a request."""
    assert instance.process is not None
    root = instance.process.pid
    worker = bench.worker_pid(instance)
    idle = memory_by_process(root)
    plan = OpenLoopPlan(
        instance.port, RATE_PER_S, CONNECTIONS, SECONDS, warmup_s=0.0, grace_s=GRACE_S
    )
    with load.open_loop(plan, LOAD_CORE, instance.place.directory) as running:
        running.begin().end()
        failed = running.outcome().failed  # from here all connections are idle and stay open
        loaded = memory_by_process(root)
    return Footprint(idle[worker], total(idle), total(loaded), failed)


def total(sizes: dict[int, Memory]) -> Memory:
    """The sum over processes."""
    return sum(sizes.values(), Memory(0, 0))


def run(bench: Bench) -> Findings:
    """One peer after the other: memory does not drift as time does."""
    found: dict[str, Footprint] = {}
    for peer in peers_of(bench):
        with bench.running(peer) as (instance,):
            found[peer.name] = measure(bench, instance)
    return Findings(
        "P4",
        TITLE,
        tables=[table(found)],
        verdicts=verdicts(found["gateway"]) if "gateway" in found else [],
        notes=[
            f"{name}: {footprint.failed} requests failed while the connections were used"
            for name, footprint in found.items()
            if footprint.failed
        ],
        raw={
            name: vars(footprint) | {"per_connection": footprint.per_connection}
            for name, footprint in found.items()
        },
    )


def peers_of(bench: Bench) -> list[Peer]:
    """The peers of this run whose memory is looked at."""
    return [peer for peer in bench.peers if peer.name in PEERS]


def table(found: dict[str, Footprint]) -> Table:
    """MiB and KiB."""
    rows = [
        [
            name,
            f"{one.worker_idle.pss / MIB:.1f} / {one.worker_idle.rss / MIB:.1f}",
            f"{one.idle.pss / MIB:.1f}",
            f"{one.loaded.pss / MIB:.1f}",
            f"{one.per_connection / 1024:.1f}",
        ]
        for name, one in found.items()
    ]
    columns = (
        "peer",
        "idle worker, PSS / RSS MiB",
        "all processes idle, PSS MiB",
        f"with {CONNECTIONS:,} connections",
        "KiB per connection",
    )
    return Table("Memory in user space (without the kernel's socket buffers)", columns, rows)


def verdicts(one: Footprint) -> list[Verdict]:
    """P4 without limiter keys and cached tokens, which the plain policy does not have."""
    figures = [
        ("one idle worker, PSS", WORKER_IDLE, one.worker_idle.pss, MIB, "MiB"),
        (f"all processes, {CONNECTIONS:,} connections, PSS", TOTAL, one.loaded.pss, MIB, "MiB"),
        ("per idle connection", PER_CONNECTION, one.per_connection, 1024, "KiB"),
    ]
    return [
        Verdict(
            "P4",
            what,
            f"≤ {limit // unit} {name}",
            f"{size / unit:.1f} {name}",
            # A connection that carried no request is not the one that the target speaks of.
            size <= limit if not one.failed else None,
        )
        for what, limit, size, unit, name in figures
    ]


SCENARIO = Scenario("p4", TITLE, run)
