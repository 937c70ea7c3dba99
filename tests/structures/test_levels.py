"""Endpoints of several priorities and zones: who gets how many of the requests."""

import mmap
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from gateway._core import EndpointSet, Segment

KINDS = ["weighted_round_robin", "weighted_random", "least_request", "ewma", "consistent_hash"]
NOW = 1000
DRAWS = 30_000
CRITICAL = {1: 15.1, 2: 18.4, 3: 21.1, 4: 23.5, 5: 25.7}
"""Chi-square by degrees of freedom: what chance exceeds once in ten thousand times."""


class Service:
    """One service's endpoints, each with weight, priority and zone."""

    def __init__(self, *endpoints: tuple[int, int, str | None], **more: Any) -> None:
        self.segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
        names = [f"http://{number}" for number in range(len(endpoints))]
        self.places = [self.segment.place(name, NOW) for name in names]
        listed = [
            (place, weight, name, priority, zone)
            for place, name, (weight, priority, zone) in zip(
                self.places, names, endpoints, strict=True
            )
        ]
        settings: dict[str, Any] = {"kind": "weighted_random", "checked": True, **more}
        self.endpoints = EndpointSet(
            self.segment, 0, 0, endpoints=listed, seed=0, now_ms=NOW, **settings
        )

    def down(self, *numbers: int) -> None:
        """These are unhealthy, and all others are not."""
        for number, place in enumerate(self.places):
            health = "unhealthy" if number in numbers else "healthy"
            self.segment.set_health(place, health, NOW)
        self.endpoints.refresh(NOW)

    def picked(self, count: int = DRAWS, **more: Any) -> Counter[Any]:
        random = Random(11)
        return Counter(
            self.endpoints.pick(NOW, random.getrandbits(64), random.getrandbits(64), **more)
            for _ in range(count)
        )


def assert_shares(picked: Counter[Any], shares: Sequence[float]) -> None:
    """The counts are what chance makes of these shares (Pearson's chi-square)."""
    assert all(picked[number] == 0 for number, share in enumerate(shares) if share == 0), picked
    expected = {number: DRAWS * share for number, share in enumerate(shares) if share}
    assert sum(picked[number] for number in expected) == DRAWS, picked
    found = sum((picked[number] - wanted) ** 2 / wanted for number, wanted in expected.items())
    assert found < CRITICAL.get(len(expected) - 1, 1e-9 if len(expected) == 1 else 0), picked


NEAR, FAR = (1, 0, "a"), (1, 0, "b")


def test_the_own_zone_gets_everything_as_long_as_it_can() -> None:
    service = Service(NEAR, FAR, NEAR, FAR, zone="a")
    assert_shares(service.picked(), [0.5, 0, 0.5, 0])


def test_the_rest_goes_on_in_proportion() -> None:
    service = Service(NEAR, FAR, NEAR, FAR, (2, 0, "b"), zone="a")
    # Two of six parts, where one of two zones should have three: 1.4 x 2/3.
    near = 1.4 * 2 / 3
    far = 1 - near
    assert_shares(service.picked(), [near / 2, far / 4, near / 2, far / 4, far / 2])
    service.down(0)
    near, far = near / 2, 1 - near / 2
    assert_shares(service.picked(), [0, far / 4, near, far / 4, far / 2])
    service.down(0, 2)
    assert_shares(service.picked(), [0, 0.25, 0, 0.25, 0.5])
    service.down()
    assert service.picked()[0] > DRAWS * 0.4, "it comes back by itself"


def test_without_a_zone_all_are_alike() -> None:
    for service in (Service(NEAR, FAR), Service(NEAR, FAR, zone="c"), Service(NEAR, zone="a")):
        share = 1 / len(service.places)
        assert_shares(service.picked(), [share] * len(service.places))


def test_a_zone_that_is_not_known_is_another_one() -> None:
    service = Service(NEAR, (1, 0, None), zone="a")
    assert_shares(service.picked(), [1, 0])


def test_priorities_are_used_one_after_the_other() -> None:
    service = Service((1, 10, None), (1, 10, None), (1, 20, None), (1, 30, None))
    assert_shares(service.picked(), [0.5, 0.5, 0, 0])
    service.down(0)
    assert_shares(service.picked(), [0, 0.7, 0.3, 0])
    service.down(0, 1)
    assert_shares(service.picked(), [0, 0, 1, 0])
    service.down(0, 1, 2)
    assert_shares(service.picked(), [0, 0, 0, 1])


def test_the_ill_are_not_tried_while_others_can_carry_all() -> None:
    """Two of three are down, below the panic threshold: but the third one is there for that."""
    service = Service((1, 0, None), (1, 0, None), (1, 1, None), panic_percent=50)
    service.down(0, 1)
    assert_shares(service.picked(), [0, 0, 1])
    service.down(0, 1, 2)
    assert_shares(service.picked(), [1 / 3, 1 / 3, 1 / 3])


def test_nobody_is_left_and_nobody_panics() -> None:
    service = Service((1, 0, None), (1, 1, None), panic_percent=0)
    service.down(0, 1)
    assert service.picked(count=100).keys() == {None}


def test_priorities_come_before_zones() -> None:
    service = Service((1, 0, "b"), (1, 1, "a"), zone="a")
    assert_shares(service.picked(), [1, 0])
    service.down(0)
    assert_shares(service.picked(), [0, 1])


def test_weight_0_belongs_to_no_level() -> None:
    service = Service((0, 0, None), (1, 1, None), (3, 1, None))
    assert_shares(service.picked(), [0, 0.25, 0.75])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_balancing_keeps_to_the_levels(kind: str) -> None:
    service = Service(NEAR, FAR, NEAR, FAR, (1, 1, "a"), zone="a", kind=kind)
    assert service.picked(400).keys() == {0, 2}
    assert service.picked(400, tried=[0, 2]).keys() <= {1, 3}, "another attempt goes further"
    assert service.picked(400, tried=[0, 1, 2, 3]).keys() == {4}
    service.down(0, 1, 2, 3)
    assert service.picked(400).keys() == {4}


def test_a_key_stays_where_it_is_while_the_loads_do() -> None:
    service = Service(NEAR, FAR, FAR, FAR, zone="a", kind="consistent_hash")
    keys = [Random(number).getrandbits(64) for number in range(300)]
    first = [service.endpoints.pick(NOW, 1, key) for key in keys]
    assert [service.endpoints.pick(NOW, 2, key) for key in keys] == first
    assert set(first) == {0, 1, 2, 3}


def test_until_the_next_look_a_dead_level_is_passed_over() -> None:
    service = Service((1, 0, None), (1, 1, None))
    service.segment.set_health(service.places[0], "unhealthy", NOW)
    assert_shares(service.picked(), [0, 1])
