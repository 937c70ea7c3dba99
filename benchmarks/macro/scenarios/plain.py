"""P1: plain proxying, the gateway against its peers."""

from functools import partial

from benchmarks.macro import parity
from benchmarks.macro.bench import Bench
from benchmarks.macro.peers.peer import Instance
from benchmarks.macro.report import Findings, Table, Verdict
from benchmarks.macro.rounds import interleave
from benchmarks.macro.samples import Rounds, Sample, Spread, latency_text
from benchmarks.macro.scenarios import Scenario

TITLE = "plain proxying, one core"
DENOMINATOR = "haproxy"
WANTED = 0.95
"""P1: CPU per request by HAProxy's."""
CONTROL = "direct"


def run(bench: Bench) -> Findings:
    """Every peer at a fixed rate (the primary figure) and at saturation, interleaved."""
    with bench.running(*bench.peers) as instances:
        added = {instance.name: parity.check(instance) for instance in instances}
        fixed = interleave({i.name: partial(bench.at_rate, i) for i in instances}, _rounds(bench))
        full = interleave(
            {i.name: partial(bench.at_saturation, i) for i in instances}, _rounds(bench)
        )
    return Findings(
        "P1",
        TITLE,
        tables=[
            fixed_table(bench, instances, fixed),
            saturation_table(bench, instances, full),
            parity_table(added),
        ],
        verdicts=judged([instance.name for instance in instances], fixed),
        notes=[*fixed.notes(), *full.notes()],
        raw={"fixed_rate": fixed.to_json(), "saturation": full.to_json()},
    )


def _rounds(bench: Bench) -> int:
    return bench.options.rounds


def ratio_text(rounds: Rounds, name: str, names: list[str]) -> str:
    """CPU per request by the denominator's, or a dash where one of both has none."""
    if DENOMINATOR not in names or name == CONTROL:
        return "–"
    return rounds.ratio(name, DENOMINATOR, lambda s: s.cpu_us).text(2)


def fixed_table(bench: Bench, instances: list[Instance], rounds: Rounds) -> Table:
    """CPU per request at the same rate for all."""
    names = [instance.name for instance in instances]
    rows = []
    for name in names:
        cpu = rounds.of(name, lambda s: s.cpu_us)
        last = rounds.kept[-1][name]
        rows.append(
            [
                name,
                _cpu_text(name, cpu),
                _cpu_text(name, rounds.of(name, lambda s: s.user_us)),
                _cpu_text(name, rounds.of(name, lambda s: s.worker_cpu_us)),
                ratio_text(rounds, name, names),
                latency_text(last.outcome.latency),
                str(rounds.failed(name)),
            ]
        )
    rate = f"{bench.options.rate_per_s:,.0f} requests/s, {bench.options.connections} connections"
    columns = (
        "peer",
        "CPU µs/request",
        "of it user",
        "busiest process",
        f"÷ {DENOMINATOR}",
        "latency p50 / p99 / p99.9 ms",
        "failed",
    )
    return Table(f"Fixed rate, open loop: {rate}", columns, rows)


def saturation_table(bench: Bench, instances: list[Instance], rounds: Rounds) -> Table:
    """Answers per second, with the limit that they met."""
    names = [instance.name for instance in instances]
    rows = []
    for name in names:
        used = rounds.of(name, lambda s: s.utilisation)
        rows.append(
            [
                name,
                f"{rounds.of(name, lambda s: s.rate_per_s).median:,.0f}",
                limit_text(name, [round_[name] for round_ in rounds.kept]),
                _cpu_text(name, used, percent=True),
                _cpu_text(name, rounds.of(name, lambda s: s.cpu_us)),
                ratio_text(rounds, name, names),
            ]
        )
    columns = (
        "peer",
        "requests/s",
        "limit",
        "CPU % of its core",
        "CPU µs/request",
        f"÷ {DENOMINATOR}",
    )
    return Table(f"Saturation, closed loop: {bench.options.connections} connections", columns, rows)


def limit_text(name: str, samples: list[Sample]) -> str:
    """Which core was full."""
    if name == CONTROL or all(sample.load_bound for sample in samples):
        return "generator + upstream"
    return "proxy" if all(sample.proxy_bound for sample in samples) else "not clear"


def _cpu_text(name: str, figure: Spread, *, percent: bool = False) -> str:
    if name == CONTROL:
        return "–"
    return f"{figure.median:.0%}" if percent else figure.text()


def parity_table(found: dict[str, parity.Parity]) -> Table:
    """What each peer adds; all else is the same or the cell would not have run."""
    rows = [
        [
            name,
            ", ".join(checked.added) or "nothing",
            "yes" if checked.correlation_returned else "no",
            str(checked.head_bytes),
        ]
        for name, checked in found.items()
    ]
    columns = ("peer", "sent upstream besides", "correlation id returned", "answer's fields, bytes")
    return Table("Parity", columns, rows)


def judged(names: list[str], rounds: Rounds) -> list[Verdict]:
    """The target, against HAProxy with the same fields; the bare one stands beside it."""
    found = []
    for peer in (DENOMINATOR, "haproxy-bare"):
        if {"gateway", peer} <= set(names):
            ratio = rounds.ratio("gateway", peer, lambda s: s.cpu_us)
            met = rounds.decide(["gateway", peer], ratio.median <= WANTED)
            what = f"plain proxying, CPU/request ÷ {peer}"
            found.append(Verdict("P1", what, f"≤ {WANTED}", ratio.text(2), met))
    return found


SCENARIO = Scenario("p1", TITLE, run)
