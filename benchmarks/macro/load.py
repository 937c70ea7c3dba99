"""The two kinds of load: wrk for saturation (closed loop), openloop for a fixed rate.

Why not h2load ``--h1 --rps`` for the fixed rate: its timer has a resolution of 10 ms, and it
starts a request's clock when the request is sent, not when it was due. After a stall of one second
in five, at 1,000 requests/s, it reports a mean of 3 ms where one request in five was late by up
to a second; openloop reports the 90th percentile of 550 ms that these had.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.macro import request
from benchmarks.macro.peers.peer import CACHE

OPENLOOP_SOURCE = Path(__file__).parent / "openloop"
OPENLOOP = CACHE / "target" / "release" / "openloop"
DURATION_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


class LoadError(Exception):
    """A generator failed or printed what cannot be read."""


@dataclass(frozen=True)
class Latency:
    """Percentiles in milliseconds."""

    p50: float
    p90: float
    p99: float
    p999: float | None
    max: float


@dataclass(frozen=True)
class Outcome:
    """What a generator saw in its measured window."""

    window_s: float
    offered: int
    completed: int
    failed: int
    """Answers other than 2xx, connections that broke under a request, requests unanswered."""
    latency: Latency
    lateness_p99_ms: float | None
    """How late the generator itself was; None for a closed loop, which has no schedule."""


@dataclass(frozen=True)
class OpenLoopPlan:
    """A load at a fixed rate."""

    port: int
    rate_per_s: float
    connections: int
    seconds: float
    warmup_s: float
    paths: Sequence[str] = (request.PATH,)
    fields: Sequence[str] = tuple(request.field_lines())
    """The lines of each request's head."""
    grace_s: float = 2.0
    """How long after the window an answer is waited for before it counts as missing."""


class OpenLoop:
    """A running openloop process. Call `begin`, `end` and `outcome` in this order; its
    connections stay open until the block of `open_loop` is left.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def begin(self) -> Self:
        """Waits until the warm-up has ended."""
        self._expect("begin")
        return self

    def end(self) -> None:
        """Waits until the measured window has ended."""
        self._expect("end")

    def outcome(self) -> Outcome:
        """Waits for the last answers and returns the counts."""
        return parse_openloop(self._line())

    def _expect(self, word: str) -> None:
        if (line := self._line()) != word:
            raise LoadError(f"openloop printed {line!r} where {word!r} was expected")

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            assert self._process.stderr is not None
            raise LoadError(self._process.stderr.read().strip() or "openloop ended early")
        return line


@contextmanager
def open_loop(plan: OpenLoopPlan, core: int, directory: Path) -> Iterator[OpenLoop]:
    """Runs openloop on a core."""
    fields, paths = directory / "fields.txt", directory / "paths.txt"
    fields.write_text("\n".join(plan.fields))
    paths.write_text("\n".join(plan.paths))
    argv = [
        *("taskset", "-c", str(core), str(OPENLOOP)),
        *("--target", f"127.0.0.1:{plan.port}"),
        *("--rate", str(plan.rate_per_s)),
        *("--connections", str(plan.connections)),
        *("--seconds", str(plan.seconds)),
        *("--warmup", str(plan.warmup_s)),
        *("--grace", str(plan.grace_s)),
        *("--fields", str(fields)),
        *("--paths", str(paths)),
    ]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield OpenLoop(process)
        except BaseException:
            process.kill()
            raise
        finally:
            if process.stdin is not None:
                process.stdin.close()


def parse_openloop(line: str) -> Outcome:
    """The line of JSON that openloop prints."""
    try:
        counts: dict[str, Any] = json.loads(line)
        latency = {name: value / 1000 for name, value in counts["latency_us"].items()}
        unanswered = counts["offered"] - counts["answered"]
        return Outcome(
            window_s=counts["window_s"],
            offered=counts["offered"],
            completed=counts["completed_in_window"],
            failed=unanswered + counts["non_2xx"] + counts["connect_failures"],
            latency=Latency(**latency),
            lateness_p99_ms=counts["lateness_us"]["p99"] / 1000,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LoadError(f"openloop printed {line!r}: {error!r}") from error


def run_wrk(
    port: int, connections: int, seconds: float, core: int, path: str = request.PATH
) -> Outcome:
    """Saturation: every connection sends its next request when the last one is answered."""
    argv = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s"]
    for line in request.field_lines():
        argv += ["-H", line]
    argv += ["--latency", f"http://127.0.0.1:{port}{path}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if done.returncode:
        raise LoadError(f"wrk failed: {done.stdout}{done.stderr}")
    return parse_wrk(done.stdout)


def parse_duration(text: str) -> float:
    """A duration as wrk prints it, ``812.00us``, ``6.31ms``, ``1.02s``, ``1.00m`` → seconds."""
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if not found:
        raise LoadError(f"wrk printed {text!r} where a duration was expected")
    return float(found[1]) * DURATION_S[found[2]]


def parse_wrk(text: str) -> Outcome:
    """What ``wrk --latency`` prints. Its latencies hide stalls, as those of any closed loop."""
    total = re.search(r"(\d+) requests in ([\d.]+\w+),", text)
    if not total:
        raise LoadError(f"wrk printed no total:\n{text}")
    lines = re.findall(r"^\s+(\d+)%\s+(\S+)$", text, re.MULTILINE)
    percentiles = {name: parse_duration(value) * 1000 for name, value in lines}
    longest = re.search(r"Latency +\S+ +\S+ +(\S+)", text)
    if longest is None or not percentiles.keys() >= {"50", "90", "99"}:
        raise LoadError(f"wrk printed no latencies (needs --latency):\n{text}")
    completed = int(total[1])
    return Outcome(
        window_s=parse_duration(total[2]),
        offered=completed,
        completed=completed,
        failed=wrk_failures(text),
        latency=Latency(
            p50=percentiles["50"],
            p90=percentiles["90"],
            p99=percentiles["99"],
            p999=None,
            max=parse_duration(longest[1]) * 1000,
        ),
        lateness_p99_ms=None,
    )


def wrk_failures(text: str) -> int:
    """Answers other than 2xx and 3xx, and socket errors of every kind."""
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: (.+)", text)
    counts = re.findall(r"\d+", broken[1]) if broken else []
    return (int(refused[1]) if refused else 0) + sum(map(int, counts))
