"""Limits against their models, and by several threads and processes at once."""

import mmap
import os
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway._core import LIMIT_CELLS, MAX_EXACT_WINDOW, MAX_WINDOW_COUNT, Limits, Segment
from tests.structures.models.limiter import TICK_NS, Counter, Log, TokenBucket

START = 10**15
Model = TokenBucket | Log | Counter


def new_segment() -> Segment:
    return Segment(mmap.mmap(-1, Segment.size_for(2)), 2, create=True)


SEGMENT = new_segment()
"""One for all examples: each takes a key of its own."""
KEYS = iter(range(1 << 40, 1 << 60, 977_777_777))

limits = st.integers(1, 200)
# Steps between two requests, in parts of the window, and weights.
requests = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 5)), max_size=120)


def agrees(rule: Any, model: Model, window: int, asked: list[tuple[int, int]]) -> None:
    structure, key, now = Limits([rule]), next(KEYS), START
    for step, weight in asked:
        now += step * window // 200
        allowed, [quota] = structure.acquire(SEGMENT, [(0, key, weight, True)], now * TICK_NS)
        assert (allowed, quota[2]) == model.acquire(weight, now)
        if not allowed:
            assert quota[4] > 0
            assert quota[3] >= quota[4] or weight > 1


@given(limits, limits, requests)
def test_token_bucket(rate: int, burst: int, asked: list[tuple[int, int]]) -> None:
    window = 1_000_000
    model = TokenBucket(-(-window // rate), burst)
    agrees(("bucket", rate, window * TICK_NS, burst), model, window, asked)


@given(st.integers(1, MAX_EXACT_WINDOW), requests)
def test_log(limit: int, asked: list[tuple[int, int]]) -> None:
    window = 1_000_000
    agrees(("sliding", limit, window * TICK_NS, 0), Log(window, limit), window, asked)


@given(st.integers(MAX_EXACT_WINDOW + 1, 200), requests)
def test_sliding_counter(limit: int, asked: list[tuple[int, int]]) -> None:
    window = 1_000_000
    agrees(("sliding", limit, window * TICK_NS, 0), Counter(window, limit, True), window, asked)


@given(limits, requests)
def test_fixed_window(limit: int, asked: list[tuple[int, int]]) -> None:
    window = 1_000_000
    agrees(("fixed", limit, window * TICK_NS, 0), Counter(window, limit, False), window, asked)


RULES = {
    "bucket": ("bucket", 100, 3600 * 10**9, 100),
    "log": ("sliding", 50, 60 * 10**9, 0),
    "counter": ("sliding", 100, 60 * 10**9, 0),
    "fixed": ("fixed", 100, 60 * 10**9, 0),
}


@given(st.sampled_from(sorted(RULES)), st.integers(0, 300), st.integers(1, 400))
def test_a_debt_is_bounded(kind: str, used: int, charged: int) -> None:
    """Whatever a request has cost, who owes it comes back within twice the time."""
    rule: Any = RULES[kind]
    structure, key, now = Limits([rule]), next(KEYS), START * TICK_NS
    limit = rule[1]
    for _ in range(min(used, limit)):
        assert structure.acquire(SEGMENT, [(0, key, 1, True)], now)[0]
    structure.charge(SEGMENT, (0, key, charged, True), now)
    allowed, [quota] = structure.acquire(SEGMENT, [(0, key, 1, True)], now)
    left = max(0, limit - min(used, limit) - charged)
    assert (allowed, quota[2]) == (left > 0, max(0, left - 1))
    assert quota[4] <= 2 * rule[2]
    assert structure.acquire(SEGMENT, [(0, key, 1, True)], now + 2 * rule[2] + rule[2] // 100)[0]


def test_unused_tokens_of_a_lease_are_taken_back_once() -> None:
    lease, key, now = Limits([("lease", 30, 0, 0)]), next(KEYS), START * TICK_NS
    until = now + 10 * 10**9
    lease.grant(SEGMENT, 0, key, 30, 10 * 10**9, 70, 0, 0, now)
    assert lease.acquire(SEGMENT, [(0, key, 12, True)], now)[0]
    assert lease.take_back(SEGMENT, 0, key, until, now) == 18
    assert lease.take_back(SEGMENT, 0, key, until, now) == 0
    allowed, [quota] = lease.acquire(SEGMENT, [(0, key, 1, True)], now)
    assert (allowed, quota[4]) == (False, 0), "it asks for more"


def test_a_lease_that_was_renewed_is_left_alone() -> None:
    lease, key, now = Limits([("lease", 30, 0, 0)]), next(KEYS), START * TICK_NS
    lease.grant(SEGMENT, 0, key, 30, 10 * 10**9, 70, 0, 0, now)
    later = now + 10**9
    lease.grant(SEGMENT, 0, key, 5, 10 * 10**9, 65, 0, 0, later)
    assert lease.take_back(SEGMENT, 0, key, now + 10 * 10**9, later) == 0
    assert lease.take_back(SEGMENT, 0, key, later + 10 * 10**9, later) == 35
    lease.grant(SEGMENT, 0, key, 5, 10**9, 65, 0, 0, later)
    assert lease.take_back(SEGMENT, 0, key, later + 10**9, later + 2 * 10**9) == 0, "it is over"
    assert lease.take_back(SEGMENT, 0, next(KEYS), until_ns=0, now_ns=now) == 0


@settings(max_examples=50)
@given(st.sampled_from(sorted(RULES)), st.integers(1, 9), st.integers(1, 30))
def test_what_was_refunded_may_be_had_again(kind: str, weight: int, times: int) -> None:
    rule: Any = RULES[kind]
    structure, key = Limits([rule]), next(KEYS)
    limit = rule[3] or rule[1]
    for _ in range(times):
        question = [(0, key, weight, True)]
        assert structure.acquire(SEGMENT, question, START)[0]
        structure.refund(SEGMENT, question, START)
    assert structure.acquire(SEGMENT, [(0, key, limit, True)], START)[0]
    assert not structure.acquire(SEGMENT, [(0, key, 1, True)], START)[0]


@pytest.mark.parametrize("kind", RULES)
def test_processes_share_a_limit(kind: str) -> None:
    """Forked as workers are, over one mmap: all of them together get the limit."""
    rule: Any = RULES[kind]
    structure, segment = Limits([rule]), new_segment()
    children: list[tuple[int, int]] = []
    for _ in range(4):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            count = sum(
                structure.acquire(segment, [(0, 99, 1, True)], START + call)[0]
                for call in range(2000)
            )
            os.write(write, str(count).encode())
            os._exit(0)
        os.close(write)
        children.append((pid, read))
    total = 0
    for pid, read in children:
        with os.fdopen(read) as pipe:
            total += int(pipe.read())
        os.waitpid(pid, 0)
    assert total == (rule[3] or rule[1])


def test_threads_share_what_is_under_way() -> None:
    """Never more than the limit at the same time, whoever enters."""
    segment = new_segment()
    inside, most = [0], [0]
    lock = threading.Lock()

    def run(slot: int) -> None:
        for _ in range(3000):
            if segment.enter(5, slot, 1, START):
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                with lock:
                    inside[0] -= 1
                segment.leave(5, slot, START)

    threads = [threading.Thread(target=run, args=(slot,)) for slot in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    assert segment.enter(5, 0, 1, START)


def test_a_dead_worker_has_nothing_under_way() -> None:
    segment = new_segment()
    assert all(segment.enter(5, 1, 2, START) for _ in range(2))
    assert not segment.enter(5, 0, 2, START)
    segment.reset_gauges(1)
    assert segment.enter(5, 0, 2, START)


@pytest.mark.parametrize(
    "rule",
    [
        ("bucket", 0, 1000, 1),
        ("bucket", 1, 1000, 0),
        ("bucket", 1, 1, 1),
        ("sliding", MAX_WINDOW_COUNT + 1, 1000, 0),
        ("lease", 2**23 + 1, 0, 0),
        ("leaky", 1, 1000, 1),
    ],
)
def test_a_rule_that_is_none_is_refused(rule: Any) -> None:
    with pytest.raises(ValueError, match="limits: "):
        Limits([rule])


def test_more_keys_than_cells_forget_the_least_used() -> None:
    """A flood of fresh keys takes the cells of its own kind, not that of a drained bucket."""
    segment = new_segment()
    structure = Limits([("bucket", 10, 60 * 10**9, 10)])

    def ask(key: int, weight: int) -> bool:
        return structure.acquire(segment, [(0, key, weight, True)], START)[0]

    # All hash to the same cells; the upper byte is the tag that tells their owners apart.
    places = [number << 56 | number * LIMIT_CELLS + 7 for number in range(1, 200)]
    assert ask(places[0], 10)
    assert all(ask(key, 1) for key in places[1:])
    assert not ask(places[0], 1)
    assert segment.collect()["limit_evictions"] > 150
