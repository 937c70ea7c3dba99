"""P7: what it costs that hosts share a limit over Redis, and what happens when Redis dies."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.macro import load, parity
from benchmarks.macro.bench import LOAD_CORE, Bench, read, sample
from benchmarks.macro.peers.gateway import GatewayLimited
from benchmarks.macro.peers.peer import Instance
from benchmarks.macro.processes import Process, free_port, start
from benchmarks.macro.report import Findings, Table, Verdict
from benchmarks.macro.rounds import interleave
from benchmarks.macro.samples import Rounds, Sample
from benchmarks.macro.scenarios import Scenario
from benchmarks.macro.scenarios.plain import fixed_table

TITLE = "a limit that all hosts share: leased, and decided by Redis each time"
MEMORY, LEASED, EXACT = "gateway-memory", "gateway-leased", "gateway-exact"
WANTED_US = {LEASED: 0.3, EXACT: 3.0}
"""CPU of all the gateway's processes per request, above that of the same limit on one host."""
OUTAGE_RATE_PER_S = 5_000
OUTAGE_S = 6.0
OUTAGE_P99_MS = 50.0


class Redis:
    """A Redis of its own on the load's core, without persistence. It may die and come back."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._directory = directory
        self._process: Process | None = None

    def start(self) -> None:
        """Returns at once; it answers some milliseconds later."""
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly"]
        self._process = start(["redis-server", *options, "no"], LOAD_CORE, self._directory)

    def kill(self) -> None:
        """As with ``kill -9``."""
        if self._process is not None:
            self._process.popen.kill()
            self._process.popen.wait()
            self._process = None


@contextmanager
def redis(directory: Path) -> Iterator[Redis]:
    """Runs until the block is left."""
    place = directory / "redis"
    place.mkdir(exist_ok=True)
    running = Redis(place)
    running.start()
    try:
        yield running
    finally:
        running.kill()


def run(bench: Bench) -> Findings:
    """The same limit in memory, leased and exact; interleaved. Then Redis dies under load."""
    with redis(bench.directory) as store:
        modes = ("memory", "leased", "exact")
        peers = [GatewayLimited(mode=mode, redis_url=store.url) for mode in modes]
        with bench.running(*peers) as instances:
            rounds = bench.options.rounds
            fixed = interleave({i.name: partial(bench.at_rate, i) for i in instances}, rounds)
            full = interleave({i.name: partial(bench.at_saturation, i) for i in instances}, rounds)
            outages = {i.name: while_redis_dies(bench, i, store) for i in instances[1:]}
    return Findings(
        "P7",
        TITLE,
        tables=[fixed_table(bench, instances, fixed), full_table(full), outage_table(outages)],
        verdicts=[
            judged("leased", LEASED, fixed),
            judged("exact, 64 in flight", EXACT, full),
            *(judged_outage(name, found) for name, found in outages.items()),
        ],
        notes=[*fixed.notes(), *full.notes()],
        raw={
            "fixed_rate": fixed.to_json(),
            "saturation": full.to_json(),
            "outage": {name: found.to_json() for name, found in outages.items()},
        },
    )


def while_redis_dies(bench: Bench, instance: Instance, store: Redis) -> Sample:
    """One sample in which Redis is killed after a third of the time, and started after two."""
    parity.check(instance)
    plan = bench.plan(instance, rate_per_s=OUTAGE_RATE_PER_S, seconds=OUTAGE_S)
    with load.open_loop(plan, LOAD_CORE, instance.place.directory) as running:
        running.begin()
        before = read(instance)
        time.sleep(OUTAGE_S / 3)
        store.kill()
        time.sleep(OUTAGE_S / 3)
        store.start()
        running.end()
        return sample(before, read(instance), running.outcome())


def full_table(rounds: Rounds) -> Table:
    """As fast as it goes."""
    rows = [
        [
            name,
            rounds.of(name, lambda s: s.rate_per_s).text(0),
            rounds.of(name, lambda s: s.cpu_us).text(),
            rounds.difference(name, MEMORY, lambda s: s.cpu_us).text(),
        ]
        for name in (MEMORY, LEASED, EXACT)
    ]
    columns = ("peer", "requests/s", "CPU µs/request", "above memory")
    return Table("Saturation, closed loop: 64 connections", columns, rows)


def outage_table(outages: dict[str, Sample]) -> Table:
    """Redis killed and restarted."""
    rows = [
        [
            name,
            str(found.outcome.offered),
            str(found.outcome.failed),
            f"{found.outcome.latency.p99:.2f}",
            f"{found.outcome.latency.max:.1f}",
        ]
        for name, found in outages.items()
    ]
    columns: Sequence[str] = ("peer", "requests", "failed", "p99 ms", "longest ms")
    return Table(f"Redis dies and comes back at {OUTAGE_RATE_PER_S:,} requests/s", columns, rows)


def judged(what: str, name: str, rounds: Rounds) -> Verdict:
    """By the median of the differences in each round."""
    wanted_us = WANTED_US[name]
    added = rounds.difference(name, MEMORY, lambda s: s.cpu_us)
    met = rounds.decide([name, MEMORY], added.median <= wanted_us)
    text = f"{what}: CPU/request above memory"
    return Verdict("P7", text, f"≤ {wanted_us} µs", added.text(2), met)


def judged_outage(name: str, found: Sample) -> Verdict:
    """Nothing fails, and nobody waits for long."""
    p99, failed = found.outcome.latency.p99, found.outcome.failed
    met = (failed == 0 and p99 < OUTAGE_P99_MS) if found.keeps_up else None
    measured = f"{failed} failed, p99 {p99:.2f} ms"
    wanted = f"0 failed, p99 < {OUTAGE_P99_MS:g} ms"
    return Verdict("P7", f"{name}: Redis killed and restarted", wanted, measured, met)


SCENARIO = Scenario("p7", TITLE, run)
