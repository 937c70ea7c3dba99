"""The segment: beside its model, across processes, when a writer is killed, when it is full."""

import ctypes
import mmap
import os
import re
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway import _core
from gateway._core import (
    DURATION_BUCKETS,
    LIMIT_CELLS,
    MAX_LABELS,
    METHODS,
    SERIES_LIMIT,
    SERVICE_METRICS,
    SERVICES_LIMIT,
    WORKER_METRICS,
    Limits,
    Segment,
)
from tests.structures.models.segment import SegmentModel

WORKERS = 2
MS = 1_000_000  # ns


def fresh(workers: int = WORKERS) -> Segment:
    return Segment(mmap.mmap(-1, Segment.size_for(workers)), workers, create=True)


# ---- Beside its model ----------------------------------------------------------------------------

SLOTS = st.integers(0, WORKERS)
LABELS = st.integers(0, 6)
WORKER_NAMES = st.sampled_from([name for name, _, _ in WORKER_METRICS])
SERVICE_NAMES = st.sampled_from([name for name, _, _ in SERVICE_METRICS])
DELTAS = st.integers(-(2**40), 2**40)
DURATIONS_NS = st.one_of(
    st.integers(0, 20_000 * MS),
    st.sampled_from([round(bound * 1e9) for bound in DURATION_BUCKETS]),
)


class SegmentBesideModel(RuleBasedStateMachine):
    """Two views of one segment must both behave as the one model."""

    def __init__(self) -> None:
        super().__init__()
        memory = mmap.mmap(-1, Segment.size_for(WORKERS))
        self.views = [
            Segment(memory, WORKERS, create=True),
            Segment(memory, WORKERS, create=False),
        ]
        self.model = SegmentModel(WORKERS)
        for text in ["/a", "/b/{id}", "content", "payments", "ü \U0001f40d", ""]:
            assert self.views[0].intern(text) == self.model.intern(text)

    @rule(view=st.integers(0, 1), text=st.text(max_size=4))
    def intern(self, view: int, text: str) -> None:
        assert self.views[view].intern(text) == self.model.intern(text)

    @rule(view=st.integers(0, 1), label=st.integers(0, 20))
    def label(self, view: int, label: int) -> None:
        assert self.views[view].label(label) == self.model.label(label)

    @rule(slot=SLOTS, name=WORKER_NAMES, delta=DELTAS)
    def add(self, slot: int, name: str, delta: int) -> None:
        self.views[0].add(slot, name, delta)
        self.model.slots[slot].counters[name] += delta

    @rule(slot=SLOTS, value=st.integers(0, 2**40))
    def set(self, slot: int, value: int) -> None:
        self.views[0].set(slot, "plan_generation", value)
        self.model.slots[slot].counters["plan_generation"] = value

    @rule(slot=SLOTS, service=LABELS, name=SERVICE_NAMES, delta=DELTAS)
    def service_add(self, slot: int, service: int, name: str, delta: int) -> None:
        self.views[0].service_add(slot, service, name, delta)
        self.model.slots[slot].services[service][name] += delta

    @rule(
        slot=SLOTS,
        route=LABELS,
        service=LABELS,
        method=st.sampled_from([*METHODS, "PROPFIND"]),
        status=st.sampled_from([200, 404, 599, 65_535]),
        duration_ns=DURATIONS_NS,
    )
    def observe(
        self, slot: int, route: int, service: int, method: str, status: int, duration_ns: int
    ) -> None:
        self.views[0].observe(slot, route, service, method, status, duration_ns)
        self.model.observe(slot, (route, service, method, status), duration_ns)

    @rule(slot=SLOTS, now_ms=st.integers(0, 2**63))
    def beat(self, slot: int, now_ms: int) -> None:
        self.views[0].beat(slot, now_ms)
        self.model.slots[slot].beat_ms = now_ms
        assert self.views[1].last_beat(slot) == now_ms

    @rule(slot=SLOTS)
    def reset_gauges(self, slot: int) -> None:
        self.views[1].reset_gauges(slot)
        self.model.slots[slot].reset_gauges()

    @invariant()
    def collects_the_same(self) -> None:
        assert self.views[1].collect() == self.model.collect()


SegmentBesideModel.TestCase.settings = settings(
    stateful_step_count=30, max_examples=40, deadline=None
)
TestSegmentBesideModel = SegmentBesideModel.TestCase


# ---- Across processes ----------------------------------------------------------------------------


def fork(work: Callable[[], object]) -> int:
    """Run `work` in a child that ends at once afterwards, without pytest's exit handlers."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_children_write_and_the_parent_collects() -> None:
    workers = 4
    segment = fresh(workers)
    route, service = segment.intern("/r"), segment.intern("s")

    def work(slot: int) -> None:
        for number in range(5000):
            segment.observe(slot, route, service, "GET", 200 + number % 2, 3 * MS)
            segment.service_add(slot, service, "upstream_reused_total", 1)
            # All of them in the control process' slot, at the same time.
            segment.add(workers, "reloads_total", 1)

    children = [fork(partial(work, slot)) for slot in range(workers)]
    assert [wait(child) for child in children] == [0] * workers
    snapshot = segment.collect()
    assert [(each["status"], each["count"]) for each in snapshot["series"]] == [
        (200, 10_000),
        (201, 10_000),
    ]
    assert [each["sum_seconds"] for each in snapshot["series"]] == [30.0, 30.0]
    assert snapshot["services"]["s"]["upstream_reused_total"] == 20_000
    assert snapshot["counters"]["reloads_total"] == 20_000


def test_labels_of_a_child_are_seen_by_the_parent_and_by_the_next_child() -> None:
    segment = fresh()
    parent_id = segment.intern("parent")
    assert wait(fork(lambda: [segment.intern(text) for text in ("a", "b")])) == 0
    assert [segment.label(parent_id + number) for number in (1, 2)] == ["a", "b"]
    assert segment.intern("b") == parent_id + 2
    assert segment.intern("c") == parent_id + 3


def test_a_writer_that_is_killed_leaves_it_valid_and_its_successor_goes_on() -> None:
    segment = fresh()
    route = segment.intern("/r")

    def write_for_ever() -> None:
        done = segment.last_beat(0)
        while True:
            segment.add(0, "connections_accepted_total", 1)
            segment.add(0, "connections_active", 1)
            segment.observe(0, route, route, "GET", 200, 1 * MS)
            segment.service_add(0, route, "upstream_connects_total", 1)
            done += 1
            segment.beat(0, done)

    for killed in range(1, 16):
        before = segment.last_beat(0)
        child = fork(write_for_ever)
        deadline = time.monotonic() + 20
        while segment.last_beat(0) < before + 100 * killed:
            assert time.monotonic() < deadline, "the child does not write"
        os.kill(child, signal.SIGKILL)
        assert wait(child) == -signal.SIGKILL

        # Each death leaves at most one round unfinished.
        done, snapshot = segment.last_beat(0), segment.collect()
        [series] = snapshot["series"]
        counters = snapshot["counters"]
        assert done <= counters["connections_accepted_total"] <= done + killed
        assert done <= series["count"] <= counters["connections_accepted_total"]
        assert series["count"] == sum(series["buckets"])
        assert series["count"] - killed <= round(series["sum_seconds"] * 1000) <= series["count"]
        connects = snapshot["services"]["/r"]["upstream_connects_total"]
        assert done <= connects <= series["count"]

        assert counters["connections_active"] > 0
        segment.reset_gauges(0)
        after = segment.collect()["counters"]
        assert after["connections_active"] == 0
        assert after["connections_accepted_total"] == counters["connections_accepted_total"]


# ---- Limits and refusals -------------------------------------------------------------------------


def test_a_full_label_table_answers_other() -> None:
    segment = fresh(1)
    ids = [segment.intern(f"/{number}") for number in range(MAX_LABELS + 10)]
    assert ids == [*range(1, MAX_LABELS), *[0] * 11]
    assert segment.label(0) == "other"
    assert segment.collect()["labels_dropped"] == 11
    assert segment.intern("/5") == 6


def test_full_tables_count_under_other() -> None:
    segment = fresh(1)
    labels = [segment.intern(f"/{number}") for number in range(SERIES_LIMIT + 7)]
    for label in labels:
        segment.observe(0, label, 0, "GET", 200, MS)
    for service in labels[: SERVICES_LIMIT + 3]:
        segment.service_add(0, service, "upstream_connects_total", 1)
    snapshot = segment.collect()
    assert len(snapshot["series"]) == SERIES_LIMIT + 1
    [other] = [each for each in snapshot["series"] if each["status"] == 0]
    assert (other["route"], other["service"], other["method"]) == ("other", "other", "other")
    assert other["count"] == 7
    assert snapshot["services"]["other"]["upstream_connects_total"] == 3
    assert snapshot["counters"]["metrics_overflow_total"] == 10


def test_the_map_cannot_be_closed_under_a_segment() -> None:
    memory = mmap.mmap(-1, Segment.size_for(1))
    segment = Segment(memory, 1, create=True)
    with pytest.raises(BufferError):
        memory.close()
    del segment
    memory.close()


def test_what_is_no_segment_is_refused() -> None:
    size = Segment.size_for(WORKERS)
    memory = mmap.mmap(-1, size)
    with pytest.raises(ValueError, match="create one first"):
        Segment(memory, WORKERS, create=False)
    with pytest.raises(ValueError, match=f"has {size} bytes and .* are needed"):
        Segment(memory, WORKERS + 1, create=True)
    with pytest.raises(ValueError, match="read-only"):
        Segment(bytes(size), WORKERS, create=True)
    with pytest.raises(ValueError, match="aligned to 64"):
        Segment(memoryview(memory)[8:], WORKERS - 1, create=True)
    with pytest.raises(ValueError, match="1 to 1024"):
        Segment.size_for(0)
    segment = Segment(memory, WORKERS, create=True)
    segment.intern("kept")
    with pytest.raises(ValueError, match="not empty"):
        Segment(memory, WORKERS, create=True)
    with pytest.raises(ValueError, match="made for 2 workers"):
        Segment(memory, WORKERS - 1, create=False)
    memory[8:12] = (77).to_bytes(4, "little")
    with pytest.raises(ValueError, match="layout version 77"):
        Segment(memory, WORKERS, create=False)


def test_the_limits_have_as_many_cells_as_the_owner_said() -> None:
    size = Segment.size_for(1, 1 << 10)
    assert Segment.size_for(1) - size == 64 * (LIMIT_CELLS - (1 << 10))
    memory = mmap.mmap(-1, size)
    owner = Segment(memory, 1, create=True, cells=1 << 10)
    attached = Segment(memory, 1, create=False)
    rule = Limits([("bucket", 10, 10**9, 10)])
    for key in range(1, 5000):
        rule.acquire(attached, [(0, key << 48 | key * 7, 1, True)], 10**12)
    assert owner.collect()["limit_evictions"] > 3000, "a thousand cells hold no five thousand keys"
    for cells in (1000, 1 << 9, 1 << 27):
        with pytest.raises(ValueError, match=f"{cells} cells; it takes a power of two"):
            Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True, cells=cells)


def test_unknown_names_and_slots_are_refused() -> None:
    segment = fresh()
    with pytest.raises(IndexError, match="no slot 3; the workers have 0 to 1"):
        segment.worker_address(3)
    with pytest.raises(ValueError, match='no counter "requests"; use one of connections_accepted'):
        segment.add(0, "requests", 1)
    with pytest.raises(ValueError, match='no counter "reloads_total"'):
        segment.service_add(0, 0, "reloads_total", 1)


# ---- The C face ----------------------------------------------------------------------------------


def test_the_c_face_writes_the_same_region() -> None:
    face = ctypes.CDLL(_core.__file__)
    segment = fresh()
    region = ctypes.c_void_p(segment.worker_address(1))
    label = segment.intern("/r")
    row = [name for name, _, _ in WORKER_METRICS].index("connections_active")
    face.gw_metrics_add(region, row, ctypes.c_int64(5))
    face.gw_metrics_add(region, row, ctypes.c_int64(-2))
    face.gw_metrics_add(region, len(WORKER_METRICS), ctypes.c_int64(1))
    face.gw_metrics_set(region, 8, ctypes.c_uint64(12))
    face.gw_metrics_service_add(region, label, 0, ctypes.c_int64(4))
    face.gw_metrics_observe(region, label, label, 2, 503, ctypes.c_uint64(2 * MS))
    face.gw_segment_beat(region, ctypes.c_uint64(2**40))
    snapshot = segment.collect()
    assert snapshot["counters"]["connections_active"] == 3
    assert snapshot["counters"]["plan_generation"] == 12
    assert snapshot["services"]["/r"]["upstream_connects_total"] == 4
    [series] = snapshot["series"]
    assert (series["method"], series["status"], series["count"]) == ("POST", 503, 1)
    assert snapshot["heartbeats"] == [0, 2**40, 0]
    segment.reset_gauges(1)
    assert segment.collect()["counters"]["connections_active"] == 0


def declared(enum: str) -> list[str]:
    """Names of an enum in the C face, in order; their numbers must count from 0."""
    source = Path(__file__).parents[2].joinpath("cext", "native.pxd").read_text(encoding="utf-8")
    body = re.search(rf"cdef enum {enum}:\n((?: +\w+ = \d+\n)+)", source)
    assert body, f"cext/native.pxd declares no enum {enum}"
    rows = re.findall(r"(\w+) = (\d+)", body[1])
    assert [int(number) for _, number in rows] == list(range(len(rows)))
    return [name for name, _ in rows]


def test_the_enums_of_the_c_face_are_the_tables() -> None:
    assert declared("GwMethod") == [f"GW_METHOD_{name.upper()}" for name in METHODS]
    assert declared("GwCounter") == [f"GW_{name.upper()}" for name, _, _ in WORKER_METRICS]
    assert declared("GwServiceCounter") == [f"GW_{name.upper()}" for name, _, _ in SERVICE_METRICS]
