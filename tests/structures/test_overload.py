"""cext/overload.pyx: who is let in while a worker has too much to do."""

import random

import pytest

from gateway.cext.overload import Overload

LAG_US = 50_000


def share(overload: Overload, sheddable: bool) -> float:
    """Of 4,000 requests, those that are let in."""
    draws = random.Random(7)
    let_in = (overload.admits(sheddable, 1, draws.getrandbits(64)) for _ in range(4000))
    return sum(let_in) / 4000


def test_requests_under_way_have_a_bound_for_each_kind() -> None:
    overload = Overload({"in_flight": 30, "loop_lag": 0.0}, 3)
    admitted = [
        (overload.admits(False, number, 0), overload.admits(True, number, 0))
        for number in (8, 9, 10, 11)
    ]
    assert admitted == [(True, True), (True, False), (True, False), (False, False)]


def test_without_bounds_everybody_is_let_in() -> None:
    overload = Overload({"in_flight": 0, "loop_lag": 0.0}, 1)
    for _ in range(100):
        overload.tick(10**9)
    assert overload.admits(True, 10**6, 2**64 - 1)


def test_lag_sheds_what_matters_less_first_and_never_all() -> None:
    overload = Overload({"in_flight": 0, "loop_lag": 0.05}, 1)
    overload.tick(LAG_US)
    assert share(overload, True) == 1, "as late as it may be"
    for _ in range(5):
        overload.tick(LAG_US + 1)
    assert share(overload, True) == pytest.approx(0.5, abs=0.05)
    assert share(overload, False) == 1
    for _ in range(10):
        overload.tick(LAG_US + 1)
    assert share(overload, True) == 0
    assert share(overload, False) == pytest.approx(0.5, abs=0.05)
    for _ in range(100):
        overload.tick(LAG_US + 1)
    assert share(overload, False) == pytest.approx(0.1, abs=0.03), "it sees when there is room"


def test_what_was_shed_comes_back_slowly_normal_requests_first() -> None:
    overload = Overload({"in_flight": 0, "loop_lag": 0.05}, 1)
    for _ in range(30):
        overload.tick(10 * LAG_US)
    for _ in range(18):
        overload.tick(0)
    assert share(overload, False) == pytest.approx(1, abs=0.02)
    assert share(overload, True) < 0.05
    for _ in range(20):
        overload.tick(0)
    assert share(overload, True) == pytest.approx(1, abs=0.02)
