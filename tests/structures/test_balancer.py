"""Against nginx's algorithm taken literally, and against the shares that weights stand for."""

from collections import Counter
from fractions import Fraction
from itertools import islice
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway._core import Balancer, hash_key
from tests.structures.models import balancer as model
from tests.structures.models.balancer import ring_order, shares, smooth_weighted_round_robin

U64 = 2**64
WEIGHTS = st.lists(st.integers(0, 40), min_size=1, max_size=10)


KINDS = ["weighted_round_robin", "weighted_random", "least_request", "ewma", "consistent_hash"]
URLS = [f"http://10.0.0.{number}:8080" for number in range(12)]


def picks(balancer: Balancer, count: int) -> list[int]:
    return [balancer.pick(0) for _ in range(count)]  # type: ignore[misc]


def chi_square(counts: Counter[int | None], weights: list[int]) -> float:
    draws = counts.total()
    expected = {index: float(share * draws) for index, share in enumerate(shares(weights)) if share}
    assert counts.keys() <= expected.keys()
    return sum((counts[index] - want) ** 2 / want for index, want in expected.items())


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
@pytest.mark.parametrize("kind", ["weighted_random", "least_request", "ewma"])
def test_draws_follow_the_shares(kind: str, weights: list[int]) -> None:
    """Idle endpoints: the power of two choices has nothing to choose by but the weights."""
    random = Random(20_240_501)
    balancer = Balancer(kind, weights, 0)
    counts = Counter(balancer.pick(random.getrandbits(64)) for _ in range(100_000))
    # Above the 99.99 % point for up to 3 degrees of freedom (21.1); the draws are seeded.
    assert chi_square(counts, weights) < 21.1


@given(weights=WEIGHTS, random=st.integers(0, U64 - 1))
def test_random_never_picks_weight_zero(weights: list[int], random: int) -> None:
    for kind in KINDS:
        picked = Balancer(kind, weights, 0).pick(random, random)
        assert picked is not None
        assert shares(weights)[picked] > 0


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


@given(
    weights=WEIGHTS,
    random=st.integers(0, U64 - 1),
    kind=st.sampled_from(KINDS),
    refusing=st.sets(st.integers(0, 9)),
)
def test_who_refuses_is_never_picked_and_somebody_is_if_one_accepts(
    weights: list[int], random: int, kind: str, refusing: set[int]
) -> None:
    picked = Balancer(kind, weights, random).pick(random, random, refusing=sorted(refusing))
    open_to_all = {index for index, share in enumerate(shares(weights)) if share} - refusing
    assert picked in open_to_all if open_to_all else picked is None


# --- Consistent hashing ---------------------------------------------------------------------------


@given(key=st.binary(max_size=40))
def test_the_hash_is_the_model_s(key: bytes) -> None:
    assert hash_key(key) == model.hash_key(key)


@given(
    weights=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    key=st.integers(0, U64 - 1),
    refusing=st.sets(st.integers(0, 5)),
)
def test_the_ring_is_the_model_s(weights: list[int], key: int, refusing: set[int]) -> None:
    urls = URLS[: len(weights)]
    order = [index for index in ring_order(weights, urls, key) if index not in refusing]
    balancer = Balancer("consistent_hash", weights, 0, urls)
    assert balancer.pick(0, key, refusing=sorted(refusing)) == (order[0] if order else None)


@given(gone=st.integers(0, 9), keys=st.lists(st.integers(0, U64 - 1), min_size=1))
def test_only_the_keys_of_an_endpoint_that_leaves_move(gone: int, keys: list[int]) -> None:
    """… and when it comes back, only to it: whatever its place in the list."""
    urls = URLS[:10]
    fewer = urls[:gone] + urls[gone + 1 :]
    before = Balancer("consistent_hash", [1] * 10, 0, urls)
    after = Balancer("consistent_hash", [1] * 9, 0, fewer[::-1])
    for key in keys:
        first, second = before.pick(0, key), after.pick(0, key)
        assert first is not None
        assert second is not None
        assert urls[first] == fewer[::-1][second] or first == gone


def test_hashed_shares_are_even() -> None:
    balancer = Balancer("consistent_hash", [1] * 10, 0, URLS[:10])
    counts = Counter(balancer.pick(0, model.mix(key)) for key in range(50_000))
    assert all(0.7 < count / 5000 < 1.3 for count in counts.values()), counts


@given(keys=st.lists(st.integers(0, U64 - 1), min_size=1, max_size=60), skew=st.booleans())
def test_bounded_load(keys: list[int], skew: bool) -> None:
    """However the keys fall, nobody has more than a quarter above its share, rounded up."""
    balancer = Balancer("consistent_hash", [1] * 4, 0, URLS[:4], max_load_percent=125)
    in_flight = [0] * 4
    for key in keys:
        picked = balancer.pick(0, keys[0] if skew else key, in_flight=in_flight)
        assert picked is not None
        in_flight[picked] += 1
    assert max(in_flight) <= -(-len(keys) * 125 // 400)
