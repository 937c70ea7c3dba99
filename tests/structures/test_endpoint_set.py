"""The endpoints of a service over the shared segment: who is passed over, and when nobody is."""

import mmap
import os
from collections import Counter
from random import Random
from typing import Any

import pytest

from gateway._core import EndpointSet, Segment, hash_key

URLS = [f"http://10.0.0.{number}" for number in range(4)]
OUTLIER = {
    "consecutive_failures": 3, "failure_permille": 0, "min_requests": 20, "window_ms": 10_000,
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
