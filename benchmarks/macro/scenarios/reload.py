"""P8: the configuration is replaced every second while requests pass."""

import time
from functools import partial

from benchmarks.macro import load, parity
from benchmarks.macro.bench import LOAD_CORE, Bench, read, sample
from benchmarks.macro.peers import gateway
from benchmarks.macro.peers.peer import Instance
from benchmarks.macro.processes import StartError
from benchmarks.macro.ready import answers
from benchmarks.macro.report import Findings, Table, Verdict
from benchmarks.macro.rounds import interleave
from benchmarks.macro.samples import Rounds, Sample
from benchmarks.macro.scenarios import Scenario

TITLE = "reload under load"
RATE_PER_S = 20_000
INTERVAL_S = 1.0
LIVE_WITHIN_S = 5.0
P99_RATIO = 1.25
P99_SLACK_MS = 1.0
"""p99 counts as unchanged within a quarter, or within a millisecond where it is small."""
CALM, RELOADING = "no reload", "reload every second"


def run(bench: Bench) -> Findings:
    """The same load with and without reloads, interleaved."""
    peer = bench.peer("gateway")
    if peer is None:
        return Findings("P8", TITLE, notes=["The gateway is absent."])
    with bench.running(peer) as (instance,):
        cells = {
            CALM: partial(bench.at_rate, instance, rate_per_s=RATE_PER_S),
            RELOADING: partial(while_reloading, bench, instance),
        }
        rounds = interleave(cells, bench.options.rounds)
    return Findings(
        "P8",
        TITLE,
        tables=[table(rounds)],
        verdicts=[verdict(rounds)],
        notes=rounds.notes(),
        raw=rounds.to_json(),
    )


def while_reloading(bench: Bench, instance: Instance) -> Sample:
    """One sample with a reload each second; raises StartError if a reload never took effect."""
    parity.check(instance)
    plan = bench.plan(instance, rate_per_s=RATE_PER_S)
    with load.open_loop(plan, LOAD_CORE, instance.place.directory) as running:
        running.begin()
        before = read(instance)
        for number in range(max(1, int(plan.seconds / INTERVAL_S) - 1)):
            time.sleep(INTERVAL_S)
            fresh = f"/reload-{time.monotonic_ns()}-{number}"
            gateway.reload(instance, (fresh,))
        running.end()
        after = read(instance)
        outcome = running.outcome()
    wait_live(instance, fresh)
    return sample(before, after, outcome)


def wait_live(instance: Instance, path: str) -> None:
    """The route of the last reload must answer, or the reloads did nothing."""
    deadline = time.monotonic() + LIVE_WITHIN_S
    while not answers(instance.port, path):
        if time.monotonic() > deadline:
            raise StartError(f"a reload was not live after {LIVE_WITHIN_S:g} s")
        time.sleep(0.05)


def table(rounds: Rounds) -> Table:
    """Both loads."""
    rows = [
        [
            cell,
            str(rounds.failed(cell)),
            rounds.of(cell, lambda s: s.outcome.latency.p99).text(2),
            rounds.of(cell, lambda s: s.outcome.latency.max).text(1),
            rounds.of(cell, lambda s: s.cpu_us).text(),
        ]
        for cell in (CALM, RELOADING)
    ]
    columns = (f"at {RATE_PER_S:,} requests/s", "failed", "p99 ms", "longest ms", "CPU µs/request")
    return Table("Reload", columns, rows)


def verdict(rounds: Rounds) -> Verdict:
    """No failed request; p99 unchanged."""
    failed = rounds.failed(RELOADING)
    calm = rounds.of(CALM, lambda s: s.outcome.latency.p99).median
    reloading = rounds.of(RELOADING, lambda s: s.outcome.latency.p99).median
    unchanged = reloading <= max(P99_RATIO * calm, calm + P99_SLACK_MS)
    # The calm load is the control: where it does not keep up, reloads are not to blame.
    met = rounds.decide([CALM], failed == 0 and unchanged)
    measured = f"{failed} failed, p99 {calm:.2f} → {reloading:.2f} ms"
    return Verdict("P8", "reload under load", "0 failed, p99 unchanged", measured, met)


SCENARIO = Scenario("p8", TITLE, run)
