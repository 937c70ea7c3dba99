"""P2: every policy on, against peers that do none of it."""

from functools import partial

from benchmarks.macro.bench import Bench
from benchmarks.macro.peers.gateway import GatewayFull, GatewayToken
from benchmarks.macro.report import Findings, Verdict
from benchmarks.macro.rounds import interleave
from benchmarks.macro.samples import Rounds
from benchmarks.macro.scenarios import Scenario
from benchmarks.macro.scenarios.plain import fixed_table

TITLE = "full policy: token from the cache, scope, three limits, correlation id, metrics"
FULL = "gateway-full"
WANTED = {"haproxy": ("P2", 1.0), "envoy": ("P2b", 0.25), "fastify": ("P2b", 0.11)}
"""CPU per request with every policy on, by that of a peer with none: the target and its bound. The
targets were set against Envoy and Fastify with the like plugins, so without them is the stricter
comparison."""


def run(bench: Bench) -> Findings:
    """The gateway plain, with a token, with everything; and its peers plain; interleaved."""
    names = ("gateway", *WANTED)
    plain = [peer for name in names if (peer := bench.peer(name)) is not None]
    with bench.running(*plain, GatewayToken(), GatewayFull()) as instances:
        fixed = interleave(
            {i.name: partial(bench.at_rate, i) for i in instances}, bench.options.rounds
        )
    return Findings(
        "P2",
        TITLE,
        tables=[fixed_table(bench, instances, fixed)],
        verdicts=judged([instance.name for instance in instances], fixed),
        notes=[*fixed.notes(), *added(fixed, [i.name for i in instances])],
        raw={"fixed_rate": fixed.to_json()},
    )


def judged(names: list[str], rounds: Rounds) -> list[Verdict]:
    """One verdict for each peer that is here."""
    found = []
    for peer, (target, bound) in WANTED.items():
        if peer in names:
            ratio = rounds.ratio(FULL, peer, lambda s: s.cpu_us)
            met = rounds.decide([FULL, peer], ratio.median <= bound)
            what = f"full policy, CPU/request ÷ {peer} without any"
            found.append(Verdict(target, what, f"≤ {bound}", ratio.text(2), met))
    return found


def added(rounds: Rounds, names: list[str]) -> list[str]:
    """What a token and the limits add to a plain request, in microseconds of CPU."""
    if "gateway" not in names:
        return []
    plain, token, full = (
        rounds.of(name, lambda s: s.cpu_us).median for name in ("gateway", "gateway-token", FULL)
    )
    return [
        f"A verified token and its scope add {token - plain:.2f} µs to a plain request, "
        f"three limits {full - token:.2f} µs (differences of medians)."
    ]


SCENARIO = Scenario("p2", TITLE, run)
