"""Against nginx's algorithm taken literally, and against the shares that weights stand for."""

import ctypes
from collections import Counter
from fractions import Fraction
from itertools import islice
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway import _core
from gateway._core import Balancer
from tests.structures.models.balancer import shares, smooth_weighted_round_robin

U64 = 2**64
WEIGHTS = st.lists(st.integers(0, 40), min_size=1, max_size=10)


def picks(balancer: Balancer, count: int) -> list[int]:
    return [balancer.pick(0) for _ in range(count)]


@given(weights=WEIGHTS, factor=st.integers(1, 10_000_000))
def test_round_robin_is_nginx(weights: list[int], factor: int) -> None:
    balancer = Balancer("weighted_round_robin", [weight * factor for weight in weights], 0)
    expected = islice(smooth_weighted_round_robin(weights), 300)
    assert picks(balancer, 300) == list(expected)


@given(weights=WEIGHTS, seed=st.integers(0, U64 // 2))
def test_a_period_serves_each_by_its_weight_wherever_it_begins(
    weights: list[int], seed: int
) -> None:
    period = sum(weights) or len(weights)
    counts = Counter(picks(Balancer("weighted_round_robin", weights, seed), period))
    assert [counts[index] for index in range(len(weights))] == [
        share * period for share in shares(weights)
    ]


@given(weights=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8))
def test_oversized_weights_keep_their_shares(weights: list[int]) -> None:
    assume(any(weights))
    # The longest schedule, so at least one whole period and at most a part of one more.
    counts = Counter(picks(Balancer("weighted_round_robin", weights, 0), 65_536))
    for index, share in enumerate(shares(weights)):
        got = Fraction(counts[index], 65_536)
        assert abs(got - share) < Fraction(2 * len(weights), 65_536)
        assert (counts[index] > 0) == (share > 0)


@pytest.mark.parametrize(
    "weights",
    [[1], [1, 1], [3, 1], [1, 0, 2], [0, 0, 0], [1, 10, 100, 1000], [2**32 - 1, 2**31, 2**30, 0]],
    ids=str,
)
def test_random_follows_the_shares(weights: list[int]) -> None:
    random = Random(20_240_501)
    balancer = Balancer("weighted_random", weights, 0)
    draws = 200_000
    counts = Counter(balancer.pick(random.getrandbits(64)) for _ in range(draws))
    expected = {index: float(share * draws) for index, share in enumerate(shares(weights)) if share}
    assert counts.keys() <= expected.keys()
    chi_square = sum((counts[index] - want) ** 2 / want for index, want in expected.items())
    # Above the 99.99 % point for up to 3 degrees of freedom (21.1); the draws are seeded.
    assert chi_square < 21.1


@given(weights=WEIGHTS, random=st.integers(0, U64 - 1))
def test_random_never_picks_weight_zero(weights: list[int], random: int) -> None:
    assert shares(weights)[Balancer("weighted_random", weights, 0).pick(random)] > 0


@pytest.mark.parametrize(
    ("kind", "weights", "message"),
    [
        ("ewma2", [1], 'unknown kind "ewma2"; use one of weighted_round_robin, weighted_random'),
        ("weighted_random", [], "at least one endpoint"),
        ("weighted_random", [1] * 4097, "4097 endpoints, a service takes at most 4096"),
    ],
)
def test_refusals(kind: str, weights: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Balancer(kind, weights, 0)


def test_the_c_face_is_the_same_balancer() -> None:
    pick = ctypes.CDLL(_core.__file__).gw_balancer_pick
    pick.argtypes, pick.restype = [ctypes.c_void_p, ctypes.c_uint64], ctypes.c_uint32
    balancer = Balancer("weighted_round_robin", [5, 1, 1], 0)
    turns = [pick(balancer.address, 0), balancer.pick(0), pick(balancer.address, 0)]
    assert turns == [0, 0, 1]
