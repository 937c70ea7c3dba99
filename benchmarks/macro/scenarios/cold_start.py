"""P9: from the command to the first proxied answer."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.macro.bench import PROXY_CORE, Bench
from benchmarks.macro.machine import FOREIGN_MAX, STEAL_MAX, core_ticks, core_use
from benchmarks.macro.peers.peer import Peer
from benchmarks.macro.processes import NO_TIME, cpu_by_process
from benchmarks.macro.report import Findings, Table, Verdict
from benchmarks.macro.samples import spread
from benchmarks.macro.scenarios import Scenario

TITLE = "cold start to the first proxied answer"
WANTED_S = 1.0


@dataclass(frozen=True)
class Start:
    """One start. `disturbed`: others took time of the core, so that it lasted longer."""

    seconds: float
    cpu_s: float
    disturbed: bool


def run(bench: Bench) -> Findings:
    """Every peer in turn, as often as there are rounds."""
    peers = [peer for peer in bench.peers if peer.name != "direct"]
    starts: dict[str, list[Start]] = {peer.name: [] for peer in peers}
    for _ in range(bench.options.rounds):
        for peer in peers:
            starts[peer.name].append(start(bench, peer))
    rows = [
        [
            name,
            spread(one.seconds for one in found).text(3),
            spread(one.cpu_s for one in found).text(3),
            f"{sum(one.disturbed for one in found)} of {len(found)}",
        ]
        for name, found in starts.items()
    ]
    columns = ("peer", "seconds", "CPU seconds, all processes", "disturbed")
    return Findings(
        "P9",
        TITLE,
        tables=[Table("Cold start on one core", columns, rows)],
        verdicts=[verdict(starts["gateway"])] if "gateway" in starts else [],
        notes=["Files are in the page cache; the process is pinned to the proxy's core."],
        raw={name: [asdict(one) for one in found] for name, found in starts.items()},
    )


def start(bench: Bench, peer: Peer) -> Start:
    """Starts a peer and waits until a fresh connection got a 200, polled every millisecond."""
    before, began = core_ticks()[PROXY_CORE], time.monotonic()
    with bench.running(peer) as (instance,):
        seconds = time.monotonic() - began
        use = core_use(before, core_ticks()[PROXY_CORE])
        assert instance.process is not None
        cpu_s = sum(cpu_by_process(instance.process.pid).values(), NO_TIME).total_s
    foreign = use.busy - cpu_s / seconds
    return Start(seconds, cpu_s, disturbed=use.steal > STEAL_MAX or foreign > FOREIGN_MAX)


def verdict(starts: Sequence[Start]) -> Verdict:
    """The median. A disturbance only lengthens a start, so it can excuse one but not make one."""
    found = spread(one.seconds for one in starts)
    met = True if found.median < WANTED_S else None if any(s.disturbed for s in starts) else False
    return Verdict("P9", TITLE, f"< {WANTED_S:g} s", f"{found.text(3)} s", met)


SCENARIO = Scenario("p9", TITLE, run)
