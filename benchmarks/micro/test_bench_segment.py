"""Counting and collecting (without Python: `cargo bench --bench segment`)."""

import mmap

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gateway._core import Segment
from gateway.telemetry.metrics import render


def fresh(workers: int) -> Segment:
    """Map and lay out a segment."""
    return Segment(mmap.mmap(-1, Segment.size_for(workers)), workers, create=True)


def test_observe(benchmark: BenchmarkFixture) -> None:
    """Count one request."""
    segment = fresh(1)
    benchmark(segment.observe, 0, 1, 2, "GET", 200, 700_000)


def test_intern_a_known_label(benchmark: BenchmarkFixture) -> None:
    """What a reload does for each route that stays."""
    segment = fresh(1)
    for number in range(10_000):
        segment.intern(f"/{number}")
    benchmark(segment.intern, "/5000")


@pytest.mark.parametrize("series", [100, 10_000])
def test_scrape(benchmark: BenchmarkFixture, series: int) -> None:
    """Sum four workers and render the text."""
    segment = fresh(4)
    for route in range(series):
        segment.observe(route % 4, segment.intern(f"/{route}"), 0, "GET", 200, 700_000)
    benchmark(lambda: render(segment.collect()))
