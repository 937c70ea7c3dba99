"""P5: does a request cost more when there are many routes, or many connections?"""

from functools import partial

from benchmarks.macro.bench import Bench
from benchmarks.macro.peers.gateway import Gateway
from benchmarks.macro.report import Findings, Table, Verdict
from benchmarks.macro.rounds import interleave
from benchmarks.macro.samples import Rounds
from benchmarks.macro.scenarios import Scenario

TITLE = "growth: routes and connections"
ROUTES = (10, 10_000)
CONNECTIONS = (64, 10_000)
ROUTES_RATIO = 1.05
CONNECTIONS_RATIO = 1.3


def run(bench: Bench) -> Findings:
    """Few and many, interleaved; a load asks for every route in turn."""
    if bench.peer("gateway") is None:
        return Findings("P5", TITLE, notes=["The gateway is absent."])
    routes, connections = by_routes(bench), by_connections(bench)
    return Findings(
        "P5",
        TITLE,
        tables=[table("routes", ROUTES, routes), table("connections", CONNECTIONS, connections)],
        verdicts=[
            verdict("routes", ROUTES, ROUTES_RATIO, routes),
            verdict("connections", CONNECTIONS, CONNECTIONS_RATIO, connections),
        ],
        notes=[*routes.notes(), *connections.notes()],
        raw={"routes": routes.to_json(), "connections": connections.to_json()},
    )


def by_routes(bench: Bench) -> Rounds:
    """Two gateways that differ in the number of their routes."""
    with bench.running(*(Gateway(routes=count) for count in ROUTES)) as instances:
        cells = {
            str(count): partial(bench.at_rate, instance)
            for count, instance in zip(ROUTES, instances, strict=True)
        }
        return interleave(cells, bench.options.rounds)


def by_connections(bench: Bench) -> Rounds:
    """One gateway under the same rate over few and over many connections."""
    with bench.running(Gateway()) as (instance,):
        cells = {
            str(count): partial(bench.at_rate, instance, connections=count) for count in CONNECTIONS
        }
        return interleave(cells, bench.options.rounds)


def table(what: str, counts: tuple[int, int], rounds: Rounds) -> Table:
    """CPU per request of both, and latency."""
    rows = [
        [
            f"{count:,}",
            rounds.of(str(count), lambda s: s.cpu_us).text(),
            rounds.of(str(count), lambda s: s.outcome.latency.p99).text(2),
            str(rounds.failed(str(count))),
        ]
        for count in counts
    ]
    return Table(f"By {what}", (what, "CPU µs/request", "p99 ms", "failed"), rows)


def verdict(what: str, counts: tuple[int, int], wanted: float, rounds: Rounds) -> Verdict:
    """The ratio, many by few."""
    few, many = map(str, counts)
    ratio = rounds.ratio(many, few, lambda s: s.cpu_us)
    title = f"{counts[0]:,} → {counts[1]:,} {what}, CPU/request"
    met = rounds.decide([few, many], ratio.median <= wanted)
    return Verdict("P5", title, f"× ≤ {wanted}", f"× {ratio.text(2)}", met)


SCENARIO = Scenario("p5", TITLE, run)
