"""One decision, through Python (the C face: `cargo bench --bench limiter`); also by two processes
that ask about the same key.
"""

import mmap
import os
import time

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gateway._core import LIMIT_CELLS, Limits, Segment

SECOND_NS = 10**9
START_NS = 1000 * SECOND_NS
CALLS = 20_000
LIMITS = Limits(
    [
        ("bucket", 10_000_000, SECOND_NS, 10_000_000),
        ("sliding", 60, SECOND_NS, 0),
        ("sliding", 200_000, SECOND_NS, 0),
    ]
)


def new_segment() -> Segment:
    """Nobody has asked anything."""
    return Segment(mmap.mmap(-1, Segment.size_for(2)), 2, create=True)


@pytest.mark.parametrize(("kind", "rule"), [("bucket", 0), ("log", 1), ("window", 2)])
def test_one_key(benchmark: BenchmarkFixture, kind: str, rule: int) -> None:
    """A key whose cell is in the cache."""
    segment = new_segment()
    benchmark(LIMITS.acquire, segment, [(rule, 77, 1, True)], START_NS)


def test_three_levels(benchmark: BenchmarkFixture) -> None:
    """User, address, everybody."""
    segment = new_segment()
    asks = [(0, 77, 1, True), (0, LIMIT_CELLS // 2, 1, True), (0, LIMIT_CELLS - 1, 1, True)]
    benchmark(LIMITS.acquire, segment, asks, START_NS)


def acquire_often(segment: Segment, key: int) -> None:
    """`CALLS` decisions."""
    asks = [(0, key, 1, True)]
    for call in range(CALLS):
        LIMITS.acquire(segment, asks, START_NS + call * 1000)


@pytest.mark.parametrize("others", [0, 1])
def test_processes_on_one_cell(benchmark: BenchmarkFixture, others: int) -> None:
    """`CALLS` decisions while as many other processes ask about the same key."""
    segment = new_segment()
    children = []
    for _ in range(others):
        pid = os.fork()
        if pid == 0:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                acquire_often(segment, 77)
            os._exit(0)
        children.append(pid)
    try:
        benchmark(acquire_often, segment, 77)
    finally:
        for pid in children:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
