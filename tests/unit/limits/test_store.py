"""gateway/limits/store.py and decide.lua, against a real Redis."""

import asyncio
import mmap
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway._core import Limits, Segment
from gateway.config.state import State
from gateway.limits.connect import connect_limits
from gateway.limits.questions import Answer
from gateway.limits.store import LimitStore
from tests.servers.redis import RedisServer


@dataclass
class Allowed:
    limit: int = 10
    period_ms: int = 60_000
    burst: int = 10
    lease: int = 0
    rule: int = 0
    lease_rule: int = 0


@dataclass
class Seen:
    """What a store tells its worker."""

    states: list[tuple[bool, int]] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)

    def limit_store_is(self, away: bool, hosts: int) -> None:
        self.states.append((away, hosts))

    def add(self, counter: str, delta: int) -> None:
        self.counters[counter] = self.counters.get(counter, 0) + delta


@pytest.fixture
def redis(redis_server: Callable[..., RedisServer]) -> RedisServer:
    return redis_server()


@pytest.fixture
async def make_store(redis: RedisServer) -> AsyncIterator[Callable[..., LimitStore]]:
    made: list[LimitStore] = []

    def make(wait: str = "5s") -> LimitStore:
        segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
        store = connect_limits(State(url=redis.url, limit_timeout=wait), segment, Seen())
        assert store is not None
        made.append(store)
        return store

    yield make
    for store in made:
        await store.close()


async def ask(
    store: LimitStore, allowed: Allowed, algorithm: str = "token_bucket", weight: int = 1
) -> Answer:
    answers = await store.decide([("p", algorithm, "user:a", allowed, weight, True)])
    assert answers is not None
    return answers[0]


@pytest.mark.parametrize("limit", [10, 1500])
@pytest.mark.parametrize("algorithm", ["token_bucket", "sliding_window", "fixed_window"])
async def test_two_stores_give_the_limit_and_no_more(
    make_store: Callable[..., LimitStore], algorithm: str, limit: int
) -> None:
    stores = make_store(), make_store()
    allowed = Allowed(limit, 3_600_000, limit)
    asked = (ask(stores[call % 2], allowed, algorithm) for call in range(limit + 100))
    answers = await asyncio.gather(*asked)
    assert sum(answer.allowed for answer in answers) == limit
    last = await ask(stores[0], allowed, algorithm)
    assert last.remaining == 0
    assert 0 < last.retry_ms <= last.reset_ms <= 2 * 3_600_000


@pytest.mark.parametrize("algorithm", ["token_bucket", "sliding_window", "fixed_window"])
async def test_what_was_used_comes_back(
    make_store: Callable[..., LimitStore], algorithm: str
) -> None:
    store = make_store()
    allowed = Allowed(2, 300, 2)
    assert [(await ask(store, allowed, algorithm)).allowed for _ in range(3)] == [1, 1, 0]
    refused = await ask(store, allowed, algorithm)
    await asyncio.sleep(refused.retry_ms / 1000 + 0.01)
    assert (await ask(store, allowed, algorithm)).allowed == 1


async def test_a_refusal_takes_nothing_of_the_others(make_store: Callable[..., LimitStore]) -> None:
    store = make_store()
    wide, narrow = Allowed(limit=10), Allowed(limit=1, burst=1)
    questions = [
        ("wide", "token_bucket", "user:a", wide, 1, True),
        ("narrow", "sliding_window", "ip:192.0.2.1", narrow, 1, True),
    ]
    for _ in range(5):
        answers = await store.decide(questions)  # type: ignore[arg-type]
    assert answers is not None
    assert [answer.allowed for answer in answers] == [1, 0]
    assert answers[0].remaining == 9


async def test_all_that_waits_is_one_call(make_store: Callable[..., LimitStore]) -> None:
    store = make_store()
    await asyncio.gather(*(ask(store, Allowed(limit=1000, burst=1000)) for _ in range(500)))
    seen = store._metrics
    assert isinstance(seen, Seen)
    assert seen.counters["rate_limit_store_calls_total"] <= 4


async def test_the_keys_are_those_of_the_guide(
    make_store: Callable[..., LimitStore], redis: RedisServer
) -> None:
    store = make_store()
    for algorithm in ("token_bucket", "sliding_window", "fixed_window"):
        await ask(store, Allowed(), algorithm)
    keys = {key.decode() for key in await store._redis.keys("rate_limit:*")}
    assert keys >= {
        "rate_limit:user:a:p",
        "rate_limit:sliding:user:a:p",
        "rate_limit:fixed:user:a:p",
    }
    ttls = [await store._redis.pttl(key) for key in keys]
    assert min(ttls) > 0, "every key ends by itself"


async def test_flushed_scripts_are_loaded_again(make_store: Callable[..., LimitStore]) -> None:
    store = make_store()
    await ask(store, Allowed())
    await store._redis.script_flush()
    assert (await ask(store, Allowed())).remaining == 8
    assert not store.away


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_away_and_back(
    make_store: Callable[..., LimitStore], redis: RedisServer, how: str
) -> None:
    store = make_store("50ms")
    store.start()
    await ask(store, Allowed())
    getattr(redis, how)()
    begin = time.monotonic()
    question = ("p", "token_bucket", "user:a", Allowed(), 1, True)
    answers = await asyncio.gather(*(store.decide([question]) for _ in range(20)))
    assert answers == [None] * 20
    assert time.monotonic() - begin < 0.25
    begin = time.monotonic()
    assert await store.decide([question]) is None
    assert time.monotonic() - begin < 0.01, "nobody waits while it is away"
    await asyncio.to_thread(redis.start if how == "kill" else redis.thaw)
    begin = time.monotonic()
    while store.away:
        await asyncio.sleep(0.01)
        assert time.monotonic() - begin < 1
    # What a frozen one was asked counts there when it thaws; its late answer is nobody's.
    answer = await ask(store, Allowed(), "fixed_window")
    assert (answer.allowed, answer.remaining) == (1, 9)
    seen = store._metrics
    assert isinstance(seen, Seen)
    assert [away for away, _ in seen.states][-1] is False
    assert (True, 1) in seen.states


async def test_hosts_are_counted(make_store: Callable[..., LimitStore]) -> None:
    stores = [make_store() for _ in range(3)]
    for store in stores:
        store.start()
    await asyncio.sleep(1.3)
    seen: Any = stores[0]._metrics
    assert seen.states[-1] == (False, 3)


async def test_a_lease_is_tokens_in_the_segment(make_store: Callable[..., LimitStore]) -> None:
    stores = make_store(), make_store()
    allowed = Allowed(limit=100, period_ms=3_600_000, burst=100, lease=30, lease_rule=0)
    passed = 0
    for _ in range(8):
        for store in stores:
            limits = Limits([("lease", 30, 0, 0)])
            assert await store.lease([(limits, "p", "user:a", allowed, 77, 1)])
            while limits.acquire(store._segment, [(0, 77, 1, True)], time.monotonic_ns())[0]:
                passed += 1
    assert passed == 100
