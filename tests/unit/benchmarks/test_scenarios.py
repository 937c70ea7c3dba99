import contextlib
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.macro.__main__ import QUICK, chosen, options_of, parse_arguments
from benchmarks.macro.bench import Options
from benchmarks.macro.load import LoadError
from benchmarks.macro.processes import Memory
from benchmarks.macro.samples import Rounds
from benchmarks.macro.scenarios import (
    cold_start,
    counts,
    credentials,
    discover,
    floor,
    growth,
    memory,
    misses,
    plain,
    reload,
)
from tests.unit.benchmarks.cells import sample

STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 45.00    0.200000           6     12000           sendto
 40.00    0.180000           6     12064        64 recvfrom
 15.00    0.060000          12      5000           epoll_pwait
  0.00    0.000010           1         6           write
------ ----------- ----------- --------- --------- ----------------
100.00    0.440010          15     29070        64 total
"""


def test_help_names_all_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert all(f"{name} ({s.title})" in shown for name, s in discover().items())


def test_scenarios_come_in_the_order_of_their_numbers() -> None:
    names = list(discover())
    assert names == sorted(names, key=lambda name: int(name[1:]))
    assert {"p1", "p3", "p4", "p5", "p8", "p9", "p10"} <= set(names)


def test_selection_by_name() -> None:
    known = {"p1": 1, "p5": 5}
    assert chosen(None, known) == known
    assert chosen("p5", known) == {"p5": 5}
    with pytest.raises(ValueError, match="unknown: p7; known: p1, p5"):
        chosen("p7", known)


def test_options_replace_defaults() -> None:
    assert options_of(parse_arguments([])) == Options()
    assert options_of(parse_arguments(["--quick", "--rounds", "3"])) == replace(QUICK, rounds=3)


def test_plain_is_judged_against_both_haproxies() -> None:
    cells = {"gateway": sample(9.0), "haproxy": sample(10.0), "haproxy-bare": sample(9.2)}
    found = plain.judged(["gateway", "haproxy", "haproxy-bare"], Rounds([cells], [], quiet=True))
    assert [verdict.met for verdict in found] == [True, False]


def test_noise_decides_nothing() -> None:
    cells = {"gateway": sample(9.0), "haproxy": sample(10.0)}
    found = plain.judged(["gateway", "haproxy"], Rounds([cells], [], quiet=False))
    assert [verdict.met for verdict in found] == [None]
    assert plain.judged(["haproxy"], Rounds([cells], [], quiet=True)) == []


def test_the_limit_at_saturation() -> None:
    bound, free = sample(10.0, completed=50_000, load_busy=0.99), sample(10.0)
    assert plain.limit_text("gateway", [bound, bound]) == "generator + upstream"
    assert plain.limit_text("gateway", [sample(10.0, completed=98_000)]) == "proxy"
    assert plain.limit_text("gateway", [free, bound]) == "not clear"


def reached(rate: float, **figures: float) -> floor.Climb:
    one = sample(completed=int(rate), **figures)  # type: ignore[arg-type]  # ints and floats mixed
    return floor.Climb(64, rate, one, one)


def test_the_promised_rate() -> None:
    assert floor.verdict(reached(50_000, cpu_us=10.0)).met is True
    assert floor.verdict(reached(50_000, cpu_us=15.0)).met is False, "75 % of a core"
    assert floor.verdict(reached(50_000, cpu_us=10.0, p99_ms=6.0)).met is False
    assert floor.verdict(reached(40_000, cpu_us=10.0)).met is False
    assert floor.verdict(reached(40_000, cpu_us=10.0, load_busy=0.99)).met is None
    assert floor.verdict(reached(40_000, cpu_us=10.0, steal=0.03)).met is None


def test_what_kept_a_run_from_its_rate() -> None:
    assert floor.limit(sample(load_busy=0.5)) == "the gateway"
    assert floor.limit(sample(load_busy=0.99)) == "generator and upstream"
    assert floor.limit(sample(steal=0.03)) == "not clear, steal 3.0%"


def test_capacity_is_computed_from_the_cost_of_a_request() -> None:
    assert reached(40_000, cpu_us=10.0).capacity_per_s == pytest.approx(70_000)


def test_the_floor_is_decided_at_the_promised_rate_only() -> None:
    def words(climbs: list[floor.Climb]) -> list[str]:
        return [row[-1] for row in floor.floor_table(climbs, memory=100 << 20).rows]

    good = reached(50_000, cpu_us=10.0)
    assert words([good, good]) == ["met"] * 5
    assert words([good, reached(30_000, load_busy=0.99)]) == ["not decided"] * 5
    assert words([good, reached(50_000, p99_ms=200.0)])[1] == "**not met**"


def test_growth_is_the_ratio_of_many_by_few() -> None:
    cells = {"10": sample(10.0), "10000": sample(10.4)}
    rounds = Rounds([cells], [], quiet=True)
    assert growth.verdict("routes", (10, 10_000), 1.05, rounds).met is True
    assert growth.verdict("routes", (10, 10_000), 1.03, rounds).met is False


@pytest.mark.parametrize(
    ("failed", "p99_ms", "quiet", "met"),
    [
        (0, 2.0, True, True),
        (0, 2.9, True, True),
        (0, 5.0, True, False),
        (1, 2.0, True, False),
        (0, 5.0, False, None),
        (1, 2.0, False, None),
    ],
)
def test_a_reload_may_cost_nothing(failed: int, p99_ms: float, quiet: bool, met: object) -> None:
    cells = {
        reload.CALM: sample(p99_ms=2.0),
        reload.RELOADING: sample(p99_ms=p99_ms, failed=failed),
    }
    assert reload.verdict(Rounds([cells], [], quiet=quiet)).met is met


def test_a_reload_is_not_to_blame_for_a_load_that_fails_without_it() -> None:
    cells = {reload.CALM: sample(failed=5), reload.RELOADING: sample(failed=5)}
    assert reload.verdict(Rounds([cells], [], quiet=True)).met is None


@pytest.mark.parametrize(("failed", "met"), [(0, [True, True, False]), (9, [None] * 3)])
def test_memory_is_judged_when_every_connection_was_used(failed: int, met: list[object]) -> None:
    idle, loaded = Memory(pss=40 << 20, rss=60 << 20), Memory(pss=390 << 20, rss=400 << 20)
    footprint = memory.Footprint(idle, idle, loaded, failed)
    assert [verdict.met for verdict in memory.verdicts(footprint)] == met


@pytest.mark.parametrize(
    ("seconds", "disturbed", "met"),
    [(0.4, False, True), (0.4, True, True), (1.4, False, False), (1.4, True, None)],
)
def test_a_disturbance_excuses_a_slow_start(seconds: float, disturbed: bool, met: object) -> None:
    starts = [cold_start.Start(seconds, 0.3, disturbed)] * 3
    assert cold_start.verdict(starts).met is met


def test_system_calls_per_request() -> None:
    calls = counts.parse_strace(STRACE)
    assert calls == {"sendto": 12_000, "recvfrom": 12_064, "epoll_pwait": 5_000, "write": 6}
    groups = counts.grouped({name: count / 6_000 for name, count in calls.items()})
    assert groups["send"] == pytest.approx(2.001)
    assert groups["other"] == pytest.approx(0)


def test_counts_are_judged() -> None:
    good = {"recvfrom": 2.01, "sendto": 2.0, "epoll_ctl": 0.02, "epoll_wait": 1.5}
    assert all(verdict.met for verdict in counts.verdicts(good))
    worse = {**good, "epoll_ctl": 2.0}
    assert [verdict.met for verdict in counts.verdicts(worse)] == [True, True, False]


def judged_misses(*pairs: tuple[float, float]) -> bool | None:
    rounds = [
        {misses.KNOWN: sample(p99_ms=known), misses.NEW: sample(p99_ms=new)} for known, new in pairs
    ]
    return misses.verdict(Rounds(rounds, [], quiet=True)).met


def test_misses_are_judged_within_each_round() -> None:
    assert judged_misses((1.0, 1.9), (5.0, 5.5), (1.0, 9.0)) is True
    assert judged_misses((1.0, 2.1), (5.0, 6.1), (1.0, 1.0)) is False
    lost = {misses.KNOWN: sample(), misses.NEW: sample(failed=1)}
    assert misses.verdict(Rounds([lost], [], quiet=True)).met is False


@pytest.mark.parametrize("status", [200, 401])
def test_each_token_is_shown_at_its_time(status: int) -> None:
    shown = []

    class Service(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            shown.append(self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever).start()
    outcome: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    if status == 401:
        outcome = pytest.raises(LoadError, match="refused, the first with 401")
    try:
        with outcome, misses.asked_with(server.server_port, ["a", "b"], 100.0):
            time.sleep(0.3)
    finally:
        server.shutdown()
        server.server_close()
    assert shown == ["Bearer a", "Bearer b"]


@pytest.mark.parametrize(
    ("added_us", "failed", "met"), [(0.4, 0, True), (0.6, 0, False), (0.0, 1, False)]
)
def test_a_credential_is_judged_by_what_it_adds(added_us: float, failed: int, met: bool) -> None:
    cells = {
        credentials.PAIRS["key"]: sample(10.0),
        "key": sample(10.0 + added_us, failed=failed),
    }
    assert credentials.verdict(Rounds([cells], [], quiet=True), "key").met is met
