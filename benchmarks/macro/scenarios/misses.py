"""P11: tokens that nobody has seen yet must not slow down those that are known."""

import http.client
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from benchmarks.macro import load, parity, request
from benchmarks.macro.bench import LOAD_CORE, Bench, read, sample
from benchmarks.macro.load import LoadError
from benchmarks.macro.peers.gateway import GatewayToken
from benchmarks.macro.peers.peer import Instance
from benchmarks.macro.report import Findings, Table, Verdict
from benchmarks.macro.rounds import interleave
from benchmarks.macro.samples import Rounds, Sample
from benchmarks.macro.scenarios import Scenario

TITLE = "1 % of the requests with a token that is new"
SHARE = 0.01
P99_SLACK_MS = 1.0
KNOWN, NEW = "known tokens alone", "1 % new tokens"
GRACE_S = 2.0
"""How much longer the side's load goes on than the window, at most."""


def run(bench: Bench) -> Findings:
    """The same two loads with known and with new tokens in the smaller one, interleaved."""
    if bench.peer("gateway") is None:
        return Findings("P11", TITLE, notes=["The gateway is absent."])
    with bench.running(GatewayToken()) as (instance,):
        cells = {
            KNOWN: partial(beside, bench, instance, fresh=False),
            NEW: partial(beside, bench, instance, fresh=True),
        }
        rounds = interleave(cells, bench.options.rounds)
    return Findings(
        "P11",
        TITLE,
        tables=[table(rounds, bench.options.rate_per_s)],
        verdicts=[verdict(rounds)],
        notes=[*rounds.notes(), "Latency is that of the known token's requests."],
        raw=rounds.to_json(),
    )


def beside(bench: Bench, instance: Instance, *, fresh: bool) -> Sample:
    """What requests with a known token see while others come beside them."""
    parity.check(instance)
    plan = bench.plan(instance)
    rate_per_s = SHARE * plan.rate_per_s
    number = int(rate_per_s * (plan.warmup_s + plan.seconds + GRACE_S))
    # Signed before: the generator's core has no time for it then.
    now = time.monotonic_ns()
    tokens = (
        [request.new_token(f"{now}-{n}") for n in range(number)]
        if fresh
        else ([request.bearer_token()] * number)
    )
    with (
        load.open_loop(plan, LOAD_CORE, instance.place.directory) as running,
        asked_with(instance.port, tokens, rate_per_s),
    ):
        running.begin()
        before = read(instance)
        running.end()
        after = read(instance)
        return sample(before, after, running.outcome())


@contextmanager
def asked_with(port: int, tokens: Sequence[str], rate_per_s: float) -> Iterator[None]:
    """A request with each token, at a fixed rate, until the block is left. LoadError for a
    refusal: it would cost less than an answer.
    """
    over = threading.Event()
    refused: list[int] = []

    def ask() -> None:
        link = http.client.HTTPConnection("127.0.0.1", port)
        begin = time.monotonic()
        for number, token in enumerate(tokens):
            if over.wait(max(0.0, begin + number / rate_per_s - time.monotonic())):
                break
            fields = dict(request.FIELDS) | {"Authorization": f"Bearer {token}"}
            link.request("GET", request.PATH, headers=fields)
            answer = link.getresponse()
            answer.read()
            if answer.status != 200:
                refused.append(answer.status)
        link.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if refused:
        raise LoadError(f"{len(refused)} new tokens were refused, the first with {refused[0]}")


def table(rounds: Rounds, rate_per_s: float) -> Table:
    """Both loads."""
    rows = [
        [
            cell,
            str(rounds.failed(cell)),
            rounds.of(cell, lambda s: s.outcome.latency.p50).text(2),
            rounds.of(cell, p99_ms).text(2),
            rounds.of(cell, lambda s: s.outcome.latency.max).text(1),
            rounds.of(cell, lambda s: s.cpu_us).text(),
        ]
        for cell in (KNOWN, NEW)
    ]
    columns = (f"at {rate_per_s:,.0f} requests/s", "failed", "p50 ms", "p99 ms", "longest ms",
               "CPU µs/request")  # fmt: skip
    return Table("Verified-token misses", columns, rows)


def verdict(rounds: Rounds) -> Verdict:
    """The 99th percentile of the others moves by a millisecond at most; within each round."""
    moved = rounds.difference(NEW, KNOWN, p99_ms)
    met = rounds.decide([KNOWN], rounds.failed(NEW) == 0 and moved.median <= P99_SLACK_MS)
    wanted = f"p99 of the others + {P99_SLACK_MS:g} ms at most"
    return Verdict("P11", TITLE, wanted, f"{moved.text(2)} ms", met)


def p99_ms(sample: Sample) -> float:
    """Of the requests with the known token."""
    return sample.outcome.latency.p99


SCENARIO = Scenario("p11", TITLE, run)
