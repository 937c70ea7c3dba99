"""``python -m benchmarks.macro``: run scenarios, print the report, write it to results/."""

import argparse
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks.macro import machine, peers
from benchmarks.macro.bench import LOAD_CORE, Options, prepared
from benchmarks.macro.load import OPENLOOP, LoadError
from benchmarks.macro.parity import ParityError
from benchmarks.macro.peers.peer import Peer
from benchmarks.macro.processes import StartError
from benchmarks.macro.report import Findings, Report
from benchmarks.macro.scenarios import Scenario, discover

RESULTS = Path(__file__).parents[1] / "results"
QUICK = Options(rounds=2, seconds=2.0, floor_seconds=5.0, warmup_s=0.5)
"""Enough to see that everything works; not enough to quote."""
USAGE_ERROR = 2

T = TypeVar("T")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line. Options that are not given are None: quick or full defaults follow."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.macro", description=__doc__)
    listed = ", ".join(f"{s.name} ({s.title})" for s in discover().values())
    listed = listed.replace("%", "%%")  # argparse puts values in
    parser.add_argument("--only", help=f"scenarios, separated by commas: {listed}")
    names = ", ".join(peer.name for peer in peers.ALL)
    parser.add_argument("--peers", help=f"peers, separated by commas: {names}")
    parser.add_argument("--quick", action="store_true", help="short runs, to try it out")
    parser.add_argument("--rounds", type=int, help="rounds that must be quiet")
    parser.add_argument("--seconds", type=float, help="length of one window")
    parser.add_argument("--floor-seconds", type=float, help="length at 50,000 requests/s")
    parser.add_argument("--rate", type=float, help="the fixed rate, requests/s")
    parser.add_argument("--output", type=Path, default=RESULTS, help="directory of the results")
    parser.add_argument("--no-write", action="store_true", help="print the report only")
    return parser.parse_args(arguments)


def options_of(arguments: argparse.Namespace) -> Options:
    """Defaults, replaced by what was given."""
    start = QUICK if arguments.quick else Options()
    return Options(
        rounds=arguments.rounds or start.rounds,
        seconds=arguments.seconds or start.seconds,
        floor_seconds=arguments.floor_seconds or start.floor_seconds,
        warmup_s=start.warmup_s,
        rate_per_s=arguments.rate or start.rate_per_s,
    )


def chosen(wanted: str | None, known: dict[str, T]) -> dict[str, T]:
    """The named ones, or all. Raises ValueError with the known names."""
    if wanted is None:
        return known
    names = wanted.split(",")
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return {name: known[name] for name in names}


def prepare_process() -> None:
    """This program keeps off the proxy's core and may open as many files as it is allowed."""
    if (os.cpu_count() or 1) < 2:
        raise ValueError("two cores are needed: one for the proxy, one for the load")
    os.sched_setaffinity(0, {LOAD_CORE})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run_scenarios(
    scenarios: dict[str, Scenario], present: Sequence[Peer], options: Options
) -> list[Findings]:
    """All of them; one that fails is reported and does not stop the others."""
    findings = []
    with prepared(options, present) as bench:
        for scenario in scenarios.values():
            print(f"{scenario.name}: {scenario.title}", flush=True)
            try:
                findings.append(scenario.run(bench))
            except (LoadError, ParityError, StartError) as error:
                note = f"Failed: {error}"
                findings.append(Findings(scenario.name.upper(), scenario.title, notes=[note]))
    return findings


def main() -> int:
    """Exit code 0 whatever the figures are: a benchmark reports, tests judge."""
    arguments = parse_arguments()
    try:
        scenarios = chosen(arguments.only, discover())
        wanted = chosen(arguments.peers, {peer.name: peer for peer in peers.ALL})
        if not OPENLOOP.exists():
            raise ValueError("run `python -m benchmarks.macro.install` first")
        prepare_process()
    except ValueError as error:
        print(f"benchmarks.macro: {error}", file=sys.stderr)
        return USAGE_ERROR
    absent = {name: why for name, peer in wanted.items() if (why := peer.absent())}
    present = [peer for name, peer in wanted.items() if name not in absent]
    options = options_of(arguments)
    report = Report(
        machine=machine.describe(),
        versions={peer.name: peer.version() for peer in present},
        absent=absent,
        options=vars(options),
        findings=run_scenarios(scenarios, present, options),
    )
    print(report.to_markdown())
    if not arguments.no_write:
        for path in report.write(arguments.output):
            print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
