"""P7: what it costs that hosts share a limit over Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.macro.bench import LOAD_CORE, Bench
from benchmarks.macro.peers.gateway import GatewayLimited
from benchmarks.macro.processes import free_port, start
from benchmarks.macro.report import Findings, Verdict
from benchmarks.macro.rounds import interleave
from benchmarks.macro.samples import Rounds
from benchmarks.macro.scenarios import Scenario
from benchmarks.macro.scenarios.plain import fixed_table

TITLE = "a limit that all hosts share: leased, and decided by Redis each time"
WANTED_US = {"leased": 0.3, "exact": 3.0}
"""CPU of all the gateway's processes per request, above that of the same limit on one host."""


def run(bench: Bench) -> Findings:
    """The same limit in memory, leased and exact; interleaved. Redis has the load's core."""
    names = ["gateway-memory", *(f"gateway-{mode}" for mode in WANTED_US)]
    with redis(bench.directory) as url:
        peers = [
            GatewayLimited(),
            *(GatewayLimited(mode=mode, redis_url=url) for mode in WANTED_US),
        ]
        with bench.running(*peers) as instances:
            fixed = interleave(
                {i.name: partial(bench.at_rate, i) for i in instances}, bench.options.rounds
            )
    return Findings(
        "P7",
        TITLE,
        tables=[fixed_table(bench, instances, fixed)],
        verdicts=[judged(mode, wanted, fixed) for mode, wanted in WANTED_US.items()],
        notes=fixed.notes(),
        raw={"fixed_rate": fixed.to_json(), "names": names},
    )


@contextmanager
def redis(directory: Path) -> Iterator[str]:
    """The URL of a Redis of its own, without persistence."""
    place = directory / "redis"
    place.mkdir(exist_ok=True)
    port = free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    process = start(["redis-server", *options], LOAD_CORE, place)
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.end()


def judged(mode: str, wanted_us: float, rounds: Rounds) -> Verdict:
    """By the median of the differences in each round."""
    name = f"gateway-{mode}"
    added = rounds.difference(name, "gateway-memory", lambda s: s.cpu_us)
    met = rounds.decide([name, "gateway-memory"], added.median <= wanted_us)
    return Verdict(
        "P7", f"{mode}: CPU/request above memory", f"≤ {wanted_us} µs", added.text(2), met
    )


SCENARIO = Scenario("p7", TITLE, run)
