"""P3: the promised rate on one worker and one core, and the floor that was promised with it."""

from dataclasses import dataclass

from benchmarks.macro.bench import Bench
from benchmarks.macro.peers.peer import Instance
from benchmarks.macro.processes import memory_by_process
from benchmarks.macro.report import Findings, Table, Verdict
from benchmarks.macro.samples import Sample, latency_text
from benchmarks.macro.scenarios import Scenario

TITLE = "50,000 requests/s on one worker, open loop"
RATE_PER_S = 50_000
CONNECTIONS = (64, 256)
CPU_SHARE = 0.70
"""Of one core."""
P99_MS = 5.0
FLOOR_P99_MS = 150.0
FLOOR_MEMORY = 1 << 30
FLOOR_ERRORS = 0.001
ATTEMPTS = 6
STEP_DOWN = 0.95
"""The next rate that is tried, by what the last one achieved."""


@dataclass(frozen=True)
class Climb:
    """The highest rate that was kept with so many connections, and the runs that failed."""

    connections: int
    rate_per_s: float
    sample: Sample
    first: Sample
    """The run at the promised rate."""

    @property
    def reached(self) -> bool:
        """Whether it kept the promised rate."""
        return self.sample.keeps_up and self.rate_per_s >= RATE_PER_S

    @property
    def capacity_per_s(self) -> float:
        """Requests/s at the promised share of a core, from CPU per request."""
        return CPU_SHARE * 1e6 / self.sample.cpu_us


def climb(bench: Bench, instance: Instance, connections: int) -> Climb:
    """Tries the promised rate, then lower ones until one is kept."""
    rate: float = RATE_PER_S
    samples: list[Sample] = []
    for _ in range(ATTEMPTS):
        # The promised rate runs long; a search for a lower one would take minutes at that length.
        seconds = bench.options.seconds if samples else bench.options.floor_seconds
        sample = bench.at_rate(instance, rate_per_s=rate, connections=connections, seconds=seconds)
        samples.append(sample)
        if sample.keeps_up:
            break
        tried, rate = rate, STEP_DOWN * min(rate, sample.rate_per_s) // 1000 * 1000
        print(f"  {tried:,.0f}/s not kept with {connections} connections, next {rate:,.0f}/s")
    else:
        rate = samples[-1].rate_per_s
    return Climb(connections, rate, samples[-1], samples[0])


def run(bench: Bench) -> Findings:
    """The gateway alone; memory is read while the connections of the last run are gone."""
    gateway = bench.peer("gateway")
    if gateway is None:
        return Findings("P3", TITLE, notes=["The gateway is absent."])
    with bench.running(gateway) as (instance,):
        climbs = [climb(bench, instance, connections) for connections in CONNECTIONS]
        assert instance.process is not None
        memory = sum(size.pss for size in memory_by_process(instance.process.pid).values())
    return Findings(
        "P3",
        TITLE,
        tables=[rate_table(climbs), floor_table(climbs, memory)],
        verdicts=[verdict(found) for found in climbs],
        notes=[note for found in climbs for note in notes(found)],
        raw={
            "memory_pss": memory,
            "runs": {
                str(found.connections): {
                    "promised": found.first.to_json(),
                    "kept": found.sample.to_json(),
                }
                for found in climbs
            },
        },
    )


def rate_table(climbs: list[Climb]) -> Table:
    """What was reached."""
    rows = [
        [
            str(found.connections),
            f"{found.rate_per_s:,.0f}" + ("" if found.sample.keeps_up else " (not kept)"),
            f"{found.sample.utilisation:.0%}",
            f"{found.sample.worker_cpu.total_s / found.sample.outcome.window_s:.0%}",
            f"{found.sample.cpu_us:.1f}",
            latency_text(found.sample.outcome.latency),
            str(found.sample.outcome.failed),
            f"{found.sample.load_core.busy:.0%}",
            f"{found.capacity_per_s:,.0f}",
        ]
        for found in climbs
    ]
    columns = (
        "connections",
        "requests/s",
        "CPU of a core",
        "worker alone",
        "CPU µs/request",
        "latency p50 / p99 / p99.9 ms",
        "failed",
        "load core busy",
        f"capacity at {CPU_SHARE:.0%} CPU",
    )
    return Table("Highest rate up to the promised one", columns, rows)


def limit(sample: Sample) -> str:
    """What kept a run from its rate."""
    if noise := sample.noise():
        return f"not clear, {noise}"
    return "generator and upstream" if sample.load_bound else "the gateway"


def notes(found: Climb) -> list[str]:
    """Why the promised rate was not reached, and what made a run noisy."""
    said = []
    if found.rate_per_s < RATE_PER_S:
        reached, first = found.first.rate_per_s, found.first
        said.append(
            f"{found.connections} connections: at {RATE_PER_S:,}/s {reached:,.0f}/s were answered; "
            f"the limit was {limit(first)} (load core {first.load_core.busy:.0%}, "
            f"gateway {first.utilisation:.0%} busy)."
        )
    if noise := found.sample.noise():
        said.append(f"{found.connections} connections: noisy, {noise}.")
    return said


def decide(found: Climb, good: bool) -> bool | None:
    """What is promised at the promised rate is met there or nowhere. A rate that was missed counts
    against the gateway only where it was the limit, and a noisy run counts for nothing.
    """
    if found.sample.noise() or found.first.noise():
        return None
    if not found.reached and found.first.load_bound:
        return None
    return found.reached and good


def decide_all(climbs: list[Climb], good: bool) -> bool | None:
    """The same over all runs."""
    decided = [decide(found, good) for found in climbs]
    return None if None in decided else all(decided)


def verdict(found: Climb) -> Verdict:
    """P3 for one number of connections."""
    sample, latency = found.sample, found.sample.outcome.latency
    good = sample.utilisation <= CPU_SHARE and latency.p99 <= P99_MS
    measured = (
        f"{found.rate_per_s:,.0f}/s, CPU {sample.utilisation:.0%}, p99 {latency.p99:.2f} ms, "
        f"{sample.outcome.failed} failed"
    )
    return Verdict(
        "P3",
        f"{RATE_PER_S:,}/s, {found.connections} connections, plain policy",
        f"CPU ≤ {CPU_SHARE:.0%}, p99 ≤ {P99_MS:g} ms, 0 failed",
        measured,
        decide(found, good),
    )


def floor_table(climbs: list[Climb], memory: int) -> Table:
    """The floor, row by row, from the worse of the runs."""
    worst = min(climbs, key=lambda found: found.rate_per_s)
    p99 = max(found.sample.outcome.latency.p99 for found in climbs)
    cpu = max(found.sample.utilisation for found in climbs)
    capacity = min(found.capacity_per_s for found in climbs)
    errors = max(found.sample.outcome.failed / found.sample.outcome.offered for found in climbs)
    at = f"at {worst.rate_per_s:,.0f}/s"
    verdicts = [
        Verdict(
            "floor",
            "requests/s per instance (one core of it)",
            f"{RATE_PER_S:,}",
            f"{worst.rate_per_s:,.0f} run; {capacity:,.0f} computed for {CPU_SHARE:.0%} CPU",
            decide_all(climbs, True),
        ),
    ]
    rows = [
        (f"p99 {at}", f"< {FLOOR_P99_MS:g} ms", f"{p99:.2f} ms", p99 < FLOOR_P99_MS),
        (f"memory {at}", "< 1 GiB", f"{memory / 2**20:.0f} MiB", memory < FLOOR_MEMORY),
        (f"CPU {at}", f"< {CPU_SHARE:.0%}", f"{cpu:.0%}", cpu < CPU_SHARE),
        (f"failed {at}", f"< {FLOOR_ERRORS:.1%}", f"{errors:.3%}", errors < FLOOR_ERRORS),
    ]
    verdicts += [
        Verdict("floor", what, wanted, measured, decide_all(climbs, good))
        for what, wanted, measured, good in rows
    ]
    columns = ("", "what", "wanted", "measured", "verdict")
    return Table("The floor", columns, [v.to_row() for v in verdicts])


SCENARIO = Scenario("p3", TITLE, run)
