"""Places of endpoints: given out, held by workers, taken back, and new to whoever has them next."""

import mmap
import os
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from gateway._core import MAX_PLACES, EndpointSet, Segment

if TYPE_CHECKING:
    from gateway._core import Outlier

GRACE_MS = 1000
OUTLIER: "Outlier" = {
    "consecutive_failures": 1, "failure_permille": 0, "latency_percent": 0, "latency_floor_us": 0,
    "min_requests": 1, "window_ms": 1000,
    "eject_for_ms": 60_000, "eject_max_ms": 60_000, "max_ejected_percent": 100,
}  # fmt: skip


@pytest.fixture
def segment() -> Segment:
    return Segment(mmap.mmap(-1, Segment.size_for(2)), 2, create=True)


def endpoints(segment: Segment, *places: int, slot: int = 0, now_ms: int = 0) -> EndpointSet:
    service = segment.intern("web")
    listed = [(place, 1, f"http://{place}", 0, None) for place in places]
    return EndpointSet(
        segment, slot, service, "least_request", listed, seed=0, now_ms=now_ms,
        outlier=OUTLIER, checked=True,
    )  # fmt: skip


def test_more_endpoints_than_places_come_and_go(segment: Segment) -> None:
    for number in range(2 * MAX_PLACES):
        place = segment.place(f"web http://10.0.0.1:{number}", number)
        assert place != 0
        if number % 1000 == 0:
            segment.sweep([place], number, GRACE_MS)
    snapshot = segment.collect()
    assert snapshot["places_dropped"] == 0
    assert snapshot["places_used"] <= 2 * GRACE_MS + 1
    assert snapshot["labels_dropped"] == 0


def test_the_next_owner_finds_nothing_of_the_last(segment: Segment) -> None:
    first = segment.place("web http://a", 0)
    held = endpoints(segment, first, first)
    held.begin(0)
    assert held.report(0, True, 9_000_000, 5)
    segment.set_health(first, "unhealthy", 5)
    segment.set_share(first, 300)
    held.end(0)
    del held
    assert segment.sweep([], GRACE_MS, GRACE_MS) == 1
    assert segment.place("web http://b", GRACE_MS) == first
    assert segment.share(first) is None
    assert segment.endpoint(first, 5) == {
        "health": "unknown", "ejected_for_ms": 0, "in_flight": 0, "latency_us": 0.0,
    }  # fmt: skip


def test_a_place_is_kept_while_a_worker_has_it(segment: Segment) -> None:
    place = segment.place("web http://a", 0)
    old, new = endpoints(segment, place), endpoints(segment, place, slot=1)
    del new
    assert segment.sweep([], 10 * GRACE_MS, GRACE_MS) == 0
    assert segment.place("web http://b", 10 * GRACE_MS) != place
    del old
    assert segment.sweep([], 10 * GRACE_MS, GRACE_MS) == 1


def test_a_worker_that_died_holds_nothing(segment: Segment) -> None:
    place = segment.place("web http://a", 0)
    child = os.fork()
    if not child:
        held = endpoints(segment, place)
        held.begin(0)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert segment.sweep([], GRACE_MS, GRACE_MS) == 0
    segment.reset_gauges(0)
    assert segment.sweep([], GRACE_MS, GRACE_MS) == 1


def test_without_a_place_nothing_is_known(segment: Segment) -> None:
    """All that found none share the place 0: what one of them does must not fall on the others."""
    homeless = endpoints(segment, 0, 0)
    assert not homeless.report(0, True, 5, 5)
    segment.set_health(0, "unhealthy", 5)
    segment.set_share(0, 300)
    assert segment.endpoint(0, 5)["health"] == "unknown"
    assert segment.share(0) is None
    assert homeless.pick(5, 1) is not None


def test_workers_read_while_places_change_hands(segment: Segment) -> None:
    """Two processes serve from a Plan that changes all the time. Whatever they hold is theirs: an
    endpoint that they have just begun with has no health or ejection of an earlier owner.
    """
    generations = 400
    board = mmap.mmap(-1, 4096)  # bytes 0..1: what each worker has installed; 8..: the Plan
    workers = [os.fork() or _serve(segment, board, slot) for slot in range(2)]
    try:
        for generation in _generations(segment, board, generations):
            deadline = time.monotonic() + 10
            while any(board[slot] != generation % 251 for slot in range(2)):
                assert time.monotonic() < deadline, "a worker saw another's state"
                time.sleep(0)
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
    assert segment.collect()["places_used"] <= 8


def _generations(segment: Segment, board: mmap.mmap, count: int) -> Iterator[int]:
    """Each Plan has three endpoints that none had before; those of the last are marked as bad."""
    for generation in range(1, count):
        now_ms = generation * GRACE_MS
        places = [segment.place(f"web http://{generation}.{n}", now_ms) for n in range(3)]
        board[8:14] = b"".join(place.to_bytes(2, "little") for place in places)
        board[2] = generation % 251
        yield generation
        for place in places:
            segment.set_health(place, "unhealthy", now_ms)
        segment.sweep(places, now_ms, 0)


def _serve(segment: Segment, board: mmap.mmap, slot: int) -> int:
    """Never returns: installs what the board says, and stops telling when something is wrong."""
    installed = 0
    held = endpoints(segment, 0, slot=slot)
    while True:
        generation = board[2]
        if generation != installed:
            places = [int.from_bytes(board[at : at + 2], "little") for at in (8, 10, 12)]
            fresh = endpoints(segment, *places, slot=slot)
            if any(segment.endpoint(place, 0)["health"] != "unknown" for place in places):
                os._exit(1)
            held, installed = fresh, generation
            board[slot] = generation
        index = held.pick(0, generation)
        if index is not None:
            held.begin(index)
            held.end(index)
