"""P10: system calls per request, counted by strace. Counts do not depend on the machine's mood."""

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.macro import load
from benchmarks.macro.bench import LOAD_CORE, Bench
from benchmarks.macro.load import LoadError, OpenLoopPlan
from benchmarks.macro.peers.peer import Instance
from benchmarks.macro.report import Findings, Table, Verdict
from benchmarks.macro.scenarios import Scenario

TITLE = "system calls per request"
RATE_PER_S = 1_000
"""Slow enough for a traced process: strace stops it twice for each call."""
SECONDS = 4.0
GRACE_S = 20.0
"""Calls are counted, not time: a slow answer is waited for."""
ATTACH_S = 5.0
RECEIVE = ("recvfrom", "recvmsg", "read", "readv")
SEND = ("sendto", "sendmsg", "write", "writev")
GROUPS = {
    "receive": RECEIVE,
    "send": SEND,
    "epoll_ctl": ("epoll_ctl", "io_uring_enter"),  # libuv sends it through a ring in batches
    "epoll_wait": ("epoll_wait", "epoll_pwait", "epoll_pwait2"),
}
TOLERANCE = 0.05
"""For the 64 connections that are opened, and for timers: per request on 4,000 requests."""
WANTED = {"receive": 2.0, "send": 2.0, "epoll_ctl": 0.0}


def run(bench: Bench) -> Findings:
    """Every peer in turn."""
    if shutil.which("strace") is None:
        return Findings("P10", TITLE, notes=["strace is missing (Debian: strace)."])
    found: dict[str, dict[str, float]] = {}
    for peer in bench.peers:
        if peer.name != "direct":
            with bench.running(peer) as (instance,):
                found[peer.name] = per_request(bench, instance)
    return Findings(
        "P10",
        TITLE,
        tables=[table(found)],
        verdicts=verdicts(found["gateway"]) if "gateway" in found else [],
        notes=["Python frames per request are counted by tests/guards."],
        raw=found,
    )


def per_request(bench: Bench, instance: Instance) -> dict[str, float]:
    """System call → how often it was made for one request."""
    worker = bench.worker_pid(instance)
    output = instance.place.directory / "strace.txt"
    plan = OpenLoopPlan(
        port=instance.port,
        rate_per_s=RATE_PER_S,
        connections=bench.options.connections,
        seconds=SECONDS,
        warmup_s=0.0,
        grace_s=GRACE_S,
    )
    directory = instance.place.directory
    with strace(worker, output), load.open_loop(plan, LOAD_CORE, directory) as running:
        running.begin().end()
        outcome = running.outcome()
    if outcome.failed:
        raise LoadError(f"{instance.name}: {outcome.failed} requests failed under strace")
    return {
        name: calls / outcome.offered for name, calls in parse_strace(output.read_text()).items()
    }


@contextmanager
def strace(pid: int, output: Path) -> Iterator[None]:
    """Counts the system calls of a process and its threads until the block is left."""
    argv = ["strace", "-c", "-f", "-p", str(pid), "-o", str(output)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            if "attached" not in line:
                raise LoadError(f"strace: {line.strip()}")
            time.sleep(0.1)  # it attaches to the other threads one by one
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            process.wait(ATTACH_S)


def parse_strace(text: str) -> dict[str, int]:
    """The table of ``strace -c`` → calls by name."""
    calls = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) in (5, 6) and fields[3].isdigit() and fields[-1] != "total":
            calls[fields[-1]] = int(fields[3])
    return calls


def grouped(calls: Mapping[str, float]) -> dict[str, float]:
    """Calls per request by what they are for; the rest as ``other``."""
    groups = {group: sum(calls.get(name, 0.0) for name in names) for group, names in GROUPS.items()}
    groups["other"] = sum(calls.values()) - sum(groups.values())
    return groups


def table(found: Mapping[str, Mapping[str, float]]) -> Table:
    """One row for each peer."""
    rows = []
    for name, calls in found.items():
        groups = grouped(calls)
        known = {call for names in GROUPS.values() for call in names}
        others = sorted((c for c in calls if c not in known), key=lambda c: -calls[c])
        main = ", ".join(f"{c} {calls[c]:.2f}" for c in others[:3] if calls[c] >= TOLERANCE)
        rows.append([name, *(f"{count:.2f}" for count in groups.values()), main or "–"])
    columns = ("peer", *GROUPS, "other", "of the others")
    title = f"The worker at {RATE_PER_S:,} requests/s"
    return Table(title, columns, rows)


def verdicts(calls: Mapping[str, float]) -> list[Verdict]:
    """P10; epoll_wait has no target, it depends on the load."""
    groups = grouped(calls)
    return [
        Verdict(
            "P10",
            f"{group} per request",
            f"{wanted:g} (± {TOLERANCE})",
            f"{groups[group]:.3f}",
            abs(groups[group] - wanted) <= TOLERANCE,
        )
        for group, wanted in WANTED.items()
    ]


SCENARIO = Scenario("p10", TITLE, run)
