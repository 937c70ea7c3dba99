"""One pick, through Python (the C face: `cargo bench --bench balancer`)."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gateway._core import Balancer


@pytest.mark.parametrize("kind", ["weighted_round_robin", "weighted_random"])
@pytest.mark.parametrize("endpoints", [3, 1000])
def test_pick(benchmark: BenchmarkFixture, kind: str, endpoints: int) -> None:
    """One choice."""
    balancer = Balancer(kind, list(range(1, endpoints + 1)), 0)
    benchmark(balancer.pick, 0x9E37_79B9_7F4A_7C15)


@pytest.mark.parametrize("endpoints", [8, 256])
def test_build_with_awkward_weights(benchmark: BenchmarkFixture, endpoints: int) -> None:
    """Weights without a common divisor: the longest schedule."""
    weights = [number * 7919 + 1 for number in range(endpoints)]
    benchmark(Balancer, "weighted_round_robin", weights, 0)
