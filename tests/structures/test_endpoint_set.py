"""The endpoints of a service over the shared segment: who is passed over, and when nobody is."""

import mmap
import os
import statistics
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._core import EndpointSet, Segment, hash_key

URLS = [f"http://10.0.0.{number}" for number in range(4)]
OUTLIER = {
    "consecutive_failures": 3, "failure_permille": 0, "latency_percent": 0,
    "latency_floor_us": 0, "min_requests": 20, "window_ms": 10_000,
    "eject_for_ms": 1000, "eject_max_ms": 5000, "max_ejected_percent": 50,
}  # fmt: skip
NOW = 100_000


class Host:
    """A segment, places in it, and endpoint sets for its workers."""

    def __init__(self, count: int = 4, workers: int = 2) -> None:
        self.segment = Segment(mmap.mmap(-1, Segment.size_for(workers)), workers, create=True)
        self.service = self.segment.intern("service")
        self.places = [self.segment.place(f"service {url}", NOW) for url in URLS[:count]]

    def endpoints(self, kind: str = "weighted_random", slot: int = 0, **more: Any) -> EndpointSet:
        listed = [(place, 1, url, 0, None) for place, url in zip(self.places, URLS, strict=False)]
        more = {"seed": 0, "now_ms": NOW} | more
        return EndpointSet(self.segment, slot, self.service, kind, listed, **more)

    def set_health(self, *states: str) -> None:
        for place, state in zip(self.places, states, strict=True):
            self.segment.set_health(place, state, NOW)


def picked(endpoints: EndpointSet, now: int = NOW, count: int = 400, **more: Any) -> Counter[Any]:
    random = Random(7)
    return Counter(
        endpoints.pick(now, random.getrandbits(64), random.getrandbits(64), **more)
        for _ in range(count)
    )


KINDS = ["weighted_round_robin", "weighted_random", "least_request", "ewma", "consistent_hash"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_unhealthy_are_passed_over(kind: str) -> None:
    host = Host()
    endpoints = host.endpoints(kind, checked=True)
    assert picked(endpoints).keys() == {0, 1, 2, 3}, "unknown is good enough"
    host.set_health("healthy", "unhealthy", "unknown", "healthy")
    assert picked(endpoints).keys() == {0, 2, 3}


@pytest.mark.parametrize("kind", KINDS)
def test_those_tried_come_last(kind: str) -> None:
    host = Host(3)
    endpoints = host.endpoints(kind, checked=True)
    assert picked(endpoints, tried=[0, 2]).keys() == {1}
    host.set_health("healthy", "unhealthy", "healthy")
    assert picked(endpoints, tried=[0, 2]).keys() == {0, 2}, "rather again than to one that is ill"


def test_with_too_few_left_nobody_is_passed_over() -> None:
    host = Host()
    endpoints = host.endpoints(checked=True, panic_percent=50)
    host.set_health("unhealthy", "unhealthy", "healthy", "healthy")
    endpoints.refresh(NOW)
    assert picked(endpoints).keys() == {2, 3}
    host.set_health("unhealthy", "unhealthy", "unhealthy", "healthy")
    assert picked(endpoints).keys() == {3}, "until the next look"
    endpoints.refresh(NOW)
    assert picked(endpoints).keys() == {0, 1, 2, 3}
    host.set_health("unhealthy", "unhealthy", "healthy", "healthy")
    endpoints.refresh(NOW)
    assert picked(endpoints).keys() == {2, 3}


def test_none_left() -> None:
    host = Host(2)
    host.set_health("unhealthy", "unhealthy")
    assert picked(host.endpoints(checked=True, panic_percent=0)).keys() == {None}
    panicking = host.endpoints(checked=True, panic_percent=50)
    assert picked(panicking).keys() == {0, 1}


def test_ejection_is_seen_by_all_workers_and_ends() -> None:
    host = Host()
    first, second = (host.endpoints(slot=slot, outlier=OUTLIER) for slot in range(2))
    assert [first.report(1, True, 10, NOW) for _ in range(3)] == [False, False, True]
    assert picked(second).keys() == {0, 2, 3}
    assert host.segment.endpoint(host.places[1], NOW)["ejected_for_ms"] == 1000
    assert picked(second, NOW + 1000).keys() == {0, 1, 2, 3}


def test_at_most_a_share_is_ejected_and_never_the_only_one() -> None:
    endpoints = Host().endpoints(outlier=OUTLIER)
    for index in range(4):
        for _ in range(3):
            endpoints.report(index, True, 10, NOW)
    assert picked(endpoints).keys() == {2, 3}
    alone = Host(1).endpoints(outlier=OUTLIER)
    assert not any(alone.report(0, True, 10, NOW) for _ in range(10))
    two = Host(2).endpoints(outlier=OUTLIER | {"max_ejected_percent": 10})
    assert [two.report(0, True, 10, NOW) for _ in range(3)][-1], "one of two may always go"


def model_of_slowness(
    latencies: list[list[int]], factor: int, floor_us: int, least: int
) -> int | None:
    """Which endpoint is too slow: the slowest, by the mean, beside the (lower) median of all."""
    means = {
        index: sum(seen[-50:]) / len(seen[-50:])
        for index, seen in enumerate(latencies)
        if len(seen) >= max(least, 1)
    }
    if len(means) < 2:
        return None
    slowest = max(means, key=lambda index: (int(means[index]), index))
    median = statistics.median_low(int(mean) for mean in means.values())
    too_slow = int(means[slowest]) >= floor_us and int(means[slowest]) >= factor * median
    return slowest if too_slow else None


SLOWNESS = OUTLIER | {
    "consecutive_failures": 0, "latency_percent": 300, "latency_floor_us": 1000, "min_requests": 5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("latencies_us", "ejected"),
    [
        ([[1000] * 5, [1000] * 5, [3000] * 5], 2),
        ([[1000] * 5, [1000] * 5, [2990] * 5], None),  # below the factor
        ([[100] * 5, [100] * 5, [900] * 5], None),  # below the floor
        ([[1000] * 5, [1000] * 5, [9000] * 4], None),  # too few requests
        ([[1000] * 5, [1000] * 4, [9000] * 5], 2),  # two are enough to compare
        ([[1000] * 4, [1000] * 4, [9000] * 5], None),  # it alone is known
        ([[5000] * 5, [1000] * 5], 0),  # of two the faster one says what is usual
        ([[9000] * 5, [9000] * 5, [1000] * 5], None),  # most are slow: that is usual
        ([[9000] * 5, [8000] * 5, [1000] * 5, [1000] * 5], 0),  # the slowest first
        ([[1000] * 40, [1000] * 40, [1000] * 30 + [10_000] * 10], 2),  # a quarter of them
        ([[1000] * 5], None),
    ],
)
def test_the_slowest_is_ejected(latencies_us: list[list[int]], ejected: int | None) -> None:
    endpoints = Host(len(latencies_us)).endpoints(outlier=SLOWNESS)
    for index, seen in enumerate(latencies_us):
        for latency_us in seen:
            assert not endpoints.report(index, False, latency_us, NOW)
    assert endpoints.refresh(NOW) == ejected
    assert model_of_slowness(latencies_us, 3, 1000, 5) == ejected


@given(st.lists(st.lists(st.integers(1, 20_000), max_size=12), min_size=1, max_size=4))
def test_slowness_is_as_in_the_model(latencies_us: list[list[int]]) -> None:
    endpoints = Host(len(latencies_us)).endpoints(outlier=SLOWNESS)
    for index, seen in enumerate(latencies_us):
        for latency_us in seen:
            endpoints.report(index, False, latency_us, NOW)
    assert endpoints.refresh(NOW) == model_of_slowness(latencies_us, 3, 1000, 5)


def test_slow_ejections_grow_and_are_judged_anew() -> None:
    host = Host(3)
    endpoints = host.endpoints(outlier=SLOWNESS)
    now, lasted = NOW, []
    for _ in range(3):
        for index, latency_us in enumerate([1000, 1000, 9000]):
            for _ in range(5):
                endpoints.report(index, False, latency_us, now)
        assert endpoints.refresh(now) == 2
        assert endpoints.refresh(now) is None, "it is out"
        assert picked(endpoints, now).keys() == {0, 1}
        lasted.append(host.segment.endpoint(host.places[2], now)["ejected_for_ms"])
        now += lasted[-1]
        assert endpoints.refresh(now) is None, "what it was before is forgotten"
        assert picked(endpoints, now).keys() == {0, 1, 2}
    assert lasted == [1000, 2000, 3000]


def test_those_that_were_outrun_count_as_slow() -> None:
    endpoints = Host(3).endpoints(outlier=SLOWNESS)
    for _ in range(5):
        endpoints.report(0, False, 1000, NOW)
        endpoints.report(1, False, 1000, NOW)
        endpoints.outrun(2, 5000, NOW)
    assert endpoints.refresh(NOW) == 2


def test_failures_have_no_latency() -> None:
    endpoints = Host(3).endpoints(outlier=SLOWNESS)
    for _ in range(5):
        endpoints.report(0, True, 10, NOW)
        endpoints.report(1, True, 10, NOW)
        endpoints.report(2, False, 9000, NOW)
    assert endpoints.refresh(NOW) is None


def test_at_most_a_share_is_slow() -> None:
    endpoints = Host(4).endpoints(outlier=SLOWNESS | {"max_ejected_percent": 25})
    for index, latency_us in enumerate([1000, 1000, 9000, 9500]):
        for _ in range(5):
            endpoints.report(index, False, latency_us, NOW)
    assert [endpoints.refresh(NOW) for _ in range(3)] == [3, None, None]


def test_in_flight_is_summed_over_the_workers_and_dies_with_them() -> None:
    host = Host()
    first, second = (host.endpoints("least_request", slot=slot) for slot in range(2))
    for _ in range(5):
        first.begin(0)
        second.begin(0)
    second.end(0)
    assert host.segment.endpoint(host.places[0], NOW)["in_flight"] == 9
    assert picked(second)[0] < 40, "only where both draws are 0"
    child = os.fork()
    if not child:
        first.begin(0)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert host.segment.endpoint(host.places[0], NOW)["in_flight"] == 10
    host.segment.reset_gauges(0)
    assert host.segment.endpoint(host.places[0], NOW)["in_flight"] == 4


def test_slow_start() -> None:
    host = Host(2)
    host.endpoints(slow_start_ms=10_000)
    host.set_health("healthy", "unhealthy")
    later = NOW + 60_000
    host.segment.set_health(host.places[1], "healthy", later)
    endpoints = host.endpoints(slow_start_ms=10_000, checked=True, now_ms=later)
    shares = [picked(endpoints, later + age, 4000)[1] / 4000 for age in (0, 2500, 5000, 10_000)]
    assert shares == sorted(shares)
    assert 0.05 < shares[0] < 0.15
    assert 0.45 < shares[3] < 0.55


def test_keys_are_those_of_the_urls() -> None:
    host = Host(3)
    endpoints = host.endpoints(checked=True)
    key = hash_key(URLS[1].encode())
    assert endpoints.key(1) == key
    assert endpoints.find(NOW, key) == 1
    assert endpoints.find(NOW, 5) is None
    host.set_health("healthy", "unhealthy", "healthy")
    assert endpoints.find(NOW, key) is None


def test_a_plain_service_counts_nothing() -> None:
    host = Host()
    assert not host.endpoints("weighted_round_robin").is_counted
    assert host.endpoints("ewma").is_counted
    assert host.endpoints(outlier=OUTLIER).is_counted


def test_refusals() -> None:
    host = Host()
    with pytest.raises(ValueError, match="unknown kind"):
        host.endpoints("fastest")
    with pytest.raises(IndexError, match="no slot 9"):
        host.endpoints(slot=9)
