import json

import pytest

from benchmarks.macro.load import LoadError, parse_duration, parse_openloop, parse_wrk

WRK = """\
Running 6s test @ http://127.0.0.1:9000/identity/profile
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.23ms    2.00ms  21.50ms   95.00%
    Req/Sec    51.20k     3.10k   58.00k    70.00%
  Latency Distribution
     50%  812.00us
     75%    1.10ms
     90%    2.00ms
     99%    6.31ms
  305120 requests in 6.10s, 60.00MB read
Requests/sec:  50019.67
Transfer/sec:      9.84MB
"""


def openloop_line(**changes: object) -> str:
    latency = {"p50": 150, "p90": 700, "p99": 4851, "p999": 7751, "max": 9503}
    counts = {
        "window_s": 2,
        "offered": 16_000,
        "answered": 16_000,
        "completed_in_window": 15_998,
        "non_2xx": 0,
        "malformed": 0,
        "reset": 0,
        "connect_failures": 0,
        "reconnects": 0,
        "backlog_max": 0,
        "latency_us": latency,
        "lateness_us": {**latency, "p99": 2601},
    }
    return json.dumps({**counts, **changes})


def test_wrk_counts_and_percentiles() -> None:
    outcome = parse_wrk(WRK)
    assert (outcome.completed, outcome.window_s, outcome.failed) == (305_120, 6.10, 0)
    assert outcome.latency.p50 == pytest.approx(0.812)
    assert outcome.latency.p99 == pytest.approx(6.31)
    assert outcome.latency.max == pytest.approx(21.5)


def test_wrk_failures_of_both_kinds_add_up() -> None:
    broken = "  Socket errors: connect 1, read 2, write 3, timeout 4\n"
    refused = "  Non-2xx or 3xx responses: 20\n"
    assert parse_wrk(WRK + broken + refused).failed == 30


@pytest.mark.parametrize("cut", ["requests in", "99%", "Latency   "])
def test_wrk_output_without_a_figure_is_an_error(cut: str) -> None:
    lines = [line for line in WRK.splitlines() if cut not in line]
    with pytest.raises(LoadError, match="wrk printed no"):
        parse_wrk("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "seconds"), [("812.00us", 812e-6), ("6.31ms", 6.31e-3), ("1.02s", 1.02), ("2m", 120)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


def test_a_duration_without_unit_is_an_error() -> None:
    with pytest.raises(LoadError, match="'12'"):
        parse_duration("12")


def test_openloop_microseconds_become_milliseconds() -> None:
    outcome = parse_openloop(openloop_line())
    assert outcome.latency.p99 == pytest.approx(4.851)
    assert outcome.lateness_p99_ms == pytest.approx(2.601)
    assert (outcome.completed, outcome.failed) == (15_998, 0)


def test_every_kind_of_openloop_failure_counts_once() -> None:
    line = openloop_line(answered=15_990, reset=4, malformed=1, non_2xx=7, connect_failures=2)
    assert parse_openloop(line).failed == 10 + 7 + 2


@pytest.mark.parametrize("line", ["", "begin", "{}", '{"latency_us": 3}'])
def test_openloop_output_that_cannot_be_read_is_an_error(line: str) -> None:
    with pytest.raises(LoadError, match="openloop printed"):
        parse_openloop(line)
