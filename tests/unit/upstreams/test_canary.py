"""When a canary is rolled back, and when it gets more."""

import mmap
from typing import Any

from gateway._core import Segment
from gateway.upstreams.canary import Canary, CanaryWatch, Tally

RULES: dict[str, Any] = {
    "part": 1, "steps": [0.05, 0.5, 1.0], "every": 60.0, "min_requests": 100,
    "max_failures": 0.01, "max_slowdown": 0.5,
}  # fmt: skip
OLD = Tally(1000, 10, 10.0)


def canary(**more: Any) -> Canary:
    return Canary(RULES | more, began_s=0.0)


def test_failures_roll_back_once() -> None:
    one = canary()
    assert one.look(1, Tally(99, 99, 1.0), OLD) is None, "too few to tell"
    assert one.look(1, Tally(100, 2, 1.0), OLD) is None, "2 % against 1 %: as much as is allowed"
    told = one.look(2, Tally(100, 3, 1.0), OLD)
    assert told == "rolled back: 3.0% of its answers failed, 1.0% of the others'"
    assert one.share == 0.0
    assert one.look(3, Tally(900, 900, 1.0), OLD) is None
    assert one.look(9999, Tally(2000, 3, 1.0), OLD) is None, "for good"


def test_a_slow_one_is_rolled_back() -> None:
    assert canary().look(1, Tally(100, 0, 1.4), OLD) is None
    told = canary().look(1, Tally(100, 0, 1.6), OLD)
    assert told == "rolled back: it took 16.0 ms, the others 10.0 ms"
    assert canary(max_slowdown=0.0).look(1, Tally(100, 0, 99.0), OLD) is None


def test_steps() -> None:
    one = canary()
    assert one.look(59, Tally(500, 0, 5.0), OLD) is None
    assert one.look(60, Tally(500, 0, 5.0), OLD) == "gets 5.0% of the requests now"
    assert one.look(300, Tally(550, 0, 5.5), OLD + OLD) is None, "too few since the step began"
    assert one.look(301, Tally(700, 0, 7.0), OLD + OLD) == "gets 50.0% of the requests now"
    told = one.look(302, Tally(800, 10, 8.0), OLD + OLD + OLD)
    assert told is not None
    assert told.startswith("rolled back: 10.0%"), "judged by this step alone"


def test_the_last_step_stays() -> None:
    one = canary(steps=[])
    assert one.look(600, Tally(500, 0, 5.0), OLD) is None
    assert one.share is None


def test_the_watch_tells_the_workers() -> None:
    segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
    labels = [segment.intern(text) for text in ("/x", "v1", "v2")]
    place = segment.place("canary", 0)
    route = {
        "path": "/x",
        "split": [{"service": 0, "place": 0}, {"service": 1, "place": place}],
        "canary": RULES,
    }
    services = [{"name": "v1"}, {"name": "v2"}]

    def count(service: int, status: int, times: int) -> None:
        for _ in range(times):
            segment.observe(0, labels[0], service, "GET", status, 1000)

    count(labels[2], 500, 300)  # of before
    watch = CanaryWatch(segment)
    watch.update([route], services)
    count(labels[1], 200, 300)
    count(labels[2], 200, 300)
    watch.look(1)
    assert segment.share(place) is None
    watch.update([route], services)
    count(labels[2], 502, 50)
    watch.look(2)
    assert segment.share(place) == 0
    again = CanaryWatch(segment)
    again.update([route], services)
    again.look(3)
    assert segment.share(place) == 0, "a new control process leaves it so"
    segment.set_share(place, 50)
    again.decided(place)
    again.look(4)
    assert segment.share(place) == 50, "what came before does not count against it"
    count(labels[1], 200, 300)
    count(labels[2], 502, 300)
    again.look(5)
    assert segment.share(place) == 0, "what comes then does"
