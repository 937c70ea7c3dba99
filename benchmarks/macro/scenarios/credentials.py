"""P12: what a credential that is known costs a request."""

from dataclasses import replace
from functools import partial

from benchmarks.macro import request
from benchmarks.macro.bench import Bench
from benchmarks.macro.peers.gateway import GatewayCredentials, key_path
from benchmarks.macro.peers.peer import Instance
from benchmarks.macro.report import Findings, Table, Verdict
from benchmarks.macro.rounds import interleave
from benchmarks.macro.samples import Rounds, Sample
from benchmarks.macro.scenarios import Scenario

TITLE = "a known token, a known API key"
WANTED_US = 0.5
"""CPU per request, above that of the same request on a route that asks for nothing."""
PAIRS = {"token": "plain, with a token", "key": "plain, with a key"}
"""The route that looks at the credential, and the one that gets the same bytes and does not."""


def run(bench: Bench) -> Findings:
    """Each credential on both routes of one instance, interleaved."""
    if bench.peer("gateway") is None:
        return Findings("P12", TITLE, notes=["The gateway is absent."])
    with bench.running(GatewayCredentials()) as (instance,):
        cells = {
            name: partial(on_route, bench, instance, route, kind)
            for kind, plain in PAIRS.items()
            for name, route in ((plain, "plain"), (kind, kind))
        }
        rounds = interleave(cells, bench.options.rounds)
    return Findings(
        "P12",
        TITLE,
        tables=[table(rounds)],
        verdicts=[verdict(rounds, kind) for kind in PAIRS],
        notes=rounds.notes(),
        raw=rounds.to_json(),
    )


def on_route(bench: Bench, instance: Instance, route: str, kind: str) -> Sample:
    """One sample of a route, with the browser's token or with an API key in its place."""
    fields = request.field_lines()
    if kind == "key":
        key = key_path(instance.place).read_text()
        fields = [line for line in fields if not line.startswith("Authorization:")]
        fields.append(f"X-API-Key: {key}")
    plan = bench.plan(instance)
    path = f"/{route}{request.PATH}"
    return bench.measured(instance, replace(plan, paths=(path,), fields=tuple(fields)))


def worker_us(sample: Sample) -> float:
    """Of the worker alone: control's share is not the request's."""
    return sample.worker_cpu_us


def table(rounds: Rounds) -> Table:
    """All four."""
    rows = [
        [
            name,
            str(rounds.failed(name)),
            rounds.of(name, worker_us).text(2),
            rounds.of(name, lambda s: s.outcome.latency.p99).text(2),
        ]
        for kind, plain in PAIRS.items()
        for name in (plain, kind)
    ]
    columns = ("route", "failed", "worker's CPU µs/request", "p99 ms")
    return Table("Credentials", columns, rows)


def verdict(rounds: Rounds, kind: str) -> Verdict:
    """By the median of the differences in each round."""
    plain = PAIRS[kind]
    added = rounds.difference(kind, plain, worker_us)
    good = rounds.failed(kind) == 0 and added.median <= WANTED_US
    met = rounds.decide([plain], good)
    return Verdict("P12", f"{kind}: CPU/request added", f"≤ {WANTED_US} µs", added.text(2), met)


SCENARIO = Scenario("p12", TITLE, run)
