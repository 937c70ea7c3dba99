"""The wheel with 20,000 connections (without Python: `cargo bench --bench timer_wheel`)."""

from itertools import count

from pytest_benchmark.fixture import BenchmarkFixture

from gateway._core import TimerWheel

CONNECTIONS = 20_000


def filled() -> tuple[TimerWheel, list[int]]:
    """Build a wheel with the idle timeouts of all connections."""
    wheel = TimerWheel(0)
    return wheel, [wheel.insert(75_000 + number) for number in range(CONNECTIONS)]


def test_push_back(benchmark: BenchmarkFixture) -> None:
    """What every request does to its connection's timeout."""
    wheel, handles = filled()
    benchmark(wheel.update, handles[7], 100_000)


def test_an_idle_tick(benchmark: BenchmarkFixture) -> None:
    """A tick in which nothing is due."""
    wheel = TimerWheel(0)
    for _ in range(CONNECTIONS):
        wheel.insert(2**62)
    ticks = count(100, 100)
    benchmark(lambda: wheel.advance(next(ticks)))
