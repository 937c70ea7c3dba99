"""P9: from the command to the first proxied answer."""

import time

from benchmarks.macro.bench import Bench
from benchmarks.macro.peers.peer import Peer
from benchmarks.macro.report import Findings, Table, Verdict
from benchmarks.macro.samples import Spread, spread
from benchmarks.macro.scenarios import Scenario

TITLE = "cold start to the first proxied answer"
WANTED_S = 1.0


def run(bench: Bench) -> Findings:
    """Every peer in turn, as often as there are rounds."""
    peers = [peer for peer in bench.peers if peer.name != "direct"]
    times: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for _ in range(bench.options.rounds):
        for peer in peers:
            times[peer.name].append(start_s(bench, peer))
    found = {name: spread(values) for name, values in times.items()}
    rows = [[name, one.text(3)] for name, one in found.items()]
    return Findings(
        "P9",
        TITLE,
        tables=[Table("Cold start on one core", ("peer", "seconds"), rows)],
        verdicts=verdicts(found),
        notes=["Files are in the page cache; the process is pinned to the proxy's core."],
        raw={"seconds": times},
    )


def start_s(bench: Bench, peer: Peer) -> float:
    """Seconds until a fresh connection got a 200, polled every millisecond."""
    began = time.monotonic()
    with bench.running(peer):
        return time.monotonic() - began


def verdicts(found: dict[str, Spread]) -> list[Verdict]:
    """The gateway's median."""
    if "gateway" not in found:
        return []
    one = found["gateway"]
    measured = f"{one.text(3)} s"
    return [Verdict("P9", TITLE, f"< {WANTED_S:g} s", measured, one.median < WANTED_S)]


SCENARIO = Scenario("p9", TITLE, run)
